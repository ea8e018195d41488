r"""What a line search sees and answers: values and slopes of :math:`\phi(t) = F(w + t d)`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

# Values closer than this many units of rounding count as equal. A mean over many samples loses some
# digits, and a step that is wrongly called equal must still flatten the slope to be taken.
ULPS = 100.0


@dataclass(frozen=True)
class Trial:
    """Value and slope of phi at the step ``t``; plain numbers on the host."""

    t: float
    value: float
    slope: float

    @classmethod
    def at(cls, phi: Callable[[float], tuple[float, float]], t: float) -> Trial:
        """Ask ``phi`` at ``t``."""
        return cls(t, *phi(t))

    @property
    def finite(self) -> bool:
        return math.isfinite(self.value) and math.isfinite(self.slope)


@dataclass(frozen=True)
class Found:
    """What a line search ends with.

    Attributes
    ----------
    t, value, slope : float
        The last trial; the step to take where ``ok``.
    ok : bool
        Whether it meets the conditions of the search.
    n_trials : int
        Evaluations of phi.
    """

    t: float
    value: float
    slope: float
    ok: bool
    n_trials: int

    @classmethod
    def of(cls, trial: Trial, n_trials: int, *, ok: bool) -> Found:
        return cls(trial.t, trial.value, trial.slope, ok, n_trials)


def rounding(value: float, eps: float) -> float:
    """How much of a value near ``value`` may be rounding, for a dtype of precision ``eps``."""
    return ULPS * eps * abs(value)


@dataclass(frozen=True)
class Decrease:
    r"""The sufficient decrease condition, as it is and where rounding hides it.

    Armijo's condition with :math:`c_1` = ``fraction`` is
    :math:`\phi(t) \le \phi(0) + c_1 t \phi'(0)`. Close to a minimum both sides agree to rounding
    and the test is noise; a quadratic meets it exactly where
    :math:`\phi'(t) \le (2 c_1 - 1) \phi'(0)`, and slopes are still accurate there (the approximate
    condition of Hager & Zhang, SIAM J. Optim. 16 (2005), (4.1)). It is used only where the values
    are equal to ``noise``.
    """

    start: Trial
    fraction: float
    noise: float

    def __call__(self, trial: Trial) -> bool:
        if not trial.finite:
            return False
        start, c1 = self.start, self.fraction
        if trial.value <= start.value + c1 * trial.t * start.slope:
            return True
        flat = abs(trial.value - start.value) <= self.noise
        return flat and trial.slope <= (2 * c1 - 1) * start.slope
