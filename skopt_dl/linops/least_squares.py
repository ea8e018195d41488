r"""Ridge systems solved directly, for several targets and a ridge of their own each.

.. math:: \min_W\ \tfrac12 \sum_i \omega_i \|(A W - Y)_i\|^2
          + \tfrac12 \sum_{jk} \rho_{jk} W_{jk}^2

Where the minimiser is not unique the one of least norm is returned, never garbage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.linops.aside import thin_svd
from skopt_dl.linops.base import LinearMap
from skopt_dl.linops.factor import (
    NotPositiveDefiniteError,
    PositiveFactor,
    PseudoInverse,
    with_diagonal,
)

# A smallest squared pivot (of a unit diagonal) from which on a solve loses no more than two digits.
WELL_CONDITIONED = 1e-2


def solve_gram(A: LinearMap, omega: Any, Y: Any, ridge: Any, rhs: Any = None) -> tuple[Any, Any]:
    """The minimiser by a factorisation of the smaller Gram, refined once.

    The larger side is never formed: ``A' Omega A + rho`` where there are more samples than
    coefficients, else the dual ``sqrt(Omega) A A' sqrt(Omega) + rho`` (for one rho > 0 a target).

    Parameters
    ----------
    A : LinearMap of shape (n, p)
        Dense or sparse; sparse data are not densified.
    omega : array of shape (n,)
        Row weights.
    Y : array of shape (n, K)
        Targets.
    ridge : array of shape (p, K)
        Non-negative.
    rhs : array of shape (p, K), optional
        ``A' Omega Y``, where it is known.

    Returns
    -------
    W : array of shape (p, K)
    gradient : array of shape (p, K) or None
        ``A' Omega (A W - Y)``, where the Gram is so well conditioned that it tells, in float64.
    """
    xp, (n, p) = A.xp, A.shape
    uniform = p > 0 and bool(xp.all((ridge == ridge[:1, :]) & (ridge > 0)))
    if n < p and (uniform or (A.layout == "sparse" and bool(xp.all(ridge == 0)))):
        return _dual(A, omega, Y, ridge), None
    return _primal(A, omega, Y, ridge, rhs)


def solve_svd(A: LinearMap, omega: Any, Y: Any, ridge: Any) -> Any:
    """The minimiser by a singular value decomposition, of least norm where it is not unique.

    The parameters are those of `solve_gram`; the map is taken as a dense array.
    """
    xp = A.xp
    root = xp.sqrt(omega)[:, None]
    B, C = root * A.to_dense(), root * Y
    if bool(xp.all(ridge == ridge[:1, :])):
        U, s, Vt = thin_svd(B)
        rho = ridge[0, :] if ridge.shape[0] else xp.zeros_like(Y[0, :])
        denominator = (s**2)[:, None] + rho
        keep = (s > _cutoff(B, s))[:, None] | (rho > 0)
        keep = keep & (denominator > 0)
        inverse = xp.where(keep, 1 / xp.where(keep, denominator, 1 + rho), 0 * denominator)
        W = Vt.T @ (s[:, None] * inverse * (U.T @ C))
        # Refined once: columns of very different units cost the decomposition relative accuracy.
        return W + Vt.T @ (inverse * (Vt @ (B.T @ (C - B @ W) - rho * W)))
    # A ridge of its own for each coefficient: rows sqrt(rho_j) e_j' below the data.
    columns = []
    for k in range(Y.shape[1]):
        extra = xp.sqrt(ridge[:, k])[:, None] * xp.eye(A.shape[1], dtype=B.dtype, device=B.device)
        M = xp.concat([B, extra])
        U, s, Vt = thin_svd(M)
        keep = s > _cutoff(M, s)
        inverse = xp.where(keep, 1 / xp.where(keep, s, xp.ones_like(s)), xp.zeros_like(s))
        columns.append(Vt.T @ (inverse * (U[: B.shape[0], :].T @ C[:, k])))
    return xp.stack(columns, axis=1)


def _cutoff(M: Any, s: Any) -> Any:
    """Singular values up to this are rounding."""
    largest = s[0] if s.shape[0] else 0.0
    return largest * max(M.shape) * namespace_of(s).finfo(s.dtype).eps


def _primal(A: LinearMap, omega: Any, Y: Any, ridge: Any, rhs: Any) -> tuple[Any, Any]:
    weigh = omega[:, None]
    G = A.gram(omega)
    rhs = A.rmatvec(weigh * Y) if rhs is None else rhs

    def product(W: Any, rho: Any) -> Any:
        return A.rmatvec(weigh * A.matvec(W)) + rho * W

    try:
        W, refined = _each_ridge(G, rhs, ridge, product, _positive_factor)
    except NotPositiveDefiniteError:
        if A.layout == "dense":
            return solve_svd(A, omega, Y, ridge), None
        return _each_ridge(G, rhs, ridge, product, PseudoInverse)[0], None
    tells = not refined and G.dtype == A.xp.float64
    return W, G @ W - rhs if tells else None


def _positive_factor(G: Any) -> PositiveFactor:
    return PositiveFactor(G, overwrite=True)


def _dual(A: LinearMap, omega: Any, Y: Any, ridge: Any) -> Any:
    root = A.xp.sqrt(omega)[:, None]
    K = root * A.row_gram() * root[:, 0]
    strength = ridge[:1, :] + 0 * root

    def product(C: Any, rho: Any) -> Any:
        return root * A.matvec(A.rmatvec(root * C)) + rho * C

    try:
        C, _ = _each_ridge(K, root * Y, strength, product, _positive_factor)
    except NotPositiveDefiniteError:
        C, _ = _each_ridge(K, root * Y, strength, product, PseudoInverse)
    return A.rmatvec(root * C)


def _each_ridge(
    G: Any, rhs: Any, ridge: Any, product: Callable[[Any, Any], Any], factorise: Any
) -> tuple[Any, bool]:
    """``(G + diag ridge_k)^-1 rhs_k`` for each target k; one factor where the ridges agree.

    ``product`` applies the same matrix through the map itself. One step of refinement with it
    takes away most of the error of forming the Gram, where there is one to speak of; the second
    answer says whether there was.
    """
    xp = namespace_of(G)
    same = bool(xp.all(ridge == ridge[:, :1]))
    groups = [slice(None)] if same else [slice(k, k + 1) for k in range(rhs.shape[1])]
    solved, refined = [], False
    for group in groups:
        rho = ridge[:, group]
        factor = factorise(with_diagonal(xp.asarray(G, copy=True), rho[:, 0]))
        W = factor.solve(rhs[:, group])
        if factor.smallest < WELL_CONDITIONED:
            refined = True
            W = W + factor.solve(rhs[:, group] - product(W, rho))
        solved.append(W)
    return xp.concat(solved, axis=1), refined
