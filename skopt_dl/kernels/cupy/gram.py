"""Coordinate descent on CuPy: whole epochs on the Gram matrix in one launch, and one read after it.

A step of the array form is a dozen launches and a read; on the Gram matrix it is a subtraction by
one block. The Gram matrix is formed once a model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels import generic
from skopt_dl.kernels.cupy.source import kernel

SOURCE = "gram"
THREADS = 1024
# Bytes of the largest Gram matrix that is formed for epochs.
LARGEST = 2**29


def cd_epochs(model: Any, order: Any, n_epochs: int, target: float) -> tuple[int, float]:
    """See `skopt_dl.kernels.generic.cd_epochs`."""
    import cupy

    m, p = model, model.n_coordinates
    room = p * p * m.w.dtype.itemsize <= LARGEST
    if not room or not p or n_epochs < 1 or m.w.dtype != m.u.dtype or not m.w.flags.c_contiguous:
        return generic.cd_epochs(model, order, n_epochs, target)
    real = m.w.dtype.type
    q = cupy.ascontiguousarray(m.map.rmatvec(m.u) + m.c * m.hx)
    before, state = m.w.copy(), cupy.asarray([0.0, m.full_indicator, m.active_left], real)
    penalty = [cupy.ascontiguousarray(a) for a in (m.curvature, m.l1, m.l2)]
    order = cupy.asarray(order, dtype=np.int32)
    sizes = (np.int32(p), np.int32(order.size))
    last = (real(target), np.int32(m.MAX_ACTIVE), real(m.AGAIN), state)
    kernel(SOURCE, "cd_gram", m.w)(
        (1,),
        (THREADS,),
        (
            *sizes,
            order,
            cupy.ascontiguousarray(m.gram),
            q,
            m.w,
            *penalty,
            np.int32(m.positive),
            np.int32(n_epochs),
            *last,
        ),
    )
    # Constant columns are nothing once they are centred: leaving one changes no residual.
    change = cupy.where(m.curvature > 0, m.w - before, 0)
    m.u -= m.h * m.map.matvec(change)
    m.c = m.c + m.mean @ change
    done, m.full_indicator, left = (float(x) for x in state.tolist())
    m.active_left = int(left)
    return int(done), m.full_indicator
