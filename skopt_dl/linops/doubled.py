"""A dense design in single precision that computes in double, a block of rows at a time.

A copy in double precision would take twice the memory of the data, which may be a mapped file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from skopt_dl.kernels.namespace import device_of, is_numpy, namespace_of
from skopt_dl.linops.base import LinearMap
from skopt_dl.linops.design import as_slice
from skopt_dl.linops.products import GRAM_PART, blocks_of, weighted_gram


def in_double(X: Any, origin: Any = None) -> Any:
    """``X - origin`` in float64; NumPy reads float32 in the same pass."""
    xp = namespace_of(X)
    if origin is None:
        return xp.astype(X, xp.float64)
    if is_numpy(xp):
        return np.subtract(X, origin, dtype=np.float64)
    return xp.astype(X, xp.float64) - origin


class Doubled(LinearMap):
    """``(X - 1 origin') w`` in float64, of an array in float32.

    Parameters
    ----------
    X : array of shape (n, p)
        Never copied as a whole.
    origin : array of shape (p,), optional
        What is subtracted from each column, in float64.
    """

    layout = "dense"

    def __init__(self, X: Any, origin: Any = None) -> None:
        self.X, self.origin, self.shape, self.xp = X, origin, X.shape, namespace_of(X)

    def block(self, rows: slice) -> Any:
        """Consecutive rows as an array."""
        return in_double(self.X[rows, :], self.origin)

    def _blocks(self) -> Iterator[tuple[slice, Any]]:
        return ((rows, self.block(rows)) for rows in blocks_of(*self.shape, GRAM_PART))

    def moved(self, origin: Any) -> Doubled:
        """The same data about ``origin``."""
        return Doubled(self.X, origin)

    def matvec(self, w: Any) -> Any:
        return self.xp.concat([B @ w for _, B in self._blocks()])

    def rmatvec(self, r: Any) -> Any:
        return self._sum(lambda rows, B: B.T @ r[rows, ...])

    def column_sums(self, weights: Any) -> Any:
        """``(X - 1 origin')' weights``."""
        return self.rmatvec(weights)

    def gram(self, weights: Any) -> Any:
        return self._sum(lambda rows, B: weighted_gram(B, weights[rows]))

    def column_squares(self, weights: Any) -> Any:
        return self._sum(lambda rows, B: (B**2).T @ weights[rows, ...])

    def _sum(self, part: Any) -> Any:
        # In place: a sum of p x p arrays that is made anew would take their memory twice.
        parts = (part(rows, B) for rows, B in self._blocks())
        total = next(parts)
        for each in parts:
            total += each
        return total

    def take_rows(self, index: Any) -> Doubled:
        # As `Dense.take_rows`.
        if is_numpy(self.xp):
            return Doubled(self.X[as_slice(index), :], self.origin)
        return Doubled(self.xp.take(self.X, index, axis=0), self.origin)

    def row_gram(self) -> Any:
        xp, (n, p) = self.xp, self.shape
        total = xp.zeros((n, n), dtype=xp.float64, device=device_of(self.X))
        for columns in blocks_of(p, n):
            origin = None if self.origin is None else self.origin[columns]
            B = in_double(self.X[:, columns], origin)
            total += B @ B.T
        return total

    def to_dense(self) -> Any:
        return in_double(self.X, self.origin)
