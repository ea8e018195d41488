r"""AdaGrad: steps scaled by the sum of all squared gradients, one scale a coordinate or one in all.

Letters: w the iterate, g the gradient on a batch, r the sum of squares, :math:`\eta` the learning
rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState
from skopt_dl.solvers.stochastic.rates import length_rate, summed_rate


@dataclass
class SumState(StochasticState):
    """Adds the sum of squared gradients, of each coordinate or of their norms."""

    r: Any = None


class AdaGrad(StochasticSolver):
    """AdaGrad, adaptive gradients: one scale a coordinate.

    .. math::

        r \\leftarrow r + g^2, \\qquad
        w \\leftarrow w - \\eta \\frac{g}{\\sqrt{r} + \\varepsilon}

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`; the first update moves each coordinate by the rate. The automatic rate is the
        largest coordinate of a stable gradient step at the start and stays: the steps fade by
        themselves.
    epsilon : float
        Added to the root, non-negative.

    Notes
    -----
    Without epsilon the path does not depend on the scale of any coordinate's gradient; a coordinate
    that has had no gradient stays (0/0 is 0). The sum starts at 0, as in PyTorch; optax starts it
    at 0.1 and has epsilon inside the root.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", JMLR 12 (2011).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    coordinatewise: ClassVar[bool] = True
    decreases: ClassVar = "never"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        epsilon: float = 1e-10,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.epsilon = epsilon
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> SumState:
        return SumState(w=w, r=problem.xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return summed_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: SumState, g: Any) -> None:
        problem.kernels.adagrad_update(state.w, g, state.r, state.rate, self.epsilon)


class AdaGradNorm(StochasticSolver):
    """AdaGrad with one scale for all coordinates, the root of the sum of squared norms.

    .. math:: r \\leftarrow r + \\|g\\|^2, \\qquad w \\leftarrow w - \\eta \\frac{g}{\\sqrt{r}}

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `AdaGrad`; the first update has the rate as its length, if ``initial_norm`` is 0.
    initial_norm : float
        Root of the sum at the start, non-negative.

    Notes
    -----
    It commutes with rotations of the parameters. Ward, Wu and Bottou start the sum at a positive
    number; with 0 the rate alone sets the first step (0/0 is 0).

    References
    ----------
    R. Ward, X. Wu, L. Bottou, "AdaGrad stepsizes: sharp convergence over nonconvex landscapes",
    ICML 2019.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    decreases: ClassVar = "never"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        initial_norm: float = 0.0,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.initial_norm = initial_norm
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> SumState:
        return SumState(w=w, r=problem.xp.zeros_like(w[:1]) + self.initial_norm**2)

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return length_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: SumState, g: Any) -> None:
        problem.kernels.adagrad_norm_update(state.w, g, state.r, state.rate)
