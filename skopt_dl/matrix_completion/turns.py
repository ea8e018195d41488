"""Where variational turns begin, and whether they have come far enough: in memory and on blocks."""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.namespace import to_float

# A component that grows by this share in a turn is on its way.
GROWING = 0.05


def ahead(xp: Any, gain: float, before: Any, after: Any) -> float:
    """The gain of a turn, or the larger growth in it of a component that is on its way.

    ``before`` and ``after`` are the squares of the components' sizes; those that rounding rules
    count as still.
    """
    least = float(xp.finfo(after.dtype).eps) * xp.max(after)
    there = (before > least) & (after > least)
    ratio = xp.where(there, after, 1.0) / xp.where(there, before, 1.0)
    growth = 0.5 * (to_float(xp.max(ratio)) - 1)
    return max(gain, growth) if growth >= GROWING else gain


def first_noise(xp: Any, square: Any, left: Any, tiny: float) -> Any:
    """A rough variance of the noise to begin with.

    Half-way from the mean square to what the start leaves of it: the one kills components that
    share the columns of a table, the other may overfit.
    """
    rough = xp.sqrt(square * left)
    return xp.maximum(rough, xp.ones_like(rough) * tiny)
