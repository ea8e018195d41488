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
from typing import Any, ClassVar, Self

from skopt_dl.kernels import KernelSet, bind
from skopt_dl.kernels.namespace import device_of, is_numpy, namespace_of

# From this observed share on dense products and one number per cell beat the gathers of `Entries`
# (5000 x 400, k = 15: level at about one half, which is where the memory is level, too).
DENSE_FROM = 0.5


class ObservedMatrix(ABC):
    """Observed entries of an ``m x n`` matrix.

    Attributes
    ----------
    values, weights : arrays of entry values
        The entries and their non-negative weights; both are zero where nothing is observed.
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
    n_threads : int
        Threads of the compiled kernels; results do not depend on it.
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
    n_threads: int = 1
    layout: ClassVar[str]

    @abstractmethod
    def products(self, L: Any, R: Any) -> Any:
        """Entry values of ``L R'``."""

    @abstractmethod
    def matrix(self, E: Any) -> Any:
        """The ``m x n`` matrix of the entry values ``E`` times the weights, for products."""

    @abstractmethod
    def matrix_t(self, E: Any) -> Any:
        """The transpose of `matrix`, an ``n x m`` matrix."""

    def masked(self, A: Any, B: Any, F: Any) -> Any:
        """``(weights * (A B')) F`` for factors A (of the rows) and B, F (of the columns)."""
        return self.kernels.masked_product(self.pattern, A, B, F, self.n_threads)

    def masked_t(self, A: Any, B: Any, F: Any) -> Any:
        """``(weights * (A B'))' F`` for factors A, F (of the rows) and B (of the columns)."""
        return self.kernels.masked_product(self.pattern_t, B, A, F, self.n_threads)

    def gram_rows(self, F: Any) -> Any:
        """``sum_j weight_ij f_j f_j'`` for each row i, an array of shape (m, k, k)."""
        return self.kernels.gram_rows(self.pattern, F)

    def gram_cols(self, F: Any) -> Any:
        """The same for each column, with features of the rows."""
        return self.kernels.gram_rows(self.pattern_t, F)

    @cached_property
    def pattern(self) -> Any:
        """The ``m x n`` matrix of the weights, for products."""
        return self.matrix(self.xp.ones_like(self.values))

    @cached_property
    def pattern_t(self) -> Any:
        """Its transpose."""
        return self.matrix_t(self.xp.ones_like(self.values))

    @abstractmethod
    def entries(self, index: Any) -> tuple[Any, Any, Any, Any]:
        """``(rows, cols, values, weights)`` of the entries ``index``, numbered 0 .. q-1."""

    @abstractmethod
    def filled(self, M: Any) -> Any:
        """The full array ``M`` with the observed cells in their places."""

    @abstractmethod
    def _row_ranks(self, keys: Any) -> Any:
        """Entry values: how many entries of the same row have a smaller key."""

    @abstractmethod
    def _sums(self) -> tuple[Any, Any]:
        """Sums of the weights by row and by column."""

    def _measure(self) -> None:
        self.row_weight, self.col_weight = self._sums()
        self.total = self.xp.sum(self.weights)

    @property
    def dtype(self) -> Any:
        """The floating dtype of everything computed from it."""
        return self.values.dtype

    @property
    def device(self) -> Any:
        """The device of its arrays."""
        return device_of(self.values)

    @cached_property
    def uniform(self) -> bool:
        """Whether all observed entries have weight one."""
        return not bool(self.xp.any((self.weights != 0) & (self.weights != 1)))

    def dot(self, E: Any, D: Any) -> Any:
        """``sum of weights * E * D``, a 0-d array."""
        return self.xp.sum(self.weights * E * D)

    def mean(self) -> Any:
        """Weighted mean of the values, a 0-d array."""
        return self.xp.sum(self.weights * self.values) / self.total

    def shifted(self, offset: Any) -> Self:
        """The same entries with ``offset`` subtracted from each value."""
        other, xp = copy.copy(self), self.xp
        other.values = xp.where(self.weights > 0, self.values - offset, xp.zeros_like(self.values))
        return other

    def converted(self, dtype: str) -> Self:
        """The same entries in another floating dtype."""
        other, xp = copy.copy(self), self.xp
        kind = getattr(xp, dtype)
        for name in ("values", "weights", "row_weight", "col_weight", "total"):
            setattr(other, name, xp.astype(xp.asarray(getattr(self, name)), kind))
        other.kernels = bind(xp, other.values.dtype, self.layout)
        for name in ("pattern", "pattern_t"):
            vars(other).pop(name, None)
        return other

    def divided(self, unit: Any) -> Self:
        """The same entries, those of each column divided by its ``unit``."""
        other, xp = copy.copy(self), self.xp
        one = xp.ones((self.shape[0], 1), dtype=self.dtype, device=self.device)
        other.values = self.values / self.products(one, unit[:, None])
        return other

    def column_deviations(self) -> Any:
        """Weighted standard deviation of each column; one where it is zero or nothing is known."""
        xp, ones = self.xp, self.xp.ones_like(self.row_weight)
        safe = xp.where(self.col_weight > 0, self.col_weight, xp.ones_like(self.col_weight))
        centre = (self.matrix_t(self.values) @ ones) / safe
        one = xp.ones((self.shape[0], 1), dtype=self.dtype, device=self.device)
        E = self.values - self.products(one, centre[:, None])
        spread = xp.sqrt((self.matrix_t(E * E) @ ones) / safe)
        return xp.where(spread > 0, spread, xp.ones_like(spread))

    def without(self, hidden: Any) -> Self:
        """The same entries with the weights ``hidden`` taken away from theirs."""
        kept = copy.copy(self)
        for name in ("pattern", "pattern_t", "uniform"):
            vars(kept).pop(name, None)
        kept.weights = self.weights - hidden
        kept._measure()
        return kept

    def hide(self, share: float) -> tuple[Self, Any]:
        """Hide a share of each row, at least one entry of two or more.

        Which entries is a pseudo-random function of their positions alone: the same ones at every
        call, in every layout and on every device.

        Parameters
        ----------
        share : float
            Share of each row's entries.

        Returns
        -------
        kept : ObservedMatrix
            The same entries with weight zero where they are hidden.
        hidden : array of entry values
            The weights of the hidden entries, zero elsewhere.
        """
        xp = self.xp
        present = xp.astype(self.weights > 0, self.dtype)
        count = self._per_row(present)
        wanted = xp.where(count > 1, xp.maximum(xp.round(share * count), xp.ones_like(count)), 0.0)
        ranks = xp.astype(self._row_ranks(self._keys()), self.dtype)
        hidden = xp.where(ranks < self._spread(wanted), self.weights, xp.zeros_like(self.weights))
        return self.without(hidden), hidden

    def folds(self, n: int, seed: int) -> Any:
        """Entry values 0 .. n-1: which part each entry belongs to, with each row spread evenly.

        A pseudo-random function of the positions and the seed, as in `hide`.
        """
        xp, rows = self.xp, self._positions()[0]
        ranks = xp.astype(self._row_ranks(self._keys(seed)), self.dtype)
        return xp.remainder(ranks + xp.astype(rows, self.dtype), n)

    def _keys(self, seed: int = 0) -> Any:
        """Pseudo-random entry values in [0, 1): the digits of a sine far behind the point."""
        xp = self.xp
        rows, cols = (xp.astype(a, xp.float64) for a in self._positions())
        phase = 0.618034 * (seed % 65536)
        noise = 43758.5453 * xp.sin(12.9898 * (rows + 1.0) + 78.233 * (cols + 1.0) + phase)
        return noise - xp.floor(noise)

    @abstractmethod
    def _positions(self) -> tuple[Any, Any]:
        """Row and column numbers, arrays that broadcast to entry values."""

    @abstractmethod
    def _per_row(self, E: Any) -> Any:
        """Sums of entry values by row, without the weights."""

    @abstractmethod
    def _spread(self, a: Any) -> Any:
        """Entry values (or an array that broadcasts to them) of one number per row."""


