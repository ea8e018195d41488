r"""Adam's step with another second moment: the surprise in AdaBelief, the slow change in Yogi.

Letters: w the iterate, g the gradient on a batch, m its running mean, v the second moment,
:math:`\eta` the learning rate, t the number of updates.
"""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.adam import AdamState
from skopt_dl.solvers.stochastic.adam_variants import corrections
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver
from skopt_dl.solvers.stochastic.rates import coordinate_rate


class AdaBelief(StochasticSolver):
    """AdaBelief: the step is long where the gradient is what its running mean foretold.

    .. math::

        m &\\leftarrow \\beta_1 m + (1 - \\beta_1) g, \\qquad
        v \\leftarrow \\beta_2 v + (1 - \\beta_2) (g - m)^2 + \\varepsilon \\\\
        w &\\leftarrow w - \\eta \\frac{m}{1 - \\beta_1^t} \\Big/
        \\Big(\\sqrt{\\tfrac{v}{1 - \\beta_2^t}} + \\varepsilon\\Big)

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`.
    beta_1, beta_2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        Added to the second moment in each update and to its corrected root, non-negative.

    References
    ----------
    J. Zhuang et al., "AdaBelief optimizer: adapting stepsizes by the belief in observed gradients",
    NeurIPS 2020.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    coordinatewise: ClassVar[bool] = True

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-16,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> AdamState:
        return AdamState(w=w, m=problem.xp.zeros_like(w), v=problem.xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: AdamState, g: Any) -> None:
        t = state.n_updates
        problem.kernels.adabelief_update(
            state.w,
            g,
            state.m,
            state.v,
            state.rate / (1 - self.beta_1**t),
            1 / (1 - self.beta_2**t),
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )


class Yogi(StochasticSolver):
    """Yogi: the second moment changes by a share of the squared gradient, whatever its own size.

    .. math::

        m &\\leftarrow \\beta_1 m + (1 - \\beta_1) g, \\qquad
        v \\leftarrow v - (1 - \\beta_2) \\operatorname{sign}(v - g^2)\\, g^2 \\\\
        w &\\leftarrow w - \\eta \\frac{\\sqrt{1 - \\beta_2^t}}{1 - \\beta_1^t}\\,
        \\frac{m}{\\sqrt{v} + \\varepsilon}

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`.
    beta_1, beta_2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        Added to the root of the second moment, non-negative.

    Notes
    -----
    The moments start at 0 and are corrected as Adam's: the first update is Adam's. The paper starts
    v at the squared gradient of a batch and corrects nothing; optax starts both at 1e-6.

    References
    ----------
    M. Zaheer, S. Reddi, D. Sachan, S. Kale, S. Kumar, "Adaptive methods for nonconvex
    optimization", NeurIPS 2018.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    coordinatewise: ClassVar[bool] = True

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-3,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> AdamState:
        return AdamState(w=w, m=problem.xp.zeros_like(w), v=problem.xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: AdamState, g: Any) -> None:
        problem.kernels.yogi_update(
            state.w,
            g,
            state.m,
            state.v,
            state.rate * corrections(self.beta_1, self.beta_2, state.n_updates),
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )
