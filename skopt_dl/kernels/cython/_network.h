/* Elementwise parts of a network's gradient, written so that the compiler vectorises them; with GCC
   on x86 each function is compiled for several instruction sets and the best is taken at run time.
   Included twice, with REAL and NAME(x) set for each precision. */

/* exp(x) for LOWEST <= x <= 0: x = k ln 2 + r with |r| <= ln 2 / 2, a Taylor polynomial of r
   (remainder below rounding), and k added to the bits of the exponent. */
INLINE REAL NAME(exp_poly)(REAL x) {
    int32_t k = (int32_t)(x * (REAL)1.4426950408889634 - (REAL)0.5);
    REAL r = (x - k * LN2_HIGH) - k * LN2_LOW;
    REAL p = POLYNOMIAL(r), scale;
    INTEGER power = ((INTEGER)k + BIAS) << MANTISSA;
    memcpy(&scale, &power, sizeof scale);
    return p * scale;
}

/* log(x) of a positive normal number: x = m 2^k with sqrt(1/2) <= m < sqrt(2), and the series of
   log m = 2 artanh((m - 1) / (m + 1)), whose argument is below 0.172. NaN stays. */
INLINE REAL NAME(log_poly)(REAL x) {
    INTEGER bits;
    memcpy(&bits, &x, sizeof bits);
    INTEGER power = (bits - ROOT_HALF) >> MANTISSA;
    REAL m, k = (REAL)(int32_t)power;
    bits -= power << MANTISSA;
    memcpy(&m, &bits, sizeof m);
    REAL s = (m - 1) / (m + 1), q = s * s;
    REAL found = k * LN2_HIGH + (2 * s * LOG_SERIES(q) + k * LN2_LOW);
    return x == x ? found : x;
}

/* log(1 + e) for e in [0, 1]: 2 artanh(e / (2 + e)) by its series; the argument is at most 1/3. */
INLINE REAL NAME(log1p_unit)(REAL e) {
    REAL s = e / (2 + e), q = s * s;
    return 2 * s * ARTANH_SERIES(q);
}

/* Units with an exponential and stored slopes. First, in a loop of its own for the vectoriser, s
   becomes the argument of the exponential, at most 0. */
INLINE void NAME(gated_units)(REAL *restrict z, REAL *restrict s, long k, int kind, REAL c) {
    const REAL twice = kind == GELU ? 2 : 1;
    for (long j = 0; j < k; j++) {
        REAL t = z[j], u = t;
        if (kind == GELU) {
            u = t < -GELU_END ? -GELU_END : t > GELU_END ? GELU_END : t;
            u = (REAL)GELU_SCALE * (u + (REAL)GELU_CUBE * u * u * u);
        }
        u = kind == ELU || kind == SELU ? (u < 0 ? u : 0) : -twice * ABS(u);
        s[j] = u < LOWEST ? LOWEST : u;
    }
    if (kind == ELU || kind == SELU) {
        const REAL l = kind == SELU ? (REAL)SELU_SCALE : 1;
        const REAL below = kind == SELU ? (REAL)(SELU_SCALE * SELU_ALPHA) : c;
        for (long j = 0; j < k; j++) {
            /* e is 1 above 0. NaN stays. */
            REAL t = z[j], e = NAME(exp_poly)(s[j]), over = t < 0 ? 0 : t, under = below * e;
            z[j] = l * over + (under - below);
            s[j] = t > 0 ? l : under;
        }
    } else if (kind == SOFTPLUS)
        for (long j = 0; j < k; j++) {
            REAL t = z[j], e = NAME(exp_poly)(s[j]);
            z[j] = NAME(log1p_unit)(e) + (t > 0 ? t : 0);
            s[j] = (t < 0 ? e : 1) / (1 + e);
        }
    else if (kind == GELU)
        for (long j = 0; j < k; j++) {
            REAL t = z[j], e = NAME(exp_poly)(s[j]), h = SIGN((1 - e) / (1 + e), t);
            REAL v = t < -GELU_END ? -GELU_END : t > GELU_END ? GELU_END : t;
            REAL rise = (REAL)GELU_SCALE * (1 + 3 * (REAL)GELU_CUBE * v * v), half = (REAL)0.5;
            z[j] = half * t * (1 + h);
            s[j] = half * (1 + h) + half * v * (1 - h * h) * rise;
        }
    else if (kind == SILU)
        for (long j = 0; j < k; j++) {
            REAL t = z[j], e = NAME(exp_poly)(s[j]), h = (t < 0 ? e : 1) / (1 + e);
            z[j] = t * h;
            s[j] = h * (1 + t * (1 - h));
        }
    else
        for (long j = 0; j < k; j++) {
            REAL t = z[j], e = NAME(exp_poly)(s[j]), h = (t < 0 ? e : 1) / (1 + e);
            REAL over = t > 0 ? 1 + 2 * e : e * (e + 2), under = t > 0 ? over + 2 * e * e : over + 2;
            REAL gate = over / under;
            z[j] = t * gate;
            s[j] = gate + t * (1 - gate * gate) * h;
        }
}

