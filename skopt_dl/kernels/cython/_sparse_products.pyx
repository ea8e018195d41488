# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Products of sparse columns: compiled twins of ``sparse_products``, ``sparse_gram``,
``column_dots`` and ``column_sum`` in ``generic``."""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals

ctypedef fused floating:
    float
    double


ctypedef fused integer:
    int
    long long


def sparse_products(columns, weights, rows):
    """See `skopt_dl.kernels.generic.sparse_products`."""
    dtype = np.result_type(columns.dtype, weights.dtype, rows.dtype)
    kind = columns.indices.dtype
    out = np.zeros((columns.shape[1], rows.shape[1]), dtype)
    _products(
        columns.data.astype(dtype, copy=False), columns.indices, columns.indptr,
        np.ascontiguousarray(weights, dtype),
        rows.data.astype(dtype, copy=False), rows.indices.astype(kind, copy=False),
        rows.indptr.astype(kind, copy=False), out,
    )
    return out


def _products(const floating[::1] A, const integer[::1] row, const integer[::1] start,
              const floating[::1] weights, const floating[::1] B, const integer[::1] column,
              const integer[::1] first, floating[:, ::1] out):
    # A row of the result stays in the cache while the rows of B that its column meets are added.
    cdef Py_ssize_t a, i, j, k
    cdef Py_ssize_t work = 0, beat = 1 << 24
    cdef floating x
    with nogil:
        for a in range(out.shape[0]):
            for k in range(start[a], start[a + 1]):
                i = row[k]
                x = weights[i] * A[k]
                work += 1 + first[i + 1] - first[i]
                for j in range(first[i], first[i + 1]):
                    out[a, column[j]] += x * B[j]
            if work > beat:
                work = 0
                with gil:
                    PyErr_CheckSignals()
    PyErr_CheckSignals()


def sparse_gram(rows, weights):
    """See `skopt_dl.kernels.generic.sparse_gram`."""
    dtype = np.result_type(rows.dtype, weights.dtype)
    out = np.zeros((rows.shape[1], rows.shape[1]), dtype)
    _gram(
        rows.data.astype(dtype, copy=False), rows.indices, rows.indptr,
        np.ascontiguousarray(weights, dtype), out,
    )
    return out


def _gram(const floating[::1] A, const integer[::1] column, const integer[::1] first,
          const floating[::1] weights, floating[:, ::1] out):
    # The matrix is small and near, A is read in one go.
    cdef Py_ssize_t i, j, k, stop
    cdef Py_ssize_t work = 0, beat = 1 << 24
    cdef floating x
    cdef floating* row
    with nogil:
        for i in range(weights.shape[0]):
            stop = first[i + 1]
            for j in range(first[i], stop):
                x = weights[i] * A[j]
                row = &out[column[j], 0]
                for k in range(j, stop):
                    row[column[k]] += x * A[k]
                # Of two entries in one place the product counts twice.
                k = j + 1
                while k < stop and column[k] == column[j]:
                    row[column[j]] += x * A[k]
                    k += 1
                work += stop - j
            if work > beat:
                work = 0
                with gil:
                    PyErr_CheckSignals()
        for i in range(out.shape[0]):
            for j in range(i):
                out[i, j] = out[j, i]
    PyErr_CheckSignals()


def column_dots(columns, r):
    """See `skopt_dl.kernels.generic.column_dots`."""
    dtype = np.result_type(columns.dtype, r.dtype)
    out = np.empty(columns.shape[1], dtype)
    _dots(
        columns.data.astype(dtype, copy=False), columns.indices, columns.indptr,
        np.ascontiguousarray(r, dtype), out,
    )
    return out


def _dots(const floating[::1] A, const integer[::1] row, const integer[::1] start,
          const floating[::1] r, floating[::1] out):
    cdef Py_ssize_t j, k
    cdef floating total
    with nogil:
        for j in range(out.shape[0]):
            total = 0
            for k in range(start[j], start[j + 1]):
                total += A[k] * r[row[k]]
            out[j] = total


def column_sum(columns, w):
    """See `skopt_dl.kernels.generic.column_sum`."""
    dtype = np.result_type(columns.dtype, w.dtype)
    out = np.zeros(columns.shape[0], dtype)
    _sum(
        columns.data.astype(dtype, copy=False), columns.indices, columns.indptr,
        np.ascontiguousarray(w, dtype), out,
    )
    return out


def _sum(const floating[::1] A, const integer[::1] row, const integer[::1] start,
         const floating[::1] w, floating[::1] out):
    # Most coefficients of a lasso are zero, and their columns need not be read.
    cdef Py_ssize_t j, k
    cdef floating x
    with nogil:
        for j in range(w.shape[0]):
            x = w[j]
            if x != 0:
                for k in range(start[j], start[j + 1]):
                    out[row[k]] += x * A[k]
