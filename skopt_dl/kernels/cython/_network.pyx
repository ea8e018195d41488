# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A network's gradient on dense data, and the stochastic updates: compiled twins of the functions of
``generic_network``, for rows in chunks whose activations stay in the cache."""

from cpython.exc cimport PyErr_CheckSignals
from libc.string cimport memcpy, memset

from skopt_dl.kernels.cython._gemm cimport floating, fused_backward, fused_forward, gemm
from skopt_dl.kernels.cython._output cimport output_loss

import numpy as np

cdef extern from "_elementwise.h" nogil:
    void prefetch(const void*, long)
    void d_bias_activate(double*, const double*, double*, long, long, int, double)
    void s_bias_activate(float*, const float*, float*, long, long, int, double)
    void d_slopes_of_outputs(const double*, double*, long, int)
    void s_slopes_of_outputs(const float*, float*, long, int)
    void d_mask(double*, double*, const double*, long)
    void s_mask(float*, float*, const float*, long)
    void d_activation_back(double*, const double*, const double*, double*, long, long, int)
    void s_activation_back(float*, const float*, const float*, float*, long, long, int)
    void d_mean_response(double*, long, long, int)
    void s_mean_response(float*, long, long, int)
    void d_keep_inputs(const double*, const double*, double*, long, long)
    void s_keep_inputs(const float*, const float*, float*, long, long)
    void d_mix(double*, double*, double*, const double*, long, long)
    void s_mix(float*, float*, float*, const float*, long, long)
    void d_share_sums(const double*, const double*, double*, long, long)
    void s_share_sums(const float*, const float*, float*, long, long)
    void d_column_sums(const double*, double*, long, long)
    void s_column_sums(const float*, float*, long, long)
    double d_add_ridge(double*, const double*, double, long)
    double s_add_ridge(float*, const float*, float, long)
    void d_adam(double*, const double*, double*, double*, long, double, double, double, double)
    void s_adam(float*, const float*, float*, float*, long, double, double, double, double)
    void d_momentum(double*, const double*, double*, long, double, double, int)
    void s_momentum(float*, const float*, float*, long, float, float, int)

# Rows of a chunk: 1024 rows of 256 doubles are 2 MiB, about a core's share of cache.
DEF CHUNK = 1024
DEF MAX_LAYERS = 64
# Rows of a batch that are asked for before they are copied: in large data they are far from the cache.
DEF AHEAD = 16

# Activations with a larger number store their slopes.
DEF RELU = 3

# The kinds of output of _output.pxd.
OUTPUTS = {"identity": 0, "logistic": 1, "softmax": 2, "exp": 3}


cdef void _bias_activate(floating* z, const floating* b, floating* slopes, long n, long k, int kind,
                         double strength) noexcept nogil:
    if floating is float:
        s_bias_activate(z, b, slopes, n, k, kind, strength)
    else:
        d_bias_activate(z, b, slopes, n, k, kind, strength)


cdef void _mask(floating* a, floating* slopes, const floating* mask, long n, int kind) noexcept nogil:
    if floating is float:
        if kind <= RELU:
            s_slopes_of_outputs(a, slopes, n, kind)
        s_mask(a, slopes, mask, n)
    else:
        if kind <= RELU:
            d_slopes_of_outputs(a, slopes, n, kind)
        d_mask(a, slopes, mask, n)


cdef void _keep_inputs(const floating* z, const floating* b, floating* t, long n, long k) noexcept nogil:
    if floating is float:
        s_keep_inputs(z, b, t, n, k)
    else:
        d_keep_inputs(z, b, t, n, k)


cdef void _mix(floating* a, floating* slopes, floating* t, const floating* shares, long n, long k,
               int kind) noexcept nogil:
    if floating is float:
        if kind <= RELU:
            s_slopes_of_outputs(a, slopes, n * k, kind)
        s_mix(a, slopes, t, shares, n, k)
    else:
        if kind <= RELU:
            d_slopes_of_outputs(a, slopes, n * k, kind)
        d_mix(a, slopes, t, shares, n, k)


cdef void _times(floating* a, const floating* b, long n) noexcept nogil:
    cdef long i
    for i in range(n):
        a[i] *= b[i]


cdef void _share_sums(const floating* d, const floating* t, floating* g, long n, long k) noexcept nogil:
    if floating is float:
        s_share_sums(d, t, g, n, k)
    else:
        d_share_sums(d, t, g, n, k)


cdef void _activation_back(floating* d, const floating* a, const floating* slopes, floating* g, long n,
                           long k, int kind) noexcept nogil:
    if floating is float:
        s_activation_back(d, a, slopes, g, n, k, kind)
    else:
        d_activation_back(d, a, slopes, g, n, k, kind)


cdef class Workspace:
    """Layout and memory of one network: where each block lies, and a chunk's activations."""

    cdef int n_layers, output
    cdef int[MAX_LAYERS] sizes, kinds
    cdef double[MAX_LAYERS] strengths
    # Where the trained shares of a hidden layer's activation lie; -1 without.
    cdef long[MAX_LAYERS] coef, intercept, layer, share
    cdef long n_coef, n_rows
    cdef object memory
    cdef Py_ssize_t itemsize
    # Arrays in the precision of the network. As memory views each would cost a call 0.2 us.
    cdef void* rows
    cdef void* targets
    cdef void* weights
    cdef void* back
    cdef void* other
    cdef void* slopes
    cdef void* differences
    cdef bint stores

    def __init__(self, net, dtype):
        cdef long end = 0
        self.n_layers = len(net.sizes) - 1
        if self.n_layers >= MAX_LAYERS:
            raise ValueError(f"a network may have {MAX_LAYERS} layers, not {self.n_layers + 1}")
        self.output = OUTPUTS[net.output]
        for k, activation in enumerate(net.activations):
            self.kinds[k], self.strengths[k] = activation.kernel_id, activation.strength
            self.share[k] = net.blocks[f"share{k}"].start if k in net.trained else -1
        for k, size in enumerate(net.sizes):
            self.sizes[k] = size
            self.layer[k] = end
            end += CHUNK * <long>size
        for k in range(self.n_layers):
            self.coef[k] = net.blocks[f"coef{k}"].start
            self.intercept[k] = net.blocks[f"intercept{k}"].start
        self.n_coef = net.n_coef
        widest = max(net.sizes[1:])
        self.memory, self.itemsize, self.n_rows = [], np.dtype(dtype).itemsize, end
        self.stores = any(
            self.kinds[k] > RELU or self.share[k] >= 0 for k in range(self.n_layers - 1)
        )
        self.rows = self._new(end)
        self.slopes = self._new(end if self.stores else 1)
        self.differences = self._new(end if net.trained else 1)
        self.targets = self._new(CHUNK * net.sizes[self.n_layers])
        self.weights = self._new(CHUNK)
        self.back = self._new(CHUNK * widest)
        self.other = self._new(CHUNK * widest)

    cdef void* _new(self, long count) except NULL:
        """Memory for ``count`` numbers, which lives as long as this."""
        cdef unsigned char[::1] found = np.empty(count * self.itemsize, np.uint8)
        self.memory.append(found)
        return &found[0]

    cdef int keep_slopes(self) except -1:
        """Dropout stores the slopes of every layer."""
        if not self.stores:
            self.slopes = self._new(self.n_rows)
            self.stores = True
        return 0