/* tanh or the logistic function of z; what would overflow is cut off first, in a loop of its own. */
INLINE void NAME(sigmoids)(REAL *restrict z, long k, int kind) {
    REAL end = kind == TANH ? -LOWEST / 2 : -LOWEST;
    for (long j = 0; j < k; j++) z[j] = z[j] < -end ? -end : z[j] > end ? end : z[j];
    if (kind == TANH)
        for (long j = 0; j < k; j++) {
            /* Exact to a rounding of 1, which is what the next layer sees. */
            REAL t = z[j], e = NAME(exp_poly)(-2 * ABS(t));
            z[j] = SIGN((1 - e) / (1 + e), t);
        }
    else
        for (long j = 0; j < k; j++) {
            REAL t = z[j], e = NAME(exp_poly)(-ABS(t)), top = t < 0 ? e : 1;
            z[j] = top / (1 + e);
        }
}

/* Z becomes f(Z + b), and S the slopes there, where the activation is one that stores them. */
CLONES void NAME(bias_activate)(REAL *restrict Z, const REAL *restrict b, REAL *restrict S, long n,
                                long k, int kind, double strength) {
    REAL c = (REAL)strength;
    /* Exponentials of rows that fit the nearest cache are one long loop, if a row is no whole number
       of vectors. */
    const long most = k % 16 ? 2048 / k + 1 : 1;
    for (long low = 0; low < n; low += most) {
        const long rows = n - low < most ? n - low : most;
        for (long i = low; i < low + rows; i++) {
            REAL *restrict z = Z + i * k;
            if (kind == RELU)
                for (long j = 0; j < k; j++) { REAL t = z[j] + b[j]; z[j] = t < 0 ? 0 : t; }
            else if (kind == LEAKY_RELU) {
                REAL *restrict s = S + i * k;
                for (long j = 0; j < k; j++) {
                    REAL t = z[j] + b[j], f = t > 0 ? 1 : c;
                    z[j] = f * t;
                    s[j] = f;
                }
            } else
                for (long j = 0; j < k; j++) z[j] += b[j];
        }
        if (kind == TANH || kind == LOGISTIC)
            NAME(sigmoids)(Z + low * k, rows * k, kind);
        else if (kind > LEAKY_RELU)
            NAME(gated_units)(Z + low * k, S + low * k, rows * k, kind, c);
    }
}

/* The slopes of the activations that do not store them, from their outputs. */
CLONES void NAME(slopes_of_outputs)(const REAL *restrict A, REAL *restrict S, long n, int kind) {
    if (kind == RELU)
        for (long i = 0; i < n; i++) S[i] = A[i] > 0 ? 1 : 0;
    else if (kind == TANH)
        for (long i = 0; i < n; i++) S[i] = 1 - A[i] * A[i];
    else if (kind == LOGISTIC)
        for (long i = 0; i < n; i++) S[i] = A[i] * (1 - A[i]);
    else
        for (long i = 0; i < n; i++) S[i] = 1;
}

/* d *= activation'(a), or the stored slopes s. */
INLINE void NAME(times_slopes)(REAL *restrict d, const REAL *restrict a, const REAL *restrict s,
                               long count, int kind) {
    if (s)
        for (long j = 0; j < count; j++) d[j] *= s[j];
    else if (kind == RELU)
        for (long j = 0; j < count; j++) d[j] = a[j] > 0 ? d[j] : 0;
    else if (kind == TANH)
        for (long j = 0; j < count; j++) d[j] *= 1 - a[j] * a[j];
    else if (kind == LOGISTIC)
        for (long j = 0; j < count; j++) d[j] *= a[j] * (1 - a[j]);
}

