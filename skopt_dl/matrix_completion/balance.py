r"""The best of all factors that give the same model.

``u_i'v_j + a_i + c_j`` stays what it is under

- mixing: ``U C`` and ``V C^{-T}`` for an invertible C,
- shifting rows into the column biases: ``u_i + s`` and ``c_j - s'v_j`` (where there are any),
- shifting columns into the row biases, likewise,
- a constant moved from the ones to the others,

and the penalty :math:`\sum_i \rho_i (|u_i|^2 + a_i^2) + \sum_j \kappa_j (|v_j|^2 + c_j^2)` alone
decides. Each family has its minimum in closed form.
"""

from __future__ import annotations

from typing import Any


def balanced(problem: Any, P: Any, Q: Any, ordered: bool = False) -> tuple[Any, Any]:
    """``(P, Q)`` of a `FactorProblem` with the best shifts, then the best mixing.

    The best mixing is unique up to a rotation: the one that moves the factors least, or, if
    ``ordered``, the one with orthogonal components in decreasing order of size.
    """
    rho, kappa, k = problem.row_penalty, problem.col_penalty, problem.k
    if problem.positive:
        return _scaled(problem.xp, P, Q, rho, kappa, ordered)
    U, a, V, c = P[:, :k], P[:, k:], Q[:, :k], Q[:, k:]
    if problem.col_bias:
        U, c = _shifted(problem.xp, U, c, V, rho, kappa)
    if problem.row_bias:
        V, a = _shifted(problem.xp, V, a, U, kappa, rho)
    if problem.row_bias and problem.col_bias:
        constant = 0.5 * (kappa @ c - rho @ a) / problem.observed.total
        a = a + constant * _seen(problem.xp, rho, a)
        c = c - constant * _seen(problem.xp, kappa, c)
    if k <= min(problem.observed.shape):
        U, V = mixed(problem.xp, U, V, rho, kappa, ordered)
    return problem.xp.concat([U, a], axis=1), problem.xp.concat([V, c], axis=1)


def _scaled(xp: Any, P: Any, Q: Any, rho: Any, kappa: Any, ordered: bool) -> tuple[Any, Any]:
    """Each component in equal parts in both factors: what keeps them non-negative."""
    left, right = (xp.sum(weight[:, None] * A * A, axis=0) for A, weight in ((P, rho), (Q, kappa)))
    alive = (left > 0) & (right > 0)
    ratio = xp.where(alive, right / xp.where(alive, left, xp.ones_like(left)), xp.ones_like(left))
    root = xp.sqrt(xp.sqrt(ratio))
    P, Q = P * root, Q / root
    if ordered:
        order = xp.flip(xp.argsort(left * right))
        P, Q = xp.take(P, order, axis=1), xp.take(Q, order, axis=1)
    return P, Q


def _shifted(xp: Any, U: Any, c: Any, V: Any, rho: Any, kappa: Any) -> tuple[Any, Any]:
    """``U + s`` and ``c - V s`` with the s of least penalty, a ridge regression of c on V."""
    k = U.shape[1]
    weighted = kappa[:, None] * V
    A = V.T @ weighted + xp.sum(rho) * xp.eye(k, dtype=U.dtype, device=U.device)
    s = xp.linalg.solve(A, weighted.T @ c - U.T @ rho[:, None])
    return U + _seen(xp, rho, U) * s.T, c - V @ s


def _seen(xp: Any, weight: Any, like: Any) -> Any:
    """A column of ones, zeros where nothing is observed: such rows stay at zero."""
    return xp.astype(weight > 0, like.dtype)[:, None]


def mixed(xp: Any, U: Any, V: Any, rho: Any, kappa: Any, ordered: bool) -> tuple[Any, Any]:
    r"""``U C`` and ``V C^{-T}`` with the best C.

    With the weighted QR factors :math:`R_u, R_v` and :math:`R_u R_v' = A S B'` they are
    :math:`C = R_v' B S^{-1/2} O` and :math:`C^{-T} = R_u' A S^{-1/2} O` for any rotation O: the
    weighted Grams of the new factors are both ``O' S O``.
    """
    Ru = xp.linalg.qr(xp.sqrt(rho)[:, None] * U).R
    Rv = xp.linalg.qr(xp.sqrt(kappa)[:, None] * V).R
    A, S, Bt = xp.linalg.svd(Ru @ Rv.T)
    # Vanishing components change by rounding at most, and do not become exactly zero.
    tiny = 16 * xp.finfo(U.dtype).eps * S[0] + xp.finfo(U.dtype).smallest_normal
    root = xp.sqrt(xp.maximum(S, tiny))
    C, D = Rv.T @ Bt.T / root, Ru.T @ A / root
    if ordered:
        # Signs by convention: the loadings of each component sum to a positive number.
        sums = xp.sum(V @ D, axis=0)
        sign = xp.where(sums < 0, -xp.ones_like(sums), xp.ones_like(sums))
        return U @ C * sign, V @ D * sign
    # The O that makes C symmetric positive definite: the identity where all is balanced already.
    W, _, Zt = xp.linalg.svd(C)
    O = Zt.T @ W.T  # noqa: E741
    return U @ (C @ O), V @ (D @ O)