def network_workspace(net, dtype):
    """See `skopt_dl.kernels.generic_network.network_workspace`."""
    return Workspace(net, dtype)


def network_gradient(net, Workspace work, w, X, y, weights, index, masks, double alpha, double floor,
                     grad):
    """See `skopt_dl.kernels.generic_network.network_gradient`."""
    if masks is not None:
        work.keep_slopes()
    if w.dtype == np.float32:
        return _gradient[float](work, w, X, y, weights, index, masks, alpha, floor, grad)
    return _gradient[double](work, w, X, y, weights, index, masks, alpha, floor, grad)


cdef _gradient(Workspace work, const floating[::1] w, const floating[:, ::1] X,
               const floating[:, ::1] y, weights, index, masks, double alpha, double floor,
               floating[::1] grad):
    cdef const floating[::1] s
    cdef const floating[:, ::1] mask
    cdef const floating* every[MAX_LAYERS]
    cdef const floating* given = NULL
    cdef const Py_ssize_t[::1] picked
    cdef const Py_ssize_t* pick = NULL
    cdef long n = X.shape[0]
    cdef double found[2]
    cdef int k
    for k in range(work.n_layers - 1):
        every[k] = NULL
        if masks is not None and n:
            mask = masks[k]
            every[k] = &mask[0, 0]
    if index is not None:
        picked = np.ascontiguousarray(index, np.intp)
        n = picked.shape[0]
        if n:
            pick = &picked[0]
    if weights is not None:
        s = weights
        given = &s[0]
    with nogil:
        _over_rows(work, n, &X[0, 0], &y[0, 0], given, pick, every, alpha, floor, &w[0],
                   &grad[0], grad.shape[0], found)
    return found[0], found[1]


