r"""Rules that move every coordinate by the rate: only the sign of a gradient or of its mean counts.

Letters: w the iterate, g the gradient on a batch, m its running mean, :math:`\eta` the learning
rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState
from skopt_dl.solvers.stochastic.rates import coordinate_rate


@dataclass
class MeanState(StochasticState):
    """Adds the running mean of the gradients."""

    m: Any = None


class SignSGD(StochasticSolver):
    """Sign descent: each coordinate moves by the rate.

    .. math:: w \\leftarrow w - \\eta \\operatorname{sign}(g)

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`; the automatic rate decreases also where a batch has all samples, because the
        steps do not shrink with the gradient.

    Notes
    -----
    The path does not depend on the scale of any coordinate's gradient.

    References
    ----------
    J. Bernstein, Y. Wang, K. Azizzadenesheli, A. Anandkumar, "signSGD: compressed optimisation for
    non-convex problems", ICML 2018.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    coordinatewise: ClassVar[bool] = True
    decreases: ClassVar = "always"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> StochasticState:
        return StochasticState(w=w)

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: StochasticState, g: Any) -> None:
        problem.kernels.sign_update(state.w, g, state.rate)


class Signum(StochasticSolver):
    """Sign descent with momentum: the sign of the running mean of the gradients.

    .. math::

        m \\leftarrow \\beta m + (1 - \\beta) g, \\qquad
        w \\leftarrow w - \\eta \\operatorname{sign}(m)

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `SignSGD`.
    momentum : float
        :math:`\\beta`, in [0, 1); 0 is `SignSGD`.

    References
    ----------
    J. Bernstein, Y. Wang, K. Azizzadenesheli, A. Anandkumar, "signSGD: compressed optimisation for
    non-convex problems", ICML 2018.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    coordinatewise: ClassVar[bool] = True
    decreases: ClassVar = "always"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        momentum: float = 0.9,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.momentum = momentum
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> MeanState:
        if self.momentum == 1:
            raise ValueError("Signum: momentum=1, but it must be a number >= 0 and < 1")
        return MeanState(w=w, m=problem.xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: MeanState, g: Any) -> None:
        problem.kernels.mean_update(state.m, g, self.momentum)
        problem.kernels.sign_update(state.w, state.m, state.rate)


class Lion(StochasticSolver):
    """Lion, evolved sign momentum: the sign of a fresher mean than the one that is kept.

    .. math::

        w &\\leftarrow w - \\eta \\big(\\operatorname{sign}(\\beta_1 m + (1 - \\beta_1) g) +
        \\lambda w\\big) \\\\
        m &\\leftarrow \\beta_2 m + (1 - \\beta_2) g

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `SignSGD`.
    beta_1, beta_2 : float
        Decay of the mean that is used and of the one that is kept, in [0, 1).
    weight_decay : float
        :math:`\\lambda`, non-negative; it acts on every parameter, as in `AdamW`.

    Notes
    -----
    The authors advise a rate 3 to 10 times smaller than Adam's.

    References
    ----------
    X. Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    coordinatewise: ClassVar[bool] = True
    decreases: ClassVar = "always"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float = 0.0,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.beta_1, self.beta_2, self.weight_decay = beta_1, beta_2, weight_decay
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> MeanState:
        return MeanState(w=w, m=problem.xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: MeanState, g: Any) -> None:
        problem.kernels.lion_update(
            state.w,
            g,
            state.m,
            state.rate,
            self.beta_1,
            self.beta_2,
            self.weight_decay,
        )
