"""BLAS on vectors, for both precisions."""

from scipy.linalg.cython_blas cimport daxpy, ddot, saxpy, sdot

ctypedef fused floating:
    float
    double


cdef inline double dot(int n, floating* x, floating* y) noexcept nogil:
    cdef int one = 1
    if floating is float:
        return sdot(&n, x, &one, y, &one)
    else:
        return ddot(&n, x, &one, y, &one)


cdef inline void axpy(int n, double a, floating* x, floating* y) noexcept nogil:
    """``y += a x``."""
    cdef int one = 1
    cdef floating alpha = <floating>a
    if floating is float:
        saxpy(&n, &alpha, x, &one, y, &one)
    else:
        daxpy(&n, &alpha, x, &one, y, &one)
