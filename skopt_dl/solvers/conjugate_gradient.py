r"""Krylov methods for least squares: products with A and A' only, every target at once.

Letters: A the linear map, Omega its row weights, Y the targets, rho the ridge; W the iterate, R the
residual, S the gradient with its sign changed, P the direction. A scalar is a row with one number a
target and stays on the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status

# The residual that CG updates drifts from the true one by rounding; every so often it is renewed.
RENEW_EVERY = 50
# CG moves a target no more whose gradient is this multiple of eps of the largest one it has seen:
# what comes after is rounding, whose square may underflow, and would be followed anywhere.
SETTLED = 1.0
# CG starts anew where the squared gradient is this many times what the recurrence believed.
DRIFTED = 4.0
# LSQR ends for a target whose gradient is this multiple of eps |A| |residual|: what comes after is
# rounding, and would creep into the null space of A.
BREAKDOWN = 10.0


@dataclass
class CGState(State):
    """Adds the system and the recurrences of conjugate gradients: U the weighted residual, V room
    for another array like it where the weights differ."""

    system: Any = None
    W: Any = None
    U: Any = None
    V: Any = None
    P: Any = None
    gamma: Any = None
    largest: Any = None


@dataclass
class LSQRState(State):
    """Adds the system and the recurrences of LSQR; ``u`` has a part of samples, one of ridges."""

    system: Any = None
    W: Any = None
    u: Any = None
    v: Any = None
    d: Any = None
    alpha: Any = None
    phi: Any = None
    rho: Any = None
    size: Any = None


def over(xp: Any, a: Any, b: Any) -> Any:
    """``a / b``, and 0 where ``b`` is 0: a target that is solved stands still."""
    return xp.where(b != 0, a / xp.where(b != 0, b, xp.ones_like(b)), xp.zeros_like(a))


def inner(xp: Any, a: Any, b: Any) -> Any:
    """``a'b`` for each target."""
    return a @ b if a.ndim == 1 else xp.sum(a * b, axis=0)


