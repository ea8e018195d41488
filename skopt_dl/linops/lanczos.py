r"""A symmetric matrix in its eigenvectors: of the whole space, or of a Krylov space (Lanczos).

Letters: H the matrix, known by its products, g the gradient, Q an orthonormal basis, :math:`\alpha`
and :math:`\beta` the entries of the tridiagonal matrix that H is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skopt_dl.kernels.namespace import device_of, namespace_of, to_float
from skopt_dl.linops.aside import eigh
from skopt_dl.linops.truncated import Product


@dataclass
class Spectrum:
    """A symmetric matrix on a subspace, in its eigenvectors there.

    Attributes
    ----------
    values : array of shape (k,)
        Eigenvalues, the smallest first.
    c : array of shape (k,)
        The gradient in the eigenvectors.
    lift : callable
        From coefficients of shape ``(k,)`` to the vector of shape ``(p,)``.
    residual : callable
        From coefficients to the norm of what the subspace leaves of ``H s + g + (multiple of) s``.
    """

    values: Any
    c: Any
    lift: Callable[[Any], Any]
    residual: Callable[[Any], float]


def dense_spectrum(H: Any, g: Any) -> Spectrum:
    """The spectrum of a matrix on the whole space."""
    values, V = eigh(H)
    return Spectrum(values, V.T @ g, lambda a: V @ a, lambda a: 0.0)


def matrix_of(product: Product, like: Any) -> Any:
    """The symmetric matrix with these products, one for each parameter."""
    xp, p = namespace_of(like), like.shape[0]
    eye = xp.eye(p, dtype=like.dtype, device=device_of(like))
    H = xp.stack([product(eye[:, j]) for j in range(p)], axis=1)
    return (H + H.T) / 2


class Lanczos:
    r"""An orthonormal basis of span :math:`\{v, Hv, H^2v, \ldots\}` in which H is tridiagonal.

    Vectors are kept and made orthogonal to all before them, twice, so no spurious eigenvalues
    appear.

    Parameters
    ----------
    product : callable
        ``d -> H d``.
    v : array of shape (p,)
        First direction, not zero.

    Attributes
    ----------
    exhausted : bool
        Whether the space is invariant: H does not lead out of it.

    References
    ----------
    G. Golub, C. Van Loan, "Matrix Computations" (2013), 10.1 and 10.3.
    """

    def __init__(self, product: Product, v: Any) -> None:
        self.xp, self.product = namespace_of(v), product
        self.size = to_float(self.xp.linalg.vector_norm(v))
        self.basis = [v / self.size]
        self.alphas: list[float] = []
        self.betas: list[float] = []
        self.exhausted = False
        self._top = 0.0

    def extend(self, k: int) -> None:
        """Grow the space to ``k`` dimensions, where it can."""
        xp = self.xp
        eps = float(xp.finfo(self.basis[0].dtype).eps)
        while len(self.alphas) < k and not self.exhausted:
            v = self.basis[-1]
            u = self.product(v)
            self._top = max(self._top, to_float(xp.linalg.vector_norm(u)))
            self.alphas.append(to_float(v @ u))
            Q = xp.stack(self.basis)
            for _ in range(2):
                u = u - Q.T @ (Q @ u)
            beta = to_float(xp.linalg.vector_norm(u))
            self.betas.append(beta)
            self.exhausted = (
                beta <= 10 * eps * self._top * len(self.basis) or len(self.basis) == v.shape[0]
            )
            if not self.exhausted:
                self.basis.append(u / beta)

    def ritz(self) -> tuple[Any, Any]:
        """Eigenvalues and eigenvectors of the tridiagonal matrix, on the device."""
        xp, k = self.xp, len(self.alphas)
        rows = [[0.0] * k for _ in range(k)]
        for i in range(k):
            rows[i][i] = self.alphas[i]
            if i + 1 < k:
                rows[i][i + 1] = rows[i + 1][i] = self.betas[i]
        like = self.basis[0]
        return xp.linalg.eigh(xp.asarray(rows, dtype=like.dtype, device=device_of(like)))

    def spectrum(self) -> Spectrum:
        """H on the space, with ``c`` the first direction."""
        values, S = self.ritz()
        Q = self.xp.stack(self.basis[: len(self.alphas)])
        last = 0.0 if self.exhausted else self.betas[-1]
        return Spectrum(
            values,
            self.size * S[0, :],
            lambda a: Q.T @ (S @ a),
            lambda a: last * abs(to_float(S[-1, :] @ a)),
        )
