# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Coordinate descent over rows of coefficients: the compiled twin of ``generic_rows.row_epochs``."""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport sqrt

from skopt_dl.kernels.cython._sweeps cimport swept
from skopt_dl.kernels.cython._vectors cimport axpy, dot, floating

ctypedef fused integer:
    int
    long long


cdef inline bint _is_zero(floating* w, int K) noexcept nogil:
    cdef int k
    for k in range(K):
        if w[k] != 0:
            return False
    return True


cdef inline double _step(floating* w, double* g, double* d, double L, double l1, double l2,
                         int K) noexcept nogil:
    """The row that is best for slopes ``g`` at zero; ``d`` is its change, its norm is returned."""
    cdef double norm = 0, share = 0, size = 0, old
    cdef int k
    for k in range(K):
        norm += g[k] * g[k]
    norm = sqrt(norm)
    if norm > l1:
        share = (1 - l1 / norm) / (L + l2)
    for k in range(K):
        old = w[k]
        w[k] = <floating>(share * g[k])
        d[k] = <double>w[k] - old
        size += d[k] * d[k]
    return sqrt(size)


def row_epochs(model, order, int n_epochs, double target):
    """See `skopt_dl.kernels.generic_rows.row_epochs`."""
    m = model
    shared = (m.W, m.U, m.h, m.hx, m.mean, m.curvature, m.c.astype(np.float64))
    if m.map.layout == "dense":
        return _dense(m, m.map.columns, *shared, order, n_epochs, target)
    X = m.map.columns
    return _sparse(m, X.data, X.indices, X.indptr, *shared, order, n_epochs, target)


def _dense(model, const floating[::1, :] X, floating[:, ::1] W, floating[::1, :] U,
           const floating[::1] h, const floating[::1] hx, const floating[::1] mean,
           const floating[::1] curvature, double[::1] c, const Py_ssize_t[::1] order,
           int n_epochs, double target):
    cdef int n = X.shape[0], K = W.shape[1], k, done = 0
    cdef Py_ssize_t i, j, t
    cdef double full = model.full_indicator, indicator = 0.0, L, size
    cdef double l1 = model.l1, l2 = model.l2, again = model.AGAIN
    cdef int active_left = model.active_left, max_active = model.MAX_ACTIVE
    cdef bint uniform = model.uniform, active
    cdef double h0 = h[0] if n else 0.0
    cdef double[::1] g = np.empty(K), d = np.empty(K)
    cdef floating[::1] scaled = np.empty(n, np.asarray(h).dtype)
    cdef floating* x
    # Numbers read since Python was asked for signals: an epoch alone may take seconds.
    cdef Py_ssize_t work = 0, beat = 1 << 24
    while done < n_epochs:
        PyErr_CheckSignals()
        with nogil:
            active = active_left > 0
            indicator = 0.0
            for t in range(order.shape[0]):
                j = order[t]
                if active and _is_zero(&W[j, 0], K):
                    continue
                L = curvature[j]
                if L <= 0:
                    if l1 + l2 > 0:
                        for k in range(K):
                            W[j, k] = 0
                    continue
                work += <Py_ssize_t>n * K
                if work > beat:
                    work = 0
                    with gil:
                        PyErr_CheckSignals()
                x = <floating*>&X[0, j]
                for k in range(K):
                    g[k] = dot(n, x, &U[0, k]) + c[k] * hx[j] + L * W[j, k]
                size = _step(&W[j, 0], &g[0], &d[0], L, l1, l2, K)
                if size == 0:
                    continue
                if not uniform:
                    for i in range(n):
                        scaled[i] = h[i] * x[i]
                    x = &scaled[0]
                for k in range(K):
                    axpy(n, -d[k] * h0 if uniform else -d[k], x, &U[0, k])
                    c[k] += d[k] * mean[j]
                indicator = max(indicator, size * sqrt(L))
        done += 1
        if swept(active, indicator, target, again, max_active, &full, &active_left):
            break
    model.c[:] = c
    model.full_indicator, model.active_left = full, active_left
    return done, full


def _sparse(model, const floating[::1] data, const integer[::1] rows, const integer[::1] ptr,
            floating[:, ::1] W, floating[:, ::1] U, const floating[::1] h,
            const floating[::1] hx, const floating[::1] mean, const floating[::1] curvature,
            double[::1] c, const Py_ssize_t[::1] order, int n_epochs, double target):
    cdef int K = W.shape[1], k, done = 0
    cdef Py_ssize_t i, j, r, t
    cdef double full = model.full_indicator, indicator = 0.0, L, size, x
    cdef double l1 = model.l1, l2 = model.l2, again = model.AGAIN
    cdef int active_left = model.active_left, max_active = model.MAX_ACTIVE
    cdef bint active
    cdef double[::1] g = np.empty(K), d = np.empty(K)
    # Numbers read since Python was asked for signals: an epoch alone may take seconds.
    cdef Py_ssize_t work = 0, beat = 1 << 24
    while done < n_epochs:
        PyErr_CheckSignals()
        with nogil:
            active = active_left > 0
            indicator = 0.0
            for t in range(order.shape[0]):
                j = order[t]
                if active and _is_zero(&W[j, 0], K):
                    continue
                L = curvature[j]
                if L <= 0:
                    if l1 + l2 > 0:
                        for k in range(K):
                            W[j, k] = 0
                    continue
                work += <Py_ssize_t>(ptr[j + 1] - ptr[j]) * K
                if work > beat:
                    work = 0
                    with gil:
                        PyErr_CheckSignals()
                for k in range(K):
                    g[k] = c[k] * hx[j] + L * W[j, k]
                for i in range(ptr[j], ptr[j + 1]):
                    r, x = rows[i], data[i]
                    for k in range(K):
                        g[k] += x * U[r, k]
                size = _step(&W[j, 0], &g[0], &d[0], L, l1, l2, K)
                if size == 0:
                    continue
                for i in range(ptr[j], ptr[j + 1]):
                    r = rows[i]
                    x = h[r] * data[i]
                    for k in range(K):
                        U[r, k] -= <floating>(x * d[k])
                for k in range(K):
                    c[k] += d[k] * mean[j]
                indicator = max(indicator, size * sqrt(L))
        done += 1
        if swept(active, indicator, target, again, max_active, &full, &active_left):
            break
    model.c[:] = c
    model.full_indicator, model.active_left = full, active_left
    return done, full
