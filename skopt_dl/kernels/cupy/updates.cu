// Updates of the stochastic rules on a CUDA device, each in one pass over its arrays. REAL is float
// or double, set by whoever compiles this. Of a decay b come both b and 1 - b: in float the second
// is not the difference of the first from one.

// keep x + share next.
__device__ REAL fade(REAL x, REAL next, REAL keep, REAL share) { return keep * x + share * next; }

// a / (sqrt(r) + epsilon), and a where the denominator is 0: there a is 0 too.
__device__ REAL over(REAL a, REAL r, REAL epsilon) {
    REAL root = sqrt(r) + epsilon;
    return a / (root > 0 ? root : (REAL)1);
}

extern "C" __global__ void mean_update(long long n, REAL* m, const REAL* x, REAL k, REAL s) {
    EACH(i, n) m[i] = fade(m[i], x[i], k, s);
}

extern "C" __global__ void moments_update(long long n, const REAL* g, REAL* m, REAL* v, REAL k1,
                                          REAL s1, REAL k2, REAL s2) {
    EACH(i, n) {
        m[i] = fade(m[i], g[i], k1, s1);
        v[i] = fade(v[i], g[i] * g[i], k2, s2);
    }
}

extern "C" __global__ void adam_update(long long n, REAL* w, const REAL* g, REAL* m, REAL* v,
                                       REAL step, REAL k1, REAL s1, REAL k2, REAL s2,
                                       REAL epsilon) {
    EACH(i, n) {
        REAL mi = fade(m[i], g[i], k1, s1), vi = fade(v[i], g[i] * g[i], k2, s2);
        m[i] = mi;
        v[i] = vi;
        w[i] -= step * mi / (sqrt(vi) + epsilon);
    }
}

extern "C" __global__ void momentum_update(long long n, REAL* w, const REAL* g, REAL* v, REAL rate,
                                           REAL momentum, int nesterov) {
    EACH(i, n) {
        REAL move = rate * g[i], vi = momentum * v[i] - move;
        v[i] = vi;
        w[i] += nesterov ? momentum * vi - move : vi;
    }
}

extern "C" __global__ void adagrad_update(long long n, REAL* w, const REAL* g, REAL* r, REAL rate,
                                          REAL epsilon) {
    EACH(i, n) {
        REAL ri = r[i] + g[i] * g[i];
        r[i] = ri;
        w[i] -= rate * over(g[i], ri, epsilon);
    }
}

// m may be null: not centred.
extern "C" __global__ void rmsprop_update(long long n, REAL* w, const REAL* g, REAL* r, REAL* m,
                                          REAL rate, REAL k, REAL s, REAL epsilon) {
    EACH(i, n) {
        REAL ri = fade(r[i], g[i] * g[i], k, s), second = ri;
        r[i] = ri;
        if (m) {
            REAL mi = fade(m[i], g[i], k, s);
            m[i] = mi;
            second = ri - mi * mi;
            second = second > 0 ? second : (REAL)0;
        }
        w[i] -= rate * over(g[i], second, epsilon);
    }
}

extern "C" __global__ void rmsprop_nesterov_update(long long n, REAL* w, const REAL* g, REAL* r,
                                                   REAL* v, REAL rate, REAL momentum, REAL k,
                                                   REAL s, REAL epsilon) {
    EACH(i, n) {
        REAL ri = fade(r[i], g[i] * g[i], k, s), move = rate * over(g[i], ri, epsilon);
        REAL vi = momentum * v[i] - move;
        r[i] = ri;
        v[i] = vi;
        w[i] += momentum * vi - move;
    }
}

extern "C" __global__ void adadelta_update(long long n, REAL* w, const REAL* g, REAL* r, REAL* s,
                                           REAL k, REAL share, REAL epsilon) {
    EACH(i, n) {
        REAL ri = fade(r[i], g[i] * g[i], k, share);
        REAL step = sqrt(s[i] + epsilon) * over(g[i], ri + epsilon, 0);
        r[i] = ri;
        s[i] = fade(s[i], step * step, k, share);
        w[i] -= step;
    }
}

extern "C" __global__ void amsgrad_update(long long n, REAL* w, const REAL* g, REAL* m, REAL* v,
                                          REAL* top, REAL step, REAL k1, REAL s1, REAL k2, REAL s2,
                                          REAL epsilon) {
    EACH(i, n) {
        REAL mi = fade(m[i], g[i], k1, s1), vi = fade(v[i], g[i] * g[i], k2, s2);
        REAL most = top[i] > vi ? top[i] : vi;
        m[i] = mi;
        v[i] = vi;
        top[i] = most;
        w[i] -= step * over(mi, most, epsilon);
    }
}

