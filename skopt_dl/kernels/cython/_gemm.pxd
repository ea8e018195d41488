"""BLAS on C-ordered matrices, for both precisions."""

from scipy.linalg.cython_blas cimport dgemm, sgemm

ctypedef fused floating:
    float
    double


cdef inline void gemm(bint turn_a, bint turn_b, int rows, int columns, int inner, const floating* a,
                      const floating* b, bint add, floating* out) noexcept nogil:
    """``out (+)= A B``, A and B as they are or transposed."""
    mixed_gemm[floating](turn_a, turn_b, rows, columns, inner, 1, a, b, 1 if add else 0, out)


cdef inline void mixed_gemm(bint turn_a, bint turn_b, int rows, int columns, int inner,
                            floating share, const floating* a, const floating* b, floating keep,
                            floating* out) noexcept nogil:
    """``out = share A B + keep out``, A and B as they are or transposed.

    BLAS is column-major: it computes ``out' = B' A'``.
    """
    cdef int lda = rows if turn_a else inner, ldb = inner if turn_b else columns
    cdef char* ta = b"T" if turn_a else b"N"
    cdef char* tb = b"T" if turn_b else b"N"
    if rows == 0 or columns == 0:
        return
    if floating is float:
        sgemm(tb, ta, &columns, &rows, &inner, &share, <float*>b, &ldb, <float*>a, &lda, &keep, out,
              &columns)
    else:
        dgemm(tb, ta, &columns, &rows, &inner, &share, <double*>b, &ldb, <double*>a, &lda, &keep,
              out, &columns)
