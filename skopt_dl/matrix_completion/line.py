"""The objective of a factorisation along a direction."""

from __future__ import annotations

from typing import Any

from skopt_dl.engine import Point
from skopt_dl.kernels.namespace import to_float


class FactorLine:
    """``phi(t) = F(w + t d)``: the residual is ``E0 + t E1 + t^2 E2``.

    With squared errors phi is a quartic and a trial costs nothing but the polynomial; with another
    loss it costs a pass over the entries, and no product.
    """

    def __init__(self, problem: Any, point: Point, d: Any) -> None:
        self.problem, self.point, self.d = problem, point, d
        obs, (L, R) = problem.observed, problem.factors(point.w)
        dL, dR = problem.changes(d)
        E0 = point.cache
        E1 = obs.products(dL, R) + obs.products(L, dR)
        E2 = obs.products(dL, dR)
        self._changes = (E1, E2)
        penalty = problem.penalty_weights() * d
        sum_ = problem.xp.sum
        # Of the penalty alone, and then of the squared errors.
        w = point.w
        self.coefficients = [
            to_float(0.5 * sum_(problem.penalty_weights() * w * w)),
            to_float(sum_(penalty * w)),
            to_float(0.5 * sum_(penalty * d)),
        ]
        if problem.robust is None:
            half = 0.5 / obs.total
            _, b, c = self.coefficients
            self.coefficients = [
                to_float(point.value),
                b + to_float(2 * half * obs.dot(E0, E1)),
                c + to_float(half * (obs.dot(E1, E1) + 2 * obs.dot(E0, E2))),
                to_float(2 * half * obs.dot(E1, E2)),
                to_float(half * obs.dot(E2, E2)),
            ]

    def __call__(self, t: float) -> tuple[float, float]:
        value = slope = 0.0
        for c in reversed(self.coefficients):
            slope = slope * t + value
            value = value * t + c
        if self.problem.robust is None:
            return value, slope
        problem, (E1, E2) = self.problem, self._changes
        E = self.point.cache + t * E1 + (t * t) * E2
        change = problem.observed.dot(problem.slopes(E), E1 + (2 * t) * E2)
        slope += to_float(change / problem.observed.total)
        return value + to_float(problem.misfit(E)), slope

    def accept(self, t: float) -> Point:
        """The point at ``t``; two products, for its gradient."""
        E1, E2 = self._changes
        E = self.point.cache + t * E1 + (t * t) * E2
        return self.problem.point_of(self.point.w + t * self.d, E)
