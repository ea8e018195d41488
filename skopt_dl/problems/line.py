"""The objective of a linear model along a direction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skopt_dl.engine import Point
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops import along_rows

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem


class LinearModelLine:
    """``phi(t) = F(w + t d)`` of a linear model: a trial costs O(n), not a product with X."""

    def __init__(self, problem: LinearProblem, point: Point, d: Any) -> None:
        self.problem, self.point, self.d = problem, point, d
        self.ad = problem.map.matvec(problem.matrix(d))

    def __call__(self, t: float) -> tuple[float, float]:
        p, w = self.problem, self.point.w + t * self.d
        z = self.point.cache + t * self.ad
        xp = p.xp
        value = p.loss_value(z) + p.nonsmooth_value(w)
        slope = xp.sum(along_rows(p.omega, p.loss.slope(p.y, z) * self.ad))
        slope = slope + self.d[: p.n_coef] @ p.penalty.grad(w[: p.n_coef])  # type: ignore[attr-defined]
        return to_float(value), to_float(slope)

    def accept(self, t: float) -> Point:
        """The point at ``t``; one product with X', for its gradient."""
        p = self.problem
        return p.point_of(self.point.w + t * self.d, self.point.cache + t * self.ad)
