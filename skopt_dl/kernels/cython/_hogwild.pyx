# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Plain stochastic gradient steps on CSR rows, without locks: compiled twin of the function in
``generic``. Several threads may run it on one model; a step costs the nonzeros of its row."""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport free, malloc

from skopt_dl.kernels.cython._slopes cimport floating, slopes

ctypedef fused integer:
    int
    long long


def hogwild_steps(m, order, double rate, halt):
    """See `skopt_dl.kernels.generic.hogwild_steps`."""
    X = m.base.rows
    _steps(X.data, X.indices, X.indptr, m.y, m.scale, m.boost, m.reach, m.W, m.b, m.l2, order, rate,
           m.loss_id, m.intercept, halt)


def _steps(const floating[::1] data, const integer[::1] columns, const integer[::1] ptr,
           const floating[:, ::1] y, const floating[::1] scale, const floating[::1] boost,
           const floating[::1] reach, floating[:, ::1] W, floating[::1] b,
           const floating[:, ::1] l2, const Py_ssize_t[::1] order, double rate, int loss,
           bint intercept, const unsigned char[::1] halt):
    cdef Py_ssize_t K = W.shape[1], turns = order.shape[0], turn, i, j, k, at
    cdef Py_ssize_t work = 0, beat = 1 << 18
    cdef double x
    cdef double* z = <double*>malloc(max(K, 1) * sizeof(double))
    if z == NULL:
        raise MemoryError
    try:
        with nogil:
            for turn in range(turns):
                i = order[turn]
                work += (ptr[i + 1] - ptr[i] + 8) * K
                if work > beat:
                    work = 0
                    # Signals reach the main thread alone; it tells the others by the flag.
                    if halt[0]:
                        break
                    with gil:
                        PyErr_CheckSignals()
                for k in range(K):
                    z[k] = b[k]
                for at in range(ptr[i], ptr[i + 1]):
                    j, x = columns[at], data[at]
                    for k in range(K):
                        z[k] += x * W[j, k]
                slopes(loss, K, &y[i, 0], z)
                for k in range(K):
                    z[k] *= rate * boost[i] * scale[i]
                for at in range(ptr[i], ptr[i + 1]):
                    j, x = columns[at], data[at]
                    for k in range(K):
                        W[j, k] -= <floating>(z[k] * x + rate * reach[j] * l2[j, k] * W[j, k])
                if intercept:
                    for k in range(K):
                        b[k] -= <floating>z[k]
    finally:
        free(z)