/* A derivative Z of what a layer's activation is applied to, but for the part b of the intercepts,
   becomes that of its outputs: by its slopes S, or from its outputs A. */
CLONES void NAME(tangent_activate)(REAL *restrict Z, const REAL *restrict b, const REAL *restrict A,
                                   const REAL *restrict S, long n, long k, int kind) {
    const long most = 2048 / k + 1;
    for (long low = 0; low < n; low += most) {
        const long rows = n - low < most ? n - low : most, count = rows * k;
        REAL *restrict z = Z + low * k;
        for (long i = 0; i < rows; i++)
            for (long j = 0; j < k; j++) z[i * k + j] += b[j];
        if (A) NAME(times_slopes)(z, A + low * k, S ? S + low * k : NULL, count, kind);
    }
}

/* What an activation with trained shares is applied to, before it is. */
CLONES void NAME(keep_inputs)(const REAL *restrict Z, const REAL *restrict b, REAL *restrict T,
                              long n, long k) {
    for (long i = 0; i < n; i++)
        for (long j = 0; j < k; j++) T[i * k + j] = Z[i * k + j] + b[j];
}

/* From values A, slopes S and inputs T: T becomes g(z) - z, A z + c (g(z) - z), S its slope. */
CLONES void NAME(mix)(REAL *restrict A, REAL *restrict S, REAL *restrict T, const REAL *restrict c,
                      long n, long k) {
    for (long i = 0; i < n; i++) {
        REAL *restrict a = A + i * k, *restrict s = S + i * k, *restrict t = T + i * k;
        for (long j = 0; j < k; j++) {
            REAL d = a[j] - t[j];
            a[j] = t[j] + c[j] * d;
            s[j] = 1 + c[j] * (s[j] - 1);
            t[j] = d;
        }
    }
}

/* The column sums of D * T are added to g. */
CLONES void NAME(share_sums)(const REAL *restrict D, const REAL *restrict T, REAL *restrict g,
                             long n, long k) {
    for (long i = 0; i < n; i++)
        for (long j = 0; j < k; j++) g[j] += D[i * k + j] * T[i * k + j];
}

/* A and S *= M: the outputs and the slopes of units that were dropped or scaled up. */
CLONES void NAME(mask)(REAL *restrict A, REAL *restrict S, const REAL *restrict M, long n) {
    for (long i = 0; i < n; i++) { A[i] *= M[i]; S[i] *= M[i]; }
}

CLONES void NAME(column_sums)(const REAL *restrict D, REAL *restrict g, long n, long k) {
    for (long i = 0; i < n; i++) {
        const REAL *restrict d = D + i * k;
        for (long j = 0; j < k; j++) g[j] += d[j];
    }
}

/* D *= activation'(A), or the stored slopes S; the column sums of the result are added to g, if
   there is one. */
CLONES void NAME(activation_back)(REAL *restrict D, const REAL *restrict A, const REAL *restrict S,
                                  REAL *restrict g, long n, long k, int kind) {
    /* As in bias_activate. A row's own loop would end in single numbers, with a branch for each. */
    const long most = 2048 / k + 1;
    for (long low = 0; low < n; low += most) {
        const long rows = n - low < most ? n - low : most;
        REAL *restrict d = D + low * k;
        NAME(times_slopes)(d, A + low * k, S ? S + low * k : NULL, rows * k, kind);
        if (g) NAME(column_sums)(d, g, rows, k);
    }
}

