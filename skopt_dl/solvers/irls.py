r"""Iteratively reweighted least squares for the rank: a smoothed log-determinant is lowered.

Letters: X the iterate, :math:`U, \sigma, V` its leading singular triplets, k the rank wanted,
:math:`\varepsilon` the smoothing, T the tangent space at the rank-k part, B the entries of a
tangent vector, t the tangent vector, r the entries that it leaves, y the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.krylov import pcg
from skopt_dl.solvers.subspace import first_vectors

# Turns of the subspace iteration at the start. They begin at the columns of the given point: more
# of them would bring every start to the same leading vectors.
FIRST_TURNS = 2
# The smoothing falls freely once it is below this share of the k-th value: all k are found then.
CLEAR = 1e-2
# The smoothing stays this many units of rounding above zero, in units of the largest value.
ROUNDING = 10


@dataclass
class IRLSState(State):
    """Adds the singular triplets and the smoothing."""

    U: Any = None
    s: Any = None
    V: Any = None
    smoothing: float = float("inf")


class IRLS(Solver):
    """Iteratively reweighted least squares on a smoothed log-determinant, for exact completion.

    .. math::

        X^+ = \\operatorname{argmin}_{X:\\ X_\\Omega = y} \\langle X, W(X_k)\\, X \\rangle, \\qquad
        W^{-1} = \\varepsilon^2 I + Q (D - \\varepsilon^2 I) Q', \\qquad
        \\varepsilon \\leftarrow \\min(\\varepsilon, \\max(\\sigma_{k+1}(X^+), \\rho\\varepsilon))

    where Q spans the tangent space at the rank-k part of X and D holds
    :math:`\\sigma_i \\sigma_j` inside it and :math:`\\varepsilon \\sigma_j` at its sides, with
    :math:`\\rho = 0` once :math:`\\varepsilon` is below a hundredth of :math:`\\sigma_k`. Then
    :math:`X^+ = Q t + r` with :math:`r = y - B t` on the observed entries alone and

    .. math:: \\big(\\varepsilon^2 (D - \\varepsilon^2 I)^{-1} + B'B\\big)\\, t = B'y

    solved by conjugate gradients from the last iterate.

    Needs tangent spaces of matrices of fixed rank.

    Parameters
    ----------
    inner_tol : float
        Accuracy of the conjugate gradients, relative to the smoothing.
    max_inner : int
        Products with the system per step at most.
    extra : int
        Singular vectors carried beyond the rank.
    turns : int
        Subspace iterations per step.
    fall : float
        The :math:`\\rho`, the share of itself to which the smoothing falls in one step at most.

    Notes
    -----
    Descent on the factors fails near the information limit, where rows with about k entries are
    fitted by anything; the weights here make every step a global least-squares problem that knows
    the size of each singular value. Nearer to it than about 1.3 times the degrees of freedom it may
    end at another matrix, and another start may find the right one: random columns (``n_init`` of
    an estimator) begin with other singular vectors. In the orthonormal coordinates of the tangent
    space the system does not see the condition of the matrix. Small components are found while the
    smoothing passes their size; with the original :math:`\\rho = 0` it may leap past one whose
    direction is not known yet, and the answer lacks it for good. The indicator is
    :math:`\\varepsilon / \\sigma_1`.

    References
    ----------
    C. Kümmerle, C. Mayrink Verdun, "A scalable second order method for ill-conditioned matrix
    completion from few samples", ICML 2021; M. Fazel, H. Hindi, S. Boyd, "Log-det heuristic for
    matrix rank minimization", ACC 2003.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.TANGENT)
    default_max_iter: ClassVar[int] = 300

    def __init__(
        self,
        *,
        inner_tol: float = 1e-3,
        max_inner: int = 500,
        extra: int = 10,
        turns: int = 5,
        fall: float = 0.7,
    ) -> None:
        self.inner_tol, self.max_inner = inner_tol, max_inner
        self.extra, self.turns, self.fall = extra, turns, fall

    def init(self, problem: Problem, w: Any, rng: Any) -> IRLSState:
        if not self.inner_tol > 0:
            raise ValueError(f"IRLS: inner_tol={self.inner_tol!r}, but it must be above 0")
        if not 0 <= self.fall < 1:
            raise ValueError(f"IRLS: fall={self.fall!r}, but it must be in [0, 1)")
        for name in ("max_inner", "extra", "turns"):
            if getattr(self, name) < 1:
                raise ValueError(f"IRLS: {name}={getattr(self, name)!r}, but it must be at least 1")
        state, V = IRLSState(w=w), first_vectors(problem, w, self.extra, rng)
        first = cast(Any, problem).leading_triplets(None, None, None, V, FIRST_TURNS)
        self._take(problem, state, first)
        return state

    def advance(self, problem: Problem, state: IRLSState, n: int) -> Status:
        for _ in range(n):
            if to_float(state.indicator) <= state.target:
                break
            self._iterate(problem, state)
            state.n_iter += 1
        return Status.RUNNING

    def _iterate(self, problem: Any, state: IRLSState) -> None:
        xp, eps = problem.xp, state.smoothing
        # The smoothing never grows: more than k values may lie above it for a while.
        k = max(problem.shapes["rows"][1], int(xp.sum(xp.astype(state.s > eps, xp.int64))))
        s = state.s[:k]
        T = problem.tangent(state.U[:, :k], state.V[:, :k])
        # eps^2 / (D - eps^2), of which the vanishing denominators stand for components of zero.
        least = xp.finfo(problem.dtype).eps * eps * eps
        inside = xp.maximum(s[:, None] * s[None, :] - eps * eps, least)
        sides = xp.maximum(eps * s - eps * eps, least)
        ridge = T.spread(eps * eps / inside, eps * eps / sides)
        scale = ridge + T.density
        t, products = pcg(
            xp,
            lambda x: T.gram(x) + ridge * x,
            T.adjoint(problem.targets),
            precondition=lambda r: T.gauge(r / scale),
            start=T.spread(
                s * xp.eye(k, dtype=problem.dtype, device=problem.device), xp.zeros_like(s)
            ),
            tol=max(self.inner_tol * eps / to_float(state.s[0]), 1e-15),
            max_iter=self.max_inner,
        )
        state.n_epochs += products
        left = problem.targets - T.entries(t)
        self._take(problem, state, problem.leading_triplets(T, t, left, state.V, self.turns))

    def _take(self, problem: Any, state: IRLSState, triplets: Any) -> None:
        _, k = problem.shapes["rows"]
        state.U, state.s, state.V = U, s, V = triplets
        beyond = to_float(s[k]) if s.shape[0] > k else 0.0
        largest = to_float(s[0])
        floor = ROUNDING * float(problem.xp.finfo(problem.dtype).eps) * largest
        # A component is found while the smoothing passes its size: not in one leap past it.
        if CLEAR * to_float(s[min(k, s.shape[0]) - 1]) < state.smoothing < float("inf"):
            beyond = max(beyond, self.fall * state.smoothing)
        state.smoothing = min(state.smoothing, max(beyond, floor))
        state.w = problem.from_triplets(U[:, :k], s[:k], V[:, :k])
        # The matrix zero needs nothing.
        state.indicator = state.smoothing / largest if largest > 0 else 0.0
