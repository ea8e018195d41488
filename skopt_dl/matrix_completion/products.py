"""Products with the curvature of a factorisation, and its value and gradient on some entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skopt_dl.engine import Point


def hessian_product(problem: Any, point: Point) -> Callable[[Any], Any]:
    """``d -> H d`` with the exact Hessian at ``point``, whose cache is the residual."""
    (L, R), diagonal = problem.factors(point.w), problem.penalty_weights()

    def product(d: Any) -> Any:
        dL, dR = problem.changes(d)
        obs = problem.observed
        change = obs.products(dL, R) + obs.products(L, dR)
        curved = problem.chain(problem.bent(point.cache, change), L, R)
        curved = curved + problem.chain(problem.slopes(point.cache), dL, dR)
        return curved + diagonal * d

    return product


def gauss_newton_product(problem: Any, point: Point) -> Callable[[Any], Any]:
    """The same without the bending of the model."""
    (L, R), diagonal = problem.factors(point.w), problem.penalty_weights()

    def product(d: Any) -> Any:
        dL, dR = problem.changes(d)
        obs = problem.observed
        change = problem.bent(point.cache, obs.products(dL, R) + obs.products(L, dR))
        return problem.chain(change, L, R) + diagonal * d

    return product


def batch(problem: Any, w: Any, index: Any) -> tuple[Any, Any]:
    """Value and gradient of the mean over the entries ``index``."""
    xp, obs = problem.xp, problem.observed
    rows, cols, x, weights = obs.entries(index)
    weights = weights * (obs.n_entries / (obs.total * index.shape[0]))
    (L, R), (P, Q) = problem.factors(w), problem.unpack(w)
    left, right = xp.take(L, rows, axis=0), xp.take(R, cols, axis=0)
    p, q = xp.take(P, rows, axis=0), xp.take(Q, cols, axis=0)
    e = xp.sum(left * right, axis=1) - x
    squares = xp.sum(p * p, axis=1) + xp.sum(q * q, axis=1)
    lost = 0.5 * e * e if problem.robust is None else problem.robust.value(e)
    value = xp.sum(weights * (lost + 0.5 * problem.alpha * squares))
    e, weights = problem.slopes(e)[:, None], weights[:, None]
    to_rows = weights * (e * problem.of_rows(right) + problem.alpha * p)
    to_cols = weights * (e * problem.of_cols(left) + problem.alpha * q)
    add, (m, n) = problem.kernels.segment_sum, obs.shape
    return value, problem.pack(add(to_rows, rows, m), add(to_cols, cols, n))