/* Raw outputs become the mean response; the kinds of output are numbered as in _network.pyx. */
CLONES void NAME(mean_response)(REAL *restrict Z, long n, long k, int output) {
    if (output == 1)
        for (long i = 0; i < n * k; i++) {
            REAL t = Z[i], u = -ABS(t), e = NAME(exp_poly)(u < LOWEST ? LOWEST : u);
            Z[i] = (t < 0 ? e : 1) / (1 + e);
        }
    else if (output == 3)
        for (long i = 0; i < n * k; i++) Z[i] = EXP(Z[i]);
    else if (output == 2) {
        for (long i = 0; i < n; i++) {
            REAL *restrict z = Z + i * k;
            REAL top = z[0];
            for (long j = 1; j < k; j++) top = z[j] > top ? z[j] : top;
            for (long j = 0; j < k; j++) { REAL t = z[j] - top; z[j] = t < LOWEST ? LOWEST : t; }
        }
        for (long i = 0; i < n * k; i++) Z[i] = NAME(exp_poly)(Z[i]);
        for (long i = 0; i < n; i++) {
            REAL *restrict z = Z + i * k;
            REAL sum = 0;
            for (long j = 0; j < k; j++) sum += z[j];
            for (long j = 0; j < k; j++) z[j] /= sum;
        }
    }
}

/* The losses: Z becomes the derivative, row i scaled by share * s_i; the weighted sum of the losses
   is returned. A floor > 0 asks for scikit-learn's report of a likelihood, see output_loss. */
CLONES double NAME(squared_loss)(REAL *restrict Z, const REAL *restrict Y, const REAL *s,
                                 double share, long n, long k) {
    double total = 0;
    for (long i = 0; i < n; i++) {
        REAL *restrict z = Z + i * k;
        const REAL *restrict y = Y + i * k;
        double weight = s ? s[i] : 1.0, row = 0;
        REAL scale = (REAL)(share * weight);
        for (long j = 0; j < k; j++) { REAL d = z[j] - y[j]; row += (double)d * d; z[j] = scale * d; }
        total += weight * row;
    }
    return 0.5 * total;
}

INLINE REAL NAME(within)(REAL p, REAL floor) {
    return p < floor ? floor : p > 1 - floor ? 1 - floor : p;
}

CLONES double NAME(logistic_loss)(REAL *restrict Z, const REAL *restrict Y, const REAL *s,
                                  double share, double floor, long n, long k) {
    double total = 0;
    REAL loss[BLOCK], weight[BLOCK], scale = (REAL)share, least = (REAL)floor;
    for (long low = 0; low < n * k; low += BLOCK) {
        const long count = n * k - low < BLOCK ? n * k - low : BLOCK;
        REAL *restrict z = Z + low;
        const REAL *restrict y = Y + low;
        for (long i = 0; i < count; i++) weight[i] = 1;
        if (s)
            for (long i = 0; i < count; i++) weight[i] = s[k == 1 ? low + i : (low + i) / k];
        for (long i = 0; i < count; i++) {
            REAL t = z[i], u = -ABS(t), e = NAME(exp_poly)(u < LOWEST ? LOWEST : u);
            REAL p = (t < 0 ? e : 1) / (1 + e);
            loss[i] = floor > 0 ? p : NAME(log1p_unit)(e) + (t > 0 ? t : 0) - y[i] * t;
            z[i] = scale * weight[i] * (p - y[i]);
        }
        if (floor > 0)
            for (long i = 0; i < count; i++) {
                REAL q = NAME(within)(loss[i], least);
                loss[i] = -y[i] * NAME(log_poly)(q) - (1 - y[i]) * NAME(log_poly)(1 - q);
            }
        for (long i = 0; i < count; i++) total += (double)weight[i] * (double)loss[i];
    }
    return total;
}

/* Few classes: a block of rows is turned, so that loops run over rows. Each does one thing and has no
   branch, or it is not vectorised. */
