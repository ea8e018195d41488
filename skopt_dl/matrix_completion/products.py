"""Products with the curvature of a factorisation."""

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
