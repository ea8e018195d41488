"""Coordinate descent on CuPy: whole epochs on the Gram matrix in one launch, and one read after it.

A step of the array form is a dozen launches and a read; on the Gram matrix it is a subtraction by
one block. The Gram matrix is formed once a model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels import generic, generic_rows
from skopt_dl.kernels.cupy.source import SHARED, kernel

SOURCE = "gram"
THREADS = 1024
# Bytes of the largest Gram matrix that is formed for epochs.
LARGEST = 2**29


def cd_epochs(model: Any, order: Any, n_epochs: int, target: float) -> tuple[int, float]:
    """See `skopt_dl.kernels.generic.cd_epochs`."""
    import cupy

    m = model
    if not _served(m, m.w, m.u) or n_epochs < 1:
        return generic.cd_epochs(model, order, n_epochs, target)
    real = m.w.dtype.type
    q = cupy.ascontiguousarray(m.map.rmatvec(m.u) + m.c * m.hx)
    before, state = m.w.copy(), cupy.asarray([0.0, m.full_indicator, m.active_left], real)
    penalty = [cupy.ascontiguousarray(a) for a in (m.curvature, m.l1, m.l2)]
    order = cupy.asarray(order, dtype=np.int32)
    sizes = (np.int32(m.n_coordinates), np.int32(order.size))
    matrices = (order, cupy.ascontiguousarray(m.gram), q, m.w)
    ends = (np.int32(n_epochs), real(target), np.int32(m.MAX_ACTIVE), real(m.AGAIN), state)
    kernel(SOURCE, "cd_gram", m.w)(
        (1,), (THREADS,), (*sizes, *matrices, *penalty, np.int32(m.positive), *ends)
    )
    change = _change(m, m.w, before)
    m.u -= m.h * m.map.matvec(change)
    return _ended(m, change, state)


def row_epochs(model: Any, order: Any, n_epochs: int, target: float) -> tuple[int, float]:
    """See `skopt_dl.kernels.generic_rows.row_epochs`."""
    import cupy

    m = model
    if not (_served(m, m.W, m.U) and _fits(m.W)) or n_epochs < 1:
        return generic_rows.row_epochs(model, order, n_epochs, target)
    Q = cupy.ascontiguousarray((m.map.rmatvec(m.U) + m.hx[:, None] * m.c).T)
    before, state = m.W.copy(), [m.full_indicator, m.active_left]
    curvature = cupy.ascontiguousarray(m.curvature)
    ends = (n_epochs, target, m.MAX_ACTIVE, m.AGAIN)
    gram = cupy.ascontiguousarray(m.gram)
    state = _rows(order, gram, Q, m.W, curvature, m.l1, m.l2, ends, state)
    change = _change(m, m.W, before)
    m.U -= m.h[:, None] * m.map.matvec(change)
    return _ended(m, change, state)


def block_epochs(model: Any, order: Any, n_epochs: int, target: float) -> tuple[int, float]:
    """See `skopt_dl.kernels.generic_rows.block_epochs`."""
    import cupy

    m = model
    sizes = [len(block) for block in m.places]
    fits = 0 < max(sizes, default=0) * m.w.dtype.itemsize <= SHARED
    room = fits and m.strengths is not None and _room(m.w.size, m.w)
    if not (room and m.w.dtype == m.u.dtype and m.w.flags.c_contiguous) or n_epochs < 1:
        return generic_rows.block_epochs(model, order, n_epochs, target)
    real = m.w.dtype.type
    q = cupy.ascontiguousarray(m.map.rmatvec(m.u) + m.c * m.hx)
    before, state = m.w.copy(), cupy.asarray([0.0, m.full_indicator, m.active_left], real)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    flat = np.concatenate([np.asarray(block) for block in m.places])
    lists = (cupy.asarray(a, dtype=np.int32) for a in (order, starts, flat))
    matrices = (cupy.ascontiguousarray(m.gram), q, m.w)
    strengths = (cupy.asarray(a, real) for a in (m.lipschitz, m.strengths))
    ends = (np.int32(n_epochs), real(target), np.int32(m.MAX_ACTIVE), real(m.AGAIN), state)
    kernel(SOURCE, "cd_blocks", m.w)(
        (1,),
        (THREADS,),
        (np.int32(m.w.size), np.int32(len(order)), *lists, *matrices, *strengths, *ends),
        shared_mem=max(sizes) * m.w.dtype.itemsize,
    )
    # Blocks that do not bend leave no residual where they go.
    bends = np.empty(m.w.size, dtype=bool)
    bends[flat] = np.repeat(np.asarray(m.lipschitz) > 0, sizes)
    change = cupy.where(cupy.asarray(bends), m.w - before, 0)
    m.u -= m.h * m.map.matvec(change)
    return _ended(m, change, state)


def gram_row_epochs(
    G: Any, C: Any, W: Any, l1: float, l2: float, n_epochs: int, target: float
) -> tuple[int, float]:
    """See `skopt_dl.kernels.generic_rows.gram_row_epochs`."""
    import cupy

    arrays = (G, C, W)
    plain = all(a.flags.c_contiguous and a.dtype == G.dtype for a in arrays)
    if not (plain and W.size and _fits(W)) or n_epochs < 1:
        return generic_rows.gram_row_epochs(G, C, W, l1, l2, n_epochs, target)
    curvature = cupy.ascontiguousarray(cupy.diagonal(G))
    # Sweeps over all rows alone.
    ends, order = (n_epochs, target, 0, 0.0), np.arange(W.shape[0])
    done, moved, _ = _rows(order, G, C, W, curvature, l1, l2, ends, [0.0, 0]).tolist()
    return int(done), moved


def _served(model: Any, w: Any, residual: Any) -> bool:
    """Whether there is room for the Gram matrix, and the coefficients are read as they are."""
    room = _room(model.n_coordinates, w)
    return bool(room and w.dtype == residual.dtype and w.flags.c_contiguous)


def _room(p: int, w: Any) -> bool:
    return bool(0 < p * p * w.dtype.itemsize <= LARGEST)


def _fits(W: Any) -> bool:
    """Whether a row's change fits a block's shared memory."""
    return bool(0 < W.shape[1] * W.dtype.itemsize <= SHARED)


def _rows(
    order: Any,
    G: Any,
    Q: Any,
    W: Any,
    curvature: Any,
    l1: float,
    l2: float,
    ends: tuple[int, float, int, float],
    began: list[float],
) -> Any:
    """Epochs over rows in place: how many, the last indicator, and the active sweeps left."""
    import cupy

    real, (p, K) = W.dtype.type, W.shape
    state, order = cupy.asarray([0.0, *began], real), cupy.asarray(order, dtype=np.int32)
    n_epochs, target, most, again = ends
    kernel(SOURCE, "cd_rows", W)(
        (1,),
        (THREADS,),
        (
            *(np.int32(p), np.int32(K), np.int32(order.size), order, G, Q, W, curvature),
            *(real(l1), real(l2), np.int32(n_epochs), real(target), np.int32(most), real(again)),
            state,
        ),
        shared_mem=K * W.dtype.itemsize,
    )
    return state


def _change(model: Any, w: Any, before: Any) -> Any:
    """What residuals follow: leaving a column that is constant, and so centred nothing, is none."""
    import cupy

    moves = model.curvature > 0
    return cupy.where(moves if w.ndim == 1 else moves[:, None], w - before, 0)


def _ended(model: Any, change: Any, state: Any) -> tuple[int, float]:
    """Bring what the model knows of its sweeps up to date; the one read of a call."""
    model.c = model.c + model.mean @ change
    done, model.full_indicator, left = (float(x) for x in state.tolist())
    model.active_left = int(left)
    return int(done), model.full_indicator