def network_gradients(net, Workspace work, w, X, y, weights, first, targets_first, index, alphas,
                      double floor, grad, losses):
    """See `skopt_dl.kernels.generic_network.network_gradients`."""
    if w.dtype == np.float32:
        _gradients[float](work, w, X, y, weights, first, targets_first, index, alphas, floor, grad,
                          losses)
    else:
        _gradients[double](work, w, X, y, weights, first, targets_first, index, alphas, floor, grad,
                           losses)


cdef _gradients(Workspace work, const floating[:, ::1] w, const floating[:, ::1] X,
                const floating[:, ::1] y, weights, const Py_ssize_t[::1] first,
                const Py_ssize_t[::1] targets_first, const Py_ssize_t[::1, :] index,
                const double[::1] alphas, double floor, floating[:, ::1] grad,
                double[:, ::1] losses):
    cdef const floating[::1] s
    cdef const floating* every[MAX_LAYERS]
    cdef const floating* given = NULL
    cdef long k
    for k in range(work.n_layers - 1):
        every[k] = NULL
    if weights is not None:
        s = weights
    with nogil:
        for k in range(w.shape[0]):
            if weights is not None:
                given = &s[targets_first[k]]
            _over_rows(work, index.shape[0], &X[first[k], 0], &y[targets_first[k], 0], given,
                       &index[0, k], every, alphas[k], floor, &w[k, 0], &grad[k, 0],
                       grad.shape[1], &losses[k, 0])


cdef int _over_rows(Workspace work, long n, const floating* X, const floating* y,
                    const floating* weights, const Py_ssize_t* pick, const floating** every,
                    double alpha, double floor, const floating* w, floating* grad, long size,
                    double* found) except -1 nogil:
    """Loss and penalty of one network on ``n`` rows, those that ``pick`` names or the first."""
    cdef long p = work.sizes[0], K = work.sizes[work.n_layers], low = 0, i, at
    cdef double total = 0, share, loss = 0, squares
    cdef floating* rows = <floating*>work.rows
    cdef floating* targets = <floating*>work.targets
    cdef floating* some = <floating*>work.weights
    cdef const floating* X_here = rows
    cdef const floating* y_here = targets
    cdef const floating* s_here = NULL if weights == NULL else some
    cdef bint more = False
    cdef int m
    if weights == NULL:
        total = n
    else:
        for i in range(n):
            total += weights[i if pick == NULL else pick[i]]
    share = 1 / total if total > 0 else 0.0
    memset(grad, 0, sizeof(floating) * size)
    while low < n:
        m = <int>min(<long>CHUNK, n - low)
        if pick == NULL:
            X_here, y_here = X + low * p, y + low * K
            s_here = NULL if weights == NULL else weights + low
        else:
            for i in range(m):
                at = pick[low + i]
                if i + AHEAD < m:
                    prefetch(X + pick[low + i + AHEAD] * p, sizeof(floating) * p)
                    prefetch(y + pick[low + i + AHEAD] * K, sizeof(floating) * K)
                memcpy(rows + i * p, X + at * p, sizeof(floating) * p)
                memcpy(targets + i * K, y + at * K, sizeof(floating) * K)
                if weights != NULL:
                    some[i] = weights[at]
        loss += _chunk(work, m, X_here, y_here, s_here, every, low, share, floor, w, rows,
                       <floating*>work.slopes, <floating*>work.differences, <floating*>work.back,
                       <floating*>work.other, more, grad)
        more = True
        low += m
        if low < n:
            with gil:
                PyErr_CheckSignals()
    if floating is float:
        squares = s_add_ridge(grad, w, <float>(alpha * share), work.n_coef)
    else:
        squares = d_add_ridge(grad, w, alpha * share, work.n_coef)
    found[0], found[1] = share * loss, 0.5 * alpha * share * squares
    return 0


