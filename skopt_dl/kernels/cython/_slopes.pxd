"""Slopes of the built-in losses for one sample, by the ``kernel_id`` that the loss declares."""

from libc.math cimport exp

ctypedef fused floating:
    float
    double

cdef enum:
    SQUARED = 0
    LOGISTIC = 1
    MULTINOMIAL = 2


cdef inline void slopes(int loss, Py_ssize_t K, const floating* y, double* z) noexcept nogil:
    """Replace the K raw predictions ``z`` by the slopes of the loss there."""
    cdef Py_ssize_t k
    cdef double top, total
    if loss == SQUARED:
        for k in range(K):
            z[k] -= y[k]
    elif loss == LOGISTIC:
        for k in range(K):
            z[k] = 1 / (1 + exp(-z[k])) - y[k]
    else:
        top = z[0]
        for k in range(1, K):
            top = max(top, z[k])
        total = 0
        for k in range(K):
            z[k] = exp(z[k] - top)
            total += z[k]
        for k in range(K):
            z[k] = z[k] / total - y[k]