class ConjugateGradient(Solver):
    """Conjugate gradients on the normal equations, which are never formed (CGLS).

    .. math::

        W &\\leftarrow W + a P, \\quad R \\leftarrow R - a A P, \\quad
          a = \\frac{|S|^2}{(AP)'\\Omega(AP) + P'\\rho P} \\\\
        S^+ &= A'\\Omega R - \\rho W, \\qquad P \\leftarrow S^+ + \\frac{|S^+|^2}{|S|^2} P

    Needs a least-squares system with a ridge.

    Notes
    -----
    The residual lives among the samples, so the condition number enters as it does in LSQR, not
    squared as in conjugate gradients on a formed Gram. Started from zero and without a ridge it
    goes to the solution of least norm.

    References
    ----------
    M. Hestenes, E. Stiefel, "Methods of conjugate gradients for solving linear systems", J. Res.
    NBS 49 (1952); Å. Björck, "Numerical Methods for Least Squares Problems", SIAM (1996), 7.4.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.LEAST_SQUARES)
    default_max_iter: ClassVar[int] = 10_000
    chunk: ClassVar[int] = 10

    def init(self, problem: Problem, w: Any, rng: Any) -> CGState:
        xp = problem.xp
        A, omega, Y, ridge = problem.least_squares()  # type: ignore[attr-defined]
        if Y.shape[1] == 1:
            # Vectors: their products need no temporaries.
            Y, ridge = Y[:, 0], ridge[:, 0]
        W = xp.reshape(w, ridge.shape)
        if bool(xp.all(omega == omega[:1])):
            omega = omega[0, ...]
        elif Y.ndim == 2:
            omega = omega[:, None]
        U = omega * (Y - A.matvec(W))
        S = A.rmatvec(U) - ridge * W
        gamma = inner(xp, S, S)
        state = CGState(w=w, system=(A, omega, Y, ridge), W=W, U=U, P=S, gamma=gamma, largest=gamma)
        if omega.ndim:
            state.V = xp.zeros_like(U)
        return state

    def advance(self, problem: Problem, state: CGState, n: int) -> Status:
        xp = problem.xp
        A, omega, Y, ridge = state.system
        S, U = state.P, state.U
        floor = (SETTLED * xp.finfo(problem.dtype).eps) ** 2
        for _ in range(n):
            # In place: among the samples these are the arrays that cost as much as a product.
            V = Q = A.matvec(state.P)
            if omega.ndim == 0:
                energy, step = omega * inner(xp, Q, Q), omega
            else:
                V, step = state.V, 1.0
                V[...] = Q
                V *= omega
                energy = inner(xp, Q, V)
            a = over(xp, state.gamma, energy + inner(xp, ridge * state.P, state.P))
            a = xp.where(state.gamma <= floor * state.largest, xp.zeros_like(a), a)
            state.W = state.W + a * state.P
            state.n_iter += 1
            V *= a * step
            U -= V
            S = A.rmatvec(U) - ridge * state.W
            gamma = believed = inner(xp, S, S)
            if state.n_iter % RENEW_EVERY == 0:
                U[...] = omega * (Y - A.matvec(state.W))
                S = A.rmatvec(U) - ridge * state.W
                gamma = inner(xp, S, S)
            ratio = over(xp, gamma, state.gamma)
            # A gradient that grew by looking anew was rounding before. The directions made of it
            # are conjugate to nothing, and times such a ratio they would lead far away.
            ratio = xp.where(gamma > DRIFTED * believed, xp.zeros_like(ratio), ratio)
            state.P = S + ratio * state.P
            state.gamma = gamma
            state.largest = xp.where(gamma > state.largest, gamma, state.largest)
        state.w = xp.reshape(state.W, (-1,))
        state.indicator = xp.max(xp.abs(S))
        return Status.RUNNING


class LSQR(Solver):
    """LSQR: the bidiagonalisation of the data, with the ridge as extra rows.

    .. math:: M = \\begin{pmatrix} \\Omega^{1/2} A \\\\ \\rho^{1/2} \\end{pmatrix}, \\qquad
              \\beta u \\leftarrow M v - \\alpha u, \\quad \\alpha v \\leftarrow M'u - \\beta v

    The answer grows along the directions of a running QR factorisation of the bidiagonal matrix.

    Needs a least-squares system with a ridge.

    Notes
    -----
    The same iterates as `ConjugateGradient` in exact arithmetic, steadier in floating point. A
    start is corrected from, not thrown away; without a ridge the correction has the least norm. The
    indicator is the gradient's norm, which the recurrence knows for free.

    References
    ----------
    C. Paige, M. Saunders, "LSQR: an algorithm for sparse linear equations and sparse least
    squares", ACM TOMS 8 (1982).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.LEAST_SQUARES)
    default_max_iter: ClassVar[int] = 10_000
    chunk: ClassVar[int] = 10

    def init(self, problem: Problem, w: Any, rng: Any) -> LSQRState:
        xp = problem.xp
        A, omega, Y, ridge = problem.least_squares()  # type: ignore[attr-defined]
        W = xp.reshape(w, ridge.shape)
        root, damp = xp.sqrt(omega)[:, None], xp.sqrt(ridge)
        state = LSQRState(w=w, system=(A, root, damp), W=W)
        state.phi, state.u = _normalised(xp, root * (Y - A.matvec(W)), -damp * W)
        v = _transposed(state, state.u)
        state.alpha, (state.v,) = _normalised(xp, v)
        state.d, state.rho, state.size = state.v, state.alpha, state.alpha
        return state

    def advance(self, problem: Problem, state: LSQRState, n: int) -> Status:
        xp = problem.xp
        A, root, damp = state.system
        c = xp.ones_like(state.phi)
        for _ in range(n):
            v, alpha, (u, ridges) = state.v, state.alpha, state.u
            beta, state.u = _normalised(
                xp, root * A.matvec(v) - alpha * u, damp * v - alpha * ridges
            )
            state.alpha, (state.v,) = _normalised(xp, _transposed(state, state.u) - beta * v)
            state.size = xp.hypot(state.size, xp.hypot(state.alpha, beta))
            # One rotation takes beta out of the bidiagonal matrix.
            rho = xp.hypot(state.rho, beta)
            c, s = over(xp, state.rho, rho), over(xp, beta, rho)
            state.W = state.W + over(xp, c * state.phi, rho) * state.d
            state.d = state.v - over(xp, s * state.alpha, rho) * state.d
            state.phi, state.rho = s * state.phi, -c * state.alpha
            # |rho| is now the gradient's norm over the residual's.
            done = xp.abs(state.rho) <= BREAKDOWN * xp.finfo(problem.dtype).eps * state.size
            state.alpha, state.rho, state.v, state.d = (
                xp.where(done, xp.zeros_like(a), a)
                for a in (state.alpha, state.rho, state.v, state.d)
            )
            state.n_iter += 1
        state.w = xp.reshape(state.W, (-1,))
        state.indicator = xp.max(xp.abs(state.phi * state.alpha * c))
        return Status.RUNNING


def _transposed(state: LSQRState, u: Any) -> Any:
    A, root, damp = state.system
    return A.rmatvec(root * u[0]) + damp * u[1]


def _normalised(xp: Any, *parts: Any) -> tuple[Any, tuple[Any, ...]]:
    """The norm of the stacked ``parts``, one a target, and the parts divided by it."""
    norm = xp.sqrt(sum(xp.sum(part * part, axis=0) for part in parts))
    return norm, tuple(over(xp, part, norm + xp.zeros_like(part)) for part in parts)
