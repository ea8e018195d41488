"""The design matrix itself as a linear map: dense in any namespace, or sparse."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from skopt_dl.kernels import kernels_of
from skopt_dl.kernels.bind import bind
from skopt_dl.kernels.namespace import is_numpy, namespace_of
from skopt_dl.linops.base import LinearMap
from skopt_dl.linops.products import (
    by_columns,
    gram,
    is_few,
    leaves_cache,
    product,
    product_back,
    products_by_parts,
    reads_once,
    there_and_back,
    weighted_gram,
)

# A product with few nonzero coefficients reads their columns alone; those that lie in rows are
# gathered first. Milliseconds of products with all columns, a quarter and an eighth of them, by
# BLAS and column by column: 20 000 x 300 1.8, 1.8, 1.8 and 1.7, .40, .19; 500 x 20 000 3.4, 3.3,
# 3.3 and 2.7, .83, .46; 100 000 x 200 6.2, 6.2, 6.1 and 5.4, 1.4, .67 (python -m
# benchmarks.few_products).
GATHER_ABOVE, GATHER_SHARE = 500, 8
# Entries below which BLAS is as fast.
COLUMNS_ABOVE = 2**14

# A column is far from zero where its mean exceeds this many standard deviations, as judged by
# about so many rows; not a single one can be where fewer rows are off by this much more.
FAR_FROM_ZERO = 30.0
# The same where products are centred: all that is lost then is digits, of which there are enough.
FAR_IF_CENTRED = 300.0
FAR_ROWS = 64
FIRST_ROWS, SAFETY = 8, 8.0
# Columns of a Gram matrix to which sparse rows are added one by one.
GRAM_BY_ROWS = 2000
# Share of entries that a sparse column stores if it is far from zero: else it has too much spread.
FULL = 1 - 1 / FAR_FROM_ZERO**2


def limit_of(dtype: Any, xp: Any, *, centred: bool) -> float:
    """How many standard deviations are far from zero, for products that are centred or not."""
    return FAR_IF_CENTRED if centred and dtype == xp.float64 else FAR_FROM_ZERO


def far_from_zero(mean: Any, spread: Any, limit: float, largest: Any) -> Any:
    """Which columns are, from their means and mean squared deviations.

    A constant column is only where it is large beside the ``largest`` deviation of all.
    """
    xp = namespace_of(mean)
    constant = spread <= (16 * xp.finfo(mean.dtype).eps * mean) ** 2
    spread = xp.where(constant, largest, spread)
    return mean**2 > limit**2 * spread


def few_rows(X: Any) -> Any:
    """Rows of an array by which to judge where its columns lie."""
    return X[:: max(1, X.shape[0] // FAR_ROWS), ...]


def spread_of_few(X: Any, mean: Any) -> Any:
    """Mean squared deviations of a few rows of an array from ``mean``."""
    few = X[:: max(1, X.shape[0] // FIRST_ROWS), :]
    if is_numpy(namespace_of(X)):
        # Row by row: columns of eight numbers each would take longer than their sums.
        few = np.subtract(few, mean, order="C")
        return np.einsum("ij,ij->j", few, few) / few.shape[0]
    return namespace_of(X).sum((few - mean) ** 2, axis=0) / few.shape[0]


def nearly_centred(mean: Any, spread: Any) -> bool:
    """Whether no column's mean exceeds its spread, as judged by few rows.

    Moments about zero then lose no digits to those about the means, and need no copy of X.
    """
    return bool(namespace_of(mean).all(mean**2 <= spread))


def along_rows(weights: Any, a: Any) -> Any:
    """``diag(weights) a`` for a vector or a matrix ``a``."""
    return weights * a if a.ndim == 1 else weights[:, None] * a


def as_slice(index: Any) -> Any:
    """A host ``index`` as a slice where it counts up one by one: NumPy then copies nothing."""
    n = len(index)
    if n and index[-1] - index[0] == n - 1 and bool(np.all(np.diff(index) == 1)):
        return slice(int(index[0]), int(index[-1]) + 1)
    return index


class Dense(LinearMap):
    """A two-dimensional array."""

    layout = "dense"

    def __init__(self, X: Any) -> None:
        self.X, self.shape, self.xp = X, X.shape, namespace_of(X)
        self._near: Any = None
        self._means: tuple[Any, Any] | None = None
        self._spread: tuple[Any, Any] | None = None
        self._centred: tuple[Any, bool] | None = None
        # The Gram matrix of the last weights, kept for targets that are solved one by one.
        self.kept_gram: tuple[Any, bool, Any] | None = None

    def matvec(self, w: Any) -> Any:
        if w.ndim > 1:
            return product(self.X, w)
        if is_numpy(self.xp):
            if self.X.flags.f_contiguous and self.X.size >= COLUMNS_ABOVE:
                return kernels_of(self.X).column_sum(self.X, w)
            if self.shape[1] >= GATHER_ABOVE:
                used = self.xp.nonzero(w)[0]
                if GATHER_SHARE * used.shape[0] < self.shape[1]:
                    return self.X[:, used] @ w[used]
        return self.X @ w

    def rmatvec(self, r: Any) -> Any:
        if r.ndim == 2 and is_few(self.X, r.shape[1]):
            return products_by_parts(self.X, r)
        return self.X.T @ r if r.ndim == 1 else product_back(self.X, r)

    def reads_once(self, w: Any) -> bool:
        return reads_once(self.X, w)

    def there_and_back(self, w: Any, respond: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
        if self.reads_once(w):
            return there_and_back(self.X, w, respond)
        return super().there_and_back(w, respond)

    def take_rows(self, index: Any) -> Dense:
        # NumPy's take copies a Fortran-ordered array whole before it looks at the index.
        if is_numpy(self.xp):
            return Dense(self.X[as_slice(index), :])
        return Dense(self.xp.take(self.X, index, axis=0))

    def take_columns(self, index: Any) -> Dense:
        """The design of the columns ``index`` alone."""
        # As for rows.
        if is_numpy(self.xp):
            return Dense(self.X[:, index])
        return Dense(self.xp.take(self.X, index, axis=1))

    def gram(self, weights: Any) -> Any:
        return weighted_gram(self.X, weights)

    def row_gram(self) -> Any:
        return gram(self.X.T)

    def to_dense(self) -> Any:
        return self.X

    @cached_property
    def columns(self) -> Any:
        """X with contiguous columns, for the compiled column kernels; a copy only if it is not."""
        return by_columns(self.X) if is_numpy(self.xp) else self.X

    def column(self, j: int) -> Any:
        """Column ``j``."""
        return self.X[:, j]

    def column_sums(self, weights: Any) -> Any:
        """``X' weights``."""
        return self.X.T @ weights

    def column_means(self, weights: Any) -> Any:
        """The same, kept: weights that sum to one are asked for by every target of a fit."""
        return self._means_and(weights)[0]

    def keep_means(self, weights: Any, means: Any) -> None:
        """Take the column means with ``weights`` from who knows them."""
        self._means = (weights, means)

    def beside_means(self, weights: Any, r: Any) -> Any:
        """``X' r``, read together with the column means, which are kept; None where these are known
        already, as a product alone can wait until it is needed."""
        return None if self._known_means(weights) is not None else self._means_and(weights, r)[1]

    def _known_means(self, weights: Any) -> Any:
        known, means = self._means if self._means is not None else (None, None)
        same = known is weights or (known is not None and bool(self.xp.all(known == weights)))
        return means if same else None

    def _means_and(self, weights: Any, *vectors: Any) -> list[Any]:
        """The means and ``X' r`` of further vectors, in one reading of X where it is large. They
        have the same digits whatever is beside them."""
        known = self._known_means(weights)
        if known is not None:
            return [known]
        wanted = [weights, *vectors]
        if leaves_cache(self.X):
            found = [*products_by_parts(self.X, self.xp.stack(wanted, axis=1)).T]
        else:
            found = [self.X.T @ r for r in wanted]
        self._means = (weights, found[0])
        return found

    def spread_of_few(self, mean: Any) -> Any:
        """Mean squared deviations of a few rows from ``mean``, kept."""
        if self._spread is None or self._spread[0] is not mean:
            self._spread = mean, spread_of_few(self.X, mean)
        return self._spread[1]

    def is_nearly_centred(self, mean: Any) -> bool:
        """Whether no column's mean exceeds its spread, kept."""
        if self._centred is None or self._centred[0] is not mean:
            self._centred = mean, nearly_centred(mean, self.spread_of_few(mean))
        return self._centred[1]

    def column_squares(self, weights: Any) -> Any:
        """``sum_i weights_i X_ij^2`` without a temporary of X's size where it can be avoided."""
        X = self.X
        shape = (X.shape[1], *weights.shape[1:])
        total = self.xp.zeros(shape, dtype=X.dtype, device=X.device)
        for block in self._blocks():
            total = total + (X[block, :] ** 2).T @ weights[block, ...]
        return total

    def near_zero(self, weights: Any, limit: float = FAR_FROM_ZERO) -> tuple[Dense, Any]:
        """``(design, shift)``: a copy without its column means where columns are far from zero.

        Products with such columns lose digits that centring afterwards cannot bring back, and
        they slow every first-order method down. Else ``(self, None)``. Weights sum to one; far are
        ``limit`` standard deviations.
        """
        xp, X = self.xp, self.X
        mean = self.column_means(weights)
        # Most designs need no closer look: no column is anywhere near.
        if self.is_nearly_centred(mean):
            return self, None
        spread = self.spread_of_few(mean)
        suspects = xp.nonzero(limit**2 * spread < SAFETY * mean**2)[0]
        if suspects.shape[0] == 0:
            return self, None
        sample = Dense(few_rows(X)).take_columns(suspects).X
        middle = xp.mean(sample, axis=0)
        closer = xp.mean((sample - middle) ** 2, axis=0)
        if not bool(xp.any(far_from_zero(middle, closer, limit, xp.max(spread)))):
            return self, None
        # Targets that are solved one by one share the design, and so this copy.
        if self._near is None or not bool(xp.all(self._near[0] == weights)):
            self._near = (weights, Dense(X - mean), mean)
        return self._near[1:]

    def centred_squares(self, weights: Any, mean: Any) -> Any:
        """``sum_i weights_i (X_ij - mean_j)^2`` of the weighted means, without cancellation."""
        xp, X = self.xp, self.X
        squares = sums = xp.zeros(X.shape[1], dtype=X.dtype, device=X.device)
        for block in self._blocks():
            shifted = X[block, :] - mean
            squares = squares + weights[block] @ shifted**2
            sums = sums + weights[block] @ shifted
        # What rounding has left in the means.
        return squares - sums**2 / xp.sum(weights)

    def _blocks(self) -> list[slice]:
        """The rows in blocks of about a million entries."""
        n, p = self.shape
        rows = max(1, 2**20 // max(1, p))
        return [slice(i, min(i + rows, n)) for i in range(0, n, rows)]

    @cached_property
    def rows(self) -> Any:
        """X with contiguous rows, for the compiled row kernels; a copy only if it is not."""
        return self.xp.asarray(self.X, order="C") if is_numpy(self.xp) else self.X

    def row_squares(self, shift: Any, weights: Any = None) -> Any:
        """``sum_j weights_j (X_ij - shift_j)^2``, with temporaries of a block of rows."""
        xp, X = self.xp, self.X
        weights = xp.ones_like(shift) if weights is None else weights
        return xp.concat([(X[b, :] - shift) ** 2 @ weights for b in self._blocks()])


class Sparse(LinearMap):
    """A SciPy (or cupyx) sparse matrix or array; products keep it sparse."""

    layout = "sparse"

    def __init__(self, X: Any) -> None:
        self.X, self.shape = X, X.shape
        self.xp = namespace_of(X.data)
        self._near: Any = None

    @cached_property
    def _kernels(self) -> Any:
        return bind(self.xp, self.X.dtype, self.layout)

    def matvec(self, w: Any) -> Any:
        if w.ndim == 1 and self.X.format == "csc":
            return self._kernels.column_sum(self.X, w)
        return self.X @ w

    def rmatvec(self, r: Any) -> Any:
        if r.ndim == 1 and self.X.format == "csc":
            return self._kernels.column_dots(self.X, r)
        return self.X.T @ r

    def take_columns(self, index: Any) -> Sparse:
        """The design of the columns ``index`` alone."""
        return Sparse(self.columns[:, index])

    def take_rows(self, index: Any) -> Sparse:
        return Sparse(self.X[index])

    def gram(self, weights: Any) -> Any:
        if self.shape[1] <= GRAM_BY_ROWS:
            return self._kernels.sparse_gram(self._sorted_rows, weights)
        return self._kernels.sparse_products(self.columns, weights, self.rows)

    @cached_property
    def _sorted_rows(self) -> Any:
        rows = self.X.tocsr()
        return rows if rows.has_sorted_indices else rows.sorted_indices()

    def row_gram(self) -> Any:
        return (self.X @ self.X.T).toarray()

    def to_dense(self) -> Any:
        return self.X.toarray()

    @cached_property
    def columns(self) -> Any:
        """X in CSC form with its indices sorted; a copy only if it is not."""
        columns = self.X.tocsc()
        if not columns.has_sorted_indices:
            columns = columns.sorted_indices()
        return columns

    def column(self, j: int) -> Any:
        """Column ``j`` as a dense vector."""
        return self.columns[:, [j]].toarray()[:, 0]

    def column_sums(self, weights: Any) -> Any:
        """``X' weights``."""
        return self.rmatvec(weights)

    column_means = column_sums

    def beside_means(self, weights: Any, r: Any) -> None:
        """Nothing: sparse products gain nothing from being taken together."""

    def column_squares(self, weights: Any) -> Any:
        """``sum_i weights_i X_ij^2``."""
        return self.X.multiply(self.X).T @ weights

    def near_zero(self, weights: Any, limit: float = FAR_FROM_ZERO) -> tuple[Sparse, Any]:
        """As for a dense design. Only columns that are stored nearly in full can be far from zero,
        so that moving them fills next to nothing in; the others have no shift.
        """
        xp, X, (n, p) = self.xp, self.X, self.shape
        if X.format == "csc":
            counts: Any = X.indptr[1:] - X.indptr[:-1]
        else:
            stored = type(X)((xp.ones_like(X.data), X.indices, X.indptr), shape=X.shape)
            counts = stored.T @ xp.ones_like(weights)
        full = xp.nonzero(counts > FULL * n)[0]
        if full.shape[0] == 0:
            return self, None
        block = self.take_columns(full)
        mean = block.column_sums(weights)
        spread = block.centred_squares(weights, mean)
        far = far_from_zero(mean, spread, limit, xp.max(spread))
        if not bool(xp.any(far)):
            return self, None
        if self._near is None or not bool(xp.all(self._near[0] == weights)):
            shift = xp.zeros(p, dtype=mean.dtype)
            shift[full] = xp.where(far, mean, xp.zeros_like(mean))
            moved = full[far]
            k = moved.shape[0]
            rows = xp.tile(xp.arange(n, dtype=X.indices.dtype), (k,))
            counts = xp.zeros(p + 1, dtype=X.indptr.dtype)
            counts[moved + 1] = n
            constant = type(self.columns)(
                (xp.repeat(shift[moved], n), rows, xp.cumulative_sum(counts)), shape=X.shape
            )
            self._near = (weights, Sparse((self.columns - constant).asformat(X.format)), shift)
        return self._near[1:]

    def centred_squares(self, weights: Any, mean: Any) -> Any:
        """``sum_i weights_i (X_ij - mean_j)^2`` of the weighted means, without cancellation."""
        xp, X = self.xp, self.columns
        stored = X.indptr[1:] - X.indptr[:-1]
        shifted = X.data - xp.repeat(mean, stored)

        def weighted(data: Any) -> Any:
            return type(X)((data, X.indices, X.indptr), shape=X.shape).T @ weights

        # A zero that is not stored is at -mean.
        absent = xp.sum(weights) - weighted(xp.ones_like(shifted))
        sums = weighted(shifted) - absent * mean
        return weighted(shifted**2) + absent * mean**2 - sums**2 / xp.sum(weights)

    @cached_property
    def rows(self) -> Any:
        """X in CSR form with one sorted entry a place; a copy only if it is not."""
        rows = self._sorted_rows
        if not rows.has_canonical_format:
            rows = rows.copy()
            rows.sum_duplicates()
        return rows

    def row_squares(self, shift: Any, weights: Any = None) -> Any:
        """``sum_j weights_j X_ij^2``; a sparse row is not shifted.

        Raises
        ------
        ValueError
            If ``shift`` is not zero.
        """
        if self.xp.any(shift != 0):
            raise ValueError("row_squares: shift must be zero, a shifted sparse row is dense")
        if weights is None:
            weights = self.xp.ones(self.shape[1], dtype=self.X.dtype)
        return self.rows.multiply(self.rows) @ weights


def design(X: Any) -> Dense | Sparse:
    """The linear map of a validated matrix; a design passes through, with what it has cached."""
    if isinstance(X, (Dense, Sparse)):
        return X
    return Sparse(X) if hasattr(X, "tocsc") else Dense(X)
