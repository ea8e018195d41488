/* Coordinate descent for one row of non-negative parameters, in double and single precision. */
#ifndef SKOPT_DL_DESCENT_H
#define SKOPT_DL_DESCENT_H

#include "_clones.h"

/* Lower u'(G + rho I) u / 2 - b'u over u >= 0 in place, G full, s room for 2 k numbers: the slopes, which
   follow each change by a row of G, so that a parameter that stays at its bound costs nothing more, and
   the inverse curvatures (0 where there is none). */
#define DESCENT(REAL, T) \
CLONES void T##_descend(long k, REAL rho, double tiny, long sweeps, double enough, \
                        const REAL *restrict G, const REAL *restrict b, REAL *restrict u, \
                        REAL *restrict s) { \
    REAL *restrict inverse = s + k; \
    for (long c = 0; c < k; c++) { \
        REAL bend = G[c * k + c] + rho; \
        inverse[c] = bend > tiny ? 1 / bend : 0; \
        s[c] = rho * u[c] - b[c]; \
    } \
    for (long c = 0; c < k; c++) \
        if (u[c] != 0) \
            for (long d = 0; d < k; d++) s[d] += u[c] * G[c * k + d]; \
    for (long sweep = 0; sweep < sweeps; sweep++) { \
        REAL change = 0, size = 0; \
        for (long c = 0; c < k; c++) { \
            REAL moved = inverse[c] != 0 ? u[c] - s[c] * inverse[c] : 0; \
            moved = 0 > moved ? 0 : moved; \
            REAL step = moved - u[c], length = step < 0 ? -step : step; \
            if (step != 0) { \
                for (long d = 0; d < k; d++) s[d] += step * G[c * k + d]; \
                s[c] += rho * step; \
                u[c] = moved; \
            } \
            change = length > change ? length : change; \
            size = moved > size ? moved : size; \
        } \
        if (!(change > enough * size)) break; \
    } \
}

DESCENT(double, d)
DESCENT(float, s)

#endif
