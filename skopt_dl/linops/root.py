"""Square roots of positive semi-definite matrices, and the right-hand sides beside them."""

from __future__ import annotations

from typing import Any

from scipy.linalg import solve_triangular
from scipy.linalg.lapack import get_lapack_funcs

from skopt_dl.kernels.namespace import is_numpy, namespace_of


def root_of(S: Any, B: Any) -> tuple[Any, Any]:
    """``R, C`` with ``R'R = S`` and ``R'C = B``, for ``S`` positive semi-definite to rounding.

    Parameters
    ----------
    S : array of shape (p, p)
        Symmetric; never written.
    B : array of shape (p, K)
        In the range of ``S``, but for rounding.

    Returns
    -------
    R : array of shape (r, p)
        ``r <= p`` rows.
    C : array of shape (r, K)

    Notes
    -----
    The columns are brought to one scale first, so that rounding is relative to each of them. A
    Cholesky factorisation with pivots ends where what is left is rounding (N. Higham, "Analysis of
    the Cholesky decomposition of a semi-definite matrix", 1990); other namespaces than NumPy, which
    have none, take eigenvectors.
    """
    xp = namespace_of(S)
    size = xp.sqrt(xp.clip(xp.linalg.diagonal(S), 0, None))
    size = xp.where(size > 0, size, xp.ones_like(size))
    S, B = S / (size[:, None] * size), B / size[:, None]
    R, C = (_by_pivots if is_numpy(xp) else _by_eigenvectors)(xp, S, B)
    return R * size, C


def _by_pivots(xp: Any, S: Any, B: Any) -> tuple[Any, Any]:
    (pstrf,) = get_lapack_funcs(("pstrf",), (S,))
    U, pivots, rank, _ = pstrf(S, lower=False)
    order = pivots - 1
    U = xp.triu(U)[:rank, :]
    C = solve_triangular(U[:, :rank], B[order[:rank], :], trans=1, check_finite=False)
    R = xp.empty_like(U)
    R[:, order] = U
    return R, C


def _by_eigenvectors(xp: Any, S: Any, B: Any) -> tuple[Any, Any]:
    values, V = xp.linalg.eigh(S)
    # Below this an eigenvalue is rounding, and B has nothing in its direction.
    floor = S.shape[0] * xp.finfo(S.dtype).eps * xp.max(xp.abs(values))
    kept = values > floor
    root = xp.sqrt(xp.where(kept, values, xp.ones_like(values)))
    zeros = xp.zeros_like(values)
    R = xp.where(kept, root, zeros)[:, None] * V.T
    C = xp.where(kept, 1 / root, zeros)[:, None] * (V.T @ B)
    return R, C
