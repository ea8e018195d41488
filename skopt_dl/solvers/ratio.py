r"""Steps that are taken or refused by what came of what a model promised.

Letters: w the iterate, g the gradient, s the step, :math:`\rho` the ratio.
"""

from __future__ import annotations

import math
from typing import Any

from skopt_dl.engine import Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.search import rounding
from skopt_dl.solvers.descent import GROWTH, DescentState

# Less than a quarter of the promised decrease calls for more care, more than three quarters for
# less.
POOR, GOOD = 0.25, 0.75


def try_step(
    problem: Any, state: DescentState, s: Any, promised: float, acceptance: float
) -> tuple[float, Status | None]:
    """Go to ``w + s`` if enough of the promised decrease comes; one iteration, taken or not.

    Where rounding hides the decrease it is measured by the slopes,
    :math:`-\\tfrac12 (g + g^+)'s`.

    Returns
    -------
    ratio : float
        What came of what was promised; minus infinity where the objective is not finite.
    verdict : Status or None
        ``None``, or the status to end with.
    """
    point: Any = state.point
    progress, value = state.progress, to_float(point.value)
    eps = float(problem.xp.finfo(problem.dtype).eps)
    progress.doubt = max(progress.doubt, rounding(1.0, eps))
    if not promised > 0:
        return -math.inf, Status.STALLED
    line = problem.along(point, s)
    after, end_slope = line(1.0)
    by_slopes = -0.5 * (to_float(point.grad @ s) + end_slope)
    ratio = _ratio(value - after, by_slopes, promised, progress.noise(value))
    state.n_iter += 1
    if ratio > acceptance:
        trial = line.accept(1.0)
        state.stand_at(problem, trial)
        progress.note(trial, after, to_float(state.indicator), rounding(value, eps))
        return ratio, None
    return ratio, _refused(problem, state, s, promised, value, eps)


def _ratio(gain: float, by_slopes: float, promised: float, noise: float) -> float:
    """What came of what was promised; by the slopes where the values do not tell."""
    if not (math.isfinite(gain) and math.isfinite(by_slopes)):
        return -math.inf
    return (by_slopes if abs(gain) <= noise else gain) / promised


def _refused(
    problem: Any, state: DescentState, s: Any, promised: float, value: float, eps: float
) -> Status | None:
    """After a step that was not taken: trust values less, or give up where no step is left."""
    progress, xp = state.progress, problem.xp
    limit = eps**0.5
    if promised <= limit * abs(value):
        progress.doubt = min(limit, GROWTH * progress.doubt)
    state.progress.idle += 1
    reach = to_float(xp.linalg.vector_norm(state.w)) + eps
    if to_float(xp.linalg.vector_norm(s)) <= eps * reach:
        return Status.STALLED
    return None
