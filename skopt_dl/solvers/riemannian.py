r"""Conjugate gradients on the manifold of matrices of fixed rank.

Letters: :math:`U, s, V` the singular triplets of the iterate X, T its tangent space, r the entries
that it leaves, g the gradient in T, d the direction, t the step.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.solvers.subspace import first_triplets

# Singular vectors beyond the rank for the first triplets, and halvings of a step.
EXTRA = 5
HALVINGS = 30


@dataclass
class RiemannianState(State):
    """Adds the triplets, the residual, the tangent space with gradient and direction in it."""

    U: Any = None
    s: Any = None
    V: Any = None
    r: Any = None
    T: Any = None
    g: Any = None
    d: Any = None


class RiemannianSolver(Solver):
    """A method on the matrices of fixed rank. A subclass says how one iteration goes."""

    needs: ClassVar[Needs] = Needs.of(Oracle.TANGENT)

    def advance(self, problem: Problem, state: RiemannianState, n: int) -> Status:
        for _ in range(n):
            if to_float(state.indicator) <= state.target:
                break
            if not self._iterate(problem, state):
                return Status.STALLED
            state.n_iter += 1
            state.n_epochs += 1.0
        return Status.RUNNING

    @abstractmethod
    def _iterate(self, problem: Any, state: Any) -> bool:
        """One step, or none: whether there was one to take."""


class RiemannianCG(RiemannianSolver):
    """Nonlinear conjugate gradients on the matrices of fixed rank.

    .. math::

        d = -g + \\beta\\, \\mathcal{T}(d_{-1}), \\qquad
        \\beta = \\max\\Big(0, \\frac{\\langle g, g - \\mathcal{T}(g_{-1}) \\rangle}
        {|g_{-1}|^2}\\Big), \\qquad
        X^+ = R_X(t d), \\qquad t = \\frac{\\langle r, B d \\rangle}{|B d|^2}

    with the transport :math:`\\mathcal{T}` by projection, the retraction R by the best matrix of
    the rank, and the step that is exact for the linearised problem, halved while the residual
    grows.

    Needs tangent spaces of matrices of fixed rank.

    Notes
    -----
    It starts from the leading singular triplets of the zero-filled matrix. The residual never
    grows. The indicator is the norm of the gradient over that of the data. Where the matrix is
    ill-conditioned ``irls`` and ``gauss_newton`` need far fewer products.

    References
    ----------
    B. Vandereycken, "Low-rank matrix completion by Riemannian optimization", SIAM J. Optim. 23
    (2013).
    """

    default_max_iter: ClassVar[int] = 2000

    def __init__(self) -> None:
        pass

    def init(self, problem: Problem, w: Any, rng: Any) -> RiemannianState:
        state = RiemannianState(w=w)
        start_at(problem, state, rng)
        state.d = -state.g
        return state

    def _iterate(self, problem: Any, state: RiemannianState) -> bool:
        xp = problem.xp
        if not to_float(xp.sum(state.g * state.d)) < 0:
            state.d = -state.g
        T, g, d = state.T, state.g, state.d
        Bd = T.entries(d)
        size = problem.observed.dot(Bd, Bd)
        t = to_float(problem.observed.dot(state.r, Bd)) / max(to_float(size), 1e-300)
        before = to_float(problem.observed.dot(state.r, state.r))
        for _ in range(HALVINGS):
            U, s, V = T.retracted(state.s, t * d)
            trial = RiemannianState(w=state.w)
            stand_at(problem, trial, U, s, V)
            if to_float(problem.observed.dot(trial.r, trial.r)) < before:
                break
            t *= 0.5
        else:
            return False
        state.U, state.s, state.V, state.r, state.T = trial.U, trial.s, trial.V, trial.r, trial.T
        state.g, state.w, state.indicator = trial.g, trial.w, trial.indicator
        old = state.T.carried(T, g)
        beta = xp.sum(state.g * (state.g - old)) / xp.sum(g * g)
        state.d = -state.g + xp.clip(beta, 0.0, None) * state.T.carried(T, d)
        return True


def start_at(problem: Any, state: RiemannianState, rng: Any) -> None:
    """Put the state at the zero-filled matrix, in the size of the matrix wanted."""
    (m, k), (n, _) = problem.shapes.values()
    U, s, V = first_triplets(problem, None, EXTRA, rng)
    # The zero-filled matrix is smaller than the one wanted by the share of what is seen.
    stand_at(problem, state, U[:, :k], s[:k] * (m * n / problem.n_samples), V[:, :k])


def stand_at(problem: Any, state: RiemannianState, U: Any, s: Any, V: Any) -> None:
    """Put the state at ``U diag(s) V'``, with residual and gradient."""
    xp = problem.xp
    state.U, state.s, state.V = U, s, V
    state.w = problem.from_triplets(U, s, V)
    state.T = problem.tangent(U, V)
    own = s * xp.eye(s.shape[0], dtype=problem.dtype, device=problem.device)
    state.r = problem.targets - state.T.entries(state.T.spread(own, xp.zeros_like(s)))
    state.g = -state.T.adjoint(state.r)
    size = xp.sqrt(problem.observed.dot(problem.targets, problem.targets))
    state.indicator = xp.linalg.vector_norm(state.g) / xp.where(size > 0, size, 1.0)
