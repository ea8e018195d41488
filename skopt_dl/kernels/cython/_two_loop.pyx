# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Products with a limited-memory inverse Hessian: the compiled twin of ``generic.two_loop``."""

import numpy as np

from scipy.linalg.cython_blas cimport daxpy, ddot, saxpy, sdot

ctypedef fused floating:
    float
    double


cdef inline double _dot(int n, floating* x, floating* y) noexcept nogil:
    cdef int one = 1
    if floating is float:
        return sdot(&n, x, &one, y, &one)
    else:
        return ddot(&n, x, &one, y, &one)


cdef inline void _axpy(int n, double a, floating* x, floating* y) noexcept nogil:
    cdef int one = 1
    cdef floating alpha = <floating>a
    if floating is float:
        saxpy(&n, &alpha, x, &one, y, &one)
    else:
        daxpy(&n, &alpha, x, &one, y, &one)


def two_loop(pairs, scale, g):
    """See `skopt_dl.kernels.generic.two_loop`."""
    q = np.array(g, copy=True)
    if q.shape[0]:
        _loops(list(pairs), scale, q)
    return q


def _loops(list pairs, double scale, floating[::1] q):
    cdef int n = q.shape[0], m = len(pairs), k
    cdef Py_ssize_t i
    cdef const floating[::1] s, y
    cdef double rho
    cdef double[::1] weights = np.empty(m)
    for k in range(m - 1, -1, -1):
        s, y, rho = pairs[k]
        weights[k] = rho * _dot(n, <floating*>&s[0], &q[0])
        _axpy(n, -weights[k], <floating*>&y[0], &q[0])
    for i in range(n):
        q[i] *= <floating>scale
    for k in range(m):
        s, y, rho = pairs[k]
        _axpy(n, weights[k] - rho * _dot(n, <floating*>&y[0], &q[0]), <floating*>&s[0], &q[0])
