/* Updates of the stochastic rules, each in one pass; generic_updates.py says what they do. Included
   twice by _elementwise.h, with REAL and NAME(x) set for each precision. Decays come in double: in
   float 1 - 0.999f is off by 5e-5 of itself. */

#define FADE(x, new, decay) ((REAL)(decay) * (x) + (REAL)(1 - (decay)) * (new))

/* a / (sqrt(r) + epsilon), and a where the denominator is 0: there a is 0 too. */
static inline REAL NAME(over)(REAL a, REAL r, REAL epsilon) {
    REAL root = ROOT(r) + epsilon;
    return a / (root > 0 ? root : 1);
}

CLONES void NAME(adagrad)(REAL *restrict w, const REAL *restrict g, REAL *restrict r, long n,
                          double rate, double epsilon) {
    REAL step = (REAL)rate, e = (REAL)epsilon;
    for (long i = 0; i < n; i++) {
        REAL ri = r[i] + g[i] * g[i];
        r[i] = ri;
        w[i] -= step * NAME(over)(g[i], ri, e);
    }
}

CLONES void NAME(rmsprop)(REAL *restrict w, const REAL *restrict g, REAL *restrict r, long n,
                          double rate, double decay, double epsilon) {
    REAL step = (REAL)rate, e = (REAL)epsilon;
    for (long i = 0; i < n; i++) {
        REAL ri = FADE(r[i], g[i] * g[i], decay);
        r[i] = ri;
        w[i] -= step * NAME(over)(g[i], ri, e);
    }
}

CLONES void NAME(centred_rmsprop)(REAL *restrict w, const REAL *restrict g, REAL *restrict r,
                                  REAL *restrict m, long n, double rate, double decay,
                                  double epsilon) {
    REAL step = (REAL)rate, e = (REAL)epsilon;
    for (long i = 0; i < n; i++) {
        REAL ri = FADE(r[i], g[i] * g[i], decay), mi = FADE(m[i], g[i], decay), s = ri - mi * mi;
        r[i] = ri;
        m[i] = mi;
        w[i] -= step * NAME(over)(g[i], s > 0 ? s : 0, e);
    }
}

CLONES void NAME(rmsprop_nesterov)(REAL *restrict w, const REAL *restrict g, REAL *restrict r,
                                   REAL *restrict v, long n, double rate, double momentum,
                                   double decay, double epsilon) {
    REAL step = (REAL)rate, keep = (REAL)momentum, e = (REAL)epsilon;
    for (long i = 0; i < n; i++) {
        REAL ri = FADE(r[i], g[i] * g[i], decay), move = step * NAME(over)(g[i], ri, e);
        REAL vi = keep * v[i] - move;
        r[i] = ri;
        v[i] = vi;
        w[i] += keep * vi - move;
    }
}

CLONES void NAME(adadelta)(REAL *restrict w, const REAL *restrict g, REAL *restrict r,
                           REAL *restrict s, long n, double decay, double epsilon) {
    REAL e = (REAL)epsilon;
    for (long i = 0; i < n; i++) {
        REAL ri = FADE(r[i], g[i] * g[i], decay);
        REAL step = ROOT(s[i] + e) * NAME(over)(g[i], ri + e, 0);
        r[i] = ri;
        s[i] = FADE(s[i], step * step, decay);
        w[i] -= step;
    }
}

CLONES void NAME(amsgrad)(REAL *restrict w, const REAL *restrict g, REAL *restrict m,
                          REAL *restrict v, REAL *restrict top, long n, double step_, double b1,
                          double b2, double epsilon) {
    REAL step = (REAL)step_, e = (REAL)epsilon;
    for (long i = 0; i < n; i++) {
        REAL mi = FADE(m[i], g[i], b1), vi = FADE(v[i], g[i] * g[i], b2);
        REAL most = top[i] > vi ? top[i] : vi;
        m[i] = mi;
        v[i] = vi;
        top[i] = most;
        w[i] -= step * NAME(over)(mi, most, e);
    }
}

