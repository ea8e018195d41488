/* Passes over the stored entries of one row, in double and single precision and with narrow and wide
   positions: a is that row of the left factor, row j of B and of F starts at j * r and at j * k. */
#ifndef SKOPT_DL_STORED_H
#define SKOPT_DL_STORED_H

#include "_clones.h"

#define STORED(REAL, INTEGER, T) \
/* out_l = a'b_j over the entries l of the row, at the columns j. */ \
CLONES void T##_dots(long n, long r, const INTEGER *restrict cols, const REAL *restrict a, \
                     const REAL *restrict B, REAL *restrict out) { \
    for (long l = 0; l < n; l++) { \
        const REAL *restrict b = B + (long)cols[l] * r; \
        REAL s = 0; \
        for (long c = 0; c < r; c++) s += a[c] * b[c]; \
        out[l] = s; \
    } \
} \
/* y += sum_l w_l (a'b_j) f_j. */ \
CLONES void T##_masked(long n, long r, long k, const INTEGER *restrict cols, \
                       const REAL *restrict w, const REAL *restrict a, const REAL *restrict B, \
                       const REAL *restrict F, REAL *restrict y) { \
    for (long l = 0; l < n; l++) { \
        const REAL *restrict b = B + (long)cols[l] * r; \
        const REAL *restrict f = F + (long)cols[l] * k; \
        REAL s = 0; \
        for (long c = 0; c < r; c++) s += a[c] * b[c]; \
        s *= w[l]; \
        for (long c = 0; c < k; c++) y[c] += s * f[c]; \
    } \
}

STORED(double, int, di)
STORED(double, long long, dl)
STORED(float, int, si)
STORED(float, long long, sl)

#endif