CLONES double NAME(softmax_of_few)(REAL *restrict Z, const REAL *restrict Y, const REAL *s,
                                   double share, double floor, long n, long k) {
    REAL t[FEW_CLASSES * ROWS], u[FEW_CLASSES * ROWS];
    REAL top[ROWS], sum[ROWS], mass[ROWS], squares[ROWS], own[ROWS], loss[ROWS];
    double total = 0;
    for (long low = 0; low < n; low += ROWS) {
        const long count = n - low < ROWS ? n - low : ROWS;
        for (long i = 0; i < ROWS; i++) {
            /* A last block is filled with its last row. */
            const long row = (low + (i < count ? i : count - 1)) * k;
            for (long j = 0; j < k; j++) t[j * ROWS + i] = Z[row + j];
            for (long j = 0; j < k; j++) u[j * ROWS + i] = Y[row + j];
        }
        memcpy(top, t, sizeof top);
        for (long j = 1; j < k; j++)
            for (long i = 0; i < ROWS; i++) {
                REAL a = t[j * ROWS + i];
                top[i] = a > top[i] ? a : top[i];
            }
        for (long i = 0; i < ROWS; i++) sum[i] = mass[i] = squares[i] = own[i] = loss[i] = 0;
        for (long j = 0; j < k; j++)
            for (long i = 0; i < ROWS; i++) {
                REAL y = u[j * ROWS + i];
                mass[i] += y;
                squares[i] += y * y;
            }
        if (!(floor > 0))
            for (long j = 0; j < k; j++)
                for (long i = 0; i < ROWS; i++) {
                    REAL a = t[j * ROWS + i] - top[i];
                    /* 0 * inf of a class without a share is nothing. */
                    own[i] += u[j * ROWS + i] * (a < LEAST ? LEAST : a);
                }
        for (long j = 0; j < k; j++)
            for (long i = 0; i < ROWS; i++) {
                REAL a = t[j * ROWS + i] - top[i];
                t[j * ROWS + i] = a < LOWEST ? LOWEST : a;
            }
        for (long i = 0; i < k * ROWS; i++) t[i] = NAME(exp_poly)(t[i]);
        for (long j = 0; j < k; j++)
            for (long i = 0; i < ROWS; i++) sum[i] += t[j * ROWS + i];
        for (long i = 0; i < ROWS; i++) top[i] = 1 / sum[i];
        for (long j = 0; j < k; j++)
            for (long i = 0; i < ROWS; i++) t[j * ROWS + i] *= top[i];
        REAL mixed = 0;
        for (long i = 0; i < ROWS; i++) mixed += ABS(mass[i] - 1) + ABS(squares[i] - 1);
        if (!(floor > 0))
            for (long i = 0; i < ROWS; i++) loss[i] = mass[i] * NAME(log_poly)(sum[i]) - own[i];
        else if (mixed == 0) {
            /* One class a row: one logarithm. */
            for (long j = 0; j < k; j++)
                for (long i = 0; i < ROWS; i++) own[i] += u[j * ROWS + i] * t[j * ROWS + i];
            for (long i = 0; i < ROWS; i++)
                loss[i] = -NAME(log_poly)(NAME(within)(own[i], (REAL)floor));
        } else
            for (long j = 0; j < k; j++)
                for (long i = 0; i < ROWS; i++) {
                    REAL p = NAME(within)(t[j * ROWS + i], (REAL)floor);
                    loss[i] -= u[j * ROWS + i] * NAME(log_poly)(p);
                }
        for (long i = 0; i < count; i++) {
            double weight = s ? s[low + i] : 1.0;
            REAL scale = (REAL)(share * weight);
            for (long j = 0; j < k; j++)
                Z[(low + i) * k + j] = scale * (t[j * ROWS + i] - u[j * ROWS + i]);
            total += weight * (double)loss[i];
        }
    }
    return total;
}

CLONES double NAME(softmax_loss)(REAL *restrict Z, const REAL *restrict Y, const REAL *s,
                                 double share, double floor, long n, long k) {
    if (k <= FEW_CLASSES) return NAME(softmax_of_few)(Z, Y, s, share, floor, n, k);
    double total = 0;
    for (long i = 0; i < n; i++) {
        REAL *restrict z = Z + i * k;
        const REAL *restrict y = Y + i * k;
        REAL top = z[0], fit = 0;
        for (long j = 1; j < k; j++) top = z[j] > top ? z[j] : top;
        for (long j = 0; j < k; j++) {
            REAL t = z[j] - top;
            /* 0 * inf of a class without a share is nothing. */
            fit += y[j] != 0 ? y[j] * t : 0;
            z[j] = t < LOWEST ? LOWEST : t;
        }
        if (!(floor > 0)) total -= (s ? s[i] : 1.0) * (double)fit;
    }
    /* One long loop, whatever the number of classes. */
    for (long i = 0; i < n * k; i++) Z[i] = NAME(exp_poly)(Z[i]);
    for (long i = 0; i < n; i++) {
        REAL *restrict z = Z + i * k;
        const REAL *restrict y = Y + i * k;
        double weight = s ? s[i] : 1.0, row = 0;
        REAL scale = (REAL)(share * weight), sum = 0, target = 0;
        for (long j = 0; j < k; j++) sum += z[j];
        if (!(floor > 0)) {
            for (long j = 0; j < k; j++) target += y[j];
            row = (double)target * (double)LOG(sum);
        }
        for (long j = 0; j < k; j++) {
            REAL p = z[j] / sum;
            /* Without label smoothing y is 0 in all columns but one. */
            if (floor > 0 && y[j] != 0) row -= y[j] * (double)LOG(NAME(within)(p, (REAL)floor));
            z[j] = scale * (p - y[j]);
        }
        total += weight * row;
    }
    return total;
}

