"""The losses of a network's outputs, for both precisions: of kind 0 (identity), 1 (logistic),
2 (softmax) or 3 (exp)."""

from skopt_dl.kernels.cython._gemm cimport floating

cdef extern from "_elementwise.h" nogil:
    double d_squared_loss(double*, const double*, const double*, double, long, long)
    double s_squared_loss(float*, const float*, const float*, double, long, long)
    double d_logistic_loss(double*, const double*, const double*, double, double, long, long)
    double s_logistic_loss(float*, const float*, const float*, double, double, long, long)
    double d_softmax_loss(double*, const double*, const double*, double, double, long, long)
    double s_softmax_loss(float*, const float*, const float*, double, double, long, long)
    double d_poisson_loss(double*, const double*, const double*, double, long, long)
    double s_poisson_loss(float*, const float*, const float*, double, long, long)


cdef inline double output_loss(int kind, floating* z, const floating* y, const floating* s,
                               double share, double floor, long n, long k) noexcept nogil:
    if floating is float:
        if kind == 0:
            return s_squared_loss(z, y, s, share, n, k)
        if kind == 1:
            return s_logistic_loss(z, y, s, share, floor, n, k)
        if kind == 2:
            return s_softmax_loss(z, y, s, share, floor, n, k)
        return s_poisson_loss(z, y, s, share, n, k)
    else:
        if kind == 0:
            return d_squared_loss(z, y, s, share, n, k)
        if kind == 1:
            return d_logistic_loss(z, y, s, share, floor, n, k)
        if kind == 2:
            return d_softmax_loss(z, y, s, share, floor, n, k)
        return d_poisson_loss(z, y, s, share, n, k)
