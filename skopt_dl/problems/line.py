"""The objective along a direction: of a linear model, and of any problem with a gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skopt_dl.engine import Oracle, Point
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops import along_rows

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem


class LinearModelLine:
    """``phi(t) = F(w + t d)`` of a linear model: a trial costs O(n), not a product with X."""

    def __init__(self, problem: LinearProblem, point: Point, d: Any) -> None:
        self.problem, self.point, self.d = problem, point, d
        self.ad = problem.map.matvec(problem.matrix(d))
        # The last trial: its step, and what `LinearProblem.point_from` asks for there.
        self._trial: tuple[float, tuple[Any, ...]] | None = None

    def __call__(self, t: float) -> tuple[float, float]:
        p, w = self.problem, self.point.w + t * self.d
        z = self.point.cache + t * self.ad
        loss_value, slopes = p.value_slope(z)
        r, penalty = along_rows(p.omega, slopes), p.nonsmooth_value(w)
        self._trial = (t, (w, z, loss_value, r, penalty))
        slope = r @ self.ad if r.ndim == 1 else p.xp.sum(r * self.ad)
        slope = slope + self.d[: p.n_coef] @ p.penalty.grad(w[: p.n_coef])  # type: ignore[attr-defined]
        return to_float(loss_value + penalty), to_float(slope)

    def accept(self, t: float) -> Point:
        """The point at ``t``; one product with X', for its gradient."""
        p = self.problem
        p.counts[Oracle.GRAD] += 1
        if self._trial is not None and self._trial[0] == t:
            return p.point_from(*self._trial[1])
        return p.point_of(self.point.w + t * self.d, self.point.cache + t * self.ad)


class GradientLine:
    """``phi(t) = F(w + t d)`` of any problem with `point`; a trial costs a value and a gradient."""

    def __init__(self, problem: Any, point: Point, d: Any) -> None:
        self.problem, self.point, self.d = problem, point, d
        self._t, self._trial = 0.0, point

    def _at(self, t: float) -> Point:
        if t != self._t:
            self._t, self._trial = t, self.problem.point(self.point.w + t * self.d)
        return self._trial

    def __call__(self, t: float) -> tuple[float, float]:
        trial = self._at(t)
        return to_float(trial.value), to_float(trial.grad @ self.d)

    def accept(self, t: float) -> Point:
        """The point at ``t``, without a new evaluation if it was the last trial."""
        return self._at(t)
