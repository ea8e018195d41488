r"""Semismooth Newton on augmented Lagrangians, for least squares with an elastic net (SsNAL).

Letters: B and t the least-squares data, x the multiplier (coefficients), :math:`\xi` the dual
variable (a residual), :math:`\sigma` the penalty parameter, v the argument of the prox, q its
value, g the gradient of the inner objective :math:`\psi`, d the Newton direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.search import backtrack, rounding

# The penalty parameter starts at one over the mean column square and grows with each multiplier, as
# far as the shift 1/sigma of the factorised matrices stays clear of rounding.
GROWTH = 2.0
# An inner problem is done when its gradient is this share of the multiplier's step.
ACCURACY = 0.5


@dataclass
class SemismoothState(State):
    """Adds the system, the multiplier and the inner problem's point with all that is known there.

    Attributes
    ----------
    x, xi : arrays of shape (p,) and (n,)
        Multiplier and dual variable.
    back : array of shape (p,)
        ``B' xi``.
    v, q, g : arrays
        ``x - sigma B' xi``, its prox, and the gradient ``xi + t - B q``.
    value : float
        The inner objective.
    sigma, largest : float
        The penalty parameter and its bound.
    """

    system: Any = None
    x: Any = None
    xi: Any = None
    back: Any = None
    v: Any = None
    q: Any = None
    g: Any = None
    value: float = 0.0
    sigma: float = 1.0
    largest: float = 1.0


class SemismoothNewton(Solver):
    """Augmented Lagrangians of the dual, each minimised by a semismooth Newton method.

    .. math::

        \\xi &\\approx \\operatorname{argmin}\\ \\psi(\\xi) = \\tfrac12 |\\xi|^2 + t'\\xi
            + \\max_q \\big\\{ (q'v - \\tfrac12 |q|^2)/\\sigma - \\Omega(q) \\big\\}, \\quad
            v = x - \\sigma B'\\xi \\\\
        x &\\leftarrow \\operatorname{prox}_{\\sigma\\Omega}(x - \\sigma B'\\xi), \\qquad
        \\Big(I + \\tfrac{\\sigma}{1 + \\sigma l_2} B_J B_J'\\Big) d = -\\nabla\\psi(\\xi)

    with J the nonzeros of the prox: a Newton step costs a few products with X and a system of as
    many unknowns as there are nonzero coefficients.

    Needs Newton systems of active columns: a quadratic loss and an elastic-net penalty.

    Notes
    -----
    An iteration is one Newton step. The penalty parameter starts at one over the mean column
    square and doubles with each multiplier. Where more than 1000 columns are active the Newton
    system is solved by conjugate gradients, roughly. The indicator is
    :math:`\\sqrt{|\\nabla\\psi|^2 + |q - x|^2/\\sigma}`, which vanishes where the optimality
    conditions hold.

    References
    ----------
    X. Li, D. Sun, K.-C. Toh, "A highly efficient semismooth Newton augmented Lagrangian method for
    solving Lasso problems", SIAM J. Optim. 28 (2018).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.NEWTON_SYSTEM)
    default_max_iter: ClassVar[int] = 1000

    def init(self, problem: Problem, w: Any, rng: Any) -> SemismoothState:
        p: Any = problem
        system, eps = p.residual_system(), float(p.xp.finfo(p.dtype).eps)
        squares = system.column_squares()
        mean, largest = to_float(p.xp.mean(squares)), to_float(p.xp.max(squares))
        state = SemismoothState(w=w, system=system, x=w, xi=system.matvec(w) - system.t)
        if largest > 0:
            clear = max(eps**0.5, 64 * min(p.n_samples, p.size) * eps)
            state.largest = 1 / (clear * largest)
            state.sigma = min(1 / mean, state.largest)
        state.back = system.rmatvec(state.xi)
        _renew(p, state)
        return state

    def advance(self, problem: Problem, state: SemismoothState, n: int) -> Status:
        for _ in range(n):
            if to_float(state.indicator) <= state.target:
                break
            found = self._newton(problem, state)
            state.n_iter += 1
            state.w, step = state.q, state.q - state.x
            xp = problem.xp
            size = to_float(xp.linalg.vector_norm(state.g))
            moved = to_float(xp.linalg.vector_norm(step)) / state.sigma**0.5
            state.indicator = (size**2 + moved**2) ** 0.5
            eps = float(xp.finfo(problem.dtype).eps)
            floor = to_float(xp.linalg.vector_norm(state.system.t)) * eps
            if not found and size > max(ACCURACY * moved, floor / eps**0.5):
                return Status.LINE_SEARCH_FAILED
            if not found or size <= max(ACCURACY * moved, 16 * floor):
                state.x, state.sigma = state.q, min(GROWTH * state.sigma, state.largest)
                _renew(problem, state)
        return Status.RUNNING

    def _newton(self, problem: Any, state: SemismoothState) -> bool:
        """A Newton step on the inner problem; false if the line search found none."""
        system, eps = state.system, float(problem.xp.finfo(problem.dtype).eps)
        d = -system.solve(state.q != 0, state.sigma, state.g)
        slope = to_float(state.g @ d)
        if not slope < 0:
            return False
        xi, back, ahead = state.xi, state.back, system.rmatvec(d)

        def phi(t: float) -> tuple[float, float]:
            state.xi, state.back = xi + t * d, back + t * ahead
            _renew(problem, state)
            return state.value, to_float(state.g @ d)

        search = partial(backtrack, noise=rounding(state.value, eps))
        found = search(phi, state.value, slope)
        if not found.ok:
            phi(0.0)
        return found.ok


def _renew(problem: Any, state: SemismoothState) -> None:
    """Prox, gradient and value of the inner problem at ``xi``."""
    s, sigma = state.system, state.sigma
    state.v = state.x - sigma * state.back
    state.q = problem.prox(state.v, sigma)
    state.g = state.xi + s.t - s.matvec(state.q)
    gain = to_float(state.q @ state.v - 0.5 * (state.q @ state.q)) / sigma
    own = to_float(0.5 * (state.xi @ state.xi) + s.t @ state.xi)
    state.value = own + gain - to_float(problem.nonsmooth_value(state.q))
