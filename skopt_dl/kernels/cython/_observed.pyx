# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Observed entries of a matrix: the compiled twins of ``kernels.generic_observed``."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport NAN, sqrt
from libc.string cimport memset
from scipy.linalg.cython_blas cimport dsyrk, ssyrk
from scipy.linalg.cython_lapack cimport dposv, sposv

from skopt_dl.kernels import generic_observed

ctypedef fused floating:
    float
    double


ctypedef fused integer:
    int
    long long


# Rows of F gathered before one rank-DEPTH update: they stay in the first cache with the Gram.
cdef enum:
    DEPTH = 64
    # Sweeps of a row's coordinate descent at most, as the specification has them.
    SWEEPS = 100
    BEAT = 1 << 24

# The share of a row's largest parameter that a sweep of its descent still has to change.
cdef double ENOUGH = 1e-4


def entry_products(rows, cols, L, R):
    """See `skopt_dl.kernels.generic_observed.entry_products`."""
    out = np.empty(rows.shape[0], dtype=L.dtype)
    L, R = np.ascontiguousarray(L), np.ascontiguousarray(R)
    _products(rows, np.asarray(cols, dtype=rows.dtype), L, R, out)
    return out


def _products(const integer[::1] rows, const integer[::1] cols, const floating[:, ::1] L,
              const floating[:, ::1] R, floating[::1] out):
    cdef Py_ssize_t q = rows.shape[0], k = L.shape[1], l, c, start = 0, stop
    cdef Py_ssize_t each = BEAT // (k + 1) + 1
    cdef const floating* left
    cdef const floating* right
    cdef floating s
    if k == 0:
        out[:] = 0
        return
    while start < q:
        stop = min(start + each, q)
        with nogil:
            for l in range(start, stop):
                left, right, s = &L[rows[l], 0], &R[cols[l], 0], 0
                for c in range(k):
                    s += left[c] * right[c]
                out[l] = s
        PyErr_CheckSignals()
        start = stop


def stored_products(entries, L, R, n_threads=1):
    """See `skopt_dl.kernels.generic_observed.stored_products`."""
    L, R = np.ascontiguousarray(L), np.ascontiguousarray(R)
    out = np.empty(entries.cols.shape[0], dtype=L.dtype)
    if L.shape[1] == 0 or out.shape[0] == 0:
        out[:] = 0
        return out

    def part(low, high):
        _stored(low, high, entries.ptr, entries.cols, L, R, out)

    _in_parts(part, entries.ptr, n_threads)
    return out


def _stored(Py_ssize_t low, Py_ssize_t high, const integer[::1] ptr, const integer[::1] cols,
            const floating[:, ::1] L, const floating[:, ::1] R, floating[::1] out):
    cdef Py_ssize_t k = L.shape[1], i, n, done = 0
    cdef const integer* j
    cdef floating* s
    with nogil:
        for i in range(low, high):
            n = ptr[i + 1] - ptr[i]
            if n == 0:
                continue
            j, s = &cols[ptr[i]], &out[ptr[i]]
            if floating is double and integer is int:
                di_dots(n, k, j, &L[i, 0], &R[0, 0], s)
            elif floating is double:
                dl_dots(n, k, j, &L[i, 0], &R[0, 0], s)
            elif integer is int:
                si_dots(n, k, j, &L[i, 0], &R[0, 0], s)
            else:
                sl_dots(n, k, j, &L[i, 0], &R[0, 0], s)
            done += n * k
            if done > BEAT:
                done = 0
                with gil:
                    PyErr_CheckSignals()


def taken(E, order):
    """See `skopt_dl.kernels.generic_observed.taken`."""
    out = np.empty(order.shape[0], dtype=E.dtype)
    _taken(np.ascontiguousarray(E), order, out)
    return out


def _taken(const floating[::1] E, const integer[::1] order, floating[::1] out):
    cdef Py_ssize_t l
    with nogil:
        for l in range(out.shape[0]):
            out[l] = E[order[l]]


def segment_sum(A, index, Py_ssize_t m):
    """See `skopt_dl.kernels.generic_observed.segment_sum`."""
    out = np.zeros((m, A.shape[1]), dtype=A.dtype)
    _segments(np.ascontiguousarray(A), index, out)
    return out


def _segments(const floating[:, ::1] A, const integer[::1] index, floating[:, ::1] out):
    cdef Py_ssize_t q = A.shape[0], k = A.shape[1], l, c, i
    with nogil:
        for l in range(q):
            i = index[l]
            for c in range(k):
                out[i, c] += A[l, c]