cdef double _chunk(Workspace work, int m, const floating* X, const floating* y, const floating* s,
                   const floating** masks, long low, double share, double floor, const floating* w,
                   floating* rows, floating* slopes, floating* differences, floating* back,
                   floating* other, bint more, floating* grad) except? -1 nogil:
    """Add the gradient of ``m`` rows, ``low`` the first, to ``grad``; the sum of their losses."""
    cdef int k, last = work.n_layers - 1, fan_in, fan_out, kind
    cdef const floating* a = X
    cdef const floating* kept
    cdef floating* out
    cdef floating* d
    cdef floating* spare
    cdef bint mixed, stored
    cdef double loss
    for k in range(last + 1):
        fan_in, fan_out = work.sizes[k], work.sizes[k + 1]
        out = rows + work.layer[k + 1]
        kind = work.kinds[k] if k < last else 0
        mixed = k < last and work.share[k] >= 0
        stored = kind > RELU or mixed or (k < last and masks[k] != NULL)
        if (
            not stored
            and (kind == RELU or kind == 0)
            and fused_forward[floating](m, fan_out, fan_in, a, w + work.coef[k],
                                        w + work.intercept[k], kind == RELU, out)
        ):
            a = out
            continue
        gemm[floating](False, False, m, fan_out, fan_in, a, w + work.coef[k], False, out)
        spare = slopes + work.layer[k + 1] if stored else NULL
        if mixed:
            _keep_inputs[floating](out, w + work.intercept[k], differences + work.layer[k + 1], m,
                                   fan_out)
        _bias_activate[floating](out, w + work.intercept[k], spare, m, fan_out, kind,
                                 work.strengths[k])
        if mixed:
            _mix[floating](out, spare, differences + work.layer[k + 1], w + work.share[k], m,
                           fan_out, kind)
        if k < last and masks[k] != NULL:
            _mask[floating](out, spare, masks[k] + low * fan_out, <long>m * fan_out,
                            RELU + 1 if mixed else kind)
            if mixed:
                _times[floating](differences + work.layer[k + 1], masks[k] + low * fan_out,
                                 <long>m * fan_out)
        a = out
    d = rows + work.layer[last + 1]
    loss = output_loss[floating](work.output, d, y, s, share, floor, m, work.sizes[last + 1])
    if floating is float:
        s_column_sums(d, grad + work.intercept[last], m, work.sizes[last + 1])
    else:
        d_column_sums(d, grad + work.intercept[last], m, work.sizes[last + 1])
    for k in range(last, -1, -1):
        fan_in, fan_out = work.sizes[k], work.sizes[k + 1]
        a = rows + work.layer[k] if k > 0 else X
        gemm[floating](True, False, fan_in, fan_out, m, a, d, more, grad + work.coef[k])
        if k > 0:
            kind = work.kinds[k - 1]
            mixed = work.share[k - 1] >= 0
            stored = kind > RELU or mixed or masks[k - 1] != NULL
            kept = slopes + work.layer[k] if stored else NULL
            if stored or kind != RELU or not fused_backward[floating](
                m, fan_in, fan_out, d, w + work.coef[k], a, grad + work.intercept[k - 1], back
            ):
                gemm[floating](False, True, m, fan_in, fan_out, d, w + work.coef[k], False, back)
                if mixed:
                    _share_sums[floating](back, differences + work.layer[k],
                                          grad + work.share[k - 1], m, fan_in)
                _activation_back[floating](back, a, kept, grad + work.intercept[k - 1], m, fan_in,
                                           kind)
            d, spare = back, other
            back, other = spare, d
    return loss


