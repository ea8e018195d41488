r"""Newton's method made safe: absolute curvature, and implicit steps of the gradient flow.

Letters: w the iterate, g the gradient, H the Hessian there, d the direction, t the step along it,
:math:`\eta` the step of the flow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any, ClassVar, Literal

from skopt_dl.engine import Needs, Oracle, Problem, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.truncated import residual_below, truncated_cg
from skopt_dl.search import absolute_step, backtrack
from skopt_dl.solvers.descent import (
    DescentSolver,
    DescentState,
    check_choice,
    check_line_search,
    steepest,
    step_along,
)
from skopt_dl.solvers.eigenspace import Eigenspace

# Newton iterations on one implicit step at most, and the accuracy of its inner systems.
MAX_NEWTON = 50
INNER = 1e-2


class SaddleFreeNewton(DescentSolver):
    """Newton with the absolute values of the curvature, which leaves saddle points.

    .. math:: d = -|H|^{-1} g, \\qquad |H| = V |\\Lambda| V', \\qquad w \\leftarrow w + t d

    Needs a gradient of the whole objective and Hessian-vector products.

    Parameters
    ----------
    subproblem : {"krylov", "exact"}
        The eigenvectors: of H on the Krylov space of the gradient, or of the whole H (made of as
        many products as there are parameters).
    max_inner : int
        Dimensions of the Krylov space at most, a Hessian product each.
    floor : float
        Curvatures below this share of the largest count as it, above 0 and at most 1.
    sufficient_decrease : float
        The constant c1 of the Armijo condition.

    Notes
    -----
    Newton's step goes to the nearest stationary point, a saddle too; with absolute values it goes
    down along every eigenvector, and as far. Where H is positive definite it is Newton's. The
    Krylov space grows until what it leaves of the gradient is
    :math:`\\min(1/2, \\sqrt{|g|})\\,|g|`. A start exactly on a saddle has no gradient and stays.

    References
    ----------
    Y. Dauphin, R. Pascanu, C. Gulcehre, K. Cho, S. Ganguli, Y. Bengio, "Identifying and attacking
    the saddle point problem in high-dimensional non-convex optimization", NIPS 2014.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD, Oracle.HVP)
    default_max_iter: ClassVar[int] = 1000

    def __init__(
        self,
        *,
        subproblem: Literal["krylov", "exact"] = "krylov",
        max_inner: int = 200,
        floor: float = 1e-8,
        sufficient_decrease: float = 1e-4,
    ) -> None:
        self.subproblem, self.max_inner, self.floor = subproblem, max_inner, floor
        self.sufficient_decrease = sufficient_decrease

    def init(self, problem: Problem, w: Any, rng: Any) -> DescentState:
        check_line_search(self, needs_curvature=False)
        check_choice(self, "subproblem", ("krylov", "exact"))
        if self.max_inner < 1:
            raise ValueError(
                f"SaddleFreeNewton: max_inner={self.max_inner!r}, but it must be at least 1"
            )
        if not 0 < self.floor <= 1:
            raise ValueError(
                f"SaddleFreeNewton: floor={self.floor!r}, but it must be above 0 and at most 1"
            )
        state = DescentState(w=w)
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        return state

    def _iterate(self, problem: Any, state: DescentState) -> Status | None:
        xp, point = problem.xp, state.point
        search = partial(backtrack, decrease=self.sufficient_decrease)

        def step(spectrum: Any) -> tuple[Any, float]:
            top = to_float(xp.max(xp.abs(spectrum.values)))
            return absolute_step(spectrum.values, spectrum.c, self.floor * (top or 1.0)), 0.0

        space = Eigenspace(problem, point, problem.hvp(point))
        d, _, _ = space.minimise(step, self.max_inner, exact=self.subproblem == "exact")
        slope = to_float(point.grad @ d)  # type: ignore[union-attr]
        if slope < 0 and step_along(problem, state, d, slope, 1.0, search).ok:
            return None
        return steepest(problem, state, search)


@dataclass
class ProximalPointState(DescentState):
    """Adds the step of the flow."""

    step: float = 1.0


