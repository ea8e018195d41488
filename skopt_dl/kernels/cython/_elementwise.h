/* The loops of _network.h, _updates.h, _steps.h and _losses.h in double (d_) and single (s_) precision. */
#ifndef SKOPT_DL_ELEMENTWISE_H
#define SKOPT_DL_ELEMENTWISE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* The slopes of the first four are taken from their outputs, those of the others are stored. */
enum { IDENTITY = 0, LOGISTIC = 1, TANH = 2, RELU = 3, LEAKY_RELU = 4, ELU = 5, SOFTPLUS = 6, SELU = 7,
       GELU = 8, SILU = 9, MISH = 10 };
#define SELU_ALPHA 1.6732632423543772848
#define SELU_SCALE 1.0507009873554804934
#define GELU_SCALE 0.79788456080286535588
#define GELU_CUBE 0.044715
#define GELU_END 30

#include "_clones.h"

/* Asks for memory that is read soon. */
static inline void prefetch(const void *from, long bytes) {
#ifdef __GNUC__
    for (long i = 0; i < bytes; i += 64) __builtin_prefetch((const char *)from + i);
#else
    (void)from, (void)bytes;
#endif
}

/* Numbers that loops with local arrays take at a time. */
#define BLOCK 64
/* Rows that a softmax of up to so many classes takes at a time. */
#define ROWS 16
#define FEW_CLASSES 32

/* artanh(s) / s in q = s * s, to rounding for q <= 1/9. */
#define ARTANH_SERIES(q) (1 + q * ((REAL)1 / 3 + q * ((REAL)1 / 5 + q * ((REAL)1 / 7 \
    + q * ((REAL)1 / 9 + q * ((REAL)1 / 11 + q * ((REAL)1 / 13 + q * ((REAL)1 / 15 \
    + q * ((REAL)1 / 17 + q * ((REAL)1 / 19 + q * ((REAL)1 / 21 + q * ((REAL)1 / 23 \
    + q * ((REAL)1 / 25 + q * ((REAL)1 / 27 + q * ((REAL)1 / 29 + q * ((REAL)1 / 31 \
    + q * ((REAL)1 / 33 + q * ((REAL)1 / 35))))))))))))))))))

/* The same, to rounding for q <= 0.0295. */
#define LOG_SERIES(q) (1 + q * ((REAL)1 / 3 + q * ((REAL)1 / 5 + q * ((REAL)1 / 7 + q * ((REAL)1 / 9 \
    + q * ((REAL)1 / 11 + q * ((REAL)1 / 13 + q * ((REAL)1 / 15 + q * ((REAL)1 / 17 \
    + q * ((REAL)1 / 19 + q * ((REAL)1 / 21)))))))))))

#define REAL double
#define INTEGER int64_t
#define NAME(x) d_##x
#define LOWEST -708.0
#define LEAST -1.79e308
#define MANTISSA 52
#define BIAS 1023
#define ROOT_HALF 0x3fe6a09e667f3bcd
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10
#define POLYNOMIAL(r) (1 + r * (1 + r * (1. / 2 + r * (1. / 6 + r * (1. / 24 + r * (1. / 120 \
    + r * (1. / 720 + r * (1. / 5040 + r * (1. / 40320 + r * (1. / 362880 + r * (1. / 3628800 \
    + r * (1. / 39916800 + r * (1. / 479001600)))))))))))))
#define EXP exp
#define LOG log
#define LOG1P log1p
#define ROOT sqrt
#define ABS fabs
#define SIGN copysign
#include "_network.h"
#include "_updates.h"
#include "_steps.h"
#include "_losses.h"
#undef REAL
#undef INTEGER
#undef NAME
#undef LOWEST
#undef LEAST
#undef MANTISSA
#undef BIAS
#undef ROOT_HALF
#undef LN2_HIGH
#undef LN2_LOW
#undef POLYNOMIAL
#undef EXP
#undef LOG
#undef LOG1P
#undef ROOT
#undef ABS
#undef SIGN

#define REAL float
#define INTEGER int32_t
#define NAME(x) s_##x
#define LOWEST -87.0f
#define LEAST -3.4e38f
#define MANTISSA 23
#define BIAS 127
#define ROOT_HALF 0x3f3504f3
#define LN2_HIGH 6.93359375e-01f
#define LN2_LOW -2.12194440e-04f
#define POLYNOMIAL(r) (1 + r * (1 + r * (1.f / 2 + r * (1.f / 6 + r * (1.f / 24 + r * (1.f / 120 \
    + r * (1.f / 720)))))))
#define EXP expf
#define LOG logf
#define LOG1P log1pf
#define ROOT sqrtf
#define ABS fabsf
#define SIGN copysignf
#include "_network.h"
#include "_updates.h"
#include "_steps.h"
#include "_losses.h"

#endif
