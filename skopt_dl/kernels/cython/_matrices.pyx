# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What the stochastic rules make of the matrices of a gradient, in memory that the caller keeps:
compiled twins of functions of ``generic_updates``."""

from libc.math cimport sqrt
from libc.string cimport memcpy, memset

from skopt_dl.kernels.cython._gemm cimport floating, gemm, mixed_gemm
from skopt_dl.kernels.cython._vectors cimport dot

import numpy as np

from scipy.linalg.cython_lapack cimport dpotrf, dpotri, spotrf, spotri

from skopt_dl.kernels import generic_updates as generic


def lower_factor(G):
    """See `skopt_dl.kernels.generic.lower_factor`."""
    # In Fortran's order LAPACK reads the other triangle of rows in C's: of the same matrix.
    A = G if G.flags.c_contiguous else np.ascontiguousarray(G.T)
    if A.dtype == np.float32:
        failed = _lower_factor[float](A)
    else:
        failed = _lower_factor[double](A)
    if failed:
        raise np.linalg.LinAlgError("the matrix is not positive definite")
    return A.T


cdef bint _lower_factor(floating[:, ::1] A):
    cdef int n = <int>A.shape[0], failed = 0, i
    cdef char* lower = b"L"
    if n == 0:
        return False
    with nogil:
        if floating is float:
            spotrf(lower, &n, &A[0, 0], &n, &failed)
        else:
            dpotrf(lower, &n, &A[0, 0], &n, &failed)
        for i in range(1, n):
            memset(&A[i, 0], 0, i * sizeof(floating))
    return failed != 0


def matrix_workspace(w, shapes):
    """See `skopt_dl.kernels.generic_updates.matrix_workspace`."""
    most = max((rows * columns + 2 * min(rows, columns) ** 2 for rows, columns in shapes), default=0)
    return np.empty(most, dtype=w.dtype)


def orthogonalised(G, int n_steps, work):
    """See `skopt_dl.kernels.generic_updates.orthogonalised`."""
    if G.size and G.dtype == np.float32:
        _orthogonalised[float](G, n_steps, work)
    elif G.size:
        _orthogonalised[double](G, n_steps, work)
    return G


cdef _orthogonalised(floating[:, ::1] G, int n_steps, floating[::1] work):
    cdef int rows = <int>G.shape[0], columns = <int>G.shape[1], k = min(rows, columns), step
    cdef long size = <long>rows * columns, square = <long>k * k, i
    cdef bint wide = rows <= columns
    cdef floating a = 3.4445, b = -4.7750, c = 2.0315, share
    cdef floating* X = &G[0, 0]
    cdef floating* product = &work[0]
    cdef floating* A = product + size
    cdef floating* B = A + square
    cdef double total = 0
    for i in range(size):
        total += <double>X[i] * X[i]
    share = <floating>(1 / sqrt(total)) if total > 0 else 1
    for i in range(size):
        X[i] *= share
    for step in range(n_steps):
        # X X' and products from the left of a wide matrix, X' X and from the right of a tall one.
        gemm(not wide, wide, k, k, columns if wide else rows, X, X, False, A)
        gemm(False, False, k, k, k, A, A, False, B)
        for i in range(square):
            B[i] = b * A[i] + c * B[i]
        if wide:
            gemm(False, False, rows, columns, k, B, X, False, product)
        else:
            gemm(False, False, rows, columns, k, X, B, False, product)
        for i in range(size):
            X[i] = a * X[i] + product[i]


def matrix_product(A, B, out, bint turn_a=False, bint turn_b=False, double share=1.0,
                   double keep=0.0):
    """See `skopt_dl.kernels.generic_updates.matrix_product`."""
    A, B = np.ascontiguousarray(A), np.ascontiguousarray(B)
    if out.dtype == np.float32:
        _product[float](A, B, out, turn_a, turn_b, <float>share, <float>keep)
    else:
        _product[double](A, B, out, turn_a, turn_b, share, keep)
    return out


cdef _product(const floating[:, ::1] A, const floating[:, ::1] B, floating[:, ::1] out, bint turn_a,
              bint turn_b, floating share, floating keep):
    cdef int inner = <int>(A.shape[0] if turn_a else A.shape[1])
    if out.shape[0] and out.shape[1] and inner:
        with nogil:
            mixed_gemm[floating](turn_a, turn_b, <int>out.shape[0], <int>out.shape[1], inner, share,
                                 &A[0, 0], &B[0, 0], keep, &out[0, 0])
    elif out.shape[0] and out.shape[1]:
        whole = np.asarray(out)
        whole[...] = keep * whole if keep else 0


def row_products(V, long count):
    """See `skopt_dl.kernels.generic_updates.row_products`."""
    out = np.zeros((V.shape[0], V.shape[0]), dtype=V.dtype)
    V = np.ascontiguousarray(V)
    if count and out.size and V.dtype == np.float32:
        _row_products[float](V, count, out)
    elif count and out.size:
        _row_products[double](V, count, out)
    return out


cdef _row_products(const floating[:, ::1] V, long count, floating[:, ::1] out):
    cdef long i, j
    for i in range(V.shape[0]):
        for j in range(i + 1):
            out[i, j] = <floating>dot[floating](<int>count, <floating*>&V[i, 0], <floating*>&V[j, 0])
            out[j, i] = out[i, j]


def factored_scale(G, rows, columns, double decay, double epsilon, out):
    """See `skopt_dl.kernels.generic_updates.factored_scale`."""
    if G.dtype == np.float32:
        _factored[float](G, rows, columns, decay, epsilon, out)
    else:
        _factored[double](G, rows, columns, decay, epsilon, out)
    return out


cdef _factored(const floating[:, ::1] G, floating[:, ::1] rows, floating[:, ::1] columns,
               double decay, double epsilon, floating[:, ::1] out):
    cdef long n = G.shape[0], m = G.shape[1], i, j
    cdef floating keep = <floating>decay, new = <floating>(1 - decay), e = <floating>epsilon
    cdef floating square, sum, of_row
    cdef double mean = 0
    for j in range(m):
        columns[0, j] *= keep
    for i in range(n):
        sum = 0
        for j in range(m):
            square = G[i, j] * G[i, j] + e
            sum += square
            columns[0, j] += new / n * square
        rows[i, 0] = keep * rows[i, 0] + new * sum / m
        mean += rows[i, 0]
    mean /= n
    for i in range(n):
        of_row = <floating>(1 / sqrt(rows[i, 0] / mean))
        for j in range(m):
            out[i, j] = G[i, j] * of_row / <floating>sqrt(columns[0, j])


def two_sided(v, blocks, pairs, double share, out, memory):
    """See `skopt_dl.kernels.generic_updates.two_sided`."""
    for k, ((coef, intercept, columns), (L, R)) in enumerate(zip(blocks, pairs)):
        biased = intercept.stop > intercept.start
        rows = (coef.stop - coef.start) // columns + biased
        work = memory.array(f"two_sided{k}", (2, rows, columns), v)
        if v.dtype == np.float32:
            _two_sided[float](v, coef.start, intercept.start, biased, L, R, <float>share, work, out)
        else:
            _two_sided[double](v, coef.start, intercept.start, biased, L, R, share, work, out)
    return out


cdef _two_sided(const floating[::1] v, long coef, long intercept, bint biased,
                const floating[:, ::1] L, const floating[:, ::1] R, floating share,
                floating[:, :, ::1] work, floating[::1] out):
    cdef int rows = <int>work.shape[1], columns = <int>work.shape[2]
    cdef long size = <long>(rows - biased) * columns
    cdef floating* V
    cdef floating* half
    if rows == 0 or columns == 0:
        return
    V, half = &work[0, 0, 0], &work[1, 0, 0]
    if size:
        memcpy(V, &v[coef], size * sizeof(floating))
    if biased:
        memcpy(V + size, &v[intercept], columns * sizeof(floating))
    gemm(False, False, rows, columns, rows, &L[0, 0], V, False, half)
    mixed_gemm[floating](False, False, rows, columns, columns, share, half, &R[0, 0], 0, V)
    if size:
        memcpy(&out[coef], V, size * sizeof(floating))
    if biased:
        memcpy(&out[intercept], V + size, columns * sizeof(floating))


def damped_inverse(M, gamma):
    """See `skopt_dl.kernels.generic_updates.damped_inverse`."""
    out = np.array(M, order="C")
    positive = True
    if out.size and out.dtype == np.float32:
        positive = _damped_inverse[float](out, float(gamma))
    elif out.size:
        positive = _damped_inverse[double](out, float(gamma))
    return out if positive else generic.damped_inverse(M, gamma)


cdef bint _damped_inverse(floating[:, ::1] M, double gamma):
    """By Cholesky's factor, in place; False where rounding has made M indefinite."""
    cdef int n = <int>M.shape[0], i, j, failed = 0
    cdef char* half = b"U"
    for i in range(n):
        M[i, i] += <floating>gamma
    # LAPACK is column-major: what it calls the upper half is the lower one here.
    with nogil:
        if floating is float:
            spotrf(half, &n, &M[0, 0], &n, &failed)
            if failed == 0:
                spotri(half, &n, &M[0, 0], &n, &failed)
        else:
            dpotrf(half, &n, &M[0, 0], &n, &failed)
            if failed == 0:
                dpotri(half, &n, &M[0, 0], &n, &failed)
    if failed != 0:
        return False
    for i in range(n):
        for j in range(i):
            M[j, i] = M[i, j]
    return True
