"""Products of C-ordered matrices, for both precisions."""

ctypedef fused floating:
    float
    double

cdef int mixed_gemm(bint turn_a, bint turn_b, int rows, int columns, int inner, floating share,
                    const floating* a, const floating* b, floating keep,
                    floating* out) except -1 nogil

cdef int fused_forward(int rows, int columns, int inner, const floating* a, const floating* b,
                       const floating* bias, bint cut, floating* out) except -1 nogil

cdef int fused_backward(int rows, int columns, int inner, const floating* a, const floating* b,
                        const floating* outputs, floating* sums, floating* out) except -1 nogil


cdef inline int gemm(bint turn_a, bint turn_b, int rows, int columns, int inner, const floating* a,
                     const floating* b, bint add, floating* out) except -1 nogil:
    """``out (+)= A B``, A and B as they are or turned."""
    return mixed_gemm[floating](turn_a, turn_b, rows, columns, inner, 1, a, b, 1 if add else 0, out)
