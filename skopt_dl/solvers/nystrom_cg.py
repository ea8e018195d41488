r"""Conjugate gradients for ridge systems, preconditioned by a random sketch of the Gram matrix.

Letters: A the linear map, Omega its row weights, Y the targets, rho the ridge; W the iterate, R the
residual, S the gradient with its sign changed, Z its preconditioned form, P the direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status
from skopt_dl.linops import NystromPreconditioner
from skopt_dl.solvers.conjugate_gradient import RENEW_EVERY, over


@dataclass
class NystromCGState(State):
    """Adds the system, its preconditioner and the recurrences; ``mu`` is one ridge a target."""

    system: Any = None
    preconditioner: Any = None
    mu: Any = None
    W: Any = None
    R: Any = None
    S: Any = None
    P: Any = None
    gamma: Any = None


class NystromCG(Solver):
    """Conjugate gradients with a Nyström preconditioner, for ill-conditioned ridge systems.

    .. math::

        W &\\leftarrow W + a P, \\quad R \\leftarrow R - a A P, \\quad
          a = \\frac{S'Z}{(AP)'\\Omega(AP) + P'\\rho P} \\\\
        S^+ &= A'\\Omega R - \\rho W, \\qquad Z^+ = M^{-1} S^+, \\qquad
          P \\leftarrow Z^+ + \\frac{S^{+\\prime} Z^+}{S'Z} P

    with :math:`M \\approx A'\\Omega A + \\rho` made of its action on ``rank`` random directions.

    Needs a least-squares system with a ridge.

    Parameters
    ----------
    rank : int
        Random directions, at most the number of coefficients. The sketch costs as much as that many
        iterations, at once; it pays where the Gram has about that many eigenvalues above the ridge.
    power : int
        Times that the directions are turned towards the largest eigenvectors, at the cost of the
        sketch each; not negative. The paper has 0.

    Notes
    -----
    Where ridges differ between the coefficients of a target the preconditioner takes their mean;
    the answer does not depend on it. The answer depends on the random directions by rounding only.

    References
    ----------
    Z. Frangella, J. Tropp, M. Udell, "Randomized Nyström preconditioning", SIAM J. Matrix Anal.
    Appl. 44 (2023).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.LEAST_SQUARES)
    default_max_iter: ClassVar[int] = 10_000
    chunk: ClassVar[int] = 5

    def __init__(self, *, rank: int = 50, power: int = 1) -> None:
        self.rank, self.power = rank, power

    def init(self, problem: Problem, w: Any, rng: Any) -> NystromCGState:
        if self.rank < 1:
            raise ValueError(f"NystromCG: rank={self.rank!r}, but it must be at least 1")
        if self.power < 0:
            raise ValueError(f"NystromCG: power={self.power!r}, but it must be at least 0")
        xp = problem.xp
        A, omega, Y, ridge = system = problem.least_squares()  # type: ignore[attr-defined]
        W = xp.reshape(w, ridge.shape)
        p = ridge.shape[0]
        test = rng.standard_normal((p, min(self.rank, p)))
        state = NystromCGState(w=w, system=system, W=W, mu=xp.mean(ridge, axis=0))
        state.preconditioner = NystromPreconditioner(
            lambda V: A.rmatvec(omega[:, None] * A.matvec(V)),
            xp.asarray(test, dtype=problem.dtype, device=problem.device),
            self.power,
        )
        state.R = Y - A.matvec(W)
        state.S = A.rmatvec(omega[:, None] * state.R) - ridge * W
        state.P = state.preconditioner.solve(state.S, state.mu)
        state.gamma = xp.sum(state.S * state.P, axis=0)
        return state

    def advance(self, problem: Problem, state: NystromCGState, n: int) -> Status:
        xp = problem.xp
        A, omega, Y, ridge = state.system
        for _ in range(n):
            Q = A.matvec(state.P)
            energy = omega @ (Q * Q) + xp.sum(ridge * state.P * state.P, axis=0)
            # S'Z in exact arithmetic; this form still descends where rounding has spoilt that.
            a = over(xp, xp.sum(state.S * state.P, axis=0), energy)
            state.W = state.W + a * state.P
            state.n_iter += 1
            renew = state.n_iter % RENEW_EVERY == 0
            state.R = Y - A.matvec(state.W) if renew else state.R - a * Q
            state.S = A.rmatvec(omega[:, None] * state.R) - ridge * state.W
            Z = state.preconditioner.solve(state.S, state.mu)
            gamma = xp.sum(state.S * Z, axis=0)
            state.P = Z + over(xp, gamma, state.gamma) * state.P
            state.gamma = gamma
        state.w = xp.reshape(state.W, (-1,))
        state.indicator = xp.max(xp.abs(state.S))
        return Status.RUNNING
