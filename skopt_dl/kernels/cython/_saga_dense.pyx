# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""SAGA, SVRG and SAG on dense rows: compiled twins of the functions in ``generic``."""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport free, malloc

from skopt_dl.kernels.cython._slopes cimport floating, slopes


def saga_steps(model, order):
    """See `skopt_dl.kernels.generic.saga_steps`."""
    _bind(model, order, True, True)


def svrg_steps(model, order):
    """See `skopt_dl.kernels.generic.svrg_steps`."""
    _bind(model, order, True, False)


def sag_steps(model, order):
    """See `skopt_dl.kernels.generic.sag_steps`."""
    _bind(model, order, False, True)


def _bind(m, order, bint saga, bint remember):
    _steps(m, saga, remember, m.base.rows, m.y, m.mean, m.scale, m.boost, m.W, m.b, m.table, m.average,
           m.average_b, m.threshold, m.shrink, m.l2, order)


cdef double _predict(Py_ssize_t p, const floating* x, const floating* mean,
                     const floating* w) noexcept nogil:
    cdef double z = 0
    cdef Py_ssize_t j
    for j in range(p):
        z += (x[j] - mean[j]) * w[j]
    return z


cdef void _saga(Py_ssize_t p, const floating* x, const floating* mean, floating step,
                floating direct, floating share, bint positive, const floating* threshold,
                const floating* shrink, floating* average, floating* w) noexcept nogil:
    """One step on the coefficients of one output: ``direct`` is boost d, ``share`` is d / n."""
    cdef Py_ssize_t j
    cdef floating centred, v, t, low
    for j in range(p):
        centred = x[j] - mean[j]
        v = w[j] - step * (direct * centred + average[j])
        average[j] += share * centred
        t = threshold[j]
        if positive:
            v = v - t
            w[j] = (v if v > 0 else 0) * shrink[j]
        else:
            low = v if v > -t else -t
            w[j] = (v - (low if low < t else t)) * shrink[j]


cdef void _sag(Py_ssize_t p, const floating* x, const floating* mean, floating step,
               floating share, const floating* l2, floating* average, floating* w) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(p):
        average[j] += share * (x[j] - mean[j])
        w[j] -= step * (average[j] + l2[j] * w[j])


def _steps(model, bint saga, bint remember, const floating[:, ::1] X, const floating[:, ::1] y,
           const floating[::1] mean, const floating[::1] scale, const floating[::1] boost,
           floating[::1, :] W, floating[::1] b, floating[:, ::1] table, floating[::1, :] average,
           floating[::1] average_b, const floating[::1, :] threshold,
           const floating[::1, :] shrink, const floating[::1, :] l2, const Py_ssize_t[::1] order):
    cdef Py_ssize_t n = X.shape[0], p = X.shape[1], K = W.shape[1], t, i, k
    cdef int loss = model.loss_id
    cdef bint intercept = model.intercept, positive = model.positive
    cdef double step = model.step, d, direct, share
    cdef Py_ssize_t work = 0, beat = 1 << 24
    if n == 0 or p == 0:
        raise ValueError("the compiled rows need at least one sample and one column")
    cdef double* z = <double*>malloc(K * sizeof(double))
    if z == NULL:
        raise MemoryError
    try:
        with nogil:
            for t in range(order.shape[0]):
                i = order[t]
                work += (p + 8) * K
                if work > beat:
                    work = 0
                    with gil:
                        PyErr_CheckSignals()
                for k in range(K):
                    z[k] = b[k] + _predict(p, &X[i, 0], &mean[0], &W[0, k])
                slopes(loss, K, &y[i, 0], z)
                for k in range(K):
                    d = scale[i] * z[k] - table[i, k]
                    share = 0
                    if remember:
                        table[i, k] += <floating>d
                        share = d / n
                    if saga:
                        direct = boost[i] * d
                        _saga(p, &X[i, 0], &mean[0], <floating>step, <floating>direct,
                              <floating>share, positive, &threshold[0, k], &shrink[0, k],
                              &average[0, k], &W[0, k])
                        if intercept:
                            b[k] -= <floating>(step * (direct + average_b[k]))
                            average_b[k] += <floating>share
                    else:
                        _sag(p, &X[i, 0], &mean[0], <floating>step, <floating>share, &l2[0, k],
                             &average[0, k], &W[0, k])
                        if intercept:
                            average_b[k] += <floating>share
                            b[k] -= <floating>(step * average_b[k])
    finally:
        free(z)
    PyErr_CheckSignals()