cdef extern from "_stored.h" nogil:
    void di_dots(long, long, const int*, const double*, const double*, double*)
    void dl_dots(long, long, const long long*, const double*, const double*, double*)
    void si_dots(long, long, const int*, const float*, const float*, float*)
    void sl_dots(long, long, const long long*, const float*, const float*, float*)
    void di_masked(long, long, long, const int*, const double*, const double*, const double*,
                   const double*, double*)
    void dl_masked(long, long, long, const long long*, const double*, const double*,
                   const double*, const double*, double*)
    void si_masked(long, long, long, const int*, const float*, const float*, const float*,
                   const float*, float*)
    void sl_masked(long, long, long, const long long*, const float*, const float*, const float*,
                   const float*, float*)


cdef extern from "_gram.h" nogil:
    enum: GRAM_STEP
    enum: GRAM_LAST
    void d_gram_update(long, long, const double*, double*)
    void s_gram_update(long, long, const float*, float*)


cdef extern from "_descent.h" nogil:
    void d_descend(long, double, double, long, double, const double*, const double*, double*,
                   double*)
    void s_descend(long, float, double, long, double, const float*, const float*, float*, float*)


cdef inline int _padded(int k) noexcept nogil:
    """Numbers from one gathered row to the next, zeros behind the first k."""
    return k if k > GRAM_LAST else (k + GRAM_STEP - 1) // GRAM_STEP * GRAM_STEP


def _workspace(k, dtype):
    """Room for gathered rows, for one Gram matrix, and for a descent."""
    return np.zeros(DEPTH * _padded(k) + k * k + 2 * k, dtype=dtype)


cdef inline void _rank_update(int k, int depth, floating* P, floating* G) noexcept nogil:
    """``G += P' P`` on the lower triangle (column major) of ``depth`` gathered rows."""
    cdef floating one = 1
    cdef char* lower = b"L"
    cdef char* plain = b"N"
    if floating is float:
        if k <= GRAM_LAST:
            s_gram_update(k, depth, P, G)
        else:
            ssyrk(lower, plain, &k, &depth, &one, P, &k, &one, G, &k)
    elif k <= GRAM_LAST:
        d_gram_update(k, depth, P, G)
    else:
        dsyrk(lower, plain, &k, &depth, &one, P, &k, &one, G, &k)


cdef inline void _solve(int k, const floating* ridge, int each, double eps, floating* G,
                        floating* r) noexcept nogil:
    """Solve ``(G + diag(shift)) u = r`` in place of ``r``; the shift as the specification says.

    ``each`` is 1 where every coordinate has a ridge of its own, 0 where they share one.

    With it only values that are not finite can fail, and their answer is NaN.
    """
    cdef double least = 0, shift
    cdef int c, one = 1, info = 0
    cdef char* lower = b"L"
    for c in range(k):
        least += G[c * k + c]
    least *= 4 * k * eps
    for c in range(k):
        shift = max(<double>ridge[each * c], least)
        G[c * k + c] += <floating>(shift if shift > 0 else 1)
    if floating is float:
        sposv(lower, &k, &one, G, &k, r, &k, &info)
    else:
        dposv(lower, &k, &one, G, &k, r, &k, &info)
    if info != 0:
        for c in range(k):
            r[c] = NAN


cdef inline void _descend(int k, const floating* ridge, double tiny, floating* G,
                          const floating* b, floating* u, floating* room) noexcept nogil:
    """Lower ``u'(G + ridge I) u / 2 - b'u`` over ``u >= 0``, G in its lower triangle, in place."""
    cdef int c, d
    for c in range(k):
        u[c] = max(u[c], <floating>0)
        for d in range(c + 1, k):
            G[d * k + c] = G[c * k + d]
    if floating is float:
        s_descend(k, ridge[0], tiny, SWEEPS, ENOUGH, G, b, u, room)
    else:
        d_descend(k, ridge[0], tiny, SWEEPS, ENOUGH, G, b, u, room)


cdef inline void _gather(int k, double weight, double target, const floating* f, floating* p,
                         floating* r) noexcept nogil:
    """Append ``sqrt(weight) f`` to the gathered rows and ``target f`` to the right-hand side."""
    cdef int c
    cdef floating root = 1, t = <floating>target
    if weight != 1:
        root = <floating>sqrt(weight)
    for c in range(k):
        p[c] = root * f[c]
        r[c] += t * f[c]


def nonnegative_rows(W, T, F, ridge, start, n_threads=1):
    """See `skopt_dl.kernels.generic_nonnegative.nonnegative_rows`."""
    out = np.array(start, dtype=F.dtype, order="C")
    return _regressions(W, T, F, ridge, np.zeros_like(out), out, n_threads)


