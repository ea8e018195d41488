# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Products of C-ordered matrices: in tiles of wide vectors where the processor has them, else BLAS."""

import ctypes

import numpy as np

from scipy.linalg import cython_blas
from scipy.linalg.cython_blas cimport dgemm, sgemm

cdef extern from "_products.h" nogil:
    bint has_wide_vectors()
    void s_product(bint, bint, long, long, long, float, const float*, const float*, float, float*)
    void d_product(bint, bint, long, long, long, double, const double*, const double*, double, double*)
    void s_forward(long, long, long, const float*, const float*, const float*, bint, float*)
    void d_forward(long, long, long, const double*, const double*, const double*, bint, double*)
    void s_inner_products(bint, long, long, const float*, long, float*)
    void d_inner_products(bint, long, long, const double*, long, double*)
    void s_backward(long, long, long, const float*, const float*, const float*, float*, float*)
    void d_backward(long, long, long, const double*, const double*, const double*, double*, double*)

# Multiplications from which a BLAS of several threads is faster than tiles, which have one: what
# these take lasts as long as it takes to wake the threads (``python -m benchmarks.products``).
DEF MOST_ALONE = 2_000_000
# Multiplications from which tiles make a matrix of inner products as fast as BLAS does.
DEF WORTH = 200_000
# Threads of a BLAS that tiles can be as fast as.
DEF FEW = 2

ctypedef int (*counter)() noexcept nogil

cdef bint _wide = has_wide_vectors()
cdef counter _blas_threads = NULL


def _find_counter():
    """OpenBLAS says how many threads it would take; of others nothing is known."""
    cdef size_t address
    global _blas_threads
    try:
        # A symbol is looked for in what a library has loaded, too.
        blas = ctypes.CDLL(cython_blas.__file__)
    except OSError:
        return
    for name in ("scipy_openblas_get_num_threads", "openblas_get_num_threads"):
        if hasattr(blas, name):
            address = ctypes.cast(getattr(blas, name), ctypes.c_void_p).value
            _blas_threads = <counter>address
            return


_find_counter()


cdef bint _in_tiles(long rows, long columns, long inner) noexcept nogil:
    if not _wide or rows * columns * inner <= MOST_ALONE:
        return _wide
    return _blas_threads != NULL and _blas_threads() <= FEW


cdef void mixed_gemm(bint turn_a, bint turn_b, int rows, int columns, int inner, floating share,
                     const floating* a, const floating* b, floating keep,
                     floating* out) noexcept nogil:
    """``out = share A B + keep out``, A and B as they are or turned."""
    cdef int lda = rows if turn_a else inner, ldb = inner if turn_b else columns
    cdef char* ta = b"T" if turn_a else b"N"
    cdef char* tb = b"T" if turn_b else b"N"
    if rows == 0 or columns == 0:
        return
    if _in_tiles(rows, columns, inner):
        if floating is float:
            s_product(turn_a, turn_b, rows, columns, inner, share, a, b, keep, out)
        else:
            d_product(turn_a, turn_b, rows, columns, inner, share, a, b, keep, out)
        return
    # BLAS is column-major: it computes ``out' = B' A'``.
    if floating is float:
        sgemm(tb, ta, &columns, &rows, &inner, &share, <float*>b, &ldb, <float*>a, &lda, &keep, out,
              &columns)
    else:
        dgemm(tb, ta, &columns, &rows, &inner, &share, <double*>b, &ldb, <double*>a, &lda, &keep,
              out, &columns)


cdef bint fused_forward(int rows, int columns, int inner, const floating* a, const floating* b,
                        const floating* bias, bint cut, floating* out) noexcept nogil:
    """``out = A B + bias``, what is negative cut off or not; False, and nothing, without tiles."""
    if not _in_tiles(rows, columns, inner):
        return False
    if floating is float:
        s_forward(rows, columns, inner, a, b, bias, cut, out)
    else:
        d_forward(rows, columns, inner, a, b, bias, cut, out)
    return True


cdef bint fused_backward(int rows, int columns, int inner, const floating* a, const floating* b,
                         const floating* outputs, floating* sums, floating* out) noexcept nogil:
    """``out = A B'`` where ``outputs`` are positive, its column sums added to ``sums``; or False."""
    if not _in_tiles(rows, columns, inner):
        return False
    if floating is float:
        s_backward(rows, columns, inner, a, b, outputs, sums, out)
    else:
        d_backward(rows, columns, inner, a, b, outputs, sums, out)
    return True


def inner_products(X):
    """See `skopt_dl.kernels.generic.inner_products`."""
    cdef long n = X.shape[0], p = X.shape[1], size = X.itemsize
    cdef bint by_columns = X.strides[1] != size
    strides = X.strides[1 if by_columns else 0]
    in_line = X.strides[0 if by_columns else 1] == size and strides > 0 and strides % size == 0
    worth = n * p * p >= WORTH and _in_tiles(p, p, n)
    if not (worth and in_line and X.dtype in (np.float32, np.float64)):
        return X.T @ X
    out = np.empty((p, p), dtype=X.dtype)
    if X.dtype == np.float32:
        _inner_products[float](X, by_columns, strides // size, out)
    else:
        _inner_products[double](X, by_columns, strides // size, out)
    return out


cdef _inner_products(const floating[:, :] X, bint by_columns, long apart, floating[:, ::1] out):
    cdef long n = X.shape[0], p = X.shape[1]
    with nogil:
        if floating is float:
            s_inner_products(by_columns, n, p, &X[0, 0], apart, &out[0, 0])
        else:
            d_inner_products(by_columns, n, p, &X[0, 0], apart, &out[0, 0])
