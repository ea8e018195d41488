"""Losses of linear models on CuPy, one kernel each: the twins of ``generic_losses``.

Arrays of other types or orders, and rows too long for a thread, are served by the array form.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels import generic_losses
from skopt_dl.kernels.cupy.source import kernel

SOURCE = "losses"
THREADS = 256
BLOCKS = 1024
# Entries of a row that one thread goes through.
LONGEST = 64


def _readable(z: Any, *others: Any) -> bool:
    return bool(z.flags.c_contiguous) and all(
        a.dtype == z.dtype and a.shape == z.shape and a.flags.c_contiguous for a in others
    )


def _launch(name: str, like: Any, n: int, *args: Any) -> None:
    if n:
        blocks = min(BLOCKS, -(-n // THREADS))
        kernel(SOURCE, name, like)((blocks,), (THREADS,), (np.int64(n), *args))


def logistic_terms(y: Any, z: Any) -> tuple[Any, Any]:
    """See `skopt_dl.kernels.generic_losses.logistic_terms`."""
    import cupy

    if not _readable(z, y):
        return generic_losses.logistic_terms(y, z)
    value, slope = cupy.empty(z.shape, z.dtype), cupy.empty(z.shape, z.dtype)
    _launch("logistic_terms", z, z.size, y, z, value, slope)
    return value, slope


def softmax_terms(y: Any, z: Any) -> tuple[Any, Any]:
    """See `skopt_dl.kernels.generic_losses.softmax_terms`."""
    import cupy

    n, k = z.shape
    if not (_readable(z, y) and 0 < k <= LONGEST):
        return generic_losses.softmax_terms(y, z)
    value, slope = cupy.empty(n, z.dtype), cupy.empty(z.shape, z.dtype)
    _launch("softmax_terms", z, n, np.int32(k), y, z, value, slope)
    return value, slope


def softmax(z: Any) -> Any:
    """See `skopt_dl.kernels.generic_losses.softmax`."""
    import cupy

    n, k = z.shape
    if not (_readable(z) and 0 < k <= LONGEST):
        return generic_losses.softmax(z)
    out, null = cupy.empty(z.shape, z.dtype), np.uintp(0)
    _launch("softmax_terms", z, n, np.int32(k), null, z, null, out)
    return out
