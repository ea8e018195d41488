r"""Tangent spaces of the matrices of rank k, and leading singular triplets without a full matrix.

At ``U S V'`` with orthonormal U and V the tangent vectors are

.. math:: U M V' + L V' + U N', \qquad U'L = 0, \qquad V'N = 0

and `TangentSpace` keeps one as the array ``[M; L; N]`` of shape (k + m + n, k), in which inner
products are those of the matrices (B. Vandereycken, "Low-rank matrix completion by Riemannian
optimization", SIAM J. Optim. 23, 2013).
"""

from __future__ import annotations

from typing import Any


class TangentSpace:
    """The tangent space at ``U S V'``.

    Parameters
    ----------
    observed : ObservedMatrix
        Where matrices are looked at.
    U, V : arrays of shape (m, k) and (n, k)
        Orthonormal columns.
    """

    def __init__(self, observed: Any, U: Any, V: Any) -> None:
        self.xp, self.observed, self.U, self.V = observed.xp, observed, U, V
        self.k = U.shape[1]
        # What `gram` does to a tangent vector on average.
        self.density = observed.n_entries / (U.shape[0] * V.shape[0])

    def parts(self, t: Any) -> tuple[Any, Any, Any]:
        """``(M, L, N)`` of a tangent vector."""
        k, m = self.k, self.U.shape[0]
        return t[:k, :], t[k : k + m, :], t[k + m :, :]

    def factors(self, t: Any) -> tuple[Any, Any]:
        """``(left, right)`` of rank 2k with ``left right'`` the tangent vector as a matrix."""
        M, L, N = self.parts(t)
        concat = self.xp.concat
        return concat([self.U @ M + L, self.U], axis=1), concat([self.V, N], axis=1)

    def entries(self, t: Any) -> Any:
        """Its entry values."""
        return self.observed.products(*self.factors(t))

    def project(self, Y: Any, Z: Any) -> Any:
        """The projection of a matrix X given by ``Y = X V`` and ``Z = X'U``."""
        M = self.U.T @ Y
        return self.xp.concat([M, Y - self.U @ M, Z - self.V @ M.T], axis=0)

    def gauge(self, t: Any) -> Any:
        """``t`` with L and N freed of what rounding has added along U and V."""
        M, L, N = self.parts(t)
        L, N = L - self.U @ (self.U.T @ L), N - self.V @ (self.V.T @ N)
        return self.xp.concat([M, L, N], axis=0)

    def adjoint(self, E: Any) -> Any:
        """The projection of the matrix whose observed entries are ``E``, zero elsewhere."""
        obs = self.observed
        return self.project(obs.matrix(E) @ self.V, obs.matrix_t(E) @ self.U)

    def gram(self, t: Any) -> Any:
        """``adjoint(entries(t))``, without the entries in between."""
        left, right = self.factors(t)
        obs = self.observed
        return self.project(obs.masked(left, right, self.V), obs.masked_t(left, right, self.U))

    def carried(self, other: TangentSpace, t: Any) -> Any:
        """A tangent vector of another space, projected onto this one."""
        left, right = other.factors(t)
        return self.project(left @ (right.T @ self.V), right @ (left.T @ self.U))

    def retracted(self, s: Any, t: Any) -> tuple[Any, Any, Any]:
        """Singular triplets of the best matrix of rank k near ``U diag(s) V'`` plus ``t``."""
        xp, k = self.xp, self.k
        M, L, N = self.parts(t)
        (Qu, Ru), (Qv, Rv) = xp.linalg.qr(L), xp.linalg.qr(N)
        eye = xp.eye(k, dtype=s.dtype, device=self.observed.device)
        top = xp.concat([s * eye + M, Rv.T], axis=1)
        small = xp.concat([top, xp.concat([Ru, xp.zeros_like(Ru)], axis=1)], axis=0)
        W, sizes, Zt = xp.linalg.svd(small)
        U = xp.concat([self.U, Qu], axis=1) @ W[:, :k]
        return U, sizes[:k], xp.concat([self.V, Qv], axis=1) @ Zt[:k, :].T

    def spread(self, diagonal: Any, sides: Any) -> Any:
        """The array with ``diagonal`` (k x k) for M and ``sides`` (k) in each row of L and N."""
        rows = self.U.shape[0] + self.V.shape[0]
        below = self.xp.broadcast_to(sides[None, :], (rows, self.k))
        return self.xp.concat([diagonal, below], axis=0)


def leading_triplets(
    observed: Any, left: Any, right: Any, E: Any, V: Any, turns: int
) -> tuple[Any, Any, Any]:
    """Leading singular triplets of ``left right' + E`` by subspace iteration from ``V``.

    Parameters
    ----------
    observed : ObservedMatrix
        The places of the sparse part.
    left, right : arrays of shape (m, r) and (n, r)
        Factors of the low-rank part.
    E : entry values
        The sparse part.
    V : array of shape (n, h)
        First guess of the right singular vectors; more columns than are needed converge faster.
    turns : int
        Number of iterations.

    Returns
    -------
    U, s, V : arrays of shape (m, h), (h,) and (n, h)
        Triplets in decreasing order.
    """
    xp = observed.xp
    sparse, sparse_t = observed.matrix(E), observed.matrix_t(E)
    for _ in range(turns):
        U = xp.linalg.qr(left @ (right.T @ V) + sparse @ V).Q
        V, small = xp.linalg.qr(right @ (left.T @ U) + sparse_t @ U)
    W, s, Zt = xp.linalg.svd(small.T)
    return U @ W, s, V @ Zt.T
