"""Products of quasi-Newton methods on CuPy: a launch for each half of a pair, none of them waits.

The array form has four launches for each, and reads the pairs' vectors as often.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels import generic
from skopt_dl.kernels.cupy.source import kernel

SOURCE = "pairs"
THREADS = 256
# Numbers that an inner product is made of first, each by a block.
PARTS = 512
NOTHING = np.uintp(0)


def two_loop(pairs: Any, scale: Any, g: Any) -> Any:
    """See `skopt_dl.kernels.generic.two_loop`."""
    import cupy

    pairs = list(pairs)
    if not (pairs and _served(pairs, scale, g)):
        return generic.two_loop(pairs, scale, g)
    n, real = g.size, g.dtype.type
    parts = min(PARTS, -(-n // THREADS))
    q, weights = cupy.empty(g.shape, g.dtype), cupy.empty(len(pairs), g.dtype)
    # A turn reads the sums of the one before while it writes its own.
    sums = [cupy.empty(parts, g.dtype) for _ in range(2)]
    scaled = (NOTHING, real(scale)) if isinstance(scale, float) else (scale, real(1))
    step = kernel(SOURCE, "pair_step", g)
    down = [(k, 0, y) for k, (_, y, _) in reversed([*enumerate(pairs)])]
    up = [(k, 1, s) for k, (s, _, _) in enumerate(pairs)]
    # What each turn multiplies by next: the s from the newest on, then the y from the oldest on.
    following = [*(s for s, _, _ in reversed(pairs)), *(y for _, y, _ in pairs), NOTHING]
    turns: list[tuple[Any, ...]] = [(NOTHING, NOTHING, 0, NOTHING)]
    turns += [(pairs[k][2], weights[k : k + 1], way, v) for k, way, v in (*down, *up)]
    for turn, ((rho, weight, way, v), after) in enumerate(zip(turns, following, strict=True)):
        by = scaled if turn == len(pairs) else (NOTHING, real(1))
        step(
            (parts,),
            (THREADS,),
            (
                *(np.int64(n), np.int32(parts), sums[turn % 2 - 1], rho, weight, np.int32(way), v),
                *by,
                *(q if turn else g, after, q, sums[turn % 2]),
            ),
            shared_mem=THREADS * g.dtype.itemsize,
        )
    return q


def _served(pairs: list[Any], scale: Any, g: Any) -> bool:
    """Whether the kernel reads all arrays as they are, and all numbers where they are."""
    numbers = [rho for _, _, rho in pairs]
    if not isinstance(scale, float):
        numbers.append(scale)
    vectors = [v for s, y, _ in pairs for v in (s, y)]
    return bool(
        g.ndim == 1
        and g.size
        and all(v.shape == g.shape and v.flags.c_contiguous for v in (g, *vectors))
        and all(getattr(a, "dtype", None) == g.dtype for a in (*vectors, *numbers))
        and all(a.size == 1 for a in numbers)
    )
