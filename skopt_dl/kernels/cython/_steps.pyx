# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Steps of the stochastic rules that need sums over the gradient or work in no array but their own:
compiled twins of functions of ``generic_updates``.

A number that a rule keeps as an array of one entry may be given as that.
"""

from libc.math cimport sqrt

import numpy as np

from skopt_dl.kernels import generic_updates

ctypedef fused floating:
    float
    double

cdef extern from "_elementwise.h" nogil:
    void d_gradient(double*, const double*, long, double)
    void s_gradient(float*, const float*, long, double)
    void d_sign(double*, const double*, long, double)
    void s_sign(float*, const float*, long, double)
    void d_clipped_newton(double*, const double*, const double*, long, double, double, double,
        double)
    void s_clipped_newton(float*, const float*, const float*, long, double, double, double, double)
    void d_mean(double*, const double*, long, double)
    void s_mean(float*, const float*, long, double)
    void d_shift(double*, const double*, const double*, long, double)
    void s_shift(float*, const float*, const float*, long, double)
    double d_squares(const double*, long)
    double s_squares(const float*, long)
    double d_square_distance(const double*, const double*, long)
    double s_square_distance(const float*, const float*, long)
    void d_adan(double*, const double*, double*, double*, double*, double*, long, double, double,
        double, double, double, double, double)
    void s_adan(float*, const float*, float*, float*, float*, float*, long, double, double, double,
        double, double, double, double)
    void d_schedule_free(double*, double*, double*, const double*, double*, long, double, double,
        double, double, double, double, double)
    void s_schedule_free(float*, float*, float*, const float*, float*, long, double, double, double,
        double, double, double, double)
    void d_prodigy(double*, const double*, const double*, double*, double*, double*, long, double,
        double, double, double, double, double, double*, double*)
    void s_prodigy(float*, const float*, const float*, float*, float*, float*, long, double, double,
        double, double, double, double, double*, double*)
    void d_d_adaptation(double*, const double*, double*, double*, double*, long, double, double,
        double, double, double, double*, double*)
    void s_d_adaptation(float*, const float*, float*, float*, float*, long, double, double, double,
        double, double, double*, double*)


cdef double number(x):
    return x.item() if hasattr(x, "item") else x


def gradient_update(w, g, rate):
    """See `skopt_dl.kernels.generic_updates.gradient_update`."""
    if w.dtype == np.float32:
        _gradient[float](w, g, number(rate))
    else:
        _gradient[double](w, g, number(rate))


cdef _gradient(floating[::1] w, const floating[::1] g, double rate):
    if floating is float:
        s_gradient(&w[0], &g[0], w.shape[0], rate)
    else:
        d_gradient(&w[0], &g[0], w.shape[0], rate)


def clipped_newton_update(w, m, d, double rate, double scale, double epsilon, double weight_decay):
    """See `skopt_dl.kernels.generic_updates.clipped_newton_update`."""
    if w.dtype == np.float32:
        _clipped_newton[float](w, m, d, rate, scale, epsilon, weight_decay)
    else:
        _clipped_newton[double](w, m, d, rate, scale, epsilon, weight_decay)


cdef _clipped_newton(floating[::1] w, const floating[::1] m, const floating[::1] d, double rate,
                     double scale, double epsilon, double decay):
    if floating is float:
        s_clipped_newton(&w[0], &m[0], &d[0], w.shape[0], rate, scale, epsilon, decay)
    else:
        d_clipped_newton(&w[0], &m[0], &d[0], w.shape[0], rate, scale, epsilon, decay)


def sign_update(w, g, double rate):
    """See `skopt_dl.kernels.generic_updates.sign_update`."""
    if w.dtype == np.float32:
        _sign[float](w, g, rate)
    else:
        _sign[double](w, g, rate)


cdef _sign(floating[::1] w, const floating[::1] g, double rate):
    if floating is float:
        s_sign(&w[0], &g[0], w.shape[0], rate)
    else:
        d_sign(&w[0], &g[0], w.shape[0], rate)


def mean_update(mean, new, double decay):
    """See `skopt_dl.kernels.generic_updates.mean_update`."""
    if not (mean.ndim == new.ndim == 1 and mean.shape == new.shape and mean.dtype == new.dtype):
        # Of matrices, and of what has to be broadcast, the array form is fast enough.
        generic_updates.mean_update(mean, new, decay)
    elif mean.dtype == np.float32:
        _mean[float](mean, new, decay)
    else:
        _mean[double](mean, new, decay)


cdef _mean(floating[::1] mean, const floating[::1] new, double decay):
    if floating is float:
        s_mean(&mean[0], &new[0], mean.shape[0], decay)
    else:
        d_mean(&mean[0], &new[0], mean.shape[0], decay)


def shifted(w, d, step, out):
    """See `skopt_dl.kernels.generic_updates.shifted`."""
    if w.dtype == np.float32:
        _shift[float](w, d, number(step), out)
    else:
        _shift[double](w, d, number(step), out)
    return out


cdef _shift(const floating[::1] w, const floating[::1] d, double step, floating[::1] out):
    if floating is float:
        s_shift(&out[0], &w[0], &d[0], w.shape[0], step)
    else:
        d_shift(&out[0], &w[0], &d[0], w.shape[0], step)


def distance(a, b):
    """See `skopt_dl.kernels.generic_updates.distance`."""
    total = _distance[float](a, b) if a.dtype == np.float32 else _distance[double](a, b)
    return np.full(1, sqrt(total), dtype=a.dtype)


cdef double _distance(const floating[::1] a, const floating[::1] b):
    if floating is float:
        return s_square_distance(&a[0], &b[0], a.shape[0])
    else:
        return d_square_distance(&a[0], &b[0], a.shape[0])


def adagrad_norm_update(w, g, r, double rate):
    """See `skopt_dl.kernels.generic_updates.adagrad_norm_update`."""
    if w.dtype == np.float32:
        _adagrad_norm[float](w, g, r, rate)
    else:
        _adagrad_norm[double](w, g, r, rate)


cdef _adagrad_norm(floating[::1] w, const floating[::1] g, floating[::1] r, double rate):
    cdef double root
    if floating is float:
        r[0] += <float>s_squares(&g[0], g.shape[0])
    else:
        r[0] += d_squares(&g[0], g.shape[0])
    root = sqrt(r[0])
    _gradient(w, g, rate / root if root > 0 else rate)


def adan_update(w, g, last, m, d, n, double step_m, double step_d, double correction,
                double beta_1, double beta_2, double beta_3, double epsilon):
    """See `skopt_dl.kernels.generic_updates.adan_update`."""
    if w.dtype == np.float32:
        _adan[float](w, g, last, m, d, n, step_m, step_d, correction, beta_1, beta_2, beta_3,
                     epsilon)
    else:
        _adan[double](w, g, last, m, d, n, step_m, step_d, correction, beta_1, beta_2, beta_3,
                      epsilon)


cdef _adan(floating[::1] w, const floating[::1] g, floating[::1] last, floating[::1] m,
           floating[::1] d, floating[::1] n, double step_m, double step_d, double correction,
           double beta_1, double beta_2, double beta_3, double epsilon):
    if floating is float:
        s_adan(&w[0], &g[0], &last[0], &m[0], &d[0], &n[0], w.shape[0], step_m, step_d, correction,
               beta_1, beta_2, beta_3, epsilon)
    else:
        d_adan(&w[0], &g[0], &last[0], &m[0], &d[0], &n[0], w.shape[0], step_m, step_d, correction,
               beta_1, beta_2, beta_3, epsilon)


def schedule_free_update(w, z, y, g, v, double rate, double scale, double weight_decay,
                         double share, double beta, double decay, double epsilon):
    """See `skopt_dl.kernels.generic_updates.schedule_free_update`."""
    if w.dtype == np.float32:
        _schedule_free[float](w, z, y, g, v, rate, scale, weight_decay, share, beta, decay, epsilon)
    else:
        _schedule_free[double](w, z, y, g, v, rate, scale, weight_decay, share, beta, decay,
                               epsilon)


cdef _schedule_free(floating[::1] w, floating[::1] z, floating[::1] y, const floating[::1] g, v,
                    double rate, double scale, double weight_decay, double share, double beta,
                    double decay, double epsilon):
    cdef floating[::1] second
    cdef floating* squares = NULL
    if v is not None:
        second = v
        squares = &second[0]
    if floating is float:
        s_schedule_free(&w[0], &z[0], &y[0], &g[0], squares, w.shape[0], rate, scale, weight_decay,
                        share, beta, decay, epsilon)
    else:
        d_schedule_free(&w[0], &z[0], &y[0], &g[0], squares, w.shape[0], rate, scale, weight_decay,
                        share, beta, decay, epsilon)


def prodigy_update(w, g, origin, s, m, v, distance, double rate, double beta_1, double beta_2,
                   double epsilon):
    """See `skopt_dl.kernels.generic_updates.prodigy_update`."""
    if w.dtype == np.float32:
        return _prodigy[float](w, g, origin, s, m, v, number(distance), rate, beta_1, beta_2,
                               epsilon)
    return _prodigy[double](w, g, origin, s, m, v, number(distance), rate, beta_1, beta_2, epsilon)


cdef _prodigy(floating[::1] w, const floating[::1] g, const floating[::1] origin,
              floating[::1] s, floating[::1] m, floating[::1] v, double distance, double rate,
              double beta_1, double beta_2, double epsilon):
    cdef double slope, size, keep = sqrt(beta_2)
    if floating is float:
        s_prodigy(&w[0], &g[0], &origin[0], &s[0], &m[0], &v[0], w.shape[0], distance, rate, beta_1,
                  beta_2, keep, epsilon, &slope, &size)
    else:
        d_prodigy(&w[0], &g[0], &origin[0], &s[0], &m[0], &v[0], w.shape[0], distance, rate, beta_1,
                  beta_2, keep, epsilon, &slope, &size)
    real = np.float32 if floating is float else np.float64
    return np.full(1, slope, real), np.full(1, size, real)


def d_adaptation_update(w, g, s, m, v, length, double beta_1, double beta_2, double epsilon):
    """See `skopt_dl.kernels.generic_updates.d_adaptation_update`."""
    if w.dtype == np.float32:
        return _d_adaptation[float](w, g, s, m, v, number(length), beta_1, beta_2, epsilon)
    return _d_adaptation[double](w, g, s, m, v, number(length), beta_1, beta_2, epsilon)


cdef _d_adaptation(floating[::1] w, const floating[::1] g, floating[::1] s, floating[::1] m,
                   floating[::1] v, double length, double beta_1, double beta_2, double epsilon):
    cdef double slope, size, keep = sqrt(beta_2)
    if floating is float:
        s_d_adaptation(&w[0], &g[0], &s[0], &m[0], &v[0], w.shape[0], length, beta_1, beta_2, keep,
                       epsilon, &slope, &size)
    else:
        d_d_adaptation(&w[0], &g[0], &s[0], &m[0], &v[0], w.shape[0], length, beta_1, beta_2, keep,
                       epsilon, &slope, &size)
    real = np.float32 if floating is float else np.float64
    return np.full(1, slope, real), np.full(1, size, real)