def ridge_rows(W, T, F, ridge, extra=None, n_threads=1):
    """See `skopt_dl.kernels.generic_observed.ridge_rows`."""
    # The right-hand sides are gathered where the solutions will stand.
    out = np.zeros((W.shape[0], F.shape[1]), dtype=F.dtype)
    if extra is not None:
        out += extra
    return _regressions(W, T, F, ridge, out, out, n_threads)


def ridge_groups(groups, F, ridge, n_threads=1):
    """See `skopt_dl.kernels.generic_observed.ridge_groups`."""
    return ridge_rows(groups.stored_weights, groups.stored_targets, F, ridge, None, n_threads)


def _regressions(W, T, F, ridge, sides, out, n_threads):
    """Rows of ``out`` from the right-hand sides gathered in ``sides``; where these are arrays
    apart, ``out`` is where a descent over non-negative ones begins."""
    positive = sides is not out
    ridge = np.ascontiguousarray(ridge[:, None] if ridge.ndim == 1 else ridge, dtype=F.dtype)
    F = np.ascontiguousarray(F)
    k = F.shape[1]
    if 0 in out.shape or F.shape[0] == 0:
        out[:] = 0
        return out
    eps = np.finfo(F.dtype).smallest_normal if positive else np.finfo(F.dtype).eps
    if hasattr(W, "indptr"):
        def part(low, high):
            work = _workspace(k, F.dtype)
            _csr(low, high, W.indptr, W.indices, W.data, T.data, F, ridge, sides, out, work, eps,
                 positive)

        _in_parts(part, W.indptr, n_threads)
    else:
        _dense(W, T, F, ridge, sides, out, _workspace(k, F.dtype), eps, positive)
    return out


@cython.wraparound(True)
def _in_parts(part, ptr, n_threads):
    """``part(low, high)`` on ranges of rows with about as many entries each, in threads.

    Every row is computed alone, so the answer does not depend on their number.
    """
    if n_threads == 1:
        part(0, len(ptr) - 1)
        return
    cuts = np.searchsorted(ptr, np.linspace(0, ptr[-1], n_threads + 1)[1:-1])
    bounds = [0, *(int(c) for c in cuts), len(ptr) - 1]
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(part, bounds[:-1], bounds[1:]))


def _csr(Py_ssize_t low, Py_ssize_t high, const integer[::1] ptr, const integer[::1] cols,
         const floating[::1] W,
         const floating[::1] T, const floating[:, ::1] F, const floating[:, ::1] ridge,
         floating[:, ::1] sides, floating[:, ::1] out, floating[::1] work, double eps,
         bint positive):
    cdef Py_ssize_t i, l, done = 0
    cdef int k = F.shape[1], depth, each = ridge.shape[1] > 1, stride = _padded(k)
    cdef floating* P = &work[0]
    cdef floating* G = &work[DEPTH * stride]
    with nogil:
        for i in range(low, high):
            if ptr[i] == ptr[i + 1]:
                memset(&out[i, 0], 0, k * sizeof(floating))
                continue
            memset(G, 0, k * k * sizeof(floating))
            depth = 0
            for l in range(ptr[i], ptr[i + 1]):
                _gather(k, W[l], T[l], &F[cols[l], 0], P + depth * stride, &sides[i, 0])
                depth += 1
                if depth == DEPTH:
                    _rank_update(k, depth, P, G)
                    depth = 0
            if depth:
                _rank_update(k, depth, P, G)
            if positive:
                _descend(k, &ridge[i, 0], eps, G, &sides[i, 0], &out[i, 0], G + k * k)
            else:
                _solve(k, &ridge[i, 0], each, eps, G, &out[i, 0])
            done += (ptr[i + 1] - ptr[i] + k) * k
            if done > BEAT:
                done = 0
                with gil:
                    PyErr_CheckSignals()


