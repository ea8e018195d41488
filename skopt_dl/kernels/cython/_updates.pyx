# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Updates of the stochastic rules, each in one pass over its arrays: compiled twins of the functions
of ``generic_updates``."""

import numpy as np

ctypedef fused floating:
    float
    double

cdef extern from "_elementwise.h" nogil:
    void d_adagrad(double*, const double*, double*, long, double, double)
    void s_adagrad(float*, const float*, float*, long, double, double)
    void d_rmsprop_nesterov(double*, const double*, double*, double*, long, double, double, double,
        double)
    void s_rmsprop_nesterov(float*, const float*, float*, float*, long, double, double, double,
        double)
    void d_adadelta(double*, const double*, double*, double*, long, double, double)
    void s_adadelta(float*, const float*, float*, float*, long, double, double)
    void d_amsgrad(double*, const double*, double*, double*, double*, long, double, double, double,
        double)
    void s_amsgrad(float*, const float*, float*, float*, float*, long, double, double, double,
        double)
    void d_nadam(double*, const double*, double*, double*, long, double, double, double, double,
        double)
    void s_nadam(float*, const float*, float*, float*, long, double, double, double, double, double)
    void d_adabelief(double*, const double*, double*, double*, long, double, double, double, double,
        double)
    void s_adabelief(float*, const float*, float*, float*, long, double, double, double, double,
        double)
    void d_yogi(double*, const double*, double*, double*, long, double, double, double, double)
    void s_yogi(float*, const float*, float*, float*, long, double, double, double, double)
    void d_lion(double*, const double*, double*, long, double, double, double, double)
    void s_lion(float*, const float*, float*, long, double, double, double, double)
    void d_adamax(double*, const double*, double*, double*, long, double, double, double, double)
    void s_adamax(float*, const float*, float*, float*, long, double, double, double, double)
    void d_ademamix(double*, const double*, double*, double*, double*, long, double, double, double,
        double, double, double)
    void s_ademamix(float*, const float*, float*, float*, float*, long, double, double, double,
        double, double, double)
    void d_rmsprop(double*, const double*, double*, long, double, double, double)
    void s_rmsprop(float*, const float*, float*, long, double, double, double)
    void d_centred_rmsprop(double*, const double*, double*, double*, long, double, double, double)
    void s_centred_rmsprop(float*, const float*, float*, float*, long, double, double, double)


def adagrad_update(w, g, r, double rate, double epsilon):
    """See `skopt_dl.kernels.generic_updates.adagrad_update`."""
    if w.dtype == np.float32:
        _adagrad[float](w, g, r, rate, epsilon)
    else:
        _adagrad[double](w, g, r, rate, epsilon)


cdef _adagrad(floating[::1] w, const floating[::1] g, floating[::1] r, double rate, double epsilon):
    if floating is float:
        s_adagrad(&w[0], &g[0], &r[0], w.shape[0], rate, epsilon)
    else:
        d_adagrad(&w[0], &g[0], &r[0], w.shape[0], rate, epsilon)


def rmsprop_nesterov_update(w, g, r, v, double rate, double momentum, double decay, double epsilon):
    """See `skopt_dl.kernels.generic_updates.rmsprop_nesterov_update`."""
    if w.dtype == np.float32:
        _rmsprop_nesterov[float](w, g, r, v, rate, momentum, decay, epsilon)
    else:
        _rmsprop_nesterov[double](w, g, r, v, rate, momentum, decay, epsilon)


cdef _rmsprop_nesterov(floating[::1] w, const floating[::1] g, floating[::1] r, floating[::1] v,
                       double rate, double momentum, double decay, double epsilon):
    if floating is float:
        s_rmsprop_nesterov(&w[0], &g[0], &r[0], &v[0], w.shape[0], rate, momentum, decay, epsilon)
    else:
        d_rmsprop_nesterov(&w[0], &g[0], &r[0], &v[0], w.shape[0], rate, momentum, decay, epsilon)


def adadelta_update(w, g, r, s, double decay, double epsilon):
    """See `skopt_dl.kernels.generic_updates.adadelta_update`."""
    if w.dtype == np.float32:
        _adadelta[float](w, g, r, s, decay, epsilon)
    else:
        _adadelta[double](w, g, r, s, decay, epsilon)


cdef _adadelta(floating[::1] w, const floating[::1] g, floating[::1] r, floating[::1] s,
               double decay, double epsilon):
    if floating is float:
        s_adadelta(&w[0], &g[0], &r[0], &s[0], w.shape[0], decay, epsilon)
    else:
        d_adadelta(&w[0], &g[0], &r[0], &s[0], w.shape[0], decay, epsilon)


def amsgrad_update(w, g, m, v, top, double step, double beta_1, double beta_2, double epsilon):
    """See `skopt_dl.kernels.generic_updates.amsgrad_update`."""
    if w.dtype == np.float32:
        _amsgrad[float](w, g, m, v, top, step, beta_1, beta_2, epsilon)
    else:
        _amsgrad[double](w, g, m, v, top, step, beta_1, beta_2, epsilon)


cdef _amsgrad(floating[::1] w, const floating[::1] g, floating[::1] m, floating[::1] v,
              floating[::1] top, double step, double beta_1, double beta_2, double epsilon):
    if floating is float:
        s_amsgrad(&w[0], &g[0], &m[0], &v[0], &top[0], w.shape[0], step, beta_1, beta_2, epsilon)
    else:
        d_amsgrad(&w[0], &g[0], &m[0], &v[0], &top[0], w.shape[0], step, beta_1, beta_2, epsilon)


def nadam_update(w, g, m, v, double step_m, double step_g, double beta_1, double beta_2,
                 double epsilon):
    """See `skopt_dl.kernels.generic_updates.nadam_update`."""
    if w.dtype == np.float32:
        _nadam[float](w, g, m, v, step_m, step_g, beta_1, beta_2, epsilon)
    else:
        _nadam[double](w, g, m, v, step_m, step_g, beta_1, beta_2, epsilon)


cdef _nadam(floating[::1] w, const floating[::1] g, floating[::1] m, floating[::1] v, double step_m,
            double step_g, double beta_1, double beta_2, double epsilon):
    if floating is float:
        s_nadam(&w[0], &g[0], &m[0], &v[0], w.shape[0], step_m, step_g, beta_1, beta_2, epsilon)
    else:
        d_nadam(&w[0], &g[0], &m[0], &v[0], w.shape[0], step_m, step_g, beta_1, beta_2, epsilon)


def adabelief_update(w, g, m, v, double step, double correction, double beta_1, double beta_2,
                     double epsilon):
    """See `skopt_dl.kernels.generic_updates.adabelief_update`."""
    if w.dtype == np.float32:
        _adabelief[float](w, g, m, v, step, correction, beta_1, beta_2, epsilon)
    else:
        _adabelief[double](w, g, m, v, step, correction, beta_1, beta_2, epsilon)


cdef _adabelief(floating[::1] w, const floating[::1] g, floating[::1] m, floating[::1] v,
                double step, double correction, double beta_1, double beta_2, double epsilon):
    if floating is float:
        s_adabelief(&w[0], &g[0], &m[0], &v[0], w.shape[0], step, correction, beta_1, beta_2,
                    epsilon)
    else:
        d_adabelief(&w[0], &g[0], &m[0], &v[0], w.shape[0], step, correction, beta_1, beta_2,
                    epsilon)


def yogi_update(w, g, m, v, double step, double beta_1, double beta_2, double epsilon):
    """See `skopt_dl.kernels.generic_updates.yogi_update`."""
    if w.dtype == np.float32:
        _yogi[float](w, g, m, v, step, beta_1, beta_2, epsilon)
    else:
        _yogi[double](w, g, m, v, step, beta_1, beta_2, epsilon)


cdef _yogi(floating[::1] w, const floating[::1] g, floating[::1] m, floating[::1] v, double step,
           double beta_1, double beta_2, double epsilon):
    if floating is float:
        s_yogi(&w[0], &g[0], &m[0], &v[0], w.shape[0], step, beta_1, beta_2, epsilon)
    else:
        d_yogi(&w[0], &g[0], &m[0], &v[0], w.shape[0], step, beta_1, beta_2, epsilon)


def lion_update(w, g, m, double rate, double beta_1, double beta_2, double weight_decay):
    """See `skopt_dl.kernels.generic_updates.lion_update`."""
    if w.dtype == np.float32:
        _lion[float](w, g, m, rate, beta_1, beta_2, weight_decay)
    else:
        _lion[double](w, g, m, rate, beta_1, beta_2, weight_decay)


cdef _lion(floating[::1] w, const floating[::1] g, floating[::1] m, double rate, double beta_1,
           double beta_2, double weight_decay):
    if floating is float:
        s_lion(&w[0], &g[0], &m[0], w.shape[0], rate, beta_1, beta_2, weight_decay)
    else:
        d_lion(&w[0], &g[0], &m[0], w.shape[0], rate, beta_1, beta_2, weight_decay)


def adamax_update(w, g, m, u, double rate, double beta_1, double beta_2, double epsilon):
    """See `skopt_dl.kernels.generic_updates.adamax_update`."""
    if w.dtype == np.float32:
        _adamax[float](w, g, m, u, rate, beta_1, beta_2, epsilon)
    else:
        _adamax[double](w, g, m, u, rate, beta_1, beta_2, epsilon)


cdef _adamax(floating[::1] w, const floating[::1] g, floating[::1] m, floating[::1] u, double rate,
             double beta_1, double beta_2, double epsilon):
    if floating is float:
        s_adamax(&w[0], &g[0], &m[0], &u[0], w.shape[0], rate, beta_1, beta_2, epsilon)
    else:
        d_adamax(&w[0], &g[0], &m[0], &u[0], w.shape[0], rate, beta_1, beta_2, epsilon)


def ademamix_update(w, g, m, v, slow, double step, double slow_step, double beta_1, double beta_2,
                    double beta_3, double epsilon):
    """See `skopt_dl.kernels.generic_updates.ademamix_update`."""
    if w.dtype == np.float32:
        _ademamix[float](w, g, m, v, slow, step, slow_step, beta_1, beta_2, beta_3, epsilon)
    else:
        _ademamix[double](w, g, m, v, slow, step, slow_step, beta_1, beta_2, beta_3, epsilon)


cdef _ademamix(floating[::1] w, const floating[::1] g, floating[::1] m, floating[::1] v,
               floating[::1] slow, double step, double slow_step, double beta_1, double beta_2,
               double beta_3, double epsilon):
    if floating is float:
        s_ademamix(&w[0], &g[0], &m[0], &v[0], &slow[0], w.shape[0], step, slow_step, beta_1,
                   beta_2, beta_3, epsilon)
    else:
        d_ademamix(&w[0], &g[0], &m[0], &v[0], &slow[0], w.shape[0], step, slow_step, beta_1,
                   beta_2, beta_3, epsilon)


def rmsprop_update(w, g, r, m, double rate, double decay, double epsilon):
    """See `skopt_dl.kernels.generic_updates.rmsprop_update`."""
    if m is not None:
        if w.dtype == np.float32:
            _centred_rmsprop[float](w, g, r, m, rate, decay, epsilon)
        else:
            _centred_rmsprop[double](w, g, r, m, rate, decay, epsilon)
    elif w.dtype == np.float32:
        _rmsprop[float](w, g, r, rate, decay, epsilon)
    else:
        _rmsprop[double](w, g, r, rate, decay, epsilon)


cdef _rmsprop(floating[::1] w, const floating[::1] g, floating[::1] r, double rate, double decay,
              double epsilon):
    if floating is float:
        s_rmsprop(&w[0], &g[0], &r[0], w.shape[0], rate, decay, epsilon)
    else:
        d_rmsprop(&w[0], &g[0], &r[0], w.shape[0], rate, decay, epsilon)


cdef _centred_rmsprop(floating[::1] w, const floating[::1] g, floating[::1] r, floating[::1] m,
                      double rate, double decay, double epsilon):
    if floating is float:
        s_centred_rmsprop(&w[0], &g[0], &r[0], &m[0], w.shape[0], rate, decay, epsilon)
    else:
        d_centred_rmsprop(&w[0], &g[0], &r[0], &m[0], w.shape[0], rate, decay, epsilon)
