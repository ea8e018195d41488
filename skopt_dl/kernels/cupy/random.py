"""Draws on CuPy by a generator that counts: the twins of ``generic_random``.

The host draws a key of 64 bits. Masks are drawn on the device always; orders only of many samples,
where drawing and moving them costs the host milliseconds an epoch: below that the same seed visits
the same batches on every device.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels import generic_random
from skopt_dl.kernels.cupy.source import kernel
from skopt_dl.kernels.namespace import to_numpy

SOURCE = "random"
THREADS = 256
BLOCKS = 1024
# Samples from which on the device draws their order.
MANY = 2**17
# The kernels without floating numbers are compiled with those that have them.
ANY = np.float32(0)


def _key(rng: Any) -> tuple[np.uint32, np.uint32]:
    draw = rng.integers if hasattr(rng, "integers") else rng.randint
    one, two = draw(0, 2**32, size=2, dtype=np.uint32)
    return np.uint32(one), np.uint32(two)


def _launch(name: str, like: Any, n: int, work: int, *args: Any) -> None:
    blocks = max(1, min(BLOCKS, -(-work // THREADS)))
    kernel(SOURCE, name, like)((blocks,), (THREADS,), (np.int64(n), *args))


def keep_mask(rng: Any, shape: tuple[int, int], share: float, like: Any) -> Any:
    """See `skopt_dl.kernels.generic_random.keep_mask`."""
    import cupy

    mask = cupy.empty(shape, like.dtype)
    # A share that rounds to one would drop everything.
    dropped = np.uint32(min(round(share * 2**32), 2**32 - 1))
    scale = like.dtype.type(1 / (1 - share))
    if mask.size:
        _launch("keep_mask", mask, mask.size, -(-mask.size // 4), *_key(rng), dropped, scale, mask)
    return mask


def permuted(order: Any, rng: Any) -> Any:
    """See `skopt_dl.kernels.generic_random.permuted`; the answer is on the device."""
    import cupy

    n = order.shape[0]
    if n < MANY:
        return generic_random.permuted(to_numpy(order), rng)
    keys = cupy.empty(n, np.int64)
    _launch("random_keys", ANY, n, n, *_key(rng), keys)
    return cupy.asarray(order)[cupy.argsort(keys)]


def drawn_with_replacement(n: int, rng: Any) -> Any:
    """See `skopt_dl.kernels.generic_random.drawn_with_replacement`; the answer is on the device."""
    import cupy

    if n < MANY:
        return generic_random.drawn_with_replacement(n, rng)
    out = cupy.empty(n, np.int64)
    _launch("random_below", ANY, n, n, *_key(rng), np.int64(n), out)
    return out