def network_response(net, coefs, intercepts, X):
    """See `skopt_dl.kernels.generic_network.network_response`."""
    # No index from the end: this file has switched it off.
    out = np.empty((X.shape[0], net.sizes[len(net.sizes) - 1]), X.dtype)
    rows = min(X.shape[0], CHUNK)
    # Outputs of one layer and of the next, and slopes that some activations want to store.
    spare = np.empty((3, rows * max(net.sizes[1:])), X.dtype)
    X = np.ascontiguousarray(X)
    if X.dtype == np.float32:
        _respond[float](net, coefs, intercepts, X, spare, out)
    else:
        _respond[double](net, coefs, intercepts, X, spare, out)
    return out


cdef _respond(net, coefs, intercepts, const floating[:, ::1] X, floating[:, ::1] spare,
              floating[:, ::1] out):
    cdef const floating[:, ::1] coef
    cdef const floating[::1] intercept
    cdef const floating* a
    cdef floating* z
    cdef int k, last = len(coefs) - 1, kind, fan_in, fan_out, m, output = OUTPUTS[net.output]
    cdef double strength
    cdef long low = 0, n = X.shape[0]
    while low < n:
        m = <int>min(<long>CHUNK, n - low)
        a = &X[low, 0]
        for k in range(last + 1):
            coef = np.ascontiguousarray(coefs[k])
            intercept = np.ascontiguousarray(intercepts[k])
            fan_in, fan_out = coef.shape[0], coef.shape[1]
            kind, strength = 0, 1.0
            if k < last:
                kind, strength = net.activations[k].kernel_id, net.activations[k].strength
            z = &spare[k % 2, 0] if k < last else &out[low, 0]
            with nogil:
                gemm[floating](False, False, m, fan_out, fan_in, a, &coef[0, 0], False, z)
                _bias_activate[floating](z, &intercept[0], &spare[2, 0], m, fan_out, kind, strength)
            a = z
        if floating is float:
            s_mean_response(&out[low, 0], m, out.shape[1], output)
        else:
            d_mean_response(&out[low, 0], m, out.shape[1], output)
        low += m
        PyErr_CheckSignals()


def adam_update(w, g, m, v, double step, double beta_1, double beta_2, double epsilon):
    """See `skopt_dl.kernels.generic_network.adam_update`."""
    if w.dtype == np.float32:
        _adam[float](w, g, m, v, step, beta_1, beta_2, epsilon)
    else:
        _adam[double](w, g, m, v, step, beta_1, beta_2, epsilon)


cdef _adam(floating[::1] w, const floating[::1] g, floating[::1] m, floating[::1] v, double step,
           double beta_1, double beta_2, double epsilon):
    if floating is float:
        s_adam(&w[0], &g[0], &m[0], &v[0], w.shape[0], step, beta_1, beta_2, epsilon)
    else:
        d_adam(&w[0], &g[0], &m[0], &v[0], w.shape[0], step, beta_1, beta_2, epsilon)


def momentum_update(w, g, v, double rate, double momentum, bint nesterov):
    """See `skopt_dl.kernels.generic_network.momentum_update`."""
    if w.dtype == np.float32:
        _momentum[float](w, g, v, rate, momentum, nesterov)
    else:
        _momentum[double](w, g, v, rate, momentum, nesterov)


cdef _momentum(floating[::1] w, const floating[::1] g, floating[::1] v, double rate,
               double momentum, bint nesterov):
    if floating is float:
        s_momentum(&w[0], &g[0], &v[0], w.shape[0], <float>rate, <float>momentum, nesterov)
    else:
        d_momentum(&w[0], &g[0], &v[0], w.shape[0], rate, momentum, nesterov)
