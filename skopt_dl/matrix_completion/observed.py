r"""The observed entries of a matrix and their weights, in the two layouts that pay.

`Masked` keeps full arrays and computes by dense products, on any namespace; `Entries` keeps the
observed entries alone, in CSR order. Both answer the same few questions, so that the objective is
written once. "Entry values" below are arrays in the layout of the values themselves: ``(m, n)`` for
`Masked`, ``(q,)`` for `Entries`.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, Self

from skopt_dl.kernels import KernelSet, bind
from skopt_dl.kernels.namespace import device_of, is_numpy, namespace_of

# From this observed share on dense products beat the gathers of `Entries`, which reach about a
# tenth of their speed.
DENSE_FROM = 0.15


class ObservedMatrix(ABC):
    """Observed entries of an ``m x n`` matrix.

    Attributes
    ----------
    values, weights : arrays of entry values
        The entries and their positive weights; both are zero where nothing is observed.
    shape : tuple of int
        ``(m, n)``.
    n_entries : int
        Number of observed entries q.
    total : 0-d array
        Sum of the weights.
    row_weight, col_weight : arrays of shape (m,) and (n,)
        Sums of the weights by row and by column, zero for one without entries.
    xp, dtype, device, kernels
        Where and by what it is computed.
    """

    xp: Any
    values: Any
    weights: Any
    shape: tuple[int, int]
    n_entries: int
    total: Any
    row_weight: Any
    col_weight: Any
    kernels: KernelSet

    @abstractmethod
    def products(self, L: Any, R: Any) -> Any:
        """Entry values of ``L R'``."""

    @abstractmethod
    def matrix(self, E: Any) -> Any:
        """The ``m x n`` matrix of the entry values ``E`` times the weights, for products."""

    @abstractmethod
    def matrix_t(self, E: Any) -> Any:
        """The transpose of `matrix`, an ``n x m`` matrix."""

    @abstractmethod
    def entries(self, index: Any) -> tuple[Any, Any, Any, Any]:
        """``(rows, cols, values, weights)`` of the entries ``index``, numbered 0 .. q-1."""

    @property
    def dtype(self) -> Any:
        """The floating dtype of everything computed from it."""
        return self.values.dtype

    @property
    def device(self) -> Any:
        """The device of its arrays."""
        return device_of(self.values)

    def dot(self, E: Any, D: Any) -> Any:
        """``sum of weights * E * D``, a 0-d array."""
        return self.xp.sum(self.weights * E * D)

    def mean(self) -> Any:
        """Weighted mean of the values, a 0-d array."""
        return self.xp.sum(self.weights * self.values) / self.total

    def shifted(self, offset: Any) -> Self:
        """The same entries with ``offset`` subtracted from each value."""
        other = copy.copy(self)
        observed = self.weights > 0
        zero = self.xp.zeros_like(self.values)
        other.values = self.xp.where(observed, self.values - offset, zero)
        return other


class Masked(ObservedMatrix):
    """All cells of the matrix, with weight zero where nothing is observed.

    Parameters
    ----------
    values, weights : arrays of shape (m, n)
        Finite everywhere; zero where nothing is observed.
    """

    def __init__(self, values: Any, weights: Any) -> None:
        xp = self.xp = namespace_of(values)
        self.values, self.weights, self.shape = values, weights, values.shape
        self.row_weight = xp.sum(weights, axis=1)
        self.col_weight = xp.sum(weights, axis=0)
        self.total = xp.sum(weights)
        self.n_entries = int(xp.sum(xp.astype(weights > 0, xp.int64)))
        self.kernels = bind(xp, values.dtype, "dense")

    def products(self, L: Any, R: Any) -> Any:
        return L @ R.T

    def matrix(self, E: Any) -> Any:
        return self.weights * E

    def matrix_t(self, E: Any) -> Any:
        return (self.weights * E).T

    @cached_property
    def _cells(self) -> Any:
        """Number of the cell (row by row) of each observed entry."""
        return self.xp.nonzero(self.xp.reshape(self.weights, (-1,)))[0]

    def entries(self, index: Any) -> tuple[Any, Any, Any, Any]:
        xp = self.xp
        cells = xp.take(self._cells, index)
        values = xp.take(xp.reshape(self.values, (-1,)), cells)
        weights = xp.take(xp.reshape(self.weights, (-1,)), cells)
        return cells // self.shape[1], cells % self.shape[1], values, weights


