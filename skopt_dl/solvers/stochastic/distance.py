r"""Rules without a learning rate: they estimate how far the optimum is from the start.

Letters: w the iterate, :math:`w_0` the start, g the gradient on a batch, d the estimated distance,
m and v moments, s and r weighted sums.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState


@dataclass
class DistanceState(StochasticState):
    """Adds the start, the estimate and the sums that it is made of, of shape ``(1,)`` or of w's."""

    origin: Any = None
    d: Any = None
    r: Any = None
    s: Any = None
    squares: Any = None
    m: Any = None
    v: Any = None


class RateOfPath(StochasticSolver):
    """SGD whose rate is read off the path."""

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    learning_rate = 1.0
    schedule = "constant"

    def __init__(
        self,
        *,
        initial_distance: float = 1e-6,
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.initial_distance = initial_distance
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> DistanceState:
        xp = problem.xp
        first = self.initial_distance * (1 + norm(xp, w))
        return DistanceState(
            w=w, origin=xp.asarray(w, copy=True), d=first, squares=xp.zeros_like(first)
        )

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return 1.0

    def _step(self, problem: Any, state: DistanceState, g: Any) -> None:
        xp, kernels = problem.xp, problem.kernels
        state.d = xp.maximum(state.d, kernels.distance(state.w, state.origin))
        weight = self._weight(state.d)
        state.squares = state.squares + weight**2 * (g @ g)
        rate = kernels.over_root(weight * state.d, state.squares, 0.0)
        kernels.gradient_update(state.w, g, rate)

    @abstractmethod
    def _weight(self, d: Any) -> Any:
        """What a gradient at distance ``d`` counts."""


class DoG(RateOfPath):
    """DoG, distance over gradients: SGD whose rate is read off the path.

    .. math::

        d_t = \\max_{i \\le t} \\|w_i - w_0\\|, \\qquad
        w \\leftarrow w - \\frac{d_t}{\\sqrt{\\sum_{i \\le t} \\|g_i\\|^2}}\\, g

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    initial_distance : float
        Where the estimate starts, as a share of :math:`1 + \\|w_0\\|`, positive; too small costs a
        few updates only.
    batch_size, shuffle, max_grad_norm, average
        As for `SGD`; the authors advise an average.

    Notes
    -----
    The distance is never taken smaller than the initial one. Without a gradient nothing moves (0/0
    is 0).

    References
    ----------
    M. Ivgi, O. Hinder, Y. Carmon, "DoG is SGD's best friend: a parameter-free dynamic step size
    schedule", ICML 2023.
    """

    def _weight(self, d: Any) -> Any:
        return 1.0


class DoWG(RateOfPath):
    """DoWG, distance over weighted gradients: early gradients count less than in `DoG`.

    .. math::

        d_t = \\max_{i \\le t} \\|w_i - w_0\\|, \\qquad
        w \\leftarrow w - \\frac{d_t^2}{\\sqrt{\\sum_{i \\le t} d_i^2 \\|g_i\\|^2}}\\, g

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    initial_distance, batch_size, shuffle, max_grad_norm, average
        As for `DoG`.

    Notes
    -----
    Gradients from before the distance was known weigh by the distance of then, so that the rate is
    not kept small by them.

    References
    ----------
    A. Khaled, K. Mishchenko, C. Jin, "DoWG unleashed: an efficient universal parameter-free
    gradient descent method", NeurIPS 2023.
    """

    def _weight(self, d: Any) -> Any:
        return d


class DAdaptation(StochasticSolver):
    r"""D-adaptation of Adam: its rate is a growing lower bound of the distance.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) \eta d g, \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \qquad
        w \leftarrow w - \frac{m}{\sqrt{v} + \varepsilon} \\
        r &\leftarrow \beta_3 r + (1 - \beta_3) \eta d \,
        g^T \frac{s}{\sqrt{v} + \varepsilon}, \qquad
        s \leftarrow \beta_3 s + (1 - \beta_3) \eta d g, \qquad
        \beta_3 = \sqrt{\beta_2} \\
        d &\leftarrow \max\Big(d, \frac{r}{(1 - \beta_3) \|s\|_1}\Big)

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    initial_distance, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Prodigy`.
    beta_1, beta_2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        Added to the root of the second moment, non-negative.
    max_growth : float
        The largest factor by which the estimate grows in an update, above 1.

    Notes
    -----
    There are no bias corrections, as in the paper. A bounded growth, which the paper does not have,
    lets the gradients answer before the estimate has gone too far, which it can where the objective
    is not convex. The paper's first algorithm, dual averaging, takes too many noisy batches to find
    the distance.

    References
    ----------
    A. Defazio, K. Mishchenko, "Learning-rate-free learning by D-adaptation", ICML 2023.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    learning_rate = "auto"

    def __init__(
        self,
        *,
        initial_distance: float = 1e-6,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        max_growth: float = 1.2,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.schedule = schedule
        self.initial_distance, self.beta_1, self.beta_2 = initial_distance, beta_1, beta_2
        self.epsilon, self.max_growth = epsilon, max_growth
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> DistanceState:
        xp = problem.xp
        first = self.initial_distance * (1 + norm(xp, w))
        zeros = xp.zeros_like
        return DistanceState(w=w, d=first, r=zeros(first), s=zeros(w), m=zeros(w), v=zeros(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return 1.0

    def _step(self, problem: Any, state: DistanceState, g: Any) -> None:
        xp, kernels = problem.xp, problem.kernels
        keep, length = math.sqrt(self.beta_2), state.rate * state.d
        slope, size = kernels.d_adaptation_update(
            state.w,
            g,
            state.s,
            state.m,
            state.v,
            length,
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )
        state.r = keep * state.r + (1 - keep) * length * slope
        bound = kernels.over_root(state.r, ((1 - keep) * size) ** 2, 0.0)
        state.d = xp.maximum(state.d, xp.minimum(bound, self.max_growth * state.d))


class Prodigy(StochasticSolver):
    """Prodigy: Adam whose rate is a growing lower bound of the distance to the optimum.

    .. math::

        r &\\leftarrow \\beta_3 r + (1 - \\beta_3) \\eta d^2 \\langle g, w_0 - w \\rangle, \\qquad
        \\beta_3 = \\sqrt{\\beta_2} \\\\
        s &\\leftarrow \\beta_3 s + (1 - \\beta_3) \\eta d^2 g \\\\
        m &\\leftarrow \\beta_1 m + (1 - \\beta_1) d g, \\qquad
        v \\leftarrow \\beta_2 v + (1 - \\beta_2) d^2 g^2 \\\\
        w &\\leftarrow w - \\eta d \\frac{m}{\\sqrt{v} + d \\varepsilon}, \\qquad
        d \\leftarrow \\max\\big(d, r / \\|s\\|_1\\big)

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    initial_distance : float
        Where the estimate starts, as a share of :math:`1 + \\|w_0\\|`, positive; too small costs a
        few updates only.
    beta_1, beta_2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        Added to the root of the second moment, times d; non-negative.
    schedule : str or Schedule
        :math:`\\eta`, which starts at 1; "auto" decreases it for a linear model, if batches are
        noisy.
    batch_size, shuffle, max_grad_norm, average
        As for `Adam`.

    Notes
    -----
    The distance is one of the largest coordinate. There are no bias corrections, as in the paper;
    the authors' code takes the new d in front of epsilon.

    References
    ----------
    K. Mishchenko, A. Defazio, "Prodigy: an expeditiously adaptive parameter-free learner", ICML
    2024, algorithm 4.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    learning_rate = "auto"

    def __init__(
        self,
        *,
        initial_distance: float = 1e-6,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.schedule = schedule
        self.initial_distance, self.beta_1, self.beta_2 = initial_distance, beta_1, beta_2
        self.epsilon = epsilon
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> DistanceState:
        xp = problem.xp
        first = self.initial_distance * (1 + norm(xp, w))
        zeros = xp.zeros_like
        return DistanceState(
            w=w,
            origin=xp.asarray(w, copy=True),
            d=first,
            r=zeros(first),
            s=zeros(w),
            m=zeros(w),
            v=zeros(w),
        )

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return 1.0

    def _step(self, problem: Any, state: DistanceState, g: Any) -> None:
        xp, kernels, d = problem.xp, problem.kernels, state.d
        keep = math.sqrt(self.beta_2)
        weight = (1 - keep) * state.rate * d**2
        slope, size = kernels.prodigy_update(
            state.w,
            g,
            state.origin,
            state.s,
            state.m,
            state.v,
            d,
            state.rate,
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )
        state.r = keep * state.r + weight * slope
        state.d = xp.maximum(d, kernels.over_root(state.r, size**2, 0.0))


def norm(xp: Any, a: Any) -> Any:
    """The Euclidean norm, of shape ``(1,)`` so that it stays an array of its dtype and device."""
    return xp.sqrt(xp.sum(a * a, keepdims=True))
