/* Products of matrices in 512-bit vectors, for processors that have them. OpenBLAS falls back to half
   of that on those it does not know, and small matrices cost it more than their products. */
#ifndef SKOPT_DL_PRODUCTS_H
#define SKOPT_DL_PRODUCTS_H

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && defined(__x86_64__) && defined(__linux__)
#include <immintrin.h>

#define FEATURES target("avx512f,avx512dq,avx512bw,avx512vl,fma,prefer-vector-width=512")
#define WIDE static __attribute__((FEATURES))
#define WIDE_INLINE static inline __attribute__((always_inline, FEATURES))
#define TILE_ROWS 8
#define TILE_VECTORS 3
/* Numbers that are summed before C is touched: a packed panel of them fits the nearest cache. */
#define DEPTH 256
#define LONG_ROW 1024

static int has_wide_vectors(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

#define REAL float
#define NAME(x) s_##x
#define LANES 16
#define VECTOR __m512
#define MASK __mmask16
#define ALL ((MASK)0xffff)
#define LOAD(mask, p) _mm512_maskz_loadu_ps(mask, p)
#define STORE(p, mask, v) _mm512_mask_storeu_ps(p, mask, v)
#define SPREAD(x) _mm512_set1_ps(x)
#define PLUS(a, b) _mm512_add_ps(a, b)
#define TIMES(a, b) _mm512_mul_ps(a, b)
#define LARGER(a, b) _mm512_max_ps(a, b)
#define ABOVE(a, b) _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ)
#define ONLY(mask, v) _mm512_maskz_mov_ps(mask, v)
#define TIMES_PLUS(a, b, c) _mm512_fmadd_ps(a, b, c)
#include "_tiles.h"
#undef REAL
#undef NAME
#undef LANES
#undef VECTOR
#undef MASK
#undef ALL
#undef LOAD
#undef STORE
#undef SPREAD
#undef PLUS
#undef TIMES
#undef LARGER
#undef ABOVE
#undef ONLY
#undef TIMES_PLUS

#define REAL double
#define NAME(x) d_##x
#define LANES 8
#define VECTOR __m512d
#define MASK __mmask8
#define ALL ((MASK)0xff)
#define LOAD(mask, p) _mm512_maskz_loadu_pd(mask, p)
#define STORE(p, mask, v) _mm512_mask_storeu_pd(p, mask, v)
#define SPREAD(x) _mm512_set1_pd(x)
#define PLUS(a, b) _mm512_add_pd(a, b)
#define TIMES(a, b) _mm512_mul_pd(a, b)
#define LARGER(a, b) _mm512_max_pd(a, b)
#define ABOVE(a, b) _mm512_cmp_pd_mask(a, b, _CMP_GT_OQ)
#define ONLY(mask, v) _mm512_maskz_mov_pd(mask, v)
#define TIMES_PLUS(a, b, c) _mm512_fmadd_pd(a, b, c)
#include "_tiles.h"

#else
static int has_wide_vectors(void) { return 0; }
#define s_product(turn_a, turn_b, rows, columns, inner, share, a, b, keep, c) ((void)0)
#define d_product(turn_a, turn_b, rows, columns, inner, share, a, b, keep, c) ((void)0)
#define s_forward(rows, columns, inner, a, b, bias, cut, c) ((void)0)
#define d_forward(rows, columns, inner, a, b, bias, cut, c) ((void)0)
#define s_inner_products(by_columns, n, p, x, apart, c) ((void)0)
#define d_inner_products(by_columns, n, p, x, apart, c) ((void)0)
#define s_backward(rows, columns, inner, a, b, outputs, sums, c) ((void)0)
#define d_backward(rows, columns, inner, a, b, outputs, sums, c) ((void)0)
#endif

#endif
