r"""The gathered columns of a working set, :math:`B = \Omega^{1/2}(X_W - 1 m_W')`, in float64.

A dense design's columns are copied, centred and scaled; a sparse design's stay sparse, and the
mean is corrected for by terms of rank one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels import kernels_of
from skopt_dl.kernels.bind import bind
from skopt_dl.kernels.namespace import is_numpy


class DenseColumns:
    """Columns of a dense design in one growing buffer.

    Parameters
    ----------
    base : Dense
        The raw design.
    root : array of shape (n,)
        Square roots of the sample weights, float64.
    mean : array of shape (p,) or None
        Column means to subtract.
    """

    def __init__(self, base: Any, root: Any, mean: Any) -> None:
        self.base, self.root, self.mean, self.xp = base, root, mean, base.xp
        self.size = 0
        self._buffer: Any = None

    def append(self, chosen: Any) -> Any:
        """Take the columns ``chosen``; their inner products with all columns taken so far."""
        xp, m, k = self.xp, self.size, int(chosen.shape[0])
        self._reserve(m + k)
        self.size = m + k
        new = self._buffer[m : m + k, :]
        new[:, :] = xp.astype(self.base.take_columns(chosen).to_dense().T, xp.float64, copy=False)
        if self.mean is not None:
            new -= xp.astype(xp.take(self.mean, chosen), xp.float64, copy=False)[:, None]
        new *= self.root
        return self._inner_products(m, new)

    def _inner_products(self, m: int, new: Any) -> Any:
        """``B' B_new`` of all columns, of which ``m`` were there before."""
        kernels = kernels_of(new)
        if not is_numpy(self.xp) or not (m + new.shape[0]) * new.size:
            return self._buffer[: m + new.shape[0], :] @ new.T
        cross = np.empty((m + new.shape[0], new.shape[0]))
        cross[m:, :] = kernels.inner_products(new.T)
        if m:
            kernels.matrix_product(self._buffer[:m, :], new, cross[:m, :], False, True)
        return cross

    def _reserve(self, size: int) -> None:
        # A row of the buffer is a column of B: appended and multiplied contiguously. It begins at
        # what is asked for, as two columns may be all that there are, and doubles from there.
        if self._buffer is not None and size <= self._buffer.shape[0]:
            return
        xp, room = self.xp, min(self.base.shape[1], max(size, 2 * self.size))
        buffer = xp.zeros((room, self.base.shape[0]), dtype=xp.float64, device=self.root.device)
        if self.size:
            buffer[: self.size, :] = self._buffer[: self.size, :]
        self._buffer = buffer

    def product(self, used: Any, W: Any) -> Any:
        """``B[:, used] W`` of columns in increasing order."""
        everything = used.shape[0] == self.size
        rows = (
            self._buffer[: self.size, :] if everything else self.xp.take(self._buffer, used, axis=0)
        )
        return rows.T @ W

    def inner(self, v: Any) -> Any:
        """``B' v``."""
        return self._buffer[: self.size, :] @ v


class SparseColumns:
    """Columns of a sparse design, never densified.

    Parameters are those of `DenseColumns`.
    """

    def __init__(self, base: Any, root: Any, mean: Any) -> None:
        self.base, self.root, self.mean, self.xp = base, root, mean, base.xp
        self.size = 0
        self._X: Any = None
        self._m: Any = None
        self._chosen: Any = None

    def append(self, chosen: Any) -> Any:
        """Take the columns ``chosen``; their inner products with all columns taken so far."""
        xp = self.xp
        self._chosen = chosen if self.size == 0 else xp.concat([self._chosen, chosen])
        new = self.base.take_columns(chosen).X.astype(xp.float64)
        self._X = self.base.take_columns(self._chosen).X.astype(xp.float64)
        self.size = int(self._chosen.shape[0])
        weights = self.root**2
        kernels = bind(xp, xp.float64, self.base.layout)
        cross = kernels.sparse_products(self._X, weights, new.tocsr())
        if self.mean is not None:
            # sum(weights) m = X' weights, so each of the three rank-one terms is this one.
            self._m = xp.astype(xp.take(self.mean, self._chosen), xp.float64)
            cross -= xp.sum(weights) * self._m[:, None] * self._m[-int(chosen.shape[0]) :]
        return cross

    def product(self, used: Any, W: Any) -> Any:
        """``B[:, used] W`` of columns in increasing order."""
        Z = self._X[:, used] @ W
        if self._m is not None:
            Z = Z - self._m[used] @ W
        return self.root[:, None] * Z

    def inner(self, v: Any) -> Any:
        """``B' v``."""
        scaled = self.root * v
        out = self._X.T @ scaled
        return out if self._m is None else out - self._m * self.xp.sum(scaled)


def columns_in_place(base: Any, index: Any) -> Any:
    """The columns ``index`` of a design, for products with their transpose.

    Where each lies in one piece they are read where they are; else they are gathered.
    """
    if base.layout == "dense" and is_numpy(base.xp) and base.X.flags.f_contiguous:
        return _ColumnsInPlace(base, index)
    return base.take_columns(index)


class _ColumnsInPlace:
    """Columns of a NumPy array in Fortran's order, of which none is copied."""

    layout = "dense"

    def __init__(self, base: Any, index: Any) -> None:
        self.X, self.index, self.xp = base.X, index, base.xp
        self.shape = (base.shape[0], index.shape[0])

    def rmatvec(self, r: Any) -> Any:
        """``X' r`` of few vectors."""
        return kernels_of(self.X).column_dots(self.X, r, self.index)
