r"""What methods in a sketched metric share: the sketch, and gradients corrected by a snapshot.

Letters: w the iterate, g the gradient on a batch, P the metric, U and its values the sketch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from skopt_dl.engine import Trait
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.nystrom import NystromPreconditioner
from skopt_dl.solvers.stochastic.metrics import random_directions, sample_of, stable_length
from skopt_dl.solvers.stochastic.quasi_newton import PairState

# Samples of a sketch at most, where their number is automatic: the root of all, as the authors
# take, but enough for small data.
LEAST_SKETCH = 256


@dataclass
class SketchState(PairState):
    """Adds the sketch with its shift, the snapshot with its value and gradient, the direction that
    was steepest in the metric when last looked at, and a factor that shortens steps."""

    U: Any = None
    values: Any = None
    shift: Any = None
    snapshot: Any = None
    full: Any = None
    taken: int = -1
    steepest: Any = None
    value: float = math.inf
    caution: float = 1.0


def reduced(solver: Any, problem: Any, state: SketchState, g: Any) -> Any:
    """The gradient on the batch, corrected by the snapshot, which is renewed when it is time."""
    g = problem.xp.asarray(g, copy=True)
    due = state.n_iter % solver.snapshot_every == 0 and state.taken != state.n_iter
    if state.snapshot is None or due:
        state.taken = state.n_iter
        value, state.full = _whole(problem, state.w)
        state.snapshot, state.value = state.w, to_float(value)
        state.n_epochs += 1
        return state.full
    return g - problem.sample_grad(state.snapshot, state.batch[0])[1] + state.full


def _whole(problem: Any, w: Any) -> tuple[Any, Any]:
    """Value and gradient of what the batches are batches of: without a penalty that has none."""
    if Trait.SMOOTH in problem.traits:
        point = problem.point(w)
        return point.value, point.grad
    return problem.smooth_value_grad(w)  # type: ignore[no-any-return]


def sketch(solver: Any, problem: Any, state: SketchState) -> None:
    """Renew the metric, and the length of steps in it, when it is time."""
    if state.U is not None and (state.n_iter % solver.refresh or state.fresh_epoch == state.n_iter):
        return
    xp, n = problem.xp, problem.n_samples
    state.fresh_epoch = state.n_iter
    if not bool(xp.all(xp.isfinite(state.w))):
        return  # there is no curvature; the next report ends the run
    index = sample_of(problem, state.rng, max(LEAST_SKETCH, int(n**0.5)))
    product = problem.sample_ggn(state.w, index)
    found = NystromPreconditioner(
        lambda V: xp.stack([product(V[:, j]) for j in range(V.shape[1])], axis=1),
        random_directions(problem, state.draws, solver.rank),
    )
    state.largest = xp.maximum(xp.max(found.values), state.largest + 0 * found.values[0])
    rho = solver.regularization * state.largest
    state.U, state.values = found.U, found.values
    state.shift = xp.where(rho > 0, rho, xp.ones_like(rho))
    if solver.learning_rate == "auto":
        state.length = stable_length(problem, state.w, state.batch[0], lambda v: solve(state, v))


def solve(state: SketchState, v: Any) -> Any:
    """``P^-1 v``: what the sketch does not see has the shift alone."""
    ratio = 1 / (state.values + state.shift) - 1 / state.shift
    return v / state.shift + state.U @ (ratio * (state.U.T @ v))
