"""What the parameters of stochastic rules may be: one range for a name, wherever it occurs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``; each end belongs to it unless it is open."""

    low: float = 0.0
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    whole: bool = False

    def __contains__(self, value: Any) -> bool:
        if self.whole and value != int(value):
            return False
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        text = "whole and " if self.whole else ""
        text += f"{'>' if self.open_low else '>='} {self.low:g}"
        if self.high < math.inf:
            text += f" and {'<' if self.open_high else '<='} {self.high:g}"
        return text


FRACTION = Range(0.0, 1.0, open_high=True)
INSIDE = Range(0.0, 1.0, open_low=True, open_high=True)
NON_NEGATIVE = Range(0.0)
AT_LEAST_ONE = Range(1, whole=True)
POSITIVE = Range(0.0, open_low=True)

RANGES: dict[str, Range] = {
    # scikit-learn allows momentum=1, a velocity that never fades.
    "momentum": Range(0.0, 1.0),
    "beta_1": FRACTION,
    "beta_2": FRACTION,
    "decay": FRACTION,
    "epsilon": NON_NEGATIVE,
    "weight_decay": NON_NEGATIVE,
    "initial_norm": NON_NEGATIVE,
    "momentum_decay": NON_NEGATIVE,
    "initial_distance": POSITIVE,
    "lower_bound": Range(-math.inf, open_low=True),
    "scale": POSITIVE,
    "decrease": INSIDE,
    "shrink": INSIDE,
    "grow": Range(1.0),
    "max_growth": Range(1.0, open_low=True),
    "beta_3": FRACTION,
    "other_rate": POSITIVE,
    "radius": NON_NEGATIVE,
    "n_steps": AT_LEAST_ONE,
    "refresh": AT_LEAST_ONE,
    "rank": AT_LEAST_ONE,
    "oversampling": NON_NEGATIVE,
    "power": NON_NEGATIVE,
    "error": FRACTION,
    "wake": FRACTION,
    "memory": Range(0, whole=True),
    "pair_every": AT_LEAST_ONE,
    "hessian_size": AT_LEAST_ONE,
    "block": AT_LEAST_ONE,
    "snapshot_every": AT_LEAST_ONE,
    "pending": AT_LEAST_ONE,
    "regularization": POSITIVE,
    "decay_power": Range(0.0, 1.0, open_low=True),
    "max_rms": POSITIVE,
    "max_grad_norm": POSITIVE,
    "slow_share": NON_NEGATIVE,
    "period": AT_LEAST_ONE,
    "settle_after": AT_LEAST_ONE,
    "n_start": AT_LEAST_ONE,
}


def is_number(value: Any) -> bool:
    """A finite real number that is no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_ranges(rule: Any) -> None:
    """Raise unless every parameter of ``rule`` that has a range lies in it; ``None`` is "not used".

    Raises
    ------
    ValueError
        Naming the class, the parameter, its value and the range.
    """
    for name, value in rule.get_params(deep=False).items():
        known = RANGES.get(name)
        if known is None or value is None:
            continue
        if not (is_number(value) and value in known):
            raise ValueError(
                f"{type(rule).__name__}: {name}={value!r}, but it must be a number {known}"
            )