class Masked(ObservedMatrix):
    """All cells of the matrix, with weight zero where nothing is observed.

    Parameters
    ----------
    values, weights : arrays of shape (m, n)
        Finite everywhere; zero where nothing is observed.
    """

    layout = "dense"

    def __init__(self, values: Any, weights: Any) -> None:
        xp = self.xp = namespace_of(values)
        self.values, self.weights, self.shape = values, weights, values.shape
        self._measure()
        self.n_entries = int(xp.sum(xp.astype(weights > 0, xp.int64)))
        self.kernels = bind(xp, values.dtype, self.layout)

    def _sums(self) -> tuple[Any, Any]:
        return self.xp.sum(self.weights, axis=1), self.xp.sum(self.weights, axis=0)

    def _positions(self) -> tuple[Any, Any]:
        rows, cols = (self.xp.arange(size, device=self.device) for size in self.shape)
        return rows[:, None], cols[None, :]

    def _per_row(self, E: Any) -> Any:
        return self.xp.sum(E, axis=1)

    def _spread(self, a: Any) -> Any:
        return a[:, None]

    def _row_ranks(self, keys: Any) -> Any:
        xp = self.xp
        keys = xp.where(self.weights > 0, keys, xp.full_like(keys, 2.0))
        return xp.argsort(xp.argsort(keys, axis=1), axis=1)

    def products(self, L: Any, R: Any) -> Any:
        return L @ R.T

    def matrix(self, E: Any) -> Any:
        return self.weights * E

    def matrix_t(self, E: Any) -> Any:
        return (self.weights * E).T

    def filled(self, M: Any) -> Any:
        return self.xp.where(self.weights > 0, self.values, M)

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
        Their weights, in the order of the stored data.
    """

    layout = "sparse"

    def __init__(self, pattern: Any, weights: Any) -> None:
        xp = self.xp = namespace_of(weights)
        self._csr, self.shape = type(pattern), pattern.shape
        self.values, self.weights = pattern.data, weights
        self.cols, self._ptr = pattern.indices, pattern.indptr
        m, n = self.shape
        self.n_entries = weights.shape[0]
        self.rows = xp.repeat(xp.arange(m, dtype=self.cols.dtype), self._ptr[1:] - self._ptr[:-1])
        # The order of the entries by columns; as floats, which every sparse library can carry.
        order = self._csr(
            (xp.arange(self.n_entries, dtype=xp.float64), self.cols, self._ptr), (m, n)
        )
        by_column = order.tocsc()
        self._order = by_column.data.astype(xp.int64)
        self._rows_t, self._ptr_t = by_column.indices, by_column.indptr
        self.kernels = bind(xp, weights.dtype, self.layout)
        self._measure()

    def _sums(self) -> tuple[Any, Any]:
        add, each = self.kernels.segment_sum, self.weights[:, None]
        return add(each, self.rows, self.shape[0])[:, 0], add(each, self.cols, self.shape[1])[:, 0]

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
        place = xp.arange(self.n_entries) - xp.take(self._ptr, self.rows)
        return xp.take(place, xp.argsort(order))

    def products(self, L: Any, R: Any) -> Any:
        return self.kernels.entry_products(self.rows, self.cols, L, R)

    def filled(self, M: Any) -> Any:
        M = self.xp.asarray(M, copy=True)
        M[self.rows, self.cols] = self.values
        return M

    def matrix(self, E: Any) -> Any:
        return self._csr((self.weights * E, self.cols, self._ptr), self.shape)

    def matrix_t(self, E: Any) -> Any:
        data = self.xp.take(self.weights * E, self._order)
        return self._csr((data, self._rows_t, self._ptr_t), self.shape[::-1])

    def entries(self, index: Any) -> tuple[Any, Any, Any, Any]:
        take = self.xp.take
        arrays = (self.rows, self.cols, self.values, self.weights)
        return tuple(take(a, index) for a in arrays)


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
        sorted_ = sorted_entries(rows, cols, values[rows, cols], weights[rows, cols], X.shape)
        return Entries(*sorted_)
    return Masked(values, weights)


def _observe_sparse(X: Any, missing: float, row_weight: Any) -> ObservedMatrix:
    X = X.tocsr()
    xp = namespace_of(X.data)
    rows = xp.repeat(xp.arange(X.shape[0], dtype=X.indices.dtype), X.indptr[1:] - X.indptr[:-1])
    weights = xp.astype(_present(X.data, missing), X.dtype)
    if row_weight is not None:
        weights = weights * row_weight[rows]
    kept = weights > 0
    coordinates = (rows[kept], X.indices[kept], X.data[kept], weights[kept])
    return Entries(*sorted_entries(*coordinates, X.shape, type(X)))


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
    order = xp.argsort(rows, stable=True) if is_numpy(xp) else xp.argsort(rows)
    counts = xp.bincount(rows, minlength=shape[0])
    # One integer type for all positions, the narrow one where it suffices.
    wide = max(*shape, rows.shape[0]) >= 2**31
    dtype = xp.int64 if wide else xp.int32
    ptr = xp.concatenate([xp.zeros(1, dtype=counts.dtype), xp.cumsum(counts)]).astype(dtype)
    return csr((values[order], cols[order].astype(dtype), ptr), shape), weights[order]


def _present(a: Any, missing: float) -> Any:
    xp = namespace_of(a)
    return ~xp.isnan(a) if missing != missing else a != missing
