"""First and second moments of the columns of a dense matrix on CuPy, in one reading of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels import generic
from skopt_dl.kernels.cupy.source import kernel

SOURCE = "moments"
THREADS = 128
# Blocks of a launch, and rows of a strip at least: each strip's sums are written and read again.
BLOCKS, ROWS = 1024, 64


def column_moments(map_: Any, h: Any) -> tuple[Any, Any]:
    """See `skopt_dl.kernels.generic.column_moments`."""
    import cupy

    X = map_.X if map_.layout == "dense" else None
    if X is None or not X.size or h.dtype != X.dtype or not h.flags.c_contiguous:
        return generic.column_moments(map_, h)
    n, p = X.shape
    out, size = cupy.empty((2, p), X.dtype), (np.int64(n), np.int64(p))
    if X.flags.c_contiguous:
        tiles = min(BLOCKS, -(-p // THREADS))
        strips = max(1, min(BLOCKS // tiles, n // ROWS))
        part = cupy.empty((2, strips, p), X.dtype)
        counts = (np.int32(strips), np.int32(tiles))
        kernel(SOURCE, "moments_of_strips", X)(
            (strips * tiles,), (THREADS,), (*size, *counts, X, h, part)
        )
        kernel(SOURCE, "moments_of_parts", X)(
            (min(BLOCKS, -(-2 * p // THREADS)),),
            (THREADS,),
            (np.int64(p), np.int32(strips), part, out),
        )
    elif X.flags.f_contiguous:
        kernel(SOURCE, "moments_of_columns", X)(
            (min(BLOCKS, p),),
            (THREADS,),
            (*size, X, h, out),
            shared_mem=THREADS * X.dtype.itemsize,
        )
    else:
        return generic.column_moments(map_, h)
    return out[0, :], out[1, :]
