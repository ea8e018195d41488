# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Products with a limited-memory inverse Hessian: the compiled twin of ``generic.two_loop``."""

import numpy as np

from skopt_dl.kernels.cython._vectors cimport axpy, dot, floating


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
        weights[k] = rho * dot(n, <floating*>&s[0], &q[0])
        axpy(n, -weights[k], <floating*>&y[0], &q[0])
    for i in range(n):
        q[i] *= <floating>scale
    for k in range(m):
        s, y, rho = pairs[k]
        axpy(n, weights[k] - rho * dot(n, <floating*>&y[0], &q[0]), <floating*>&s[0], &q[0])
