# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Dual coordinate ascent on dense and CSR rows: the compiled twin of ``dual_epoch`` in ``generic``.

For the losses whose prox is a formula or the root of one scalar equation, squared and logistic.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport exp, fabs
from libc.stdlib cimport free, malloc

import numpy as np

from skopt_dl.kernels.cython._slopes cimport LOGISTIC, floating, slopes

ctypedef fused integer:
    int
    long long


def dual_epoch(m, order):
    """See `skopt_dl.kernels.generic.dual_epoch`."""
    if m.sparse:
        X = m.base.rows
        return _epoch(m, False, X.data, X.indices, X.indptr, m.mean, m.y, m.omega, m.sigma, m.u,
                      m.v, m.l1, m.l2, order)
    # Contiguous rows read as one array of entries; their columns are counted, not stored.
    rows, none = m.base.rows, np.zeros(0, dtype=np.intc)
    return _epoch(m, True, rows.reshape(-1), none, none, m.mean, m.y, m.omega, m.sigma, m.u, m.v,
                  m.l1, m.l2, order)


cdef inline double _coefficient(double v, double l1, double l2, bint positive) noexcept nogil:
    if v > l1:
        return (v - l1) / l2
    return 0 if positive or v >= -l1 else (v + l1) / l2


cdef inline double _prox(int loss, double y, double v, double sigma) noexcept nogil:
    """``argmin_z sigma loss(y, z) + (z - v)^2 / 2``; see the losses for the formulas."""
    cdef double z = 0, p, step
    cdef int turn
    if loss != LOGISTIC:
        return (v + sigma * y) / (1 + sigma)
    for turn in range(30):
        p = 1 / (1 + exp(-z))
        step = (z - v + sigma * (p - y)) / (1 + sigma * p * (1 - p))
        z -= step
        if fabs(step) <= 1e-16 * fabs(z):
            break
    return z


def _epoch(model, bint dense, const floating[::1] data, const integer[::1] columns,
           const integer[::1] ptr, const floating[::1] mean, const floating[:, ::1] y,
           const floating[::1] omega, const floating[::1] sigma, floating[:, ::1] u,
           floating[:, ::1] v, const floating[:, ::1] l1, const floating[:, ::1] l2,
           const Py_ssize_t[::1] order):
    cdef Py_ssize_t p = v.shape[0], K = v.shape[1], turn, i, j, k, at, first, last
    cdef int loss = model.loss_id
    cdef bint positive = model.positive
    cdef double x, largest = 0
    cdef Py_ssize_t work = 0, beat = 1 << 21
    cdef double* z = <double*>malloc(max(K, 1) * sizeof(double))
    if z == NULL:
        raise MemoryError
    try:
        with nogil:
            for turn in range(order.shape[0]):
                i = order[turn]
                if not omega[i] > 0:
                    continue
                first = i * p if dense else ptr[i]
                last = first + p if dense else ptr[i + 1]
                work += (last - first + 30) * K
                if work > beat:
                    work = 0
                    with gil:
                        PyErr_CheckSignals()
                for k in range(K):
                    z[k] = <double>sigma[i] * u[i, k]
                for at in range(first, last):
                    j = at - first if dense else columns[at]
                    x = data[at] - mean[j]
                    for k in range(K):
                        z[k] += x * _coefficient(v[j, k], l1[j, k], l2[j, k], positive)
                for k in range(K):
                    z[k] = _prox(loss, y[i, k], z[k], sigma[i])
                slopes(loss, K, &y[i, 0], z)
                for k in range(K):
                    z[k] -= u[i, k]
                    u[i, k] += <floating>z[k]
                    largest = max(largest, fabs(z[k]))
                for at in range(first, last):
                    j = at - first if dense else columns[at]
                    x = omega[i] * (data[at] - mean[j])
                    for k in range(K):
                        v[j, k] -= <floating>(x * z[k])
    finally:
        free(z)
    PyErr_CheckSignals()
    return largest
