/* Steps of the stochastic rules that need sums over the gradient or work in no array but their own;
   generic_updates.py says what they do. Included twice by _elementwise.h, with REAL and NAME(x) set
   for each precision. Sums are taken in pieces and added in double. */

#define FADE(x, new, decay) ((REAL)(decay) * (x) + (REAL)(1 - (decay)) * (new))
#define PIECE 4096
#define PIECES(n) for (long low = 0, high; low < (n) && (high = low + PIECE < (n) ? low + PIECE : (n), 1); low += PIECE)

CLONES void NAME(gradient)(REAL *restrict w, const REAL *restrict g, long n, double rate) {
    REAL step = (REAL)rate;
    for (long i = 0; i < n; i++) w[i] -= step * g[i];
}

CLONES void NAME(sign)(REAL *restrict w, const REAL *restrict g, long n, double rate) {
    REAL step = (REAL)rate;
    for (long i = 0; i < n; i++) w[i] -= g[i] > 0 ? step : g[i] < 0 ? -step : 0 * g[i];
}

CLONES void NAME(clipped_newton)(REAL *restrict w, const REAL *restrict m, const REAL *restrict d,
                                 long n, double rate, double scale, double epsilon, double decay) {
    REAL step = (REAL)rate, c = (REAL)scale, least = (REAL)epsilon, keep = (REAL)(1 - rate * decay);
    for (long i = 0; i < n; i++) {
        REAL below = c * d[i], t = m[i] / (below < least ? least : below);
        w[i] = keep * w[i] - step * (t < -1 ? -1 : t > 1 ? 1 : t);
    }
}

CLONES void NAME(mean)(REAL *restrict mean, const REAL *restrict g, long n, double decay) {
    for (long i = 0; i < n; i++) mean[i] = FADE(mean[i], g[i], decay);
}

CLONES void NAME(shift)(REAL *restrict out, const REAL *restrict w, const REAL *restrict d, long n,
                        double step_) {
    REAL step = (REAL)step_;
    for (long i = 0; i < n; i++) out[i] = w[i] + step * d[i];
}

CLONES double NAME(squares)(const REAL *restrict a, long n) {
    double total = 0;
    PIECES(n) {
        REAL part = 0;
        for (long i = low; i < high; i++) part += a[i] * a[i];
        total += part;
    }
    return total;
}

CLONES double NAME(square_distance)(const REAL *restrict a, const REAL *restrict b, long n) {
    double total = 0;
    PIECES(n) {
        REAL part = 0;
        for (long i = low; i < high; i++) part += (a[i] - b[i]) * (a[i] - b[i]);
        total += part;
    }
    return total;
}

CLONES void NAME(adan)(REAL *restrict w, const REAL *restrict g, REAL *restrict last,
                       REAL *restrict m, REAL *restrict d, REAL *restrict s, long n,
                       double step_m, double step_d, double correction, double b1, double b2,
                       double b3, double epsilon) {
    REAL of_m = (REAL)step_m, of_d = (REAL)step_d, ahead = (REAL)b2, e = (REAL)epsilon;
    REAL share = (REAL)(1 / correction);
    for (long i = 0; i < n; i++) {
        REAL gi = g[i], change = gi - last[i], look = gi + ahead * change;
        REAL mi = FADE(m[i], gi, b1), di = FADE(d[i], change, b2), si = FADE(s[i], look * look, b3);
        m[i] = mi;
        d[i] = di;
        s[i] = si;
        last[i] = gi;
        w[i] -= NAME(over)(of_m * mi + of_d * di, share * si, e);
    }
}

/* v is NULL where the gradient is taken as it is. */
CLONES void NAME(schedule_free)(REAL *restrict w, REAL *restrict z, REAL *restrict y,
                                const REAL *restrict g, REAL *restrict v, long n, double rate,
                                double scale, double weight_decay, double share_, double beta_,
                                double decay, double epsilon) {
    REAL step = (REAL)rate, grow = (REAL)scale, lambda = (REAL)weight_decay, e = (REAL)epsilon;
    REAL share = (REAL)share_, beta = (REAL)beta_;
    for (long i = 0; i < n; i++) {
        REAL move = g[i];
        if (v) {
            v[i] = FADE(v[i], move * move, decay);
            move = grow * NAME(over)(move, v[i], e);
        }
        z[i] -= step * (move + lambda * y[i]);
        w[i] += share * (z[i] - w[i]);
        y[i] = z[i] + beta * (w[i] - z[i]);
    }
}

CLONES void NAME(prodigy)(REAL *restrict w, const REAL *restrict g, const REAL *restrict origin,
                          REAL *restrict s, REAL *restrict m, REAL *restrict v, long n,
                          double distance, double rate, double b1, double b2, double keep,
                          double epsilon, double *slope, double *size) {
    REAL d = (REAL)distance, step = (REAL)(rate * distance), e = (REAL)(distance * epsilon);
    REAL stay = (REAL)keep, weight = (REAL)((1 - keep) * rate * distance * distance);
    *slope = *size = 0;
    PIECES(n) {
        REAL along = 0, sum = 0;
        for (long i = low; i < high; i++) {
            REAL gi = g[i], scaled = d * gi, si = stay * s[i] + weight * gi;
            REAL mi = FADE(m[i], scaled, b1), vi = FADE(v[i], scaled * scaled, b2);
            along += gi * (origin[i] - w[i]);
            sum += ABS(si);
            s[i] = si;
            m[i] = mi;
            v[i] = vi;
            w[i] -= step * NAME(over)(mi, vi, e);
        }
        *slope += along;
        *size += sum;
    }
}

CLONES void NAME(d_adaptation)(REAL *restrict w, const REAL *restrict g, REAL *restrict s,
                               REAL *restrict m, REAL *restrict v, long n, double length_,
                               double b1, double b2, double keep, double epsilon, double *slope,
                               double *size) {
    REAL length = (REAL)length_, e = (REAL)epsilon;
    *slope = *size = 0;
    PIECES(n) {
        REAL along = 0, sum = 0;
        for (long i = low; i < high; i++) {
            REAL gi = g[i], move = length * gi, si = FADE(s[i], move, keep);
            REAL mi = FADE(m[i], move, b1), vi = FADE(v[i], gi * gi, b2);
            along += gi * NAME(over)(s[i], vi, e);
            sum += ABS(si);
            s[i] = si;
            m[i] = mi;
            v[i] = vi;
            w[i] -= NAME(over)(mi, vi, e);
        }
        *slope += along;
        *size += sum;
    }
}
#undef FADE
#undef PIECE
#undef PIECES
