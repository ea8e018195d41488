"""Kernels on observed entries for CuPy: the twins of ``generic_observed`` on CSR matrices.

Dense weights are served by dense products, and factors whose normal equations exceed the shared
memory of a block by the array form.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels import generic_observed
from skopt_dl.kernels.cupy.source import SHARED, kernel
from skopt_dl.kernels.generic_nonnegative import bounded_solutions

SOURCE = "observed"
THREADS = 128
# Entries that a block reads at a time (TILE of the source).
TILE = 16


def _fits(k: int, like: Any) -> bool:
    return _bytes(k, like) <= SHARED


def _bytes(k: int, like: Any) -> int:
    """Shared memory of the normal equations of one row."""
    return int((k * k + k + TILE * k + 2 * TILE + 2) * like.dtype.itemsize)


def _narrow(W: Any) -> bool:
    """Whether ``W`` is a CSR matrix with 32-bit positions, which the kernels read."""
    return hasattr(W, "indptr") and W.indices.dtype == np.int32


def _contiguous(*arrays: Any) -> list[Any]:
    import cupy

    return [cupy.ascontiguousarray(a) for a in arrays]


def _grid(size: int) -> tuple[tuple[int], tuple[int]]:
    return ((size + THREADS - 1) // THREADS,), (THREADS,)


def entry_products(rows: Any, cols: Any, L: Any, R: Any) -> Any:
    """See `skopt_dl.kernels.generic_observed.entry_products`."""
    import cupy

    L, R = _contiguous(L, R)
    rows, cols = (a.astype(np.int32, copy=False) for a in (rows, cols))
    out = cupy.empty(rows.shape[0], L.dtype)
    if out.size:
        args = (np.int64(out.size), np.int32(L.shape[1]), rows, cols, L, R, out)
        kernel(SOURCE, "entry_products", L)(*_grid(out.size), args)
    return out


def stored_products(entries: Any, L: Any, R: Any, n_threads: int = 1) -> Any:
    """See `skopt_dl.kernels.generic_observed.stored_products`."""
    return entry_products(entries.rows, entries.cols, L, R)


def segment_sum(A: Any, index: Any, m: int) -> Any:
    """See `skopt_dl.kernels.generic_observed.segment_sum`."""
    import cupy

    (A,) = _contiguous(A)
    order = cupy.argsort(index).astype(np.int64, copy=False)
    starts = cupy.searchsorted(index[order], cupy.arange(m + 1, dtype=index.dtype))
    out = cupy.zeros((m, A.shape[1]), A.dtype)
    if out.size:
        args = (np.int64(m), np.int32(A.shape[1]), starts.astype(np.int64), order, A, out)
        kernel(SOURCE, "segment_sum", A)(*_grid(out.size), args)
    return out


def ridge_rows(W: Any, T: Any, F: Any, ridge: Any, extra: Any = None, n_threads: int = 1) -> Any:
    """See `skopt_dl.kernels.generic_observed.ridge_rows`."""
    import cupy

    m, k = W.shape[0], F.shape[1]
    if not _narrow(W) or not _fits(k, F):
        return generic_observed.ridge_rows(W, T, F, ridge, extra)
    F, ridge = _contiguous(F, ridge)
    out = cupy.empty((m, k), F.dtype)
    # A null pointer where nothing is added.
    added = np.uintp(0) if extra is None else cupy.ascontiguousarray(extra)
    least = F.dtype.type(4 * k * np.finfo(F.dtype).eps)
    ridges = np.int32(1 if ridge.ndim == 1 else ridge.shape[1])
    args = (np.int32(k), W.indptr, W.indices, W.data, T.data, F, ridge, ridges, added, least, out)
    if m:
        kernel(SOURCE, "ridge_rows", F)((m,), (THREADS,), args, shared_mem=_bytes(k, F))
    return out


def ridge_groups(groups: Any, F: Any, ridge: Any, n_threads: int = 1) -> Any:
    """See `skopt_dl.kernels.generic_observed.ridge_groups`."""
    if _narrow(groups.stored_weights) and _fits(F.shape[1], F):
        return ridge_rows(groups.stored_weights, groups.stored_targets, F, ridge)
    return generic_observed.grouped_solutions(groups, F, ridge, segment_sum)


def gram_rows(W: Any, F: Any) -> Any:
    """See `skopt_dl.kernels.generic_observed.gram_rows`."""
    import cupy

    m, k = W.shape[0], F.shape[1]
    if not _narrow(W) or not _fits(k, F):
        return generic_observed.gram_rows(W, F)
    (F,) = _contiguous(F)
    out = cupy.empty((m, k, k), F.dtype)
    args = (np.int32(k), W.indptr, W.indices, W.data, F, out)
    if m:
        kernel(SOURCE, "gram_rows", F)((m,), (THREADS,), args, shared_mem=_bytes(k, F))
    return out


def nonnegative_rows(W: Any, T: Any, F: Any, ridge: Any, start: Any, n_threads: int = 1) -> Any:
    """See `skopt_dl.kernels.generic_nonnegative.nonnegative_rows`."""
    return bounded_solutions(gram_rows(W, F), T @ F, ridge, start)


def masked_product(W: Any, A: Any, B: Any, F: Any, n_threads: int = 1) -> Any:
    """See `skopt_dl.kernels.generic_observed.masked_product`."""
    import cupy

    k = F.shape[1]
    shared = (THREADS + k) * F.dtype.itemsize
    if not _narrow(W) or shared > SHARED:
        return generic_observed.masked_product(W, A, B, F)
    A, B, F = _contiguous(A, B, F)
    out = cupy.empty((W.shape[0], k), F.dtype)
    args = (np.int32(A.shape[1]), np.int32(k), W.indptr, W.indices, W.data, A, B, F, out)
    if out.size:
        kernel(SOURCE, "masked_product", F)((W.shape[0],), (THREADS,), args, shared_mem=shared)
    return out
