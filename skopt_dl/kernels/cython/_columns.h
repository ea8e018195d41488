/* Sums of columns, and products of columns with few vectors, each column being read once. */
#ifndef SKOPT_DL_COLUMNS_H
#define SKOPT_DL_COLUMNS_H

#include "_clones.h"

/* Numbers of a vector that stay in the nearest cache while all columns pass. */
#define AT_ONCE 1024

/* out += sum_i w_i A_j(i) of n numbers, for k columns of A that lie `apart`. */
#define ADD_COLUMNS(REAL, T) \
CLONES void T##_add_columns(long k, long n, const REAL *restrict A, long apart, \
                            const Py_ssize_t *restrict j, const REAL *restrict w, \
                            REAL *restrict out) { \
    for (long low = 0; low < n; low += AT_ONCE) { \
        const long m = n - low < AT_ONCE ? n - low : AT_ONCE; \
        REAL *restrict to = out + low; \
        long i = 0; \
        for (; i + 4 <= k; i += 4) { \
            const REAL *restrict p = A + j[i] * apart + low, *restrict q = A + j[i + 1] * apart + low; \
            const REAL *restrict u = A + j[i + 2] * apart + low, *restrict v = A + j[i + 3] * apart + low; \
            const REAL a = w[i], b = w[i + 1], c = w[i + 2], d = w[i + 3]; \
            for (long l = 0; l < m; l++) to[l] += (a * p[l] + b * q[l]) + (c * u[l] + d * v[l]); \
        } \
        for (; i < k; i++) { \
            const REAL *restrict p = A + j[i] * apart + low; \
            const REAL a = w[i]; \
            for (long l = 0; l < m; l++) to[l] += a * p[l]; \
        } \
    } \
}

/* out_v += A'r_v for v < k vectors of n numbers and p columns of A, which lie `apart`: all from the first
   on, or those of a list. Sums of four columns are on their way at a time; none has other digits for
   what is beside it. */
#define COLUMN_DOTS(REAL, T) \
INLINE const REAL *T##_column(const REAL *A, long apart, const Py_ssize_t *list, long j) { \
    return A + (list ? list[j] : j) * apart; \
} \
CLONES void T##_column_dots(long n, long p, long k, const REAL *restrict A, long apart, \
                            const Py_ssize_t *list, const REAL *restrict r, REAL *restrict out) { \
    for (long low = 0; low < n; low += AT_ONCE) { \
        const long m = n - low < AT_ONCE ? n - low : AT_ONCE; \
        long j = 0; \
        for (; j + 4 <= p; j += 4) { \
            const REAL *restrict a = T##_column(A, apart, list, j) + low; \
            const REAL *restrict b = T##_column(A, apart, list, j + 1) + low; \
            const REAL *restrict c = T##_column(A, apart, list, j + 2) + low; \
            const REAL *restrict d = T##_column(A, apart, list, j + 3) + low; \
            for (long v = 0; v < k; v++) { \
                const REAL *restrict t = r + v * n + low; \
                REAL at = 0, bt = 0, ct = 0, dt = 0; \
                for (long l = 0; l < m; l++) { \
                    at += a[l] * t[l]; \
                    bt += b[l] * t[l]; \
                    ct += c[l] * t[l]; \
                    dt += d[l] * t[l]; \
                } \
                REAL *restrict to = out + v * p + j; \
                to[0] += at, to[1] += bt, to[2] += ct, to[3] += dt; \
            } \
        } \
        for (; j < p; j++) { \
            const REAL *restrict a = T##_column(A, apart, list, j) + low; \
            for (long v = 0; v < k; v++) { \
                const REAL *restrict t = r + v * n + low; \
                REAL at = 0; \
                for (long l = 0; l < m; l++) at += a[l] * t[l]; \
                out[v * p + j] += at; \
            } \
        } \
    } \
}

/* sum_i h_i a_ij and sum_i h_i a_ij^2 of p contiguous columns, summed in double precision. */
#define COLUMN_MOMENTS(REAL, T) \
CLONES void T##_column_moments(long n, long p, const REAL *restrict A, const REAL *restrict h, \
                               REAL *restrict sums, REAL *restrict squares) { \
    for (long j = 0; j < p; j++) { \
        const REAL *restrict a = A + j * n; \
        double s = 0, q = 0; \
        for (long i = 0; i < n; i++) { \
            double ha = (double)h[i] * a[i]; \
            s += ha; \
            q += ha * a[i]; \
        } \
        sums[j] = (REAL)s, squares[j] = (REAL)q; \
    } \
}

ADD_COLUMNS(double, d)
ADD_COLUMNS(float, s)
COLUMN_DOTS(double, d)
COLUMN_DOTS(float, s)
COLUMN_MOMENTS(double, d)
COLUMN_MOMENTS(float, s)

#endif
