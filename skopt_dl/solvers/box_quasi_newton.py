r"""Quasi-Newton steps within bounds.

Letters: w the iterate, g the gradient, l and u the bounds, P the projection onto them, A the
active set, d the direction, t the length along it, H the approximate inverse Hessian.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Point, Problem, Solver, State, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.quasi_newton import InverseHessian
from skopt_dl.search import rounding
from skopt_dl.solvers.bounded_gradient import nearest

MAX_TRIALS = 40


@dataclass
class BoxState(State):
    """Adds the point, the bounds, and the pairs of steps and gradient changes."""

    point: Point | None = None
    lower: Any = None
    upper: Any = None
    H: InverseHessian = field(default_factory=lambda: InverseHessian(1))


class LBFGSB(Solver):
    """Limited-memory BFGS with bounds, by two-metric projection.

    .. math::

        d_F = -(H g_F)_F, \\qquad d_A = -\\gamma g_A, \\qquad
        w \\leftarrow \\min(\\max(w + t d,\\ l),\\ u)

    where A holds the coordinates near a bound whose gradient pushes them against it, F the
    others, :math:`g_F` is g with zeros on A, and :math:`\\gamma` the scale of H.

    Needs a smooth objective with bounds.

    Parameters
    ----------
    memory : int
        Pairs kept.
    sufficient_decrease : float
        Armijo's constant, along the projected path.

    Notes
    -----
    This is not the algorithm that is called L-BFGS-B elsewhere, which looks for a generalised
    Cauchy point first; both find the active set after finitely many iterations where the solution
    is not degenerate, and are L-BFGS on the rest from there. "Near" is closer than the length of
    the projected gradient step (at most 1e-3), without which the active set could zigzag.

    References
    ----------
    D. Bertsekas, "Projected Newton methods for optimization problems with simple constraints", SIAM
    J. Control Optim. 20 (1982); M. Schmidt, D. Kim, S. Sra, "Projected Newton-type methods in
    machine learning", in "Optimization for Machine Learning" (2011).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.BOUNDS)
    default_max_iter: ClassVar[int] = 15_000

    def __init__(self, *, memory: int = 10, sufficient_decrease: float = 1e-4) -> None:
        self.memory, self.sufficient_decrease = memory, sufficient_decrease

    def init(self, problem: Problem, w: Any, rng: Any) -> BoxState:
        if self.memory < 1:
            raise ValueError(f"LBFGSB: memory={self.memory!r}, but it must be at least 1")
        p: Any = problem
        lower, upper = p.bounds()
        state = BoxState(w=w, lower=lower, upper=upper, H=InverseHessian(self.memory))
        _stand_at(p, state, p.bounded_point(nearest(p.xp, state, w)))
        return state

    def advance(self, problem: Problem, state: BoxState, n: int) -> Status:
        for _ in range(n):
            if to_float(state.indicator) <= state.target:
                break
            before: Any = state.point
            if not self._step(problem, state):
                if not len(state.H):
                    return Status.LINE_SEARCH_FAILED
                # Curvature learned on another face may mislead: go on along the gradient.
                state.H.clear()
                if not self._step(problem, state):
                    return Status.LINE_SEARCH_FAILED
            after: Any = state.point
            state.H.push(after.w - before.w, after.grad - before.grad)
            state.n_iter += 1
        return Status.RUNNING

    def _step(self, problem: Any, state: BoxState) -> bool:
        """One step along the projected path; false if no length of it decreases the objective."""
        xp = problem.xp
        point: Any = state.point
        w, g, zero = point.w, point.grad, problem.xp.zeros_like(point.w)
        near = xp.clip(state.indicator, None, 1e-3)
        held = ((w - state.lower <= near) & (g > 0)) | ((state.upper - w <= near) & (g < 0))
        free = xp.where(held, zero, g)
        d = xp.where(held, -state.H.scale * g, -state.H.apply(free))
        t = 1.0
        if not len(state.H):
            t = min(1.0, 1.0 / max(to_float(xp.linalg.vector_norm(g)), 1e-300))
        noise = rounding(to_float(point.value), float(xp.finfo(problem.dtype).eps))
        for _ in range(MAX_TRIALS):
            trial = problem.bounded_point(nearest(xp, state, w + t * d))
            promised = to_float(g @ (trial.w - w))
            change = to_float(trial.value - point.value)
            if promised < 0 and change <= self.sufficient_decrease * promised + noise:
                _stand_at(problem, state, trial)
                return True
            t *= 0.5
        return False


def _stand_at(problem: Any, state: BoxState, point: Point) -> None:
    """Take ``point`` as the iterate; the indicator is the largest projected gradient component."""
    xp = problem.xp
    state.point, state.w = point, point.w
    back = point.w - nearest(xp, state, point.w - point.grad)
    state.indicator = xp.max(xp.abs(back))
