/* Gram matrices of a few gathered rows, for features as few as factors have. */
#ifndef SKOPT_DL_GRAM_H
#define SKOPT_DL_GRAM_H

#include "_clones.h"

/* Rows are padded with zeros to a multiple of this many numbers, up to the last size below. */
#define GRAM_STEP 4
#define GRAM_LAST 32

/* G += P'P for d >= c, in a k x k array, of rows of KP numbers: GRAM_STEP rows of G at a time stay in
   registers while all of P passes. The size is a constant, so that every loop but one is unrolled. */
#define GRAM(REAL, NAME, KP) \
CLONES void NAME(long k, long depth, const REAL *restrict P, REAL *restrict G) { \
    _Pragma("GCC unroll 8") \
    for (long b = 0; b < KP; b += GRAM_STEP) { \
        REAL a[GRAM_STEP][KP]; \
        for (long r = 0; r < GRAM_STEP; r++) \
            for (long d = b; d < KP; d++) a[r][d] = 0; \
        for (long l = 0; l < depth; l++) { \
            const REAL *restrict p = P + l * KP; \
            _Pragma("GCC unroll 4") \
            for (long r = 0; r < GRAM_STEP; r++) \
                for (long d = b; d < KP; d++) a[r][d] += p[b + r] * p[d]; \
        } \
        for (long c = b; c < b + GRAM_STEP && c < k; c++) \
            for (long d = c; d < k; d++) G[c * k + d] += a[c - b][d]; \
    } \
}

#define GRAMS(REAL, T) \
    GRAM(REAL, T##gram_4, 4) GRAM(REAL, T##gram_8, 8) GRAM(REAL, T##gram_12, 12) \
    GRAM(REAL, T##gram_16, 16) GRAM(REAL, T##gram_20, 20) GRAM(REAL, T##gram_24, 24) \
    GRAM(REAL, T##gram_28, 28) GRAM(REAL, T##gram_32, 32) \
static void T##gram_update(long k, long depth, const REAL *P, REAL *G) { \
    switch ((k + GRAM_STEP - 1) / GRAM_STEP) { \
        case 1: T##gram_4(k, depth, P, G); break; \
        case 2: T##gram_8(k, depth, P, G); break; \
        case 3: T##gram_12(k, depth, P, G); break; \
        case 4: T##gram_16(k, depth, P, G); break; \
        case 5: T##gram_20(k, depth, P, G); break; \
        case 6: T##gram_24(k, depth, P, G); break; \
        case 7: T##gram_28(k, depth, P, G); break; \
        default: T##gram_32(k, depth, P, G); \
    } \
}

GRAMS(double, d_)
GRAMS(float, s_)

#endif