class Entries(ObservedMatrix):
    """The observed entries alone; one position may have several.

    Parameters
    ----------
    pattern : sparse matrix in CSR format
        Of SciPy or CuPy; its stored data are the values. Stored zeros count.
    weights : array of shape (q,)
        Positive weights, in the order of the stored data.
    """

    def __init__(self, pattern: Any, weights: Any) -> None:
        xp = self.xp = namespace_of(weights)
        self._csr, self.shape = type(pattern), pattern.shape
        self.values, self.weights = pattern.data, weights
        self.cols, self._ptr = pattern.indices, pattern.indptr
        m, n = self.shape
        self.n_entries = weights.shape[0]
        self.rows = xp.repeat(xp.arange(m, dtype=self.cols.dtype), self._ptr[1:] - self._ptr[:-1])
        # The order of the entries by columns; as floats, which every sparse library can carry.
        order = self._csr((xp.arange(self.n_entries, dtype=xp.float64), self.cols, self._ptr), (m, n))
        by_column = order.tocsc()
        self._order = by_column.data.astype(xp.int64)
        self._rows_t, self._ptr_t = by_column.indices, by_column.indptr
        self.kernels = bind(xp, weights.dtype, "sparse")
        ones = xp.ones((self.n_entries, 1), dtype=weights.dtype) * weights[:, None]
        self.row_weight = self.kernels.segment_sum(ones, self.rows, m)[:, 0]
        self.col_weight = self.kernels.segment_sum(ones, self.cols, n)[:, 0]
        self.total = xp.sum(weights)

    def products(self, L: Any, R: Any) -> Any:
        return self.kernels.entry_products(self.rows, self.cols, L, R)

    def matrix(self, E: Any) -> Any:
        return self._csr((self.weights * E, self.cols, self._ptr), self.shape)

    def matrix_t(self, E: Any) -> Any:
        data = self.xp.take(self.weights * E, self._order)
        return self._csr((data, self._rows_t, self._ptr_t), self.shape[::-1])

    def entries(self, index: Any) -> tuple[Any, Any, Any, Any]:
        take = self.xp.take
        arrays = (self.rows, self.cols, self.values, self.weights)
        return tuple(take(a, index) for a in arrays)  # type: ignore[return-value]


def observe(X: Any, missing: float, row_weight: Any = None) -> ObservedMatrix:
    """The observed entries of a validated matrix.

    Parameters
    ----------
    X : array or CSR matrix of shape (m, n)
        Stored entries of a sparse matrix are the candidates, stored zeros included.
    missing : float
        Candidates equal to it are not observed (NaN equals NaN here).
    row_weight : array of shape (m,), optional
        Weight of every entry of a row; rows with weight zero are not observed.
    """
    if hasattr(X, "tocsr"):
        return _observe_sparse(X, missing, row_weight)
    xp = namespace_of(X)
    present = _present(X, missing)
    weights = xp.astype(present, X.dtype)
    if row_weight is not None:
        weights = weights * row_weight[:, None]
    values = xp.where(weights > 0, X, xp.zeros_like(X))
    if is_numpy(xp) and (weights > 0).mean() < DENSE_FROM:
        rows, cols = xp.nonzero(weights)
        return entries_of(rows, cols, values[rows, cols], weights[rows, cols], X.shape)
    return Masked(values, weights)


def _observe_sparse(X: Any, missing: float, row_weight: Any) -> ObservedMatrix:
    X = X.tocsr()
    xp = namespace_of(X.data)
    rows = xp.repeat(xp.arange(X.shape[0], dtype=X.indices.dtype), X.indptr[1:] - X.indptr[:-1])
    weights = xp.astype(_present(X.data, missing), X.dtype)
    if row_weight is not None:
        weights = weights * row_weight[rows]
    kept = weights > 0
    return entries_of(rows[kept], X.indices[kept], X.data[kept], weights[kept], X.shape, type(X))


def entries_of(
    rows: Any, cols: Any, values: Any, weights: Any, shape: tuple[int, int], csr: Any = None
) -> Entries:
    """`Entries` from coordinates in any order; repeated positions stay apart.

    Parameters
    ----------
    rows, cols, values, weights : arrays of shape (q,)
        The entries.
    shape : tuple of int
        Shape of the matrix.
    csr : type, optional
        CSR class to compute with; SciPy's where it is not given.
    """
    if csr is None:
        from scipy.sparse import csr_array as csr
    xp = namespace_of(values)
    order = xp.argsort(rows, stable=True) if is_numpy(xp) else xp.argsort(rows)
    counts = xp.bincount(rows, minlength=shape[0])
    # One integer type for all positions, the narrow one where it suffices.
    wide = max(*shape, rows.shape[0]) >= 2**31
    dtype = xp.int64 if wide else xp.int32
    ptr = xp.concatenate([xp.zeros(1, dtype=counts.dtype), xp.cumsum(counts)]).astype(dtype)
    pattern = csr((values[order], cols[order].astype(dtype), ptr), shape)
    return Entries(pattern, weights[order])


def _present(a: Any, missing: float) -> Any:
    xp = namespace_of(a)
    return ~xp.isnan(a) if missing != missing else a != missing