class ProximalPoint(DescentSolver):
    """Implicit Euler steps of the gradient flow, each solved by Newton's method.

    .. math::

        w^+ = w - \\eta \\nabla F(w^+)
            = \\operatorname{argmin}_v\\ F(v) + \\tfrac1{2\\eta} |v - w|^2, \\qquad
        \\eta \\leftarrow \\text{growth} \\cdot \\eta

    Needs a gradient of the whole objective and Hessian-vector products.

    Parameters
    ----------
    step : float
        :math:`\\eta` of the first step, positive.
    growth : float
        What :math:`\\eta` is multiplied by after each step, at least 1. With 1 the iterates follow
        the flow; a growing step makes them converge faster than linearly.
    max_inner : int
        Hessian products per Newton step at most.
    inner_tol : float or "auto"
        Residual of a step's equation that is small enough, relative to the gradient where the step
        begins; "auto" is a tenth of the root of the rounding unit.

    Notes
    -----
    The Newton step inside, :math:`(I + \\eta H) s = v_0 - v - \\eta \\nabla F(v)`, is Newton's with
    the damping :math:`1/\\eta`. The objective falls at every step, however long. Where the inner
    problem is not convex, :math:`\\eta` is cut to a tenth until it is.

    References
    ----------
    R. T. Rockafellar, "Monotone operators and the proximal point algorithm", SIAM J. Control Optim.
    14 (1976); E. Hairer, G. Wanner, "Solving Ordinary Differential Equations II" (1996), IV.3.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD, Oracle.HVP)
    default_max_iter: ClassVar[int] = 1000

    def __init__(
        self,
        *,
        step: float = 1.0,
        growth: float = 10.0,
        max_inner: int = 200,
        inner_tol: float | str = "auto",
    ) -> None:
        self.step, self.growth = step, growth
        self.max_inner, self.inner_tol = max_inner, inner_tol

    def init(self, problem: Problem, w: Any, rng: Any) -> ProximalPointState:
        close = self.inner_tol
        if close != "auto" and not (isinstance(close, Real) and 0 < close < 1):
            raise ValueError(
                f"ProximalPoint: inner_tol={close!r}, but it must be 'auto' or a number between 0 "
                "and 1"
            )
        for name, least in (("step", 0.0), ("growth", 1.0), ("max_inner", 1)):
            value = getattr(self, name)
            if not (value > 0 and value >= least):
                bound = "positive" if name == "step" else f"at least {least:g}"
                raise ValueError(f"ProximalPoint: {name}={value!r}, but it must be {bound}")
        state = ProximalPointState(w=w, step=float(self.step))
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        return state

    def _iterate(self, problem: Any, state: ProximalPointState) -> Status | None:
        origin: Any = state.point
        eps = float(problem.xp.finfo(problem.dtype).eps)
        while True:
            reached = self._solve(problem, origin, state.step)
            if reached is not None:
                break
            state.step /= 10
            if state.step < eps:
                return Status.STALLED
        value, after = to_float(origin.value), to_float(reached.value)
        state.n_iter += 1
        state.step *= self.growth
        state.stand_at(problem, reached)
        state.progress.note(reached, after, to_float(state.indicator), eps * abs(value))
        return None

    def _solve(self, problem: Any, origin: Any, eta: float) -> Any:
        """The point of the implicit step; ``None`` where its problem is not convex."""
        norm = problem.xp.linalg.vector_norm
        eps = float(problem.xp.finfo(problem.dtype).eps)
        v, r = origin, origin.grad
        size = to_float(norm(r))
        close = INNER * eps**0.5 if self.inner_tol == "auto" else float(self.inner_tol)
        goal = max(close * size, eps)
        for _ in range(MAX_NEWTON):
            if size <= goal:
                break
            product = problem.hvp(v)
            found = truncated_cg(
                _damped(product, 1 / eta),
                r,
                stop=residual_below(min(INNER, size) * size),
                max_iter=self.max_inner,
                floor=eps,
            )
            if found.end == "curvature":
                return None
            t = 1.0
            while True:
                trial = problem.along(v, found.s).accept(t)
                after = trial.grad + (trial.w - origin.w) / eta
                length = to_float(norm(after))
                if length <= (1 - 1e-4 * t) * size or t < 1e-3:
                    break
                t /= 2
            if not length < size:
                break
            v, r, size = trial, after, length
        worse = to_float(v.value) > to_float(origin.value) * (1 + 100 * eps) + 100 * eps
        return None if worse or v is origin else v


def _damped(product: Any, damping: float) -> Any:
    return lambda d: product(d) + damping * d
