"""A partly observed matrix as its observed entries alone, in CSR order."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any, Self

from skopt_dl.kernels import bind
from skopt_dl.kernels.generic_observed import row_blocks
from skopt_dl.kernels.namespace import is_numpy, namespace_of
from skopt_dl.linops.aside import argsort
from skopt_dl.matrix_completion.observed import ObservedMatrix


class Entries(ObservedMatrix):
    """The observed entries alone; one position may have several.

    Parameters
    ----------
    pattern : sparse matrix in CSR format
        Of SciPy or CuPy; its stored data are the values. Stored zeros count.
    weights : array of shape (q,)
        Their weights, in the order of the stored data.
    """

    layout = "sparse"

    def __init__(self, pattern: Any, weights: Any) -> None:
        xp = self.xp = namespace_of(weights)
        self._csr, self.shape = type(pattern), pattern.shape
        self.values, self.weights = pattern.data, weights
        self.cols, self.ptr = pattern.indices, pattern.indptr
        self.n_entries = weights.shape[0]
        # The order of the entries by columns: their numbers, transposed as a matrix.
        numbers = xp.arange(self.n_entries, dtype=self._number_type())
        by_column = self._csr((numbers, self.cols, self.ptr), self.shape).tocsc()
        self._order = by_column.data.astype(integer_for(xp, self.n_entries), copy=False)
        self._rows_t, self._ptr_t = by_column.indices, by_column.indptr
        self.kernels = bind(xp, weights.dtype, self.layout)
        self._measure()

    def _number_type(self) -> Any:
        """Of numbers that a sparse matrix can carry: SciPy's integers, floats elsewhere."""
        xp = self.xp
        return integer_for(xp, self.n_entries) if is_numpy(xp) else xp.float64

    @cached_property
    def rows(self) -> Any:
        """The row of each entry; made for those who ask, the passes over the entries do not."""
        numbers = self.xp.arange(self.shape[0], dtype=self.cols.dtype)
        return self.xp.repeat(numbers, self.ptr[1:] - self.ptr[:-1])

    @cached_property
    def _plain(self) -> bool:
        """Whether every weight is one: then they need no products, and one array of them does."""
        return bool(self.xp.all(self.weights == 1))

    def _weighted(self, E: Any) -> Any:
        return E if self._plain else self.weights * E

    def _sums(self) -> tuple[Any, Any]:
        m, n = (self.xp.ones(a, dtype=self.dtype, device=self.device) for a in self.shape)
        return self.pattern @ n, self.pattern_t @ m

    @cached_property
    def pattern(self) -> Any:
        return self._csr((self.weights, self.cols, self.ptr), self.shape)

    @cached_property
    def pattern_t(self) -> Any:
        weights = self.weights if self._plain else self.xp.take(self.weights, self._order)
        return self._csr((weights, self._rows_t, self._ptr_t), self.shape[::-1])

    def _positions(self) -> tuple[Any, Any]:
        return self.rows, self.cols

    def _per_row(self, E: Any) -> Any:
        return self.kernels.segment_sum(E[:, None], self.rows, self.shape[0])[:, 0]

    def _spread(self, a: Any) -> Any:
        return self.xp.take(a, self.rows)

    def _row_ranks(self, keys: Any) -> Any:
        # Sorted by row and, within it, by key: the place in the row's run is the rank.
        xp = self.xp
        order = xp.argsort(self.rows + keys)
        place = xp.arange(self.n_entries) - xp.take(self.ptr, self.rows)
        return xp.take(place, xp.argsort(order))

    def products(self, L: Any, R: Any) -> Any:
        return self.kernels.stored_products(self, L, R, self.n_threads)

    def filled(self, M: Any) -> Any:
        M = self.xp.asarray(M, copy=True)
        M[self.rows, self.cols] = self.values
        return M

    def matrix(self, E: Any) -> Any:
        return self._csr((self._weighted(E), self.cols, self.ptr), self.shape)

    def matrix_t(self, E: Any) -> Any:
        data = self.kernels.taken(self._weighted(E), self._order)
        return self._csr((data, self._rows_t, self._ptr_t), self.shape[::-1])

    def unweighted(self, E: Any) -> Any:
        if not self._plain:
            E = self.xp.where(self.weights > 0, E, self.xp.zeros_like(E))
        return self._csr((E, self.cols, self.ptr), self.shape)

    def dot(self, E: Any, D: Any) -> Any:
        # Block by block: no temporary as long as the entries.
        total = self.xp.zeros((), dtype=self.dtype, device=self.device)
        for block in (slice(*ends) for ends in row_blocks(self.n_entries, 1)):
            each = E[block] * D[block]
            total = total + self.xp.sum(each if self._plain else self.weights[block] * each)
        return total

    def shifted(self, offset: Any) -> Self:
        if not self._plain:
            return super().shifted(offset)
        other = copy.copy(self)
        other.values = self.values - offset
        return other

    def entries(self, index: Any) -> tuple[Any, Any, Any, Any]:
        take = self.xp.take
        arrays = (self.rows, self.cols, self.values, self.weights)
        return tuple(take(a, index) for a in arrays)


def sorted_entries(
    rows: Any, cols: Any, values: Any, weights: Any, shape: tuple[int, int], csr: Any = None
) -> tuple[Any, Any]:
    """``(pattern, weights)`` for `Entries` from coordinates in any order.

    Repeated positions stay apart. ``csr`` is the CSR class to use; SciPy's by default.
    """
    if csr is None:
        from scipy.sparse import csr_array

        csr = csr_array
    xp = namespace_of(values)
    order = argsort(rows)
    counts = xp.bincount(rows, minlength=shape[0])
    dtype = integer_for(xp, max(*shape, rows.shape[0]))
    ptr = xp.concatenate([xp.zeros(1, dtype=counts.dtype), xp.cumsum(counts)]).astype(dtype)
    return csr((values[order], cols[order].astype(dtype), ptr), shape), weights[order]


def narrowed(X: Any) -> Any:
    """A CSR matrix with one integer type for all positions; arrays that have it are shared."""
    xp = namespace_of(X.data)
    dtype = integer_for(xp, max(*X.shape, X.data.shape[0]))
    cols, ptr = (a.astype(dtype, copy=False) for a in (X.indices, X.indptr))
    return type(X)((X.data, cols, ptr), shape=X.shape)


def integer_for(xp: Any, largest: int) -> Any:
    """One integer type for all positions, the narrow one where it suffices."""
    return xp.int64 if largest >= 2**31 else xp.int32
