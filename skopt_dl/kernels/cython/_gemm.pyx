# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Products of C-ordered matrices: in tiles of wide vectors where the processor has them, else BLAS."""

import ctypes

from cpython.exc cimport PyErr_CheckSignals

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
# Multiplications in one call, a fifth of a second, and those after which Ctrl-C is heard; rows, or
# numbers that are summed, of a part at least.
cdef long ONE_CALL = 1 << 33
cdef long HEARD = 1 << 27
DEF FEWEST = 64

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


cdef bint _has_few_threads() noexcept nogil:
    return _blas_threads != NULL and _blas_threads() <= FEW


def blas_has_few_threads():
    """Whether BLAS has so few that what runs on one is as fast; of some BLAS that is not known."""
    return _has_few_threads()


cdef bint _in_tiles(long rows, long columns, long inner) noexcept nogil:
    if not _wide or rows * columns * inner <= MOST_ALONE:
        return _wide
    return _has_few_threads()


cdef int _hear() except -1 with gil:
    """What Ctrl-C has asked for since the last look."""
    PyErr_CheckSignals()
    return 0


cdef inline int _heard(long rows, long columns, long inner) except -1 nogil:
    """A look after a product of some milliseconds: many of them may follow each other."""
    if rows * columns * inner >= HEARD:
        _hear()
    return 0


cdef inline int _part(long rows, long columns, long inner) noexcept nogil:
    """How many of the rows one call takes, or of the numbers that are summed."""
    cdef long each = columns * inner
    if rows * each <= ONE_CALL:
        return <int>rows
    return <int>min(rows, max(<long>FEWEST, ONE_CALL // each))


cdef int mixed_gemm(bint turn_a, bint turn_b, int rows, int columns, int inner, floating share,
                    const floating* a, const floating* b, floating keep,
                    floating* out) except -1 nogil:
    """``out = share A B + keep out``, A and B as they are or turned.

    In parts of its rows, or where A is turned of what is summed, if it is long.
    """
    cdef int part, m
    cdef long low = 0
    if not turn_a:
        part = _part(rows, columns, inner)
        while low < rows:
            m = <int>min(part, rows - low)
            _product(False, turn_b, m, columns, inner, share, a + low * inner, b, keep,
                     out + low * columns)
            low += m
            _heard(m, columns, inner)
        return 0
    part = inner if turn_b else _part(inner, columns, rows)
    while low < inner or low == 0:
        m = <int>min(part, inner - low)
        _product(True, turn_b, rows, columns, m, share, a + low * rows, b + low * columns,
                 keep if low == 0 else 1, out)
        low += max(m, 1)
        _heard(rows, columns, m)
    return 0


cdef void _product(bint turn_a, bint turn_b, int rows, int columns, int inner, floating share,
                   const floating* a, const floating* b, floating keep,
                   floating* out) noexcept nogil:
    """The same in one call."""
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


cdef int fused_forward(int rows, int columns, int inner, const floating* a, const floating* b,
                       const floating* bias, bint cut, floating* out) except -1 nogil:
    """``out = A B + bias``, what is negative cut off or not; False, and nothing, without tiles."""
    cdef long low = 0
    cdef int part, m
    if not _in_tiles(rows, columns, inner):
        return False
    part = _part(rows, columns, inner)
    while low < rows:
        m = <int>min(part, rows - low)
        if floating is float:
            s_forward(m, columns, inner, a + low * inner, b, bias, cut, out + low * columns)
        else:
            d_forward(m, columns, inner, a + low * inner, b, bias, cut, out + low * columns)
        low += m
        _heard(m, columns, inner)
    return True


cdef int fused_backward(int rows, int columns, int inner, const floating* a, const floating* b,
                        const floating* outputs, floating* sums, floating* out) except -1 nogil:
    """``out = A B'`` where ``outputs`` are positive, its column sums added to ``sums``; or False."""
    cdef long low = 0
    cdef int part, m
    if not _in_tiles(rows, columns, inner):
        return False
    part = _part(rows, columns, inner)
    while low < rows:
        m = <int>min(part, rows - low)
        if floating is float:
            s_backward(m, columns, inner, a + low * inner, b, outputs + low * columns, sums,
                       out + low * columns)
        else:
            d_backward(m, columns, inner, a + low * inner, b, outputs + low * columns, sums,
                       out + low * columns)
        low += m
        _heard(m, columns, inner)
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