def _dense(const floating[:, :] W, const floating[:, :] T, const floating[:, ::1] F,
           const floating[:, ::1] ridge, floating[:, ::1] sides, floating[:, ::1] out,
           floating[::1] work, double eps, bint positive):
    cdef Py_ssize_t m = W.shape[0], n = W.shape[1], i, j, done = 0
    cdef int k = F.shape[1], depth, found, each = ridge.shape[1] > 1, stride = _padded(k)
    cdef floating* P = &work[0]
    cdef floating* G = &work[DEPTH * stride]
    with nogil:
        for i in range(m):
            memset(G, 0, k * k * sizeof(floating))
            depth = found = 0
            for j in range(n):
                if W[i, j] == 0:
                    continue
                found = 1
                _gather(k, W[i, j], T[i, j], &F[j, 0], P + depth * stride, &sides[i, 0])
                depth += 1
                if depth == DEPTH:
                    _rank_update(k, depth, P, G)
                    depth = 0
            if depth:
                _rank_update(k, depth, P, G)
            if found and positive:
                _descend(k, &ridge[i, 0], eps, G, &sides[i, 0], &out[i, 0], G + k * k)
            elif found:
                _solve(k, &ridge[i, 0], each, eps, G, &out[i, 0])
            else:
                memset(&out[i, 0], 0, k * sizeof(floating))
            done += (n + k) * k
            if done > BEAT:
                done = 0
                with gil:
                    PyErr_CheckSignals()


def gram_rows(W, F):
    """See `skopt_dl.kernels.generic_observed.gram_rows`."""
    if not hasattr(W, "indptr"):
        return generic_observed.gram_rows(W, F)
    F = np.ascontiguousarray(F)
    k = F.shape[1]
    out = np.zeros((W.shape[0], k, k), dtype=F.dtype)
    if 0 not in out.shape and F.shape[0] > 0:
        _grams(W.indptr, W.indices, W.data, F, out, _workspace(k, F.dtype))
        # Column-major lower triangles are row-major upper ones.
        upper = np.triu_indices(k, 1)
        out[:, upper[1], upper[0]] = out[:, upper[0], upper[1]]
    return out


def _grams(const integer[::1] ptr, const integer[::1] cols, const floating[::1] W,
           const floating[:, ::1] F, floating[:, :, ::1] out, floating[::1] work):
    cdef Py_ssize_t m = out.shape[0], i, l, c, done = 0
    cdef int k = F.shape[1], depth, stride = _padded(k)
    cdef floating* P = &work[0]
    cdef floating root
    with nogil:
        for i in range(m):
            depth = 0
            for l in range(ptr[i], ptr[i + 1]):
                root = <floating>sqrt(W[l])
                for c in range(k):
                    P[depth * stride + c] = root * F[cols[l], c]
                depth += 1
                if depth == DEPTH:
                    _rank_update(k, depth, P, &out[i, 0, 0])
                    depth = 0
            if depth:
                _rank_update(k, depth, P, &out[i, 0, 0])
            done += (ptr[i + 1] - ptr[i] + 1) * k
            if done > BEAT:
                done = 0
                with gil:
                    PyErr_CheckSignals()


def masked_product(W, A, B, F, n_threads=1):
    """See `skopt_dl.kernels.generic_observed.masked_product`."""
    if not hasattr(W, "indptr"):
        return generic_observed.masked_product(W, A, B, F)
    A, B, F = (np.ascontiguousarray(a) for a in (A, B, F))
    out = np.zeros((W.shape[0], F.shape[1]), dtype=F.dtype)
    if 0 not in out.shape and A.shape[1] > 0 and F.shape[0] > 0:
        def part(low, high):
            _masked(low, high, W.indptr, W.indices, W.data, A, B, F, out)

        _in_parts(part, W.indptr, n_threads)
    return out


def _masked(Py_ssize_t low, Py_ssize_t high, const integer[::1] ptr, const integer[::1] cols,
            const floating[::1] W,
            const floating[:, ::1] A, const floating[:, ::1] B, const floating[:, ::1] F,
            floating[:, ::1] out):
    cdef Py_ssize_t r = A.shape[1], k = F.shape[1], i, n, done = 0
    cdef const integer* j
    cdef const floating* w
    cdef floating* y
    with nogil:
        for i in range(low, high):
            n = ptr[i + 1] - ptr[i]
            if n == 0:
                continue
            j, w, y = &cols[ptr[i]], &W[ptr[i]], &out[i, 0]
            if floating is double and integer is int:
                di_masked(n, r, k, j, w, &A[i, 0], &B[0, 0], &F[0, 0], y)
            elif floating is double:
                dl_masked(n, r, k, j, w, &A[i, 0], &B[0, 0], &F[0, 0], y)
            elif integer is int:
                si_masked(n, r, k, j, w, &A[i, 0], &B[0, 0], &F[0, 0], y)
            else:
                sl_masked(n, r, k, j, w, &A[i, 0], &B[0, 0], &F[0, 0], y)
            done += (n + 1) * (r + k)
            if done > BEAT:
                done = 0
                with gil:
                    PyErr_CheckSignals()
