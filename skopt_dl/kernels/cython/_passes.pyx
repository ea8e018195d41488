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
        hidden = k < len(net.activations)
        kind = net.activations[k].kernel_id if hidden else 0
        strength = net.activations[k].strength if hidden else 1.0
        blocks = w[net.blocks[f"coef{k}"]], w[net.blocks[f"intercept{k}"]]
        if w.dtype == np.float32:
            _layer[float](given[k], *blocks, given[k + 1], slopes[k], kind, strength, hidden)
        else:
            _layer[double](given[k], *blocks, given[k + 1], slopes[k], kind, strength, hidden)
    raw = given.pop()
    slopes.pop()
    return given, slopes, raw


cdef _layer(const floating[:, ::1] a, const floating[::1] coef, const floating[::1] intercept,
            floating[:, ::1] out, floating[:, ::1] slope, int kind, double strength, bint hidden):
    cdef long n = out.shape[0], k = out.shape[1]
    cdef floating* s
    if n == 0:
        return
    with nogil:
        s = &slope[0, 0] if hidden else NULL
        gemm[floating](False, False, <int>n, <int>k, <int>a.shape[1], &a[0, 0], &coef[0], False,
                       &out[0, 0])
        if floating is float:
            s_bias_activate(&out[0, 0], &intercept[0], s if kind > RELU else NULL, n, k, kind, strength)
            if hidden and kind <= RELU:
                s_slopes_of_outputs(&out[0, 0], s, n * k, kind)
        else:
            d_bias_activate(&out[0, 0], &intercept[0], s if kind > RELU else NULL, n, k, kind, strength)
            if hidden and kind <= RELU:
                d_slopes_of_outputs(&out[0, 0], s, n * k, kind)


def network_tangent(net, w, given, slopes, direction):
    """See `skopt_dl.kernels.generic_network.network_tangent`."""
    before = None
    direction = np.ascontiguousarray(direction)
    for k in range(len(net.shapes)):
        out = np.empty((given[0].shape[0], net.shapes[k][1]), w.dtype)
        slope = slopes[k] if k < len(slopes) else None
        coef, intercept = net.blocks[f"coef{k}"], net.blocks[f"intercept{k}"]
        blocks = w[coef], direction[coef], direction[intercept]
        if w.dtype == np.float32:
            _tangent[float](given[k], *blocks, before, slope, out)
        else:
            _tangent[double](given[k], *blocks, before, slope, out)
        before = out
    return before


cdef _tangent(const floating[:, ::1] a, const floating[::1] coef, const floating[::1] coef_dot,
              const floating[::1] intercept_dot, before, slope, floating[:, ::1] out):
    cdef long n = out.shape[0], k = out.shape[1], i
    cdef const floating[:, ::1] dot, s
    cdef floating* z
    if n == 0:
        return
    z = &out[0, 0]
    gemm[floating](False, False, <int>n, <int>k, <int>a.shape[1], &a[0, 0], &coef_dot[0], False, z)
    if before is not None:
        dot = before
        gemm[floating](False, False, <int>n, <int>k, <int>a.shape[1], &dot[0, 0], &coef[0], True, z)
    if floating is float:
        s_bias_activate(z, &intercept_dot[0], NULL, n, k, 0, 1.0)
    else:
        d_bias_activate(z, &intercept_dot[0], NULL, n, k, 0, 1.0)
    if slope is not None:
        s = slope
        for i in range(n * k):
            z[i] *= (&s[0, 0])[i]


def network_pullback(net, w, given, slopes, d, out):
    """See `skopt_dl.kernels.generic_network.network_pullback`."""
    for k in range(len(net.shapes) - 1, -1, -1):
        coef, intercept = net.blocks[f"coef{k}"], net.blocks[f"intercept{k}"]
        if k == len(net.shapes) - 1:
            if w.dtype == np.float32:
                _sums[float](d, out[intercept])
            else:
                _sums[double](d, out[intercept])
        back = np.empty_like(given[k]) if k > 0 else None
        slope = slopes[k - 1] if k > 0 else None
        below = out[net.blocks[f"intercept{k - 1}"]] if k > 0 else None
        if w.dtype == np.float32:
            _pullback[float](given[k], w[coef], d, out[coef], back, slope, below)
        else:
            _pullback[double](given[k], w[coef], d, out[coef], back, slope, below)
        d = back
    return out


cdef _sums(const floating[:, ::1] d, floating[::1] out):
    if d.shape[0] == 0:
        return
    if floating is float:
        s_column_sums(&d[0, 0], &out[0], d.shape[0], d.shape[1])
    else:
        d_column_sums(&d[0, 0], &out[0], d.shape[0], d.shape[1])


cdef _pullback(const floating[:, ::1] a, const floating[::1] coef, const floating[:, ::1] d,
               floating[::1] out, back, slope, below):
    cdef int n = <int>d.shape[0], rows = <int>a.shape[1], columns = <int>d.shape[1]
    cdef floating[:, ::1] back_of
    cdef const floating[:, ::1] s
    cdef floating[::1] sums
    if n == 0:
        return
    gemm[floating](True, False, rows, columns, n, &a[0, 0], &d[0, 0], True, &out[0])
    if back is None:
        return
    back_of, s, sums = back, slope, below
    gemm[floating](False, True, n, rows, columns, &d[0, 0], &coef[0], False, &back_of[0, 0])
    if floating is float:
        s_activation_back(&back_of[0, 0], &a[0, 0], &s[0, 0], &sums[0], n, rows, 0)
    else:
        d_activation_back(&back_of[0, 0], &a[0, 0], &s[0, 0], &sums[0], n, rows, 0)
