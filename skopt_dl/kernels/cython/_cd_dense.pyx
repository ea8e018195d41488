# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Coordinate descent on dense columns: the compiled twin of ``generic.cd_epochs``."""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs, sqrt

from skopt_dl.kernels.cython._sweeps cimport swept
from skopt_dl.kernels.cython._vectors cimport axpy, dot, floating


def cd_epochs(model, order, int n_epochs, double target):
    """See `skopt_dl.kernels.generic.cd_epochs`."""
    m = model
    arrays = (
        m.map.columns, m.w, m.u, m.h, m.hx, m.mean, m.curvature, m.l1, m.l2,
    )
    return _epochs(m, *arrays, order, n_epochs, target)


def _epochs(model, const floating[::1, :] X, floating[::1] w, floating[::1] u,
            const floating[::1] h, const floating[::1] hx, const floating[::1] mean,
            const floating[::1] curvature, const floating[::1] l1, const floating[::1] l2,
            const Py_ssize_t[::1] order, int n_epochs, double target):
    cdef int n = X.shape[0]
    cdef Py_ssize_t i, j, k
    cdef double c = model.c, full = model.full_indicator, indicator = 0.0
    cdef int active_left = model.active_left, done = 0
    cdef bint uniform = model.uniform, positive = model.positive, active
    cdef Py_ssize_t work = 0, beat = 1 << 24
    cdef double g, L, old, new, size, change
    cdef double h0 = h[0] if n else 0.0
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
                work += n
                if work > beat:
                    work = 0
                    with gil:
                        PyErr_CheckSignals()
                g = dot(n, <floating*>&X[0, j], &u[0]) + c * hx[j]
                g += L * old
                size = g if positive else fabs(g)
                size -= l1[j]
                if size <= 0:
                    new = 0
                else:
                    new = (size if positive or g > 0 else -size) / (L + l2[j])
                w[j] = <floating>new
                change = <double>w[j] - old
                if change != 0:
                    if uniform:
                        axpy(n, -change * h0, <floating*>&X[0, j], &u[0])
                    else:
                        for i in range(n):
                            u[i] -= <floating>(change * h[i] * X[i, j])
                    c += change * mean[j]
                    indicator = max(indicator, fabs(change) * sqrt(L))
            done += 1
            if swept(active, indicator, target, again, max_active, &full, &active_left):
                break
    model.c, model.full_indicator, model.active_left = c, full, active_left
    PyErr_CheckSignals()
    return done, full

