/* Losses of a linear model, row by row. Included behind _network.h, once for each precision. */

CLONES void NAME(logistic_terms)(const REAL *restrict y, const REAL *restrict z,
                                 REAL *restrict value, REAL *restrict slope, long n) {
    for (long i = 0; i < n; i++) {
        REAL t = z[i], low = -ABS(t);
        REAL e = NAME(exp_poly)(low < LOWEST ? LOWEST : low);
        value[i] = NAME(log1p_unit)(e) + (t > 0 ? t : 0) - y[i] * t;
        slope[i] = (t > 0 ? 1 : e) / (1 + e) - y[i];
    }
}

/* Probabilities of the rows of Z; with targets their losses, too, and slopes in the place of the
   probabilities. */
CLONES void NAME(softmax_terms)(const REAL *restrict Z, const REAL *restrict Y,
                                REAL *restrict value, REAL *restrict P, long n, long k) {
    /* The rows of a chunk stay in the cache from one loop to the next. */
    long chunk = 4096 / k + 1;
    for (long first = 0; first < n; first += chunk) {
        long last = first + chunk < n ? first + chunk : n;
        for (long i = first; i < last; i++) {
            const REAL *restrict z = Z + i * k;
            REAL *restrict p = P + i * k;
            REAL top = z[0], fit = 0;
            for (long j = 1; j < k; j++) top = z[j] > top ? z[j] : top;
            for (long j = 0; j < k; j++) p[j] = z[j] - top;
            if (Y) {
                /* 0 * inf of a class without a share is nothing. */
                for (long j = 0; j < k; j++) fit += Y[i * k + j] != 0 ? Y[i * k + j] * p[j] : 0;
                value[i] = -fit;
            }
        }
        /* One long loop, whatever the number of classes. */
        for (long t = first * k; t < last * k; t++)
            P[t] = NAME(exp_poly)(P[t] < LOWEST ? LOWEST : P[t]);
        for (long i = first; i < last; i++) {
            REAL *restrict p = P + i * k;
            REAL sum = 0, target = 0;
            for (long j = 0; j < k; j++) sum += p[j];
            for (long j = 0; j < k; j++) p[j] /= sum;
            if (Y) {
                for (long j = 0; j < k; j++) target += Y[i * k + j];
                for (long j = 0; j < k; j++) p[j] -= Y[i * k + j];
                value[i] += target * LOG(sum);
            }
        }
    }
}
