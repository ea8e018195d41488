# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Logistic losses in one pass each: compiled twins of the functions of ``generic_losses``."""

import numpy as np

from skopt_dl.kernels import generic_losses

ctypedef fused floating:
    float
    double

cdef extern from "_elementwise.h" nogil:
    void d_logistic_terms(const double*, const double*, double*, double*, long)
    void s_logistic_terms(const float*, const float*, float*, float*, long)
    void d_softmax_terms(const double*, const double*, double*, double*, long, long)
    void s_softmax_terms(const float*, const float*, float*, float*, long, long)


def logistic_terms(y, z):
    """See `skopt_dl.kernels.generic_losses.logistic_terms`."""
    y, z = np.ascontiguousarray(y), np.ascontiguousarray(z)
    if z.ndim != 1 or y.dtype != z.dtype:
        return generic_losses.logistic_terms(y, z)
    value, slope = np.empty_like(z), np.empty_like(z)
    _logistic(y, z, value, slope)
    return value, slope


def softmax_terms(y, z):
    """See `skopt_dl.kernels.generic_losses.softmax_terms`."""
    y, z = np.ascontiguousarray(y), np.ascontiguousarray(z)
    if y.dtype != z.dtype or z.shape[1] == 0:
        return generic_losses.softmax_terms(y, z)
    value, slope = np.empty(z.shape[0], dtype=z.dtype), np.empty_like(z)
    _softmax(z, y, value, slope)
    return value, slope


def softmax(z):
    """See `skopt_dl.kernels.generic_losses.softmax`."""
    z = np.ascontiguousarray(z)
    if z.shape[1] == 0:
        return generic_losses.softmax(z)
    p = np.empty_like(z)
    _softmax(z, None, None, p)
    return p


def _logistic(const floating[::1] y, const floating[::1] z, floating[::1] value,
              floating[::1] slope):
    cdef long n = z.shape[0]
    if n == 0:
        return
    with nogil:
        if floating is double:
            d_logistic_terms(&y[0], &z[0], &value[0], &slope[0], n)
        else:
            s_logistic_terms(&y[0], &z[0], &value[0], &slope[0], n)


def _softmax(const floating[:, ::1] z, const floating[:, ::1] y, floating[::1] value,
             floating[:, ::1] slope):
    # z comes first: its type decides, and y may be None.
    cdef long n = z.shape[0], k = z.shape[1]
    cdef const floating* targets = NULL
    cdef floating* values = NULL
    if n == 0:
        return
    if y is not None:
        targets, values = &y[0, 0], &value[0]
    with nogil:
        if floating is double:
            d_softmax_terms(&z[0, 0], targets, values, &slope[0, 0], n, k)
        else:
            s_softmax_terms(&z[0, 0], targets, values, &slope[0, 0], n, k)
