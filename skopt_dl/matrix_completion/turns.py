"""Where variational turns begin, and whether they have come far enough: in memory and on blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from skopt_dl.kernels.namespace import is_numpy, to_float

# A component that grows by this share in a turn is on its way.
GROWING = 0.05
# The noise variance stays above this many units of rounding of the values' mean square.
NOISE_FLOOR = 100.0


@dataclass(frozen=True)
class Sizes:
    """What follows from the size of the entries, so that other units change nothing.

    Products of factors are entries: factors have the square root of their unit, biases all of it.

    Attributes
    ----------
    square : float
        Mean square of the entries.
    dtype : str
        Precision, by name.
    """

    square: float
    dtype: str

    @classmethod
    def of(cls, observed: Any) -> Sizes:
        """Those of observed entries."""
        square, total = observed.dot(observed.values, observed.values), to_float(observed.total)
        # Namespaces name their dtypes differently; these two are all there are.
        precise = observed.xp.finfo(observed.dtype).bits == 64
        share = to_float(square) / total if total > 0 else 0.0
        return cls(share, "float64" if precise else "float32")

    @property
    def _least(self) -> float:
        # Of its inverse, a precision, the square is no overflow yet.
        return float(np.finfo(self.dtype).smallest_normal) ** 0.45

    def range(self, biased: bool) -> tuple[float, float]:
        """Least and largest root mean square whose squares and products keep their digits.

        A bias stands beside a component whose features have the square root of the entries' unit:
        in the equations of a row that unit must not vanish beside one.
        """
        info = np.finfo(self.dtype)
        least = float(info.eps) ** 0.75 if biased else float(info.smallest_normal) ** 0.2
        return least, float(info.max) ** 0.45

    @property
    def noise(self) -> float:
        """The least variance of the noise."""
        return max(NOISE_FLOOR * float(np.finfo(self.dtype).eps) * self.square, self._least)

    @property
    def power(self) -> float:
        """The least sum of squares of a component's factors."""
        share = NOISE_FLOOR * float(np.finfo(self.dtype).eps)
        return max(share * math.sqrt(self.square), self._least)

    def least_powers(self, k: int, width: int) -> list[float]:
        """Least sums of squares of ``k`` components, and of a bias if the ``width`` has one."""
        return [self.power] * k + [self.noise] * (width - k)

    def first_priors(self, k: int, width: int) -> list[float]:
        """Precisions of ``k`` components, and of a bias if the ``width`` has one, to begin with."""
        size = math.sqrt(self.square) if self.square > 0 else 1.0
        return [1 / size] * k + [1 / size / size] * (width - k)


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


class Ahead:
    """The turn that a certificate has tried, for the solver that takes it next.

    Only on the host: elsewhere to compare two points would wait for the device.

    Parameters
    ----------
    xp : namespace
        Of the points.
    blocks : dict of str to slice
        Of a point; a turn takes them last named first.
    """

    def __init__(self, xp: Any, blocks: dict[str, slice]) -> None:
        self._kept, self._blocks = is_numpy(xp), blocks
        self._turn: tuple[Any, Any] | None = None

    def remember(self, before: Any, after: Any) -> None:
        """A turn takes ``before`` to ``after``, which the caller leaves as it is."""
        if self._kept:
            self._turn = before.copy(), after

    def step(self, w: Any, block: str) -> Any:
        """What the turn makes of a block of ``w``, or None where ``w`` is not on its way."""
        if self._turn is None:
            return None
        (before, after), done = self._turn, False
        for name, part in self._blocks.items():
            # Blocks named later than this one have had their turn.
            if not np.array_equal(w[part], (after if done else before)[part]):
                return None
            done = done or name == block
        return after[self._blocks[block]]


def first_noise(xp: Any, square: Any, left: Any, tiny: float) -> Any:
    """A rough variance of the noise to begin with.

    Half-way from the mean square to what the start leaves of it: the one kills components that
    share the columns of a table, the other may overfit.
    """
    rough = xp.sqrt(square) * xp.sqrt(left)
    return xp.maximum(rough, xp.ones_like(rough) * tiny)
