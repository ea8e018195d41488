r"""Steps chosen on the batch itself: Polyak's from its value, a line search's by trying.

Letters: w the iterate, f and g value and gradient on a batch, :math:`\eta` the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.kernels.namespace import to_float
from skopt_dl.search.schedules import Schedule
from skopt_dl.search.trial import rounding
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import (
    SAFETY,
    StochasticSolver,
    StochasticState,
    curvature_step,
)
from skopt_dl.solvers.stochastic.ranges import is_number
from skopt_dl.solvers.stochastic.sampling import batch_size as size_of

# Shortenings of a step after which a batch is left as it is.
MAX_TRIALS = 100


@dataclass
class SearchState(StochasticState):
    """Adds the step that the last search ended with, and memory for trials."""

    step: float = 0.0
    trial: Any = None


class BoundedStep(StochasticSolver):
    """SGD whose step is read off the values of the batch, and bounded by the rate."""

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Oracle.SAMPLE_VALUE, Trait.SMOOTH)
    learning_rate = "auto"

    max_step: Any

    def _auto_rate(self, problem: Any, w: Any) -> float:
        if self.max_step == "auto":
            return curvature_step(problem, w, self.batch_size)[0] / SAFETY
        if not (is_number(self.max_step) and self.max_step > 0):
            raise ValueError(f"max_step={self.max_step!r}, but it must be 'auto' or a number > 0")
        return float(self.max_step)


class PolyakStep(BoundedStep):
    """SGD with Polyak's step on the batch, bounded by the rate.

    .. math::

        w \\leftarrow w - \\min\\Big(\\gamma \\frac{f(w) - f^*}{\\|g\\|^2}, \\eta\\Big)\\, g

    Needs values and gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    max_step : float or "auto"
        The bound :math:`\\eta`. "auto" is the inverse of the largest curvature that the power
        method finds on three batches at the start.
    lower_bound : float
        :math:`f^*`, a lower bound of every batch's value; a model that can fit every sample has 0.
    scale : float
        :math:`\\gamma`, positive; up to 2 no step leads away from an optimum that convex batches
        have in common.
    schedule : str or Schedule
        How the bound changes; "auto" decreases it for a linear model whose batches are noisy.
    batch_size, shuffle, max_grad_norm, average
        As for `SGD`; a shortened gradient is shortened in the formula too.

    Notes
    -----
    Where the model cannot fit every sample the values stay above their bound, and the steps have to
    be bounded by one that decreases.

    References
    ----------
    N. Loizou, S. Vaswani, I. Laradji, S. Lacoste-Julien, "Stochastic Polyak step-size for SGD",
    AISTATS 2021.
    """

    def __init__(
        self,
        *,
        max_step: float | str = "auto",
        lower_bound: float = 0.0,
        scale: float = 1.0,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.schedule = schedule
        self.max_step, self.lower_bound, self.scale = max_step, lower_bound, scale
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> StochasticState:
        return StochasticState(w=w)

    def _step(self, problem: Any, state: StochasticState, g: Any) -> None:
        excess = problem.sample_value(state.w, state.batch[0]) - self.lower_bound
        step = polyak_length(problem.xp, self.scale * excess, g @ g, state.rate)
        problem.kernels.gradient_update(state.w, g, step)


@dataclass
class MomentumState(StochasticState):
    """Adds the mean of the gradients, and that of the values of their tangents at the origin."""

    m: Any = None
    a: Any = None


class MoMo(BoundedStep):
    """MoMo: Polyak's step on the mean of the tangents of the last batches.

    .. math::

        m \\leftarrow \\beta m + (1 - \\beta) g, \\qquad
        a \\leftarrow \\beta a + (1 - \\beta) (f(w) - g'w), \\qquad
        w \\leftarrow w - \\min\\Big(\\frac{[a + m'w - f^*]_+}{\\|m\\|^2}, \\eta\\Big)\\, m

    from m = g and a = f(w) - g'w on the first batch. Needs values and gradients on batches of
    samples and a smooth objective.

    Parameters
    ----------
    max_step, lower_bound, schedule, batch_size, shuffle, max_grad_norm, average
        As for `PolyakStep`.
    momentum : float
        :math:`\\beta`, in [0, 1]; 0 is `PolyakStep`.

    Notes
    -----
    :math:`a + m'v` is the mean of the tangents at the point v, below the mean of the batches where
    they are convex. The step goes to where it meets the lower bound.

    References
    ----------
    F. Schaipp, R. Ohana, M. Eickenberg, A. Defazio, R. Gower, "MoMo: momentum models for adaptive
    learning rates", ICML 2024.
    """

    def __init__(
        self,
        *,
        max_step: float | str = "auto",
        lower_bound: float = 0.0,
        momentum: float = 0.9,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.schedule = schedule
        self.max_step, self.lower_bound, self.momentum = max_step, lower_bound, momentum
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> MomentumState:
        return MomentumState(w=w)

    def _step(self, problem: Any, state: MomentumState, g: Any) -> None:
        xp, kernels = problem.xp, problem.kernels
        tangent = problem.sample_value(state.w, state.batch[0]) - g @ state.w
        if state.m is None:
            state.m, state.a = xp.asarray(g, copy=True), tangent
        else:
            kernels.mean_update(state.m, g, self.momentum)
            state.a = self.momentum * state.a + (1 - self.momentum) * tangent
        excess = state.a + state.m @ state.w - self.lower_bound
        kernels.gradient_update(
            state.w, state.m, polyak_length(xp, excess, state.m @ state.m, state.rate)
        )


class LineSearchSGD(BoundedStep):
    """SGD with an Armijo line search on each batch.

    .. math::

        w \\leftarrow w - \\eta g, \\qquad f(w - \\eta g) \\le f(w) - c\\, \\eta \\|g\\|^2

    Needs values and gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    max_step : float or "auto"
        The longest step tried, and the first one. "auto" is the inverse of the largest
        curvature that the power method finds on three batches at the start; where the model can fit
        every sample a much longer one pays.
    decrease : float
        c, in (0, 1).
    shrink : float
        What a refused step is multiplied by, in (0, 1).
    grow : float
        How much the first trial of a batch is longer than the last step, per epoch; at least 1.
    schedule : str or Schedule
        How the longest step changes; "auto" decreases it for a linear model whose batches are
        noisy.
    batch_size, shuffle, max_grad_norm, average
        As for `SGD`; a shortened gradient is the direction that is searched.

    Notes
    -----
    Where the model can fit every sample it converges at the rate of full gradients (with a constant
    schedule); elsewhere only the bound makes its steps fade. A step that changes the value by less
    than its rounding is taken.

    References
    ----------
    S. Vaswani et al., "Painless stochastic gradient: interpolation, line-search, and convergence
    rates", NeurIPS 2019.
    """

    def __init__(
        self,
        *,
        max_step: float | str = "auto",
        decrease: float = 0.1,
        shrink: float = 0.9,
        grow: float = 2.0,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.schedule = schedule
        self.max_step, self.decrease, self.shrink = max_step, decrease, shrink
        self.grow = grow
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> SearchState:
        return SearchState(w=w)

    def _step(self, problem: Any, state: SearchState, g: Any) -> None:
        index = state.batch[0]
        value = to_float(problem.sample_value(state.w, index))
        square = to_float(g @ g)
        n = problem.n_samples
        share = size_of(self.batch_size, n) / n
        step = min(state.step * self.grow**share, state.rate) if state.step else state.rate
        noise = rounding(value, float(problem.xp.finfo(state.w.dtype).eps))
        if state.trial is None:
            state.trial = problem.xp.zeros_like(state.w)
        for _ in range(MAX_TRIALS):
            trial = problem.kernels.shifted(state.w, g, -step, state.trial)
            reached = to_float(problem.sample_value(trial, index))
            if reached <= value - self.decrease * step * square + noise:
                state.w, state.trial, state.step = trial, state.w, step
                return
            step *= self.shrink


def polyak_length(xp: Any, excess: Any, square: Any, most: float) -> Any:
    """``excess / square``, from 0 to ``most``; 0 where nothing has a slope."""
    length = xp.clip(excess, 0, None) / xp.where(square > 0, square, xp.ones_like(square))
    return xp.clip(length, None, most)
