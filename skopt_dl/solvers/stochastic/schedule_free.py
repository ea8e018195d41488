r"""Schedule-free rules: an average as the answer, and gradients taken between it and the iterate.

Letters: x the answer (``w`` of the state), z the iterate that moves, y the point of the gradient g,
:math:`\eta` the learning rate, t the number of updates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.base import (
    StochasticSolver,
    StochasticState,
    curvature_step,
)
from skopt_dl.solvers.stochastic.rates import coordinate_rate


@dataclass
class ScheduleFreeState(StochasticState):
    """Adds the moving iterate, the sum of the squared rates, and a second moment where used."""

    z: Any = None
    total: float = 0.0
    v: Any = None


class ScheduleFreeSGD(StochasticSolver):
    """Schedule-free SGD: averaging in the place of a decreasing rate.

    .. math::

        y &= (1 - \\beta) z + \\beta x, \\qquad z \\leftarrow z - \\eta (g(y) + \\lambda y) \\\\
        x &\\leftarrow (1 - c) x + c z, \\qquad
        c = \\eta_t^2 \\big/ \\textstyle\\sum_{i \\le t} \\eta_i^2

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, batch_size, shuffle, max_grad_norm
        As for `SGD`; the automatic rate stays.
    schedule : str or Schedule
        As for `SGD`; "auto" is constant. A warm-up is the only one of use.
    momentum : float
        :math:`\\beta`, in [0, 1]: 0 is SGD with an average (`PolyakAverage`), 1 takes gradients at
        the average itself.
    weight_decay : float
        :math:`\\lambda`, non-negative; a decay of y, on every parameter.

    References
    ----------
    A. Defazio et al., "The road less scheduled", NeurIPS 2024.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    decreases: ClassVar = "never"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.momentum, self.weight_decay = momentum, weight_decay
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm = max_grad_norm

    def _start(self, problem: Any, w: Any) -> ScheduleFreeState:
        return ScheduleFreeState(w=w, z=problem.xp.asarray(w, copy=True))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return curvature_step(problem, w, self.batch_size)[0]

    def _step(self, problem: Any, state: ScheduleFreeState, g: Any) -> None:
        move(problem, state, g, self.weight_decay, self.momentum)


class ScheduleFreeAdamW(StochasticSolver):
    """Schedule-free AdamW: its iterate moves by Adam's scaled gradient.

    .. math::

        y &= (1 - \\beta_1) z + \\beta_1 x, \\qquad
        v \\leftarrow \\beta_2 v + (1 - \\beta_2) g(y)^2 \\\\
        z &\\leftarrow z - \\eta \\Big(\\sqrt{1 - \\beta_2^t}\\,
        \\frac{g}{\\sqrt{v} + \\varepsilon} + \\lambda y\\Big), \\qquad
        x \\leftarrow (1 - c) x + c z

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm
        As for `ScheduleFreeSGD`, with the automatic rate of `Adam`.
    beta_1 : float
        Interpolation between iterate and answer, in [0, 1).
    beta_2 : float
        Decay of the second moment, in [0, 1).
    epsilon : float
        Added to the root of the second moment before its correction, as in `Adam`.
    weight_decay : float
        :math:`\\lambda`, non-negative; a decay of y, on every parameter.

    References
    ----------
    A. Defazio et al., "The road less scheduled", NeurIPS 2024.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    decreases: ClassVar = "never"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.weight_decay = weight_decay
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm = max_grad_norm

    def _start(self, problem: Any, w: Any) -> ScheduleFreeState:
        return ScheduleFreeState(
            w=w, z=problem.xp.asarray(w, copy=True), v=problem.xp.zeros_like(w)
        )

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: ScheduleFreeState, g: Any) -> None:
        scale = math.sqrt(1 - self.beta_2**state.n_updates)
        second = (scale, self.beta_2, self.epsilon)
        move(problem, state, g, self.weight_decay, self.beta_1, second)


def move(
    problem: Any,
    state: ScheduleFreeState,
    g: Any,
    weight_decay: float,
    beta: float,
    second: tuple[float, float, float] = (1.0, 0.0, 0.0),
) -> None:
    """The moved iterate into the answer, and the point of the next gradient between the two.

    ``second`` is the correction of the second moment, its decay and epsilon, where there is one.
    """
    if state.at is None:
        state.at = problem.xp.asarray(state.w, copy=True)
    state.total += state.rate**2
    share = state.rate**2 / state.total if state.total > 0 else 0.0
    scale, decay, epsilon = second
    problem.kernels.schedule_free_update(
        state.w,
        state.z,
        state.at,
        g,
        state.v,
        state.rate,
        scale,
        weight_decay,
        share,
        beta,
        decay,
        epsilon,
    )