extern "C" __global__ void nadam_update(long long n, REAL* w, const REAL* g, REAL* m, REAL* v,
                                        REAL step_m, REAL step_g, REAL k1, REAL s1, REAL k2,
                                        REAL s2, REAL epsilon) {
    EACH(i, n) {
        REAL mi = fade(m[i], g[i], k1, s1), vi = fade(v[i], g[i] * g[i], k2, s2);
        m[i] = mi;
        v[i] = vi;
        w[i] -= over(step_m * mi + step_g * g[i], vi, epsilon);
    }
}

extern "C" __global__ void adabelief_update(long long n, REAL* w, const REAL* g, REAL* m, REAL* v,
                                            REAL step, REAL correction, REAL k1, REAL s1, REAL k2,
                                            REAL s2, REAL epsilon) {
    EACH(i, n) {
        REAL mi = fade(m[i], g[i], k1, s1), d = g[i] - mi;
        REAL vi = fade(v[i], d * d, k2, s2) + epsilon;
        m[i] = mi;
        v[i] = vi;
        w[i] -= step * over(mi, correction * vi, epsilon);
    }
}

extern "C" __global__ void yogi_update(long long n, REAL* w, const REAL* g, REAL* m, REAL* v,
                                       REAL step, REAL k1, REAL s1, REAL s2, REAL epsilon) {
    EACH(i, n) {
        REAL mi = fade(m[i], g[i], k1, s1), q = g[i] * g[i], t = v[i];
        REAL vi = t > q ? t - s2 * q : t < q ? t + s2 * q : t;
        m[i] = mi;
        v[i] = vi;
        w[i] -= step * over(mi, vi, epsilon);
    }
}

extern "C" __global__ void adamax_update(long long n, REAL* w, const REAL* g, REAL* m, REAL* u,
                                         REAL rate, REAL k1, REAL s1, REAL k2, REAL epsilon) {
    EACH(i, n) {
        REAL mi = fade(m[i], g[i], k1, s1), a = fabs(g[i]) + epsilon, b = k2 * u[i];
        REAL ui = a > b ? a : b;
        m[i] = mi;
        u[i] = ui;
        w[i] -= rate * mi / (ui > 0 ? ui : (REAL)1);
    }
}

extern "C" __global__ void adan_update(long long n, REAL* w, const REAL* g, REAL* last, REAL* m,
                                       REAL* d, REAL* v, REAL step_m, REAL step_d, REAL correction,
                                       REAL k1, REAL s1, REAL k2, REAL s2, REAL k3, REAL s3,
                                       REAL epsilon) {
    EACH(i, n) {
        REAL gi = g[i], change = gi - last[i], ahead = gi + k2 * change;
        REAL mi = fade(m[i], gi, k1, s1), di = fade(d[i], change, k2, s2);
        REAL vi = fade(v[i], ahead * ahead, k3, s3);
        m[i] = mi;
        d[i] = di;
        v[i] = vi;
        last[i] = gi;
        w[i] -= over(step_m * mi + step_d * di, vi / correction, epsilon);
    }
}

extern "C" __global__ void ademamix_update(long long n, REAL* w, const REAL* g, REAL* m, REAL* v,
                                           REAL* slow, REAL step, REAL slow_step, REAL k1, REAL s1,
                                           REAL k2, REAL s2, REAL k3, REAL s3, REAL epsilon) {
    EACH(i, n) {
        REAL mi = fade(m[i], g[i], k1, s1), vi = fade(v[i], g[i] * g[i], k2, s2);
        REAL si = fade(slow[i], g[i], k3, s3);
        m[i] = mi;
        v[i] = vi;
        slow[i] = si;
        w[i] -= over(step * mi + slow_step * si, vi, epsilon);
    }
}

extern "C" __global__ void lion_update(long long n, REAL* w, const REAL* g, REAL* m, REAL rate,
                                       REAL k1, REAL s1, REAL k2, REAL s2, REAL decay) {
    EACH(i, n) {
        REAL c = fade(m[i], g[i], k1, s1), sign = c > 0 ? (REAL)1 : c < 0 ? (REAL)-1 : (REAL)0;
        w[i] -= rate * (sign + decay * w[i]);
        m[i] = fade(m[i], g[i], k2, s2);
    }
}
