# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Products of dense columns with vectors: the compiled twins of ``column_dots``, ``column_sum`` and
``column_moments`` in ``generic``."""

import numpy as np

from skopt_dl.kernels.cython._gemm import blas_has_few_threads
from skopt_dl.kernels.cython._vectors cimport floating

# Share of columns below which one thread that reads them alone is as fast as many that read all.
DEF FEW_COLUMNS = 8

cdef extern from "_columns.h" nogil:
    void s_add_columns(long, long, const float*, long, const Py_ssize_t*, const float*, float*)
    void d_add_columns(long, long, const double*, long, const Py_ssize_t*, const double*, double*)
    void s_column_moments(long, long, const float*, const float*, float*, float*)
    void d_column_moments(long, long, const double*, const double*, double*, double*)
    void s_column_dots(long, long, long, const float*, long, const Py_ssize_t*, const float*, float*)
    void d_column_dots(long, long, long, const double*, long, const Py_ssize_t*, const double*,
                       double*)


def column_dots(columns, r, chosen=None):
    """See `skopt_dl.kernels.generic.column_dots`."""
    n, p = columns.shape
    size = columns.itemsize
    in_line = columns.strides[0] == size and columns.strides[1] % size == 0
    if not in_line or columns.dtype.char not in "fd" or r.dtype != columns.dtype:
        return (columns if chosen is None else columns[:, chosen]).T @ r
    if chosen is None and not blas_has_few_threads():
        # One by one: none has other digits for what is beside it.
        vectors = [columns.T @ np.ascontiguousarray(v) for v in r.T.reshape(-1, n)]
        return np.stack(vectors, axis=1) if r.ndim == 2 else vectors[0]
    # An index that is out of bounds must not be read.
    index = None if chosen is None else np.arange(p)[chosen].astype(np.intp, copy=False)
    p = p if chosen is None else index.shape[0]
    vectors = np.ascontiguousarray(r.T)
    out = np.zeros((p, *r.shape[1:]), columns.dtype, order="F")
    if n and p and r.size:
        _dots(columns, columns.strides[1] // size, index, vectors.reshape(-1),
              out.reshape(-1, order="F"))
    return out


def _dots(const floating[:, :] X, long apart, const Py_ssize_t[::1] index,
          const floating[::1] vectors, floating[::1] out):
    cdef long n = X.shape[0], k = vectors.shape[0] // X.shape[0], p = out.shape[0] // k
    cdef const Py_ssize_t* chosen = NULL if index is None else &index[0]
    with nogil:
        if floating is float:
            s_column_dots(n, p, k, &X[0, 0], apart, chosen, &vectors[0], &out[0])
        else:
            d_column_dots(n, p, k, &X[0, 0], apart, chosen, &vectors[0], &out[0])


def column_sum(columns, w):
    """See `skopt_dl.kernels.generic.column_sum`."""
    if not columns.flags.f_contiguous or columns.dtype.char not in "fd" or w.dtype != columns.dtype:
        return columns @ w
    used = np.flatnonzero(w).astype(np.intp, copy=False)
    if FEW_COLUMNS * used.shape[0] > columns.shape[1] and not blas_has_few_threads():
        return columns @ w
    out = np.zeros(columns.shape[0], columns.dtype)
    if columns.shape[0] and used.shape[0]:
        _sum(columns, used, w[used], out)
    return out


def _sum(const floating[::1, :] X, const Py_ssize_t[::1] used, const floating[::1] w,
         floating[::1] out):
    cdef long n = X.shape[0], k = used.shape[0]
    with nogil:
        if floating is float:
            s_add_columns(k, n, &X[0, 0], n, &used[0], &w[0], &out[0])
        else:
            d_add_columns(k, n, &X[0, 0], n, &used[0], &w[0], &out[0])


def column_moments(map_, h):
    """See `skopt_dl.kernels.generic.column_moments`: one pass over X for both."""
    X = map_.columns
    sums, squares = np.zeros(X.shape[1], h.dtype), np.zeros(X.shape[1], h.dtype)
    if X.size:
        _moments(X, h, sums, squares)
    return sums, squares


def _moments(const floating[::1, :] X, const floating[::1] h, floating[::1] sums,
             floating[::1] squares):
    cdef long n = X.shape[0], p = X.shape[1]
    with nogil:
        if floating is float:
            s_column_moments(n, p, &X[0, 0], &h[0], &sums[0], &squares[0])
        else:
            d_column_moments(n, p, &X[0, 0], &h[0], &sums[0], &squares[0])
