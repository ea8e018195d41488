# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Coordinate descent over rows on a Gram matrix: the twin of ``generic_rows.gram_row_epochs``."""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport sqrt

from skopt_dl.kernels.cython._vectors cimport axpy


def gram_row_epochs(const double[:, :] G, double[:, ::1] C, double[:, ::1] W, double l1,
                    double l2, int n_epochs, double target):
    """See `skopt_dl.kernels.generic_rows.gram_row_epochs`."""
    cdef int p = W.shape[0], K = W.shape[1], j, k, done = 0
    cdef double moved = 0, norm, share, size, L, g
    cdef double[::1] d = np.empty(K)
    if p and G.strides[1] != sizeof(double):
        raise ValueError("the rows of G must be contiguous")
    # Numbers read since Python was asked for signals: an epoch alone may take seconds.
    cdef Py_ssize_t work = 0, beat = 1 << 24
    while done < n_epochs:
        PyErr_CheckSignals()
        with nogil:
            moved = 0
            for j in range(p):
                L = G[j, j]
                if L <= 0:
                    if l1 + l2 > 0:
                        for k in range(K):
                            W[j, k] = 0
                    continue
                norm = share = size = 0
                for k in range(K):
                    d[k] = C[k, j] + L * W[j, k]
                    norm += d[k] * d[k]
                norm = sqrt(norm)
                if norm > l1:
                    share = (1 - l1 / norm) / (L + l2)
                for k in range(K):
                    g = share * d[k]
                    d[k] = g - W[j, k]
                    W[j, k] = g
                    size += d[k] * d[k]
                if size > 0:
                    work += <Py_ssize_t>p * K
                    if work > beat:
                        work = 0
                        with gil:
                            PyErr_CheckSignals()
                    for k in range(K):
                        axpy(p, -d[k], <double*>&G[j, 0], &C[k, 0])
                    moved = max(moved, sqrt(size * L))
        done += 1
        if moved <= target:
            break
    return done, moved
