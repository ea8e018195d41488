# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""SAGA, SVRG and SAG on CSR rows: compiled twins of the functions in ``generic``.

A step costs the nonzeros of its row. SAGA's step touches nothing else by construction; SAG's missed
steps of a column have a closed form, since its average stands still until a row touches it:

    w after k steps of w -= step (a + l2 w):   w + e w + e a / l2,   e = (1 - step l2)^k - 1
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport expm1, log1p
from libc.stdlib cimport calloc, free, malloc

from skopt_dl.kernels.cython._slopes cimport floating, slopes

ctypedef fused integer:
    int
    long long


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
    X = m.base.rows
    _steps(m, saga, remember, X.data, X.indices, X.indptr, m.y, m.scale, m.boost, m.reach, m.W, m.b, m.table,
           m.average, m.average_b, m.threshold, m.shrink, m.l2, order)


cdef inline double _caught_up(double w, double a, double l2, double step,
                              Py_ssize_t k) noexcept nogil:
    """``w`` after ``k`` steps with the average gradient ``a``."""
    cdef double e
    if k == 0:
        return w
    if k == 1:
        return w - step * (a + l2 * w)
    if l2 == 0:
        return w - k * step * a
    e = expm1(k * log1p(-step * l2))
    return w + e * (w + a / l2)


def _steps(model, bint saga, bint remember, const floating[::1] data, const integer[::1] columns,
           const integer[::1] ptr, const floating[:, ::1] y, const floating[::1] scale,
           const floating[::1] boost, const floating[::1] reach, floating[:, ::1] W,
           floating[::1] b, floating[:, ::1] table, floating[:, ::1] average,
           floating[::1] average_b, const floating[:, ::1] threshold,
           const floating[:, ::1] shrink, const floating[:, ::1] l2,
           const Py_ssize_t[::1] order):
    cdef Py_ssize_t n = table.shape[0], p = W.shape[0], K = W.shape[1], turns = order.shape[0]
    cdef Py_ssize_t turn, i, j, k, at
    cdef int loss = model.loss_id
    cdef bint intercept = model.intercept, positive = model.positive
    cdef double step = model.step, x, v, t, d, share = 1.0 / n if remember else 0.0
    # Columns are met in random order: fewer of them than dense entries between two heartbeats.
    cdef Py_ssize_t work = 0, beat = 1 << 21
    cdef double* z = <double*>malloc(max(K, 1) * sizeof(double))
    cdef Py_ssize_t* seen = <Py_ssize_t*>calloc(max(p, 1), sizeof(Py_ssize_t))
    if z == NULL or seen == NULL:
        free(z)
        free(seen)
        raise MemoryError
    try:
        with nogil:
            for turn in range(turns):
                i = order[turn]
                work += (ptr[i + 1] - ptr[i] + 8) * K
                if work > beat:
                    work = 0
                    with gil:
                        PyErr_CheckSignals()
                for k in range(K):
                    z[k] = b[k]
                for at in range(ptr[i], ptr[i + 1]):
                    j, x = columns[at], data[at]
                    if not saga:
                        for k in range(K):
                            W[j, k] = <floating>_caught_up(
                                W[j, k], average[j, k], l2[j, k], step, turn - seen[j]
                            )
                        seen[j] = turn + 1
                    for k in range(K):
                        z[k] += x * W[j, k]
                slopes(loss, K, &y[i, 0], z)
                for k in range(K):
                    d = scale[i] * z[k] - table[i, k]
                    if remember:
                        table[i, k] += <floating>d
                    z[k] = d
                for at in range(ptr[i], ptr[i + 1]):
                    j, x = columns[at], data[at]
                    for k in range(K):
                        if saga:
                            v = W[j, k] - step * (boost[i] * z[k] * x + reach[j] * average[j, k])
                            average[j, k] += <floating>(z[k] * x * share)
                            t = threshold[j, k]
                            if positive:
                                v = max(v - t, 0)
                            else:
                                v -= min(max(v, -t), t)
                            W[j, k] = <floating>(v * shrink[j, k])
                        else:
                            average[j, k] += <floating>(z[k] * x * share)
                            W[j, k] -= <floating>(step * (average[j, k] + l2[j, k] * W[j, k]))
                if intercept:
                    for k in range(K):
                        d = z[k]
                        if saga:
                            b[k] -= <floating>(step * (boost[i] * d + average_b[k]))
                            average_b[k] += <floating>(d * share)
                        else:
                            average_b[k] += <floating>(d * share)
                            b[k] -= <floating>(step * average_b[k])
            if not saga:
                for j in range(p):
                    for k in range(K):
                        W[j, k] = <floating>_caught_up(
                            W[j, k], average[j, k], l2[j, k], step, turns - seen[j]
                        )
    finally:
        free(z)
        free(seen)
    PyErr_CheckSignals()
