"""The flat parameters of a linear problem: where they start, what they stand for.

An intercept is eliminated (the loss is quadratic) or the last parameter of each output. It makes
room to move columns that are far from zero: `LinearProblem.shift` is what was subtracted from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skopt_dl.problems.intercept import best_intercept
from skopt_dl.problems.reasons import no_lipschitz

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem


def start(problem: LinearProblem) -> Any:
    """Zeros, or what of a constraint set is nearest to them."""
    w = problem.xp.zeros(problem.size, dtype=problem.dtype, device=problem.device)
    if problem.penalty.constraint:
        w = problem.prox(w, 1.0)
    if problem.intercept_in_map and problem.y.ndim == 1 and no_lipschitz(problem) is not None:
        # Without a bound of the curvature no step is safe far out: begin at the null model.
        w[-1] = best_intercept(problem, problem.xp.zeros_like(problem.y))[0]
    return w


def unpack(problem: LinearProblem, w: Any) -> tuple[Any, Any]:
    """``(coef, intercept)`` of shapes ``(p,)`` and ``()``, or ``(p, K)`` and ``(K,)``."""
    xp, W, p = problem.xp, problem.matrix(w), problem.n_features
    coef = W[:p, ...]
    moved = 0.0 if problem.shift is None else problem.shift @ coef
    if problem.centred:
        return coef, problem.y_mean - (problem.map.mean @ coef + moved)
    if problem.fit_intercept:
        return coef, W[p, ...] - moved
    return coef, xp.zeros(problem.y.shape[1:], dtype=problem.dtype, device=problem.device)


def pack(problem: LinearProblem, coef: Any, intercept: Any) -> Any:
    """The flat array of ``coef`` and ``intercept`` (an eliminated intercept is not kept)."""
    xp, p, K = problem.xp, problem.n_features, problem.n_outputs
    rows = [xp.reshape(coef, (p, K))]
    if problem.intercept_in_map:
        if problem.shift is not None:
            intercept = intercept + problem.shift @ coef
        rows.append(xp.reshape(intercept, (1, K)))
    return xp.reshape(xp.concat(rows), (-1,))
