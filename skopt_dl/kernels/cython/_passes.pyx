# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Passes through a network on dense data from which its curvature is made: compiled twins of the
functions of ``generic_passes``."""

from skopt_dl.kernels.cython._gemm cimport floating, gemm
from skopt_dl.kernels.cython._output cimport output_loss
from skopt_dl.kernels.cython._vectors cimport dot

import numpy as np

from skopt_dl.kernels.cython._network import OUTPUTS

cdef extern from "_elementwise.h" nogil:
    void d_bias_activate(double*, const double*, double*, long, long, int, double)
    void s_bias_activate(float*, const float*, float*, long, long, int, double)
    void d_tangent_activate(double*, const double*, const double*, const double*, long, long, int)
    void s_tangent_activate(float*, const float*, const float*, const float*, long, long, int)
    void d_activation_back(double*, const double*, const double*, double*, long, long, int)
    void s_activation_back(float*, const float*, const float*, float*, long, long, int)
    void d_column_sums(const double*, double*, long, long)
    void s_column_sums(const float*, float*, long, long)
    void d_curvature(double*, const double*, const double*, const double*, long, long, int)
    void s_curvature(float*, const float*, const float*, const float*, long, long, int)

DEF MAX_LAYERS = 64
# Activations up to this number have their slopes taken from their outputs.
DEF RELU = 3
# Numbers whose curvature is made at a time: they stay in the nearest cache.
DEF BLOCK = 2048
# Rows that a product of matrices is not slow for.
DEF FEWEST = 64


cdef class Forward:
    """See `skopt_dl.kernels.generic_passes.Forward`."""

    cdef readonly object net, w, X
    cdef long n
    # Rows that there is memory for.
    cdef long room
    cdef int n_layers
    cdef int[MAX_LAYERS] kinds
    cdef double[MAX_LAYERS] strengths
    cdef long[MAX_LAYERS] rows, columns, coef, intercept
    cdef list outs, slopes
    # Memory to work in, by what it is for.
    cdef dict spare
    # Arrays in the precision of the network. As memory views each would cost a pass 0.3 us.
    cdef void* out[MAX_LAYERS]
    cdef void* slope[MAX_LAYERS]
    cdef long widest

    @property
    def given(self):
        return [self.X, *(out[: self.n] for out in self.outs[: self.n_layers - 1])]

    @property
    def raw(self):
        return self.outs[self.n_layers - 1][: self.n]

    def first(self, count):
        """See `skopt_dl.kernels.generic_passes.Forward.first`."""
        cdef Forward part = Forward.__new__(Forward)
        part.net, part.w, part.X = self.net, self.w, self.X[:count]
        part.outs, part.slopes, part.n, part.room = self.outs, self.slopes, part.X.shape[0], 0
        part.spare = self.spare
        part.n_layers, part.widest, part.kinds = self.n_layers, self.widest, self.kinds
        part.strengths, part.rows, part.columns = self.strengths, self.rows, self.columns
        part.coef, part.intercept = self.coef, self.intercept
        part.out, part.slope = self.out, self.slope
        return part

    cdef long at_a_time(self, long m):
        """Rows whose numbers, of ``m`` directions, are about as many as the parameters are."""
        cdef long each = 0
        cdef int k
        for k in range(self.n_layers):
            each += self.rows[k]
        each += 2 * m * self.widest + m * self.columns[self.n_layers - 1]
        return max(FEWEST, <long>self.w.shape[0] // each)


cdef Forward _laid_out(net, list outs, list slopes, long room):
    """The layout of a network, and where there is memory for the passes."""
    cdef Forward made = Forward.__new__(Forward)
    cdef int k
    made.net, made.n_layers, made.room = net, <int>len(net.shapes), room
    made.outs, made.slopes, made.widest, made.spare = outs, slopes, 0, {}
    for k in range(made.n_layers):
        made.rows[k], made.columns[k] = net.shapes[k]
        made.coef[k] = net.blocks[f"coef{k}"].start
        made.intercept[k] = net.blocks[f"intercept{k}"].start
        made.kinds[k], made.strengths[k] = 0, 1
        made.out[k], made.slope[k] = _start(outs[k]), _start(slopes[k])
        if k < made.n_layers - 1:
            made.kinds[k] = net.activations[k].kernel_id
            made.strengths[k] = net.activations[k].strength
            made.widest = max(made.widest, made.columns[k])
    return made


cdef void* _start(array):
    cdef unsigned char[::1] bytes
    if array is None or array.size == 0:
        return NULL
    bytes = array.reshape(-1).view(np.uint8)
    return &bytes[0]


cdef _spare(Forward at, name, long size):
    """Memory of that many numbers, made once."""
    made = at.spare.get(name)
    if made is None or made.shape[0] < size:
        made = at.spare[name] = np.empty(size, at.outs[0].dtype)
    return made[:size]


def network_forward(net, w, X, memory=None):
    """See `skopt_dl.kernels.generic_passes.network_forward`."""
    cdef Forward made = memory[0] if memory else None
    cdef long n = X.shape[0]
    if len(net.shapes) > MAX_LAYERS:
        raise ValueError(f"a network may have {MAX_LAYERS} layers, not {len(net.shapes) + 1}")
    if made is None or made.room < n or made.net is not net or made.outs[0].dtype != w.dtype:
        stored = [*(f.kernel_id > RELU for f in net.activations), False]
        outs = [np.empty((n, columns), w.dtype) for _, columns in net.shapes]
        slopes = [
            np.empty((n, columns), w.dtype) if keeps else None
            for (_, columns), keeps in zip(net.shapes, stored)
        ]
        made = _laid_out(net, outs, slopes, n)
        if memory is not None:
            memory[:] = [made]
    made.w, made.X, made.n = w, X, n
    if n and w.dtype == np.float32:
        _forward[float](made, w, X)
    elif n:
        _forward[double](made, w, X)
    return made


cdef _forward(Forward at, const floating[::1] w, const floating[:, ::1] X):
    cdef const floating* a = &X[0, 0]
    cdef floating* out
    cdef floating* slope
    cdef long k, n = at.n
    cdef int layer
    with nogil:
        for layer in range(at.n_layers):
            k, out, slope = at.columns[layer], <floating*>at.out[layer], <floating*>at.slope[layer]
            gemm[floating](False, False, <int>n, <int>k, <int>at.rows[layer], a, &w[at.coef[layer]],
                           False, out)
            if floating is float:
                s_bias_activate(out, &w[at.intercept[layer]], slope, n, k, at.kinds[layer],
                                at.strengths[layer])
            else:
                d_bias_activate(out, &w[at.intercept[layer]], slope, n, k, at.kinds[layer],
                                at.strengths[layer])
            a = out


def network_tangents(Forward forward, directions):
    """See `skopt_dl.kernels.generic_passes.network_tangents`."""
    cdef long m, rows
    directions = np.ascontiguousarray(directions)
    m, dtype = directions.shape[0], forward.w.dtype
    outs = np.empty((m, forward.n, forward.columns[forward.n_layers - 1]), dtype)
    rows = forward.at_a_time(m)
    # Two hidden layers, one after the other: what is on its way through them.
    work = _spare(forward, "tangents", 2 * m * rows * forward.widest)
    work = work.reshape(m, 2, rows * forward.widest)
    if outs.size and dtype == np.float32:
        _tangents[float](forward, forward.w, forward.X, directions, rows, work, outs)
    elif outs.size:
        _tangents[double](forward, forward.w, forward.X, directions, rows, work, outs)
    return outs


cdef _tangents(Forward at, const floating[::1] w, const floating[:, ::1] X,
               const floating[:, ::1] directions, long most, floating[:, :, ::1] work,
               floating[:, :, ::1] outs):
    """Layer by layer for all directions, so that what a layer was given is read once."""
    cdef const floating* a
    cdef const floating* outputs
    cdef const floating* slope
    cdef const floating* v
    cdef floating* z
    cdef long low = 0, n, rows, k, i
    cdef int layer, last = at.n_layers - 1
    with nogil:
        while low < at.n:
            n, a = min(most, at.n - low), &X[low, 0]
            for layer in range(last + 1):
                rows, k, outputs, slope = at.rows[layer], at.columns[layer], NULL, NULL
                if layer < last:
                    outputs = <floating*>at.out[layer] + low * k
                    if at.slope[layer] != NULL:
                        slope = <floating*>at.slope[layer] + low * k
                for i in range(directions.shape[0]):
                    v = &directions[i, 0]
                    z = &work[i, layer % 2, 0] if layer < last else &outs[i, low, 0]
                    gemm[floating](False, False, <int>n, <int>k, <int>rows, a, v + at.coef[layer],
                                   False, z)
                    if layer:
                        gemm[floating](False, False, <int>n, <int>k, <int>rows,
                                       &work[i, (layer - 1) % 2, 0], &w[at.coef[layer]], True, z)
                    if floating is float:
                        s_tangent_activate(z, v + at.intercept[layer], outputs, slope, n, k,
                                           at.kinds[layer])
                    else:
                        d_tangent_activate(z, v + at.intercept[layer], outputs, slope, n, k,
                                           at.kinds[layer])
                a = outputs
            low += n


def network_pullback(Forward forward, d, out):
    """See `skopt_dl.kernels.generic_passes.network_pullback`."""
    cdef void* deltas[MAX_LAYERS]
    cdef int k
    d = np.ascontiguousarray(d)
    work = [_spare(forward, k, d.shape[0] * forward.widest) for k in range(2)]
    for k in range(forward.n_layers - 1):
        deltas[k] = _start(work[k % 2])
    if d.size and d.dtype == np.float32:
        _back[float](forward, forward.w, forward.X, d, deltas, out)
    elif d.size:
        _back[double](forward, forward.w, forward.X, d, deltas, out)
    return out


def network_cotangents(Forward forward, d):
    """See `skopt_dl.kernels.generic_passes.network_cotangents`."""
    cdef void* deltas[MAX_LAYERS]
    cdef int k
    d = np.ascontiguousarray(d)
    hidden = [np.empty((d.shape[0], columns), d.dtype) for _, columns in forward.net.shapes]
    for k in range(forward.n_layers - 1):
        deltas[k] = _start(hidden[k])
    if d.size and d.dtype == np.float32:
        _back[float](forward, forward.w, forward.X, d, deltas, None)
    elif d.size:
        _back[double](forward, forward.w, forward.X, d, deltas, None)
    return [*hidden[: forward.n_layers - 1], d]


cdef _back(Forward at, const floating[::1] w, const floating[:, ::1] X,
           const floating[:, ::1] last, void** deltas, gradient):
    """Down to the first layer; ``deltas[k]`` is memory for the derivative in the raw outputs of
    hidden layer k, and a ``gradient`` is added to."""
    cdef const floating* a
    cdef const floating* d = &last[0, 0]
    cdef floating[::1] out
    cdef floating* back
    cdef floating* grad = NULL
    cdef floating* sums = NULL
    cdef long n = last.shape[0], rows, k
    cdef int layer
    if gradient is not None:
        out = gradient
        grad = &out[0]
    with nogil:
        for layer in range(at.n_layers - 1, -1, -1):
            rows, k = at.rows[layer], at.columns[layer]
            a = <floating*>at.out[layer - 1] if layer else &X[0, 0]
            if grad != NULL:
                if layer == at.n_layers - 1:
                    if floating is float:
                        s_column_sums(d, grad + at.intercept[layer], n, k)
                    else:
                        d_column_sums(d, grad + at.intercept[layer], n, k)
                gemm[floating](True, False, <int>rows, <int>k, <int>n, a, d, True,
                               grad + at.coef[layer])
            if layer == 0:
                break
            back = <floating*>deltas[layer - 1]
            sums = grad + at.intercept[layer - 1] if grad != NULL else NULL
            gemm[floating](False, True, <int>n, <int>rows, <int>k, d, &w[at.coef[layer]], False,
                           back)
            if floating is float:
                s_activation_back(back, a, <float*>at.slope[layer - 1], sums, n, rows,
                                  at.kinds[layer - 1])
            else:
                d_activation_back(back, a, <double*>at.slope[layer - 1], sums, n, rows,
                                  at.kinds[layer - 1])
            d = back


def output_terms(name, y, z, omega, double floor):
    """See `skopt_dl.kernels.generic_passes.output_terms`."""
    d = np.array(z, order="C")
    y, omega = np.ascontiguousarray(y), np.ascontiguousarray(omega)
    if d.size == 0:
        return 0.0, d
    if d.dtype == np.float32:
        return _output_terms[float](OUTPUTS[name], y, d, omega, floor), d
    return _output_terms[double](OUTPUTS[name], y, d, omega, floor), d


cdef double _output_terms(int output, const floating[:, ::1] y, floating[:, ::1] d,
                          const floating[::1] omega, double floor) noexcept:
    return output_loss[floating](output, &d[0, 0], &y[0, 0], &omega[0], 1, floor, d.shape[0],
                                 d.shape[1])


def output_products(name, mean, omega, dots):
    """See `skopt_dl.kernels.generic_passes.output_products`."""
    out = np.zeros((dots.shape[0], dots.shape[0]), dots.dtype)
    mean, omega, dots = (np.ascontiguousarray(a) for a in (mean, omega, dots))
    spare = np.empty(max(BLOCK, dots.shape[2]), dots.dtype)
    if dots.size and dots.dtype == np.float32:
        _output_products[float](OUTPUTS[name], mean, omega, dots, spare, out)
    elif dots.size:
        _output_products[double](OUTPUTS[name], mean, omega, dots, spare, out)
    return out


cdef _output_products(int output, const floating[:, ::1] mean, const floating[::1] omega,
                      const floating[:, :, ::1] dots, floating[::1] curved, floating[:, ::1] out):
    cdef long n = dots.shape[1], k = dots.shape[2], low = 0, count, i, j
    cdef long most = max(1, BLOCK // k)
    with nogil:
        while low < n:
            count = min(most, n - low)
            for j in range(dots.shape[0]):
                if floating is float:
                    s_curvature(&curved[0], &dots[j, low, 0], &mean[low, 0], &omega[low], count, k,
                                output)
                else:
                    d_curvature(&curved[0], &dots[j, low, 0], &mean[low, 0], &omega[low], count, k,
                                output)
                for i in range(j, dots.shape[0]):
                    out[i, j] += <floating>dot[floating](<int>(count * k), <floating*>&dots[i, low, 0],
                                                         &curved[0])
            low += count
        for i in range(out.shape[0]):
            for j in range(i):
                out[j, i] = out[i, j]