static double NAME(poisson_loss)(REAL *restrict Z, const REAL *restrict Y, const REAL *s,
                                 double share, long n, long k) {
    double total = 0;
    for (long i = 0; i < n; i++) {
        REAL *restrict z = Z + i * k;
        const REAL *restrict y = Y + i * k;
        double weight = s ? s[i] : 1.0, row = 0;
        REAL scale = (REAL)(share * weight);
        for (long j = 0; j < k; j++) {
            REAL e = EXP(z[j]), log_y = y[j] > 0 ? LOG(y[j]) : 0;
            row += y[j] * ((double)log_y - z[j] - 1) + e;
            z[j] = scale * (e - y[j]);
        }
        total += weight * row;
    }
    return total;
}

/* T = s H D, with the Hessian H of the loss in the raw outputs where the mean response is P. */
CLONES void NAME(curvature)(REAL *restrict T, const REAL *restrict D, const REAL *restrict P,
                            const REAL *restrict s, long n, long k, int output) {
    for (long i = 0; i < n; i++) {
        const REAL *restrict d = D + i * k, *restrict p = P + i * k;
        REAL *restrict t = T + i * k;
        const REAL c = s[i];
        REAL mass = 0;
        if (output == 2)
            for (long j = 0; j < k; j++) mass += p[j] * d[j];
        if (output == 0)
            for (long j = 0; j < k; j++) t[j] = c * d[j];
        else if (output == 1)
            for (long j = 0; j < k; j++) t[j] = c * p[j] * (1 - p[j]) * d[j];
        else
            for (long j = 0; j < k; j++) t[j] = c * p[j] * (d[j] - mass);
    }
}

/* g += c w; the sum of the squares of w is returned. */
CLONES double NAME(add_ridge)(REAL *restrict g, const REAL *restrict w, REAL c, long n) {
    double total = 0;
    for (long low = 0; low < n; low += 4096) {
        long high = low + 4096 < n ? low + 4096 : n;
        REAL part = 0;
        for (long i = low; i < high; i++) { REAL t = w[i]; g[i] += c * t; part += t * t; }
        total += part;
    }
    return total;
}

CLONES void NAME(adam)(REAL *restrict w, const REAL *restrict g, REAL *restrict m,
                       REAL *restrict v, long n, double step_, double b1_, double b2_,
                       double epsilon_) {
    /* 1 - beta in double: in float 1 - 0.999f is off by 5e-5 of itself. */
    REAL step = (REAL)step_, b1 = (REAL)b1_, b2 = (REAL)b2_, epsilon = (REAL)epsilon_;
    REAL c1 = (REAL)(1 - b1_), c2 = (REAL)(1 - b2_);
    for (long i = 0; i < n; i++) {
        REAL gi = g[i], mi = b1 * m[i] + c1 * gi, vi = b2 * v[i] + c2 * (gi * gi);
        m[i] = mi;
        v[i] = vi;
        w[i] -= step * mi / (ROOT(vi) + epsilon);
    }
}

CLONES void NAME(momentum)(REAL *restrict w, const REAL *restrict g, REAL *restrict v, long n,
                           REAL rate, REAL keep, int nesterov) {
    if (nesterov)
        for (long i = 0; i < n; i++) {
            REAL move = rate * g[i], vi = keep * v[i] - move;
            v[i] = vi;
            w[i] += keep * vi - move;
        }
    else
        for (long i = 0; i < n; i++) {
            REAL vi = keep * v[i] - rate * g[i];
            v[i] = vi;
            w[i] += vi;
        }
}
