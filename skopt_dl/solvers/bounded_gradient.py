r"""Spectral projected gradient: gradient steps within bounds.

Letters: w the iterate, g the gradient, l and u the bounds, d the direction, :math:`\lambda` the
length of the gradient step, s and y the last step and the change of the gradient over it.

.. math:: d = \min(\max(w - \lambda g,\ l),\ u) - w, \qquad w \leftarrow w + t d, \qquad
    \lambda^+ = \frac{s's}{s'y}
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from skopt_dl.engine import Needs, Oracle, Point, State, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.search import rounding

WITHIN_BOUNDS = Needs.of(Oracle.BOUNDS)
# Values that the search looks back at, Armijo's constant and the trials of one search.
WINDOW, DECREASE, TRIALS = 10, 1e-4, 40


@dataclass
class BoundedState(State):
    """Adds the point, the bounds, the length of the next step and the last values."""

    point: Point | None = None
    lower: Any = None
    upper: Any = None
    length: float = 0.0
    values: deque[float] = field(default_factory=deque)


def within_bounds(problem: Any, w: Any, *, monotone: bool) -> BoundedState:
    """The state at the projection of ``w``; ``monotone`` searches never let the objective rise."""
    lower, upper = problem.bounds()
    values: deque[float] = deque(maxlen=1 if monotone else WINDOW)
    state = BoundedState(w=w, lower=lower, upper=upper, values=values)
    _stand_at(problem, state, problem.bounded_point(nearest(problem.xp, state, w)))
    return state


def step_within_bounds(problem: Any, state: BoundedState) -> Status:
    """One step of E. Birgin, J. Martinez and M. Raydan, SIAM J. Optim. 10 (2000), algorithm 2.2."""
    xp = problem.xp
    point: Any = state.point
    w, g, value = point.w, point.grad, to_float(point.value)
    length = state.length
    if length <= 0:
        size = to_float(xp.max(xp.abs(g)))
        length = 1 / size if size > 0 else 1.0
    d = nearest(xp, state, w - length * g) - w
    slope, worst = to_float(g @ d), max(state.values)
    noise = rounding(value, float(xp.finfo(problem.dtype).eps))
    t = 1.0
    for _ in range(TRIALS):
        # Between two points of a convex set nothing leaves it, but by rounding.
        trial = problem.bounded_point(nearest(xp, state, w + t * d))
        after = to_float(trial.value)
        if after <= worst + DECREASE * t * slope + noise:
            s, y = trial.w - w, trial.grad - g
            curvature = to_float(s @ y)
            state.length = to_float(s @ s) / curvature if curvature > 0 else 0.0
            _stand_at(problem, state, trial)
            return Status.RUNNING
        # The minimum of the parabola through what is known, not too near to either end.
        parabola = -0.5 * t * t * slope / (after - value - t * slope)
        t = min(max(parabola, 0.1 * t), 0.5 * t)
    return Status.LINE_SEARCH_FAILED


def _stand_at(problem: Any, state: BoundedState, point: Point) -> None:
    """Take ``point`` as the iterate; the indicator is the largest projected gradient component."""
    xp = problem.xp
    state.point, state.w = point, point.w
    state.values.append(to_float(point.value))
    back = point.w - nearest(xp, state, point.w - point.grad)
    state.indicator = xp.max(xp.abs(back))


def nearest(xp: Any, state: Any, w: Any) -> Any:
    """The point next to ``w`` between ``state.lower`` and ``state.upper``."""
    return xp.minimum(xp.maximum(w, state.lower), state.upper)
