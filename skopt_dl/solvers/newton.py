r"""Newton's method: the step to the minimum of the second-order model.

Letters: w the iterate, g the gradient, H the Hessian there, d the direction, t the step along it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.factor import NotPositiveDefiniteError, PositiveFactor
from skopt_dl.linops.truncated import residual_below, truncated_cg
from skopt_dl.search import backtrack, strong_wolfe
from skopt_dl.solvers.descent import (
    DescentSolver,
    DescentState,
    check_line_search,
    first_step,
    steepest,
    step_along,
)


@dataclass
class NewtonCGState(DescentState):
    """Adds the gradient's norm at the start, against which the inner accuracy is measured."""

    first_norm: float = 0.0


@dataclass
class NewtonCholeskyState(DescentState):
    """Adds the damping in use, a multiple of the diagonal of H."""

    damping: float = 0.0


class NewtonCG(DescentSolver):
    """Newton with conjugate gradients inside, stopped early, and a strong Wolfe line search.

    .. math:: H d \\approx -g \\ \\text{until}\\ |H d + g| \\le \\eta |g|, \\qquad
              w \\leftarrow w + t d, \\qquad \\eta = \\min\\big(\\tfrac12, \\sqrt{|g|/|g_0|}\\big)

    Needs a gradient of the whole objective and Hessian-vector products. Where a problem knows the
    diagonal D of H, the inner iteration is preconditioned by it, and norms are those of
    :math:`D^{-1}`: columns may then have any unit.

    Parameters
    ----------
    max_inner : int
        Hessian products per step at most; what they have found by then is used.
    sufficient_decrease, curvature : float
        The constants c1 and c2 of the strong Wolfe conditions.

    Notes
    -----
    Where the Hessian has a direction of no positive curvature the inner iteration ends with what it
    has, ``-g`` at least, so every direction descends also on non-convex objectives. The inner
    accuracy :math:`\\eta` is relative to the gradient at the start, so that it does not depend on
    the unit of the objective.

    References
    ----------
    R. Dembo, T. Steihaug, "Truncated-Newton algorithms for large-scale unconstrained
    optimization", Math. Programming 26 (1983); J. Nocedal, S. Wright, "Numerical Optimization"
    (2006), Algorithm 7.1.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD, Oracle.HVP)
    default_max_iter: ClassVar[int] = 1000

    def __init__(
        self, *, max_inner: int = 200, sufficient_decrease: float = 1e-4, curvature: float = 0.9
    ) -> None:
        self.max_inner = max_inner
        self.sufficient_decrease, self.curvature = sufficient_decrease, curvature

    def init(self, problem: Problem, w: Any, rng: Any) -> NewtonCGState:
        check_line_search(self)
        if self.max_inner < 1:
            raise ValueError(f"NewtonCG: max_inner={self.max_inner!r}, but it must be at least 1")
        state = NewtonCGState(w=w)
        point = problem.point(w)  # type: ignore[attr-defined]
        state.stand_at(problem, point)
        state.first_norm = norm_in(problem, point.grad, positive_diagonal(problem, point))
        return state

    def _iterate(self, problem: Any, state: NewtonCGState) -> Status | None:
        point: Any = state.point
        search = partial(strong_wolfe, decrease=self.sufficient_decrease, curvature=self.curvature)
        d, bent = self._direction(problem, state)
        slope = to_float(point.grad @ d)
        # A Newton direction has its natural length, a multiple of -g has none.
        t = 1.0 if bent else first_step(slope)
        if slope < 0 and step_along(problem, state, d, slope, t, search).ok:
            return None
        return steepest(problem, state, search)

    def _direction(self, problem: Any, state: NewtonCGState) -> tuple[Any, bool]:
        """Truncated conjugate gradients on ``H d = -g``; false if it is only ``-g``."""
        point: Any = state.point
        D = positive_diagonal(problem, point)
        return newton_direction(
            problem,
            point.grad,
            problem.hvp(point),
            eta=forcing(problem, point.grad, state.first_norm, D),
            max_inner=self.max_inner,
            diagonal=D,
        )


def positive_diagonal(problem: Any, point: Any) -> Any:
    """The diagonal of the Hessian, made positive; ``None`` where the problem does not know it."""
    if problem.why_not(Oracle.HESSIAN_DIAGONAL) is not None:
        return None
    return made_positive(problem.xp, problem.hessian_diagonal(point))


def made_positive(xp: Any, D: Any) -> Any:
    """``|D|``, what is zero beside its largest entry raised to rounding; ``None`` if all is."""
    D = xp.abs(D)
    least = xp.max(D) * float(xp.finfo(D.dtype).eps)
    return xp.where(least < D, D, least + xp.zeros_like(D)) if to_float(least) > 0 else None


def norm_in(problem: Any, g: Any, diagonal: Any = None) -> float:
    """``|g|``, or ``sqrt(g' D^-1 g)`` with the ``diagonal`` of D."""
    if diagonal is None:
        return to_float(problem.xp.linalg.vector_norm(g))
    return to_float(g @ (g / diagonal)) ** 0.5


def forcing(problem: Any, g: Any, first_norm: float, diagonal: Any = None) -> float:
    """``min(1/2, sqrt(|g| / |g_0|))``: how exactly a step is worth solving for."""
    return min(0.5, (norm_in(problem, g, diagonal) / first_norm) ** 0.5) if first_norm > 0 else 0.5


def newton_direction(
    problem: Any, g: Any, product: Any, *, eta: float, max_inner: int, diagonal: Any = None
) -> tuple[Any, bool]:
    """Truncated conjugate gradients on ``H d = -g``; false if it is only ``-g``.

    They are preconditioned by the ``diagonal`` of D, if it is given, and end by its norm.
    """
    # What is left of a curvature beside one that is 1/eps times as large is rounding.
    eps = float(problem.xp.finfo(problem.dtype).eps)
    goal = eta * norm_in(problem, g, diagonal)
    if diagonal is None:
        found = truncated_cg(product, g, stop=residual_below(goal), max_iter=max_inner, floor=eps)
    else:
        # In the variables D^1/2 d, where curvatures can be compared.
        root = problem.xp.sqrt(diagonal)
        found = truncated_cg(
            lambda d: product(d / root) / root,
            g / root,
            stop=residual_below(goal),
            max_iter=max_inner,
            floor=eps,
        )
        found.s = found.s / root
    return (found.s, True) if found.n else (-g, False)


class NewtonCholesky(DescentSolver):
    """Newton with a factorised Hessian, damped where it is singular, and backtracking.

    .. math:: (H + \\lambda D)\\, d = -g, \\qquad w \\leftarrow w + t d

    with :math:`D` the absolute diagonal of H. :math:`\\lambda` is 0 unless H has no Cholesky
    factor; it then grows tenfold until there is one, and shrinks again from step to step.

    Needs a gradient of the whole objective and a Hessian matrix.

    Parameters
    ----------
    sufficient_decrease : float
        The constant c1 of the Armijo condition.

    Notes
    -----
    A convex objective that is flat along some direction (softmax without a penalty) has a singular
    Hessian: the least damping that a factorisation needs leaves the other directions Newton's.

    References
    ----------
    J. Nocedal, S. Wright, "Numerical Optimization" (2006), Algorithm 3.2 and section 3.4.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD, Oracle.HESSIAN)
    default_max_iter: ClassVar[int] = 1000
    matrix: ClassVar = "parameters"

    def __init__(self, *, sufficient_decrease: float = 1e-4) -> None:
        self.sufficient_decrease = sufficient_decrease

    def init(self, problem: Problem, w: Any, rng: Any) -> NewtonCholeskyState:
        check_line_search(self, needs_curvature=False)
        state = NewtonCholeskyState(w=w)
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        return state

    def _iterate(self, problem: Any, state: NewtonCholeskyState) -> Status | None:
        point: Any = state.point
        search = partial(backtrack, decrease=self.sufficient_decrease)
        factor = self._factor(problem, state)
        if factor is not None:
            d = -factor.solve(point.grad)
            slope = to_float(point.grad @ d)
            if slope < 0 and step_along(problem, state, d, slope, 1.0, search).ok:
                return None
        return steepest(problem, state, search)

    def _factor(self, problem: Any, state: NewtonCholeskyState) -> PositiveFactor | None:
        """The factor of H with the least damping it needs; ``None`` if H is 0 or not finite."""
        xp, H = problem.xp, problem.hessian(state.point)
        eps = float(xp.finfo(problem.dtype).eps)
        largest = to_float(xp.max(xp.abs(H)))
        if not 0 < largest < float("inf"):
            return None
        # Some multiple of D makes any H definite, because no entry of D is zero.
        D = xp.abs(xp.linalg.diagonal(H))
        least_entry = eps * largest
        D = xp.where(least_entry < D, D, xp.full_like(D, least_entry))
        eye = xp.eye(problem.size, dtype=problem.dtype, device=problem.device)
        least = 16 * problem.size * eps
        state.damping = max(least, state.damping / 10) if state.damping else 0.0
        while True:
            try:
                return PositiveFactor(H + (state.damping * D) * eye if state.damping else H)
            except NotPositiveDefiniteError:
                state.damping = max(least, 10 * state.damping)
