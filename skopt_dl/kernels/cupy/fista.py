"""The extrapolation of an accelerated method on CuPy: two kernels where the array form has sixteen.

Arrays of other types or orders are served by the array form.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels import generic_updates
from skopt_dl.kernels.cupy.source import kernel

SOURCE = "fista"
THREADS = 256
BLOCKS = 1024
# Numbers that a sum over all coefficients is made of first, each by a block.
PARTS = 128


def fista_update(w: Any, last: Any, z: Any, t: Any, restart: bool) -> tuple[Any, Any]:
    """See `skopt_dl.kernels.generic_updates.fista_update`."""
    import cupy

    arrays = (w, last, z)
    same = all(a.dtype == w.dtype and a.shape == w.shape for a in arrays) and t.dtype == w.dtype
    if not (w.size and t.size == 1 and same and all(a.flags.c_contiguous for a in arrays)):
        return generic_updates.fista_update(w, last, z, t, restart)
    n, blocks = np.int64(w.size), -(-w.size // THREADS)
    parts = min(PARTS, blocks) if restart else 0
    room = {"shared_mem": THREADS * w.dtype.itemsize}
    part = cupy.empty(PARTS, w.dtype)
    if parts:
        args = (n, np.int32(parts), *arrays, part)
        kernel(SOURCE, "fista_slope", w)((parts,), (THREADS,), args, **room)
    point, after = cupy.empty(w.shape, w.dtype), cupy.empty(t.shape, w.dtype)
    kernel(SOURCE, "fista_update", w)(
        (min(BLOCKS, blocks),),
        (THREADS,),
        (n, np.int32(parts), part, w, last, t, point, after),
        **room,
    )
    return point, after
