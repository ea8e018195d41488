"""BLAS on C-ordered matrices, for both precisions."""

from scipy.linalg.cython_blas cimport dgemm, sgemm

ctypedef fused floating:
    float
    double


cdef inline void gemm(bint turn_a, bint turn_b, int rows, int columns, int inner, const floating* a,
                      const floating* b, bint add, floating* out) noexcept nogil:
    """``out (+)= A B``, A and B as they are or transposed.

    BLAS is column-major: it computes ``out' = B' A'``.
    """
    cdef floating one = 1, keep = 1 if add else 0
    cdef int lda = rows if turn_a else inner, ldb = inner if turn_b else columns
    cdef char* ta = b"T" if turn_a else b"N"
    cdef char* tb = b"T" if turn_b else b"N"
    if rows == 0 or columns == 0:
        return
    if floating is float:
        sgemm(tb, ta, &columns, &rows, &inner, &one, <float*>b, &ldb, <float*>a, &lda, &keep, out,
              &columns)
    else:
        dgemm(tb, ta, &columns, &rows, &inner, &one, <double*>b, &ldb, <double*>a, &lda, &keep,
              out, &columns)
