# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Coordinate descent on CSC columns: the compiled twin of ``generic.cd_epochs``."""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs, sqrt

from skopt_dl.kernels.cython._sweeps cimport swept

ctypedef fused floating:
    float
    double


ctypedef fused integer:
    int
    long long


def cd_epochs(model, order, int n_epochs, double target):
    """See `skopt_dl.kernels.generic.cd_epochs`."""
    m = model
    X = m.map.columns
    arrays = (
        X.data, X.indices, X.indptr, m.w, m.u, m.h, m.hx, m.mean, m.curvature, m.l1, m.l2,
    )
    return _epochs(m, *arrays, order, n_epochs, target)


def _epochs(model, const floating[::1] data, const integer[::1] rows, const integer[::1] ptr,
            floating[::1] w, floating[::1] u, const floating[::1] h, const floating[::1] hx,
            const floating[::1] mean, const floating[::1] curvature, const floating[::1] l1,
            const floating[::1] l2, const Py_ssize_t[::1] order, int n_epochs, double target):
    cdef Py_ssize_t i, j, k
    cdef double c = model.c, full = model.full_indicator, indicator = 0.0
    cdef int active_left = model.active_left, done = 0
    cdef bint positive = model.positive, active
    cdef Py_ssize_t work = 0, beat = 1 << 24
    cdef double g, L, old, new, size, change
    cdef double again = model.AGAIN
    cdef int max_active = model.MAX_ACTIVE
    with nogil:
        while done < n_epochs:
            active = active_left > 0
            indicator = 0.0
            for k in range(order.shape[0]):
                j = order[k]
                old = w[j]
                if active and old == 0:
                    continue
                L = curvature[j]
                if L <= 0:
                    if old != 0 and l1[j] + l2[j] > 0:
                        w[j] = 0
                    continue
                work += 1 + ptr[j + 1] - ptr[j]
                if work > beat:
                    work = 0
                    with gil:
                        PyErr_CheckSignals()
                g = c * hx[j] + L * old
                for i in range(ptr[j], ptr[j + 1]):
                    g += data[i] * u[rows[i]]
                size = g if positive else fabs(g)
                size -= l1[j]
                if size <= 0:
                    new = 0
                else:
                    new = (size if positive or g > 0 else -size) / (L + l2[j])
                w[j] = <floating>new
                change = <double>w[j] - old
                if change != 0:
                    for i in range(ptr[j], ptr[j + 1]):
                        u[rows[i]] -= <floating>(change * h[rows[i]] * data[i])
                    c += change * mean[j]
                    indicator = max(indicator, fabs(change) * sqrt(L))
            done += 1
            if swept(active, indicator, target, again, max_active, &full, &active_left):
                break
    model.c, model.full_indicator, model.active_left = c, full, active_left
    PyErr_CheckSignals()
    return done, full


def column_moments(map_, h):
    """See `skopt_dl.kernels.generic.column_moments`: one pass over X for both."""
    X = map_.columns
    sums, squares = np.empty(X.shape[1], h.dtype), np.empty(X.shape[1], h.dtype)
    _moments(X.data, X.indices, X.indptr, h, sums, squares)
    return sums, squares


def _moments(const floating[::1] data, const integer[::1] rows, const integer[::1] ptr,
             const floating[::1] h, floating[::1] sums, floating[::1] squares):
    cdef Py_ssize_t i, j
    cdef double s, q, hx
    with nogil:
        for j in range(sums.shape[0]):
            s = q = 0
            for i in range(ptr[j], ptr[j + 1]):
                hx = h[rows[i]] * data[i]
                s += hx
                q += hx * data[i]
            sums[j], squares[j] = <floating>s, <floating>q
