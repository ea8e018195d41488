r"""One side of a Kronecker product: a running mean of :math:`x x'` that systems are solved with.

Five stores of :math:`M \leftarrow \rho M + (1 - \rho) X'X`: the matrix, the matrix with its
eigenvectors, a randomised part of them, only the largest of them, updated as they come (Brand), and
these two in turn.

Letters: M the matrix, X rows whose products are added, U and D its eigenvectors and eigenvalues,
:math:`\gamma` the damping.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from skopt_dl.kernels import kernels_of
from skopt_dl.kernels.namespace import device_of, namespace_of, to_float
from skopt_dl.linops.aside import decomposed, eigh, thin_qr, thin_svd
from skopt_dl.linops.products import gram

# How many more eigenvectors a sketch looks for than mattered last, and at least how many.
GROWTH, LEAST_COUNT = 1.25, 8


class Side(ABC):
    r"""A running mean M of products, and the solution of :math:`(M + \gamma I) Z = V`.

    Attributes
    ----------
    trace : 0-d array
        The trace of M, for the share of the damping that each side gets, as the last `refresh` knew
        it.
    inverse : array of shape (size, size), optional
        :math:`(M + \gamma I)^{-1}`, where it is formed.
    """

    trace: Any = 0.0
    inverse: Any = None

    @abstractmethod
    def add(self, X: Any, decay: float) -> None:
        """``M = decay M + (1 - decay) X'X``; the first time ``X'X``."""

    @abstractmethod
    def refresh(self, rng: Any) -> None:
        """Bring what systems are solved with up to date."""

    @abstractmethod
    def damp(self, gamma: Any) -> None:
        r"""Set the :math:`\gamma` of `solve`, to be set again after each `refresh`."""

    @abstractmethod
    def solve(self, V: Any) -> Any:
        """``(M + gamma I)^-1 V``."""

    @abstractmethod
    def apply(self, V: Any) -> Any:
        """``M V``."""


class WholeSide(Side):
    """M itself."""

    def __init__(self) -> None:
        self.M: Any = None

    def add(self, X: Any, decay: float) -> None:
        self.M = mean_of_products(self.M, X, decay)

    def solve(self, V: Any) -> Any:
        return self.inverse @ V

    def apply(self, V: Any) -> Any:
        return self.M @ V


class DenseSide(WholeSide):
    """The damped inverse, made for each damping anew: of matrices of some hundred rows six cost
    what their eigenvectors do."""

    def refresh(self, rng: Any) -> None:
        xp = namespace_of(self.M)
        self.trace = xp.linalg.trace(self.M)
        self.seen = xp.asarray(self.M, copy=True)

    def damp(self, gamma: Any) -> None:
        self.inverse = decomposed(kernels_of(self.seen).damped_inverse, self.seen, gamma)


class EigenSide(WholeSide):
    """All eigenvectors, and the damped inverse from them."""

    def __init__(self) -> None:
        super().__init__()
        self.D: Any = None
        self.U: Any = None

    def refresh(self, rng: Any) -> None:
        xp = namespace_of(self.M)
        self.trace = xp.linalg.trace(self.M)
        D, self.U = eigh(self.M)
        self.D = xp.clip(D, 0, None)

    def damp(self, gamma: Any) -> None:
        self.inverse = (self.U / (self.D + gamma)) @ self.U.T


class SketchedSide(Side):
    r"""M and its largest eigenvectors, which each `refresh` finds by a randomised range finder.

    .. math::

        (M + \gamma I)^{-1} \approx U \big((D + \gamma)^{-1} - \gamma^{-1}\big) U' + \gamma^{-1} I

    so what the rank leaves out counts as 0: an error of
    :math:`\lambda_{r+1} / (\lambda_{r+1} + \gamma)`, relative to :math:`1/\gamma`.

    Parameters
    ----------
    rank, oversampling, power : int
        Eigenvectors kept at most, random directions beyond them, and products with M that sharpen
        them.
    error : float
        Eigenvectors whose loss would be an error below this are not looked for, as far as those of
        the last refresh and the last damping tell; 0 for ``rank`` of them always.

    References
    ----------
    N. Halko, P. Martinsson, J. Tropp, "Finding structure with randomness", SIAM Review 53 (2011).
    """

    def __init__(
        self, rank: int, oversampling: int = 10, power: int = 3, error: float = 0.0
    ) -> None:
        self.rank, self.oversampling, self.power = rank, oversampling, power
        self.error = error
        self.M: Any = None
        self.D: Any = None
        self.U: Any = None
        self.gamma: Any = None
        self.found: Any = None

    def refresh(self, rng: Any) -> None:
        self.trace = namespace_of(self.M).linalg.trace(self.M)
        self.D, self.U = largest_eigenvectors(
            self.M, self._count(), rng, oversampling=self.oversampling, power=self.power
        )
        self.found = self.D

    def _count(self) -> int:
        """How many eigenvectors to look for: a quarter more than mattered, twice as many where all
        did."""
        if self.found is None or self.gamma is None or self.error == 0:
            return self.rank
        least = self.error / (1 - self.error) * self.gamma
        xp = namespace_of(self.found)
        above = xp.astype(self.found > least, self.found.dtype)
        mattered, known = int(to_float(xp.sum(above))), self.found.shape[0]
        count = 2 * known if mattered == known else math.ceil(GROWTH * mattered)
        return min(self.rank, max(LEAST_COUNT, count))

    def damp(self, gamma: Any) -> None:
        self.gamma = gamma

    def solve(self, V: Any) -> Any:
        return low_rank_solve(self.U, self.D, V, self.gamma)

    def apply(self, V: Any) -> Any:
        return self.M @ V


class RandomizedSide(SketchedSide):
    """The eigenvectors stay as they are between two refreshes.

    References
    ----------
    C. Puiu, "Randomized K-FACs: speeding up K-FAC with randomized numerical linear algebra" (2022).
    """

    def add(self, X: Any, decay: float) -> None:
        self.M = mean_of_products(self.M, X, decay)


class BrandRandomizedSide(SketchedSide):
    """Each addition updates the eigenvectors as that of `BrandSide` does; with each refresh what
    was cut off is there again.

    References
    ----------
    C. Puiu, "Brand new K-FACs: speeding up K-FAC with online decomposition updates" (2022).
    """

    def add(self, X: Any, decay: float) -> None:
        self.M = mean_of_products(self.M, X, decay)
        self.D, self.U = with_rows(self.D, self.U, X, decay, self.rank)


class BrandSide(Side):
    """The largest eigenvectors alone; M is never formed, and each addition updates them exactly
    before the smallest are cut off.

    Parameters
    ----------
    rank : int
        Eigenvectors kept.

    References
    ----------
    M. Brand, "Fast low-rank modifications of the thin singular value decomposition", Linear Algebra
    Appl. 415 (2006); C. Puiu, "Brand new K-FACs: speeding up K-FAC with online decomposition
    updates" (2022).
    """

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.D: Any = None
        self.U: Any = None
        self.gamma: Any = None

    def add(self, X: Any, decay: float) -> None:
        total = namespace_of(X).sum(X * X)
        self.trace = total if self.U is None else decay * self.trace + (1 - decay) * total
        self.D, self.U = with_rows(self.D, self.U, X, decay, self.rank)

    def refresh(self, rng: Any) -> None:
        """Nothing to do: the eigenvectors are those of the last addition."""

    def damp(self, gamma: Any) -> None:
        self.gamma = gamma

    def solve(self, V: Any) -> Any:
        return low_rank_solve(self.U, self.D, V, self.gamma)

    def apply(self, V: Any) -> Any:
        return self.U @ (self.D[:, None] * (self.U.T @ V))


def largest_eigenvectors(
    M: Any, rank: int, rng: Any, *, oversampling: int, power: int
) -> tuple[Any, Any]:
    """``rank`` eigenvalues of M and their vectors by a randomised range finder."""
    xp, m = namespace_of(M), M.shape[0]
    wide = min(m, rank + oversampling)
    Q = xp.asarray(rng.standard_normal((m, wide)), dtype=M.dtype, device=device_of(M))
    for _ in range(1 + power):
        Q, _ = thin_qr(M @ Q)
    core = Q.T @ (M @ Q)
    D, S = eigh((core + core.T) / 2)
    keep = slice(max(0, wide - rank), None)
    return xp.clip(D[keep], 0, None), Q @ S[:, keep]


def with_rows(D: Any, U: Any, X: Any, decay: float, rank: int) -> tuple[Any, Any]:
    """The largest eigenvalues and vectors of ``decay U diag(D) U' + (1 - decay) X'X``, of ``X'X``
    where there is no U yet."""
    xp, rows = namespace_of(X), X
    if U is not None:
        old = (decay * D) ** 0.5
        rows = xp.concat([old[:, None] * U.T, (1 - decay) ** 0.5 * X])
    # Of rows' rows the eigenvectors are the right singular vectors, by the smaller side.
    _, s, Vt = thin_svd(rows)
    keep = min(rank, s.shape[0])
    return s[:keep] ** 2, Vt[:keep, :].T


def low_rank_solve(U: Any, D: Any, V: Any, gamma: Any) -> Any:
    """``(U diag(D) U' + gamma I)^-1 V`` for orthonormal columns U."""
    return V / gamma + U @ ((1 / (D + gamma) - 1 / gamma)[:, None] * (U.T @ V))


def mean_of_products(M: Any, X: Any, decay: float) -> Any:
    """``decay M + (1 - decay) X'X``, in place; ``X'X`` where there is no M yet."""
    if M is None:
        return gram(X)
    return kernels_of(X).matrix_product(X, X, M, True, False, 1 - decay, decay)
