"""The passes of a network on CuPy: the twins of ``generic_network`` on dense data.

Between two products everything is one kernel: bias, activation, its slope and the mask; the
derivative with its column sums; the loss of a row with its derivative. Products are cuBLAS's, or
this package's own in a recorded step (`skopt_dl.kernels.cupy.graphs`). All arrays of a batch are
kept for the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skopt_dl.kernels import generic_network
from skopt_dl.kernels.cupy.graphs import Recorded
from skopt_dl.kernels.cupy.source import kernel

SOURCE = "network"
THREADS = 256
BLOCKS = 1024
# Threads that share a row of outputs.
ROW = 64
# TILE, DEPTH, PITCH and MATRIX_THREADS of the source.
TILE, DEPTH, PITCH, MATRIX_THREADS = 32, 16, 33, 64
# Blocks that add squares, each of which leaves one number.
SQUARES = 128
OUTPUTS = {"identity": 0, "logistic": 1, "softmax": 2, "exp": 3}
# Rows of a batch that has its arrays kept.
LARGEST = 2**16

NULL = np.uintp(0)


def _blocks(size: int, threads: int = THREADS) -> tuple[int]:
    return (max(1, min(BLOCKS, -(-size // threads))),)


def product(a: Any, b: Any, out: Any, ta: bool = False, tb: bool = False) -> None:
    """``out = op(a) op(b)`` by a kernel, where the transposes are taken that are asked for."""
    m, n = out.shape
    p = a.shape[0] if ta else a.shape[1]
    tiles = -(-m // TILE) * -(-n // TILE)
    sizes = (np.int32(m), np.int32(n), np.int32(p), np.int32(ta), np.int32(tb))
    shared = 2 * DEPTH * PITCH * out.dtype.itemsize
    if tiles:
        kernel(SOURCE, "product", out)(
            (tiles,), (MATRIX_THREADS,), (*sizes, a, b, out), shared_mem=shared
        )


def library_product(a: Any, b: Any, out: Any, ta: bool = False, tb: bool = False) -> None:
    """The same by cuBLAS."""
    import cupy

    cupy.matmul(a.T if ta else a, b.T if tb else b, out=out)


class Workspace:
    """What the passes of one network keep from batch to batch.

    Parameters
    ----------
    net : Network
        The layout.
    dtype : dtype
        Of all arrays.

    Attributes
    ----------
    recorded : Recorded
        The steps that are launched as a whole.
    """

    def __init__(self, net: Any, dtype: Any) -> None:
        self.net, self.dtype, self.rows = net, np.dtype(dtype), 0
        self.recorded = Recorded()

    def reserve(self, m: int) -> None:
        """Arrays for ``m`` rows; larger ones stay."""
        import cupy

        if m <= self.rows:
            return
        self.rows = m
        self.recorded.forget()
        hidden, new = self.net.sizes[1:-1], self._new
        self.index = cupy.zeros(m, np.int64)
        # Of what not every fit needs.
        self.masks: list[Any] = []
        self.batch: list[Any] = []
        self.outputs = [new(m * k) for k in self.net.sizes[1:]]
        self.slopes, self.back = ([new(m * k) for k in hidden] for _ in range(2))
        self.each, self.squares, self.share, self.out = new(m), new(SQUARES), new(1), new(2)

    def _new(self, size: int) -> Any:
        import cupy

        return cupy.zeros(size, self.dtype)

    def kept(self, m: int, index: Any, masks: Any) -> tuple[Any, Any]:
        """The samples and masks of a batch of ``m`` rows where those of every batch lie."""
        if index is not None:
            self.index[:m] = index
            index = self.index[:m]
        if masks is None:
            return index, None
        if not self.masks:
            self.masks = [self._new(self.rows * k) for k in self.net.sizes[1:-1]]
        here = self.views(m, self.masks)
        for mine, mask in zip(here, masks, strict=False):
            mine[...] = mask
        return index, here

    def gathered(self, index: Any, X: Any, y: Any, weights: Any) -> list[Any]:
        """The rows that ``index`` names, where those of every batch lie."""
        if not self.batch:
            sizes = self.net.sizes
            self.batch = [self._new(self.rows * k) for k in (sizes[0], sizes[-1], 1)]
        pairs = zip((X, y, weights), self.batch, strict=True)
        return [None if a is None else _gathered(index, a, out) for a, out in pairs]

    def views(self, m: int, arrays: list[Any]) -> list[Any]:
        """The first ``m`` rows of arrays of the hidden or all later layers."""
        return [a[: m * k].reshape(m, k) for a, k in zip(arrays, self.net.sizes[1:], strict=False)]


def network_workspace(net: Any, dtype: Any) -> Workspace:
    """See `skopt_dl.kernels.generic_network.network_workspace`."""
    return Workspace(net, dtype)


def _readable(dtype: Any, *arrays: Any) -> bool:
    """Whether the kernels read these arrays as they are; ``None`` stands for no array."""
    return all(
        a is None or (not hasattr(a, "tocsc") and a.dtype == dtype and a.flags.c_contiguous)
        for a in arrays
    )


def network_gradient(
    net: Any,
    work: Any,
    w: Any,
    X: Any,
    y: Any,
    weights: Any,
    index: Any,
    masks: Any,
    alpha: float,
    floor: float,
    grad: Any,
) -> tuple[Any, Any]:
    """See `skopt_dl.kernels.generic_network.network_gradient`."""
    import cupy

    m = X.shape[0] if index is None else index.shape[0]
    read = _readable(w.dtype, w, X, y, weights, grad, *(masks or ()))
    # No launch mixes trained shares in.
    if not (read and work is not None and not net.trained and 0 < m <= LARGEST):
        return generic_network.network_gradient(
            net, None, w, X, y, weights, index, masks, alpha, floor, grad
        )
    work.reserve(m)
    recorded = work.recorded.serves(m, max(net.sizes))
    if recorded:
        index, masks = work.kept(m, index, masks)
    elif index is not None:
        index = cupy.ascontiguousarray(index, dtype=np.int64)
    scalars = w.dtype.type(alpha), w.dtype.type(floor)

    def passes(multiply: Callable[..., None]) -> None:
        _gradient(work, w, X, y, weights, index, masks, *scalars, grad, multiply)

    if recorded:
        fixed = (m, index is None, masks is None, float(alpha), float(floor))
        work.recorded.run(fixed, (w, X, y, weights, grad), lambda: passes(product))
    else:
        passes(library_product)
    out = work.out.copy()
    return out[0], out[1]


def _launch(name: str, like: Any, grid: tuple[int], threads: int, *args: Any) -> None:
    given = tuple(NULL if a is None else np.int32(a) if type(a) is int else a for a in args)
    shared = threads * like.dtype.itemsize
    kernel(SOURCE, name, like)(grid, (threads,), given, shared_mem=shared)


def _gathered(index: Any, A: Any, out: Any) -> Any:
    """The rows of ``A`` that ``index`` names, in ``out``."""
    m, k = index.shape[0], A.size // max(A.shape[0], 1)
    given = (np.int64(m), np.int32(k), index, A, out)
    _launch("gather_rows", A, _blocks(m * k), THREADS, *given)
    return out[: m * k].reshape(m, *A.shape[1:])


def _gradient(
    work: Workspace,
    w: Any,
    X: Any,
    y: Any,
    weights: Any,
    index: Any,
    masks: Any,
    alpha: Any,
    floor: Any,
    grad: Any,
    multiply: Callable[..., None],
) -> None:
    """Launch the passes: nothing is allocated, read on the host or done by another library."""
    net, (coefs, intercepts) = work.net, work.net.unpack(w)
    if index is not None:
        X, y, weights = work.gathered(index, X, y, weights)
    m, last = X.shape[0], len(coefs) - 1
    outputs, slopes, back = (work.views(m, a) for a in (work.outputs, work.slopes, work.back))
    given = X
    for k, z in enumerate(outputs):
        multiply(given, coefs[k], z)
        if k < last:
            mask = None if masks is None else masks[k]
            _activate(net.activations[k], z, intercepts[k], mask, slopes[k])
        given = z
    d, share = outputs[last], work.share
    _launch("share_of", w, (1,), THREADS, m, weights, share)
    _launch(
        "output_loss",
        w,
        (min(m, BLOCKS),),
        ROW,
        m,
        net.sizes[-1],
        OUTPUTS[net.output],
        floor,
        intercepts[last],
        y,
        weights,
        share,
        d,
        work.each,
    )
    coef_grads, intercept_grads = net.unpack(grad)
    _activate_back(None, d, intercept_grads[last])
    for k in range(last, -1, -1):
        multiply(outputs[k - 1] if k else X, d, coef_grads[k], True)
        if k:
            multiply(d, coefs[k], back[k - 1], False, True)
            d = back[k - 1]
            _activate_back(slopes[k - 1], d, intercept_grads[k - 1])
    n = np.int64(net.n_coef)
    _launch("add_ridge", w, (SQUARES,), THREADS, n, alpha, share, w, grad, work.squares)
    ends = (share, work.each, work.squares, work.out)
    _launch("total", w, (1,), THREADS, m, SQUARES, alpha, *ends)


def _activate(f: Any, z: Any, intercept: Any, mask: Any, slope: Any) -> None:
    strength = z.dtype.type(f.strength)
    given = (np.int64(z.size), z.shape[1], f.kernel_id, strength, intercept, mask, z, slope)
    _launch("activate", z, _blocks(z.size), THREADS, *given)


def _activate_back(slope: Any, d: Any, sums: Any) -> None:
    m, k = d.shape
    # COLUMNS of the source: a block has eight columns.
    _launch("activate_back", d, (-(-k // 8),), THREADS, m, k, slope, d, sums)


def network_response(net: Any, coefs: Any, intercepts: Any, X: Any) -> Any:
    """See `skopt_dl.kernels.generic_network.network_response`."""
    import cupy

    m = X.shape[0]
    if not (m and _readable(X.dtype, *coefs, *intercepts)):
        return generic_network.network_response(net, coefs, intercepts, X)
    last, z = len(coefs) - 1, X
    for k, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
        z = cupy.matmul(z, coef)
        if k < last:
            _activate(net.activations[k], z, intercept, None, None)
    kind = OUTPUTS[net.output]
    _launch("respond", z, (min(m, BLOCKS),), ROW, m, z.shape[1], kind, intercepts[last], z)
    return z
