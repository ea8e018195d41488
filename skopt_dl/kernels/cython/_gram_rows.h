/* Rows of a Gram block, several of them in one pass over what they are taken from. */
#ifndef SKOPT_DL_GRAM_ROWS_H
#define SKOPT_DL_GRAM_ROWS_H

#include "_clones.h"

/* c -= sum_i change_i G_j(i) of m numbers, for k rows of G that lie `apart`. */
CLONES void subtract_rows(long k, long m, const double *restrict G, long apart,
                          const Py_ssize_t *restrict j, const double *restrict change,
                          double *restrict c) {
    long i = 0;
    for (; i + 4 <= k; i += 4) {
        const double *restrict p = G + j[i] * apart, *restrict q = G + j[i + 1] * apart;
        const double *restrict u = G + j[i + 2] * apart, *restrict v = G + j[i + 3] * apart;
        const double a = change[i], b = change[i + 1], d = change[i + 2], e = change[i + 3];
        for (long l = 0; l < m; l++) c[l] -= (a * p[l] + b * q[l]) + (d * u[l] + e * v[l]);
    }
    for (; i < k; i++) {
        const double *restrict p = G + j[i] * apart;
        const double a = change[i];
        for (long l = 0; l < m; l++) c[l] -= a * p[l];
    }
}

#endif
