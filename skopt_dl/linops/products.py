"""Products of a dense design that read it once, part by part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skopt_dl.kernels import kernels_of
from skopt_dl.kernels.namespace import is_numpy, namespace_of
from skopt_dl.linops.aside import aside

# A product with several vectors is taken transposed: OpenBLAS is at its best where the short side
# comes first. Better it is made in tiles, if the processor has wide vectors. Milliseconds of X'R
# transposed, in tiles, and of X W, in C order: 1437 x 64 by ten .072, .036 and .061, .029; 5000 x
# 300 by twenty 2.1, 1.1 and 1.7, .70; 500 x 20 000 by twelve 9.8, 8.6 and 11, 4.8; 20 000 x 500 by
# 200: 73, 42 and 72, 56; in Fortran's order .065, .028 and .078, .030; 1.7, .65 and 1.6, 1.1; 11,
# 5.5 and 11, 8.8; 71, 43 and 70, 43. Products with so few vectors on a matrix that leaves the cache
# are faster while parts of X stay in it (in bytes), or columns are read once for all. Milliseconds
# as X'R, (R'X)', and so: 500 x 20 000 in Fortran's order by two 8.3, 8.4, 3.9; 100 000 x 200 12,
# 14, 6.4; in C order 14, 16, 11 (python -m benchmarks.few_products).
FEW = 3
# So many products with columns are turned afterwards; with more, X is packed for it.
TURNED_BELOW = 12
MATRIX_PRODUCT_BELOW, CACHED = 2**18, 3 * 2**18
# A vector is multiplied by X and its response by X' while a part of these bytes is in the cache,
# of so many rows at least. Milliseconds of two products, and of parts, in C order: 500 x 20 000:
# 6.9, 4.9; 3000 x 3000: 5.8, 4.4; 20 000 x 500: 5.5, 4.1; 100 000 x 200: 12, 8. In Fortran's order
# parts gain nothing (python -m benchmarks.few_products). A matrix that fits a last-level cache is
# near enough: 4000 x 300: .23, .25; 10 000 x 100: .19, .22.
THERE_AND_BACK, ROWS_AT_ONCE, FAR = 3 * 2**18, 4, 2**24
# Rows of a part, at least: with fewer the sums are read and written more often than X.
FEW_ROWS = 32

# Rows that are written to columns at a time, so that what is read for the first entry of a row is
# still near for its others. Milliseconds of all at once, and of these: 10 000 x 100: .98, .77;
# 20 000 x 500: 29, 15; 100 000 x 200: 35, 27; of float32 .57, .33; 17, 9.2; 25, 17 (as above).
# Numbers of the columns that are filled one part after the other.
ROWS_TO_COLUMNS, NEW_AT_ONCE = 512, 2**22
# Multiplications in one product of a matrix with its transpose: a third of a second. Python sees an
# interrupt after a call alone.
ONE_CALL = 2**34
# Entries of a block of rows of which products are formed, and of one that is scaled before.
GRAM_BLOCK, GRAM_PART = 2**19, 2**17


def by_columns(X: Any) -> Any:
    """A NumPy array X in Fortran's order; a copy, by blocks of rows, only if it is not."""
    if X.flags.f_contiguous:
        return X
    columns = np.empty_like(X, order="F", subok=False)
    # New memory comes when it is first written: not all in one call, which nothing interrupts.
    width = max(64, NEW_AT_ONCE // max(1, X.shape[0]))
    for j in range(0, X.shape[1], width):
        for i in range(0, X.shape[0], ROWS_TO_COLUMNS):
            part = slice(i, i + ROWS_TO_COLUMNS), slice(j, j + width)
            columns[part] = X[part]
    return columns


def is_few(X: Any, vectors: int) -> bool:
    """Whether `products_by_parts` is the way to multiply X' by so many."""
    if not leaves_cache(X):
        return False
    return vectors <= FEW and (vectors > 1 or X.strides[0] == X.itemsize)


def leaves_cache(X: Any) -> bool:
    """Whether a NumPy array is so large that each reading of it counts."""
    return is_numpy(namespace_of(X)) and X.size >= MATRIX_PRODUCT_BELOW


def gram(X: Any) -> Any:
    """``X'X``, in calls that are short enough to be interrupted between them, or made aside."""
    n, p = X.shape
    if not is_numpy(namespace_of(X)) or n * p * p <= 2 * ONE_CALL:
        return _square(X)
    rows = max(p, ONE_CALL // (p * p))
    total = _square(X[:rows, :])
    for i in range(rows, n, rows):
        total += _square(X[i : i + rows, :])
    return total


def _square(B: Any) -> Any:
    """``B'B`` in one call."""
    (n, p), product = B.shape, kernels_of(B).inner_products
    if n * p * p > ONE_CALL and is_numpy(namespace_of(B)):
        return aside(product, B)
    return product(B)


def weighted_gram(X: Any, weights: Any, mean: Any = None) -> Any:
    """``(X - mean)' diag(weights) (X - mean)`` of an array, by blocks of rows: no copy of X.

    Where all weights have one sign it is a sum of ``B'B``, half the work; equal weights are taken
    out, and without a mean there is nothing to be copied then.
    """
    xp = namespace_of(X)
    if X.shape[0] > 0 and bool(weights[0] < 0) and bool(xp.all(weights <= 0)):
        return -weighted_gram(X, -weights, mean)
    equal = X.shape[0] > 0 and bool(xp.all(weights == weights[0]))
    if equal and mean is None:
        return weights[0] * gram(X)
    positive = equal or bool(xp.all(weights >= 0))
    factors = xp.sqrt(weights) if positive and not equal else weights
    scaled = _scaled_on_host if is_numpy(xp) and positive else _scaled
    buffer: Any = []
    total: Any = 0.0
    for block in blocks_of(X.shape[0], X.shape[1], GRAM_PART):
        A = X[block, :]
        B = scaled(A, None if equal else factors[block, None], mean, buffer)
        if positive:
            total = total + _square(B)
        else:
            total = total + (A if mean is None else A - mean).T @ B
    return weights[0] * total if equal else total


def _scaled(A: Any, factors: Any, mean: Any, buffer: Any) -> Any:
    A = A if mean is None else A - mean
    return A if factors is None else factors * A


def _scaled_on_host(A: Any, factors: Any, mean: Any, buffer: list[Any]) -> Any:
    """The same in an array that serves all blocks, and so stays in the cache."""
    if not buffer:
        dtype = np.result_type(A, *(part for part in (factors, mean) if part is not None))
        buffer.append(np.empty_like(A, dtype=dtype))
    B = buffer[0][: A.shape[0], :]
    if mean is not None:
        A = np.subtract(A, mean, out=B)
    return A if factors is None else np.multiply(A, factors, out=B)


def product(X: Any, W: Any) -> Any:
    """``X W`` of several vectors."""
    if not _has_kernel(X, W):
        return (W.T @ X.T).T
    (n, _), k, multiply = X.shape, W.shape[1], kernels_of(X).matrix_product
    if X.flags.c_contiguous:
        return multiply(X, W, np.empty((n, k), dtype=X.dtype))
    return multiply(W, X.T, np.empty((k, n), dtype=X.dtype), True).T


def product_back(X: Any, R: Any) -> Any:
    """``X'R`` of several vectors."""
    if not _has_kernel(X, R):
        return (R.T @ X).T
    (_, p), k, multiply = X.shape, R.shape[1], kernels_of(X).matrix_product
    # Who asks looks at one vector after the other: the answer's columns are contiguous.
    if X.flags.f_contiguous and k <= TURNED_BELOW:
        return np.asfortranarray(multiply(X.T, R, np.empty((p, k), dtype=X.dtype)))
    rows = X if X.flags.c_contiguous else X.T
    return multiply(R, rows, np.empty((k, p), dtype=X.dtype), True, rows is not X).T


def _has_kernel(X: Any, vectors: Any) -> bool:
    """Whether a NumPy array lies in one piece, as kernels want it, and is of their type."""
    whole = is_numpy(namespace_of(X)) and X.flags.forc and X.dtype.char in "fd"
    return bool(whole and vectors.dtype == X.dtype)


def products_by_parts(X: Any, R: Any) -> Any:
    """``X'R`` of few vectors: each part of X is read once and serves them all."""
    (n, p), k = X.shape, R.shape[1]
    if X.strides[0] == X.itemsize:
        return kernels_of(X).column_dots(X, R)
    vectors = [np.ascontiguousarray(R[:, j]) for j in range(k)]
    total, entries = np.zeros((k, p), dtype=np.result_type(X, R)), CACHED // X.itemsize
    rows = entries // p
    if rows >= FEW_ROWS:
        for i in range(0, n, rows):
            part = X[i : i + rows, :].T
            for j, r in enumerate(vectors):
                total[j, :] += part @ r[i : i + rows]
        return total.T
    columns = max(1, entries // n)
    for i in range(0, p, columns):
        part = X[:, i : i + columns].T
        for j, r in enumerate(vectors):
            total[j, i : i + columns] = part @ r
    return total.T


def reads_once(X: Any, w: Any) -> bool:
    """Whether `there_and_back` is faster than two products."""
    far = is_numpy(namespace_of(X)) and X.nbytes >= FAR
    by_rows = far and w.ndim == 1 and X.strides[0] > X.strides[1]
    return by_rows and X.shape[1] * X.itemsize * ROWS_AT_ONCE <= THERE_AND_BACK


def there_and_back(X: Any, w: Any, respond: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    """``(X w, X'r)`` of vectors with ``r = respond(X w, rows)``, each part of the rows being read
    once."""
    n, p = X.shape
    z = np.empty(n, dtype=np.result_type(X, w))
    g, step = np.zeros(p, dtype=z.dtype), THERE_AND_BACK // (p * X.itemsize)
    for i in range(0, n, step):
        rows = slice(i, min(i + step, n))
        part, at = X[rows, :], z[rows]
        np.matmul(part, w, out=at)
        g += respond(at, rows) @ part
    return z, g


def blocks_of(n: int, p: int, entries: int = GRAM_BLOCK) -> list[slice]:
    """``0 .. n-1`` in blocks of which p-vectors are small beside the data, but no fewer than p of
    them: adding up p x p products must not cost more than they do."""
    size = max(1, 2 * p, entries // max(1, p))
    return [slice(i, min(i + size, n)) for i in range(0, n, size)] or [slice(0, 0)]
