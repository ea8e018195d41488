r"""Gradient descent with three ways to choose the step.

Letters: w the iterate, g the gradient, t the step, s and y the last changes of w and of g.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.search import Found, backtrack
from skopt_dl.solvers.descent import (
    DescentSolver,
    DescentState,
    check_line_search,
    first_step,
    steepest,
    step_along,
)

# A step that was accepted is tried twice as long the next time.
LONGER = 2.0
# Barzilai-Borwein steps may rise, but not above the largest of so many values.
LOOK_BACK = 10
# A Barzilai-Borwein step changes by at most this factor: the two gradients may agree by chance.
LEAP = 1e6


@dataclass
class GradientDescentState(DescentState):
    """Adds the last step and the last values; ``t`` is 0 before there is one."""

    t: float = 0.0
    values: deque[float] = field(default_factory=lambda: deque(maxlen=LOOK_BACK))


class GradientDescent(DescentSolver):
    """Steps along the negative gradient of all samples.

    .. math:: w \\leftarrow w - t\\, g

    Needs a gradient of the whole objective.

    Parameters
    ----------
    step : {"armijo", "barzilai_borwein"} or float
        How long. "armijo" tries twice the last step and shortens it until the objective decreases
        enough. "barzilai_borwein" takes :math:`t = s's/s'y`, the step that the last two gradients
        suggest, and usually needs far fewer iterations. A number is taken as it is, always.
    sufficient_decrease : float
        Armijo's constant c1; not used by a number.

    Notes
    -----
    A constant step converges on a convex objective whose gradient is L-Lipschitz for t < 2/L, and
    grows without bounds beyond. Barzilai-Borwein steps are measured against the largest of the last
    10 values (Grippo, Lampariello & Lucidi): asking each of them to decrease would spoil them.
    Where :math:`s'y \\le 0` they fall back on the last step, twice as long.

    References
    ----------
    A. Cauchy (1847); L. Armijo, "Minimization of functions having Lipschitz continuous first
    partial derivatives", Pacific J. Math. 16 (1966); J. Barzilai, J. Borwein, "Two-point step size
    gradient methods", IMA J. Numer. Anal. 8 (1988); M. Raydan, "The Barzilai and Borwein gradient
    method for the large scale unconstrained minimization problem", SIAM J. Optim. 7 (1997).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD)
    default_max_iter: ClassVar[int] = 100_000

    def __init__(self, *, step: float | str = "armijo", sufficient_decrease: float = 1e-4) -> None:
        self.step, self.sufficient_decrease = step, sufficient_decrease

    def init(self, problem: Problem, w: Any, rng: Any) -> GradientDescentState:
        check_line_search(self, needs_curvature=False)
        if isinstance(self.step, str):
            known = self.step in ("armijo", "barzilai_borwein")
        else:
            known = isinstance(self.step, Real) and self.step > 0
        if not known:
            raise ValueError(
                f"GradientDescent: step={self.step!r}, but it must be 'armijo', 'barzilai_borwein' "
                "or a positive number"
            )
        state = GradientDescentState(w=w)
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        return state

    def _iterate(self, problem: Any, state: GradientDescentState) -> Status | None:
        before: Any = state.point
        if not isinstance(self.step, str):
            state.stand_at(problem, problem.point(before.w - self.step * before.grad))
            state.n_iter += 1
            return None
        slope = -to_float(before.grad @ before.grad)
        t = state.t or first_step(slope)
        state.values.append(to_float(before.value))
        search = partial(self._search, state)
        found = step_along(problem, state, -before.grad, slope, t, search)
        if not found.ok:
            verdict = steepest(problem, state, search)
            if verdict is not None:
                return verdict
        after: Any = state.point
        state.t = self._next(found.t if found.ok else t, before, after)
        return None

    def _search(
        self,
        state: GradientDescentState,
        phi: Any,
        value: float,
        slope: float,
        t: float,
        **options: Any,
    ) -> Found:
        if self.step == "barzilai_borwein":
            value = max(state.values)
        return backtrack(phi, value, slope, t, decrease=self.sufficient_decrease, **options)

    def _next(self, t: float, before: Any, after: Any) -> float:
        """The step to try next, after the step ``t``."""
        if self.step == "armijo":
            return LONGER * t
        s, y = after.w - before.w, after.grad - before.grad
        bend, square = to_float(s @ y), to_float(s @ s)
        if not bend > 0:
            return LONGER * t
        return min(max(square / bend, t / LEAP), t * LEAP)