CLONES void NAME(nadam)(REAL *restrict w, const REAL *restrict g, REAL *restrict m,
                        REAL *restrict v, long n, double step_m, double step_g, double b1,
                        double b2, double epsilon) {
    REAL of_m = (REAL)step_m, of_g = (REAL)step_g, e = (REAL)epsilon;
    for (long i = 0; i < n; i++) {
        REAL mi = FADE(m[i], g[i], b1), vi = FADE(v[i], g[i] * g[i], b2);
        m[i] = mi;
        v[i] = vi;
        w[i] -= NAME(over)(of_m * mi + of_g * g[i], vi, e);
    }
}

CLONES void NAME(adabelief)(REAL *restrict w, const REAL *restrict g, REAL *restrict m,
                            REAL *restrict v, long n, double step_, double correction, double b1,
                            double b2, double epsilon) {
    REAL step = (REAL)step_, c = (REAL)correction, e = (REAL)epsilon;
    for (long i = 0; i < n; i++) {
        REAL mi = FADE(m[i], g[i], b1), d = g[i] - mi, vi = FADE(v[i], d * d, b2) + e;
        m[i] = mi;
        v[i] = vi;
        w[i] -= step * NAME(over)(mi, c * vi, e);
    }
}

CLONES void NAME(yogi)(REAL *restrict w, const REAL *restrict g, REAL *restrict m,
                       REAL *restrict v, long n, double step_, double b1, double b2,
                       double epsilon) {
    REAL step = (REAL)step_, share = (REAL)(1 - b2), e = (REAL)epsilon;
    for (long i = 0; i < n; i++) {
        REAL mi = FADE(m[i], g[i], b1), q = g[i] * g[i], t = v[i];
        REAL vi = t > q ? t - share * q : t < q ? t + share * q : t;
        m[i] = mi;
        v[i] = vi;
        w[i] -= step * NAME(over)(mi, vi, e);
    }
}

CLONES void NAME(lion)(REAL *restrict w, const REAL *restrict g, REAL *restrict m, long n,
                       double rate, double b1, double b2, double weight_decay) {
    REAL step = (REAL)rate, decay = (REAL)weight_decay;
    for (long i = 0; i < n; i++) {
        REAL c = FADE(m[i], g[i], b1), s = c > 0 ? 1 : c < 0 ? -1 : 0;
        w[i] -= step * (s + decay * w[i]);
        m[i] = FADE(m[i], g[i], b2);
    }
}

CLONES void NAME(adamax)(REAL *restrict w, const REAL *restrict g, REAL *restrict m,
                         REAL *restrict u, long n, double rate, double b1, double b2,
                         double epsilon) {
    REAL step = (REAL)rate, keep = (REAL)b2, e = (REAL)epsilon;
    for (long i = 0; i < n; i++) {
        REAL mi = FADE(m[i], g[i], b1), a = ABS(g[i]) + e, b = keep * u[i], ui = a > b ? a : b;
        m[i] = mi;
        u[i] = ui;
        w[i] -= step * mi / (ui > 0 ? ui : 1);
    }
}

CLONES void NAME(ademamix)(REAL *restrict w, const REAL *restrict g, REAL *restrict m,
                           REAL *restrict v, REAL *restrict slow, long n, double step_m,
                           double step_slow, double b1, double b2, double b3, double epsilon) {
    REAL of_m = (REAL)step_m, of_slow = (REAL)step_slow, e = (REAL)epsilon;
    for (long i = 0; i < n; i++) {
        REAL mi = FADE(m[i], g[i], b1), vi = FADE(v[i], g[i] * g[i], b2);
        REAL si = FADE(slow[i], g[i], b3);
        m[i] = mi;
        v[i] = vi;
        slow[i] = si;
        w[i] -= NAME(over)(of_m * mi + of_slow * si, vi, e);
    }
}
#undef FADE
