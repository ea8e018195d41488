# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Coordinate descent on entries of a matrix of coefficients, by CSC columns: the compiled twin of
``generic_entries.entry_epochs``."""

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


def entry_epochs(model, int n_epochs, double target):
    """See `skopt_dl.kernels.generic_entries.entry_epochs`."""
    m, K = model, model.P.shape[1]
    X = m.map.columns
    if m.b is None:
        b = inverse = slope_b = np.zeros(0, dtype=m.v.dtype)
        inverse = inverse.reshape(0, 0)
    else:
        b, inverse, slope_b = m.b, m.inverse, m.slope_b
    arrays = (X.data, X.indices, X.indptr, m.columns, m.outputs, m.v, m.slope, m.curvature, m.l1,
              m.l2, m.P, m.Q, m.D, m.s, b, inverse, slope_b)
    return _epochs(m, *arrays, n_epochs, target)


def _epochs(model, const floating[::1] data, const integer[::1] rows, const integer[::1] ptr,
            const Py_ssize_t[::1] columns, const Py_ssize_t[::1] outputs, floating[::1] v,
            const floating[::1] slope, const floating[::1] curvature, const floating[::1] l1,
            const floating[::1] l2, const floating[:, ::1] P, const floating[:, ::1] Q,
            floating[:, ::1] D, floating[::1] s, floating[::1] b,
            const floating[:, ::1] inverse, const floating[::1] slope_b, int n_epochs,
            double target):
    cdef Py_ssize_t i, j, k, l, e, t, n = D.shape[0], K = D.shape[1]
    cdef double full = model.full_indicator, indicator = 0.0
    cdef int active_left = model.active_left, done = 0
    cdef bint positive = model.positive, active, intercepts = b.shape[0] > 0
    cdef Py_ssize_t work = 0, beat = 1 << 24
    cdef double g, L, old, new, size, change, total
    cdef double again = model.AGAIN
    cdef int max_active = model.MAX_ACTIVE
    cdef double[::1] sums = np.zeros(K), step = np.zeros(K)
    with nogil:
        while done < n_epochs:
            active = active_left > 0
            indicator = 0.0
            for e in range(v.shape[0]):
                old = v[e]
                if active and old == 0:
                    continue
                j, k, L = columns[e], outputs[e], curvature[e]
                work += 1 + ptr[j + 1] - ptr[j]
                if work > beat:
                    work = 0
                    with gil:
                        PyErr_CheckSignals()
                g = slope[e]
                for t in range(ptr[j], ptr[j + 1]):
                    i = rows[t]
                    g += data[t] * Q[i, k] * (D[i, k] - s[i])
                g = L * old - g
                size = (g if positive else fabs(g)) - l1[e]
                if size <= 0:
                    new = 0
                else:
                    new = (size if g > 0 else -size) / (L + l2[e])
                v[e] = <floating>new
                change = <double>v[e] - old
                if change != 0:
                    for t in range(ptr[j], ptr[j + 1]):
                        i = rows[t]
                        D[i, k] += <floating>(change * data[t])
                        s[i] += <floating>(change * data[t] * P[i, k])
                    indicator = max(indicator, fabs(change) * sqrt(L))
            if intercepts:
                work += n * K
                for k in range(K):
                    sums[k] = slope_b[k]
                for i in range(n):
                    for k in range(K):
                        sums[k] += Q[i, k] * (D[i, k] - s[i])
                for k in range(K):
                    total = 0
                    for l in range(K):
                        total -= inverse[k, l] * sums[l]
                    step[k] = total
                    b[k] += <floating>total
                for i in range(n):
                    total = 0
                    for k in range(K):
                        D[i, k] += <floating>step[k]
                        total += P[i, k] * step[k]
                    s[i] += <floating>total
            done += 1
            if swept(active, indicator, target, again, max_active, &full, &active_left):
                break
    model.full_indicator, model.active_left = full, active_left
    PyErr_CheckSignals()
    return done, full
