# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Passes through a network on dense data from which its curvature is made: compiled twins of the
functions of ``generic_network``."""

from skopt_dl.kernels.cython._gemm cimport floating, gemm

import numpy as np

cdef extern from "_elementwise.h" nogil:
    void d_bias_activate(double*, const double*, double*, long, long, int, double)
    void s_bias_activate(float*, const float*, float*, long, long, int, double)
    void d_slopes_of_outputs(const double*, double*, long, int)
    void s_slopes_of_outputs(const float*, float*, long, int)
    void d_activation_back(double*, const double*, const double*, double*, long, long, int)
    void s_activation_back(float*, const float*, const float*, float*, long, long, int)
    void d_column_sums(const double*, double*, long, long)
    void s_column_sums(const float*, float*, long, long)

# Activations up to this number have their slopes taken from their outputs.
DEF RELU = 3


def network_slopes(net, w, X, memory=None):
    """See `skopt_dl.kernels.generic_network.network_slopes`."""
    given, slopes, n = [X], [], X.shape[0]
    if memory is None:
        memory = []
    if not memory or memory[0][0].shape[0] < n:
        memory[:] = [
            (np.empty((n, columns), w.dtype), np.empty((n, columns), w.dtype))
            for _, columns in net.shapes
        ]
    for k in range(len(net.shapes)):
        given.append(memory[k][0][:n])
        slopes.append(memory[k][1][:n])
    if w.dtype == np.float32:
        _layers[float](net, w, given, slopes)
    else:
        _layers[double](net, w, given, slopes)
    raw = given.pop()
    slopes.pop()
    return given, slopes, raw


cdef _layers(net, const floating[::1] w, given, slopes):
    cdef const floating[:, ::1] a
    cdef floating[:, ::1] out, slope
    cdef const floating* bias
    cdef const floating* coef
    cdef floating* s
    cdef long n, k
    cdef int kind, layer, hidden = len(net.activations)
    cdef double strength
    for layer in range(len(net.shapes)):
        a, out, slope = given[layer], given[layer + 1], slopes[layer]
        n, k = out.shape[0], out.shape[1]
        if n == 0:
            return
        coef = &w[<long>net.blocks[f"coef{layer}"].start]
        bias = &w[<long>net.blocks[f"intercept{layer}"].start]
        kind, strength, s = 0, 1, NULL
        if layer < hidden:
            kind, strength = net.activations[layer].kernel_id, net.activations[layer].strength
            s = &slope[0, 0]
        with nogil:
            gemm[floating](False, False, <int>n, <int>k, <int>a.shape[1], &a[0, 0], coef, False,
                           &out[0, 0])
            if floating is float:
                s_bias_activate(&out[0, 0], bias, s if kind > RELU else NULL, n, k, kind, strength)
                if s != NULL and kind <= RELU:
                    s_slopes_of_outputs(&out[0, 0], s, n * k, kind)
            else:
                d_bias_activate(&out[0, 0], bias, s if kind > RELU else NULL, n, k, kind, strength)
                if s != NULL and kind <= RELU:
                    d_slopes_of_outputs(&out[0, 0], s, n * k, kind)


def network_tangent(net, w, given, slopes, direction):
    """See `skopt_dl.kernels.generic_network.network_tangent`."""
    direction = np.ascontiguousarray(direction)
    *hidden, (_, columns) = net.shapes
    out = np.empty((given[0].shape[0], columns), w.dtype)
    work = _turns(hidden, out)
    if out.size and w.dtype == np.float32:
        _tangent[float](net, w, given, slopes, direction, work, out)
    elif out.size:
        _tangent[double](net, w, given, slopes, direction, work, out)
    return out


def _turns(hidden, like):
    """Memory for two hidden layers, one after the other: what is on its way through them."""
    widest = max((columns for _, columns in hidden), default=0)
    return np.empty((2, like.shape[0] * widest), like.dtype)


cdef _tangent(net, const floating[::1] w, given, slopes, const floating[::1] direction,
              floating[:, ::1] work, floating[:, ::1] out):
    cdef const floating[:, ::1] a, slope
    cdef const floating* before = NULL
    cdef const floating* bias
    cdef const floating* s
    cdef floating* z
    cdef long n = out.shape[0], k, i, at
    cdef int layer, last = len(net.shapes) - 1
    for layer in range(last + 1):
        a, k, at = given[layer], net.shapes[layer][1], net.blocks[f"coef{layer}"].start
        bias = &direction[<long>net.blocks[f"intercept{layer}"].start]
        s = NULL
        if layer < last:
            slope = slopes[layer]
            s, z = &slope[0, 0], &work[layer % 2, 0]
        else:
            z = &out[0, 0]
        with nogil:
            gemm[floating](False, False, <int>n, <int>k, <int>a.shape[1], &a[0, 0], &direction[at],
                           False, z)
            if before != NULL:
                gemm[floating](False, False, <int>n, <int>k, <int>a.shape[1], before, &w[at], True, z)
            if floating is float:
                s_bias_activate(z, bias, NULL, n, k, 0, 1.0)
            else:
                d_bias_activate(z, bias, NULL, n, k, 0, 1.0)
            if s != NULL:
                for i in range(n * k):
                    z[i] *= s[i]
        before = z


def network_pullback(net, w, given, slopes, d, out):
    """See `skopt_dl.kernels.generic_network.network_pullback`."""
    *hidden, _ = net.shapes
    work = _turns(hidden, d)
    if d.size and w.dtype == np.float32:
        _pullback[float](net, w, given, slopes, d, work, out)
    elif d.size:
        _pullback[double](net, w, given, slopes, d, work, out)
    return out


cdef _pullback(net, const floating[::1] w, given, slopes, const floating[:, ::1] last,
               floating[:, ::1] work, floating[::1] out):
    cdef const floating[:, ::1] a, slope
    cdef const floating* d = &last[0, 0]
    cdef floating* back
    cdef floating* sums = &out[<long>net.blocks[f"intercept{len(net.shapes) - 1}"].start]
    cdef long n = last.shape[0], columns = last.shape[1], rows, at
    cdef int layer
    if floating is float:
        s_column_sums(d, sums, n, columns)
    else:
        d_column_sums(d, sums, n, columns)
    for layer in range(len(net.shapes) - 1, -1, -1):
        a, at = given[layer], net.blocks[f"coef{layer}"].start
        rows = a.shape[1]
        gemm[floating](True, False, <int>rows, <int>columns, <int>n, &a[0, 0], d, True, &out[at])
        if layer == 0:
            return
        slope, back = slopes[layer - 1], &work[layer % 2, 0]
        sums = &out[<long>net.blocks[f"intercept{layer - 1}"].start]
        with nogil:
            gemm[floating](False, True, <int>n, <int>rows, <int>columns, d, &w[at], False, back)
            if floating is float:
                s_activation_back(back, &a[0, 0], &slope[0, 0], sums, n, rows, 0)
            else:
                d_activation_back(back, &a[0, 0], &slope[0, 0], sums, n, rows, 0)
        d, columns = back, rows
