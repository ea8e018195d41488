r"""Isotonic regression by pooling adjacent violators.

.. math:: \min_x\ \tfrac12 |x - a|^2 \quad \text{subject to}\quad x_1 \ge x_2 \ge \dots \ge x_n

The answer is constant on blocks, where it is the mean of ``a``; neighbouring blocks whose means
increase are merged until none do. The order of the merges does not matter, so every run of blocks
with increasing means is merged at once, as array code; a few rounds do, except on data made for the
worst case, which end in a loop over single blocks.

Source: R. Barlow, D. Bartholomew, J. Bremner, H. Brunk, "Statistical inference under order
restrictions" (1972).
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.namespace import device_of, namespace_of, to_numpy

ROUNDS = 30


def isotonic_decreasing(a: Any) -> Any:
    """The non-increasing sequence nearest to ``a``."""
    xp, n = namespace_of(a), a.shape[0]
    if n < 2:
        return xp.asarray(a, copy=True)
    sums, counts = a, xp.ones_like(a)
    for turn in range(ROUNDS + 1):
        means = sums / counts
        first = xp.concat([means[:1] == means[:1], means[1:] <= means[:-1]])
        if bool(xp.all(first)):
            break
        if turn == ROUNDS:
            sums, counts = _one_by_one(sums, counts)
            break
        starts = xp.nonzero(first)[0]
        sums, counts = _merged(sums, starts), _merged(counts, starts)
    # The block of each position, by where the blocks end.
    ends = xp.cumulative_sum(counts)
    at = xp.arange(n, dtype=a.dtype, device=device_of(a)) + 0.5
    return xp.take(sums / counts, xp.searchsorted(ends, at))


def _merged(x: Any, starts: Any) -> Any:
    """Sums of ``x`` over the stretches that begin at ``starts``."""
    xp = namespace_of(x)
    total = xp.concat([xp.zeros_like(x[:1]), xp.cumulative_sum(x)])
    end = xp.asarray([x.shape[0]], dtype=starts.dtype, device=device_of(x))
    return xp.take(total, xp.concat([starts[1:], end])) - xp.take(total, starts)


def _one_by_one(sums: Any, counts: Any) -> tuple[Any, Any]:
    """The same with a stack of blocks, on the host: each block is pushed and popped once."""
    xp = namespace_of(sums)
    stack: list[tuple[float, float]] = []
    for total, count in zip(to_numpy(sums).tolist(), to_numpy(counts).tolist(), strict=True):
        while stack and stack[-1][0] * count < total * stack[-1][1]:
            last_total, last_count = stack.pop()
            total, count = total + last_total, count + last_count
        stack.append((total, count))
    pooled = xp.asarray(stack, dtype=sums.dtype, device=device_of(sums))
    return pooled[:, 0], pooled[:, 1]
