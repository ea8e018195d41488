"""The objective along a direction: of a linear model, and of any problem with a gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skopt_dl.engine import Oracle, Point
from skopt_dl.kernels.namespace import to_float

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem


@dataclass
class Trial:
    """A point ``w`` at the step ``t``: its predictions ``z``, the values of loss and penalty, the
    weighted slopes ``r`` of the loss, and its gradient ``g`` where that has cost nothing."""

    t: float
    w: Any
    z: Any
    loss_value: Any
    penalty_value: Any
    r: Any
    g: Any = None


class LinearModelLine:
    """``phi(t) = F(w + t d)`` of a linear model: a trial costs O(n), not a product with X."""

    def __init__(self, problem: LinearProblem, point: Point, d: Any) -> None:
        self.problem, self.point, self.d = problem, point, d
        self._ad: Any = None
        self._trial: Trial | None = None

    @property
    def ad(self) -> Any:
        """``A d``."""
        if self._ad is None:
            self._ad = self.problem.map.matvec(self.problem.matrix(self.d))
        return self._ad

    def __call__(self, t: float) -> tuple[float, float]:
        p, trial = self.problem, self._look(t)
        self._trial = trial
        w, r = trial.w, trial.r
        slope = r @ self.ad if r.ndim == 1 else p.xp.sum(r * self.ad)
        slope = slope + self.d[: p.n_coef] @ p.penalty.grad(w[: p.n_coef])  # type: ignore[attr-defined]
        return to_float(trial.loss_value + trial.penalty_value), to_float(slope)

    def _look(self, t: float) -> Trial:
        p, w = self.problem, self.point.w + t * self.d
        if self._ad is None and p.map.reads_once(p.matrix(self.d)):
            # Most lines end at their first trial: its gradient comes with the only reading of X.
            before = self.point.cache
            self._ad, r, loss_value, g = p.loss_through(
                self.d, lambda ad, rows: before[rows, ...] + t * ad
            )
            z = before + t * self._ad
            return Trial(t, w, z, loss_value, p.nonsmooth_value(w), r, g)
        z = self.point.cache + t * self.ad
        loss_value, r = p.value_slope(z)
        return Trial(t, w, z, loss_value, p.nonsmooth_value(w), r)

    def accept(self, t: float) -> Point:
        """The point at ``t``; one product with X', for its gradient, unless that is known."""
        p, trial = self.problem, self._trial
        p.counts[Oracle.GRAD] += 1
        if trial is None or trial.t != t:
            return p.point_of(self.point.w + t * self.d, self.point.cache + t * self.ad)
        g = p.flat(p.map.rmatvec(trial.r)) if trial.g is None else trial.g
        return p.point_from(trial.w, trial.z, trial.loss_value, g, trial.penalty_value)


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
