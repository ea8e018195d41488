r"""A line search for the strong Wolfe conditions.

.. math::

    \phi(t) \le \phi(0) + c_1 t\, \phi'(0), \qquad |\phi'(t)| \le c_2\, |\phi'(0)|

First the steps grow until an interval must hold a good one, then the interval shrinks (J. Nocedal,
S. Wright, "Numerical Optimization" (2006), Algorithms 3.5 and 3.6).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from skopt_dl.search.interpolation import cubic_fraction, secant_fraction
from skopt_dl.search.trial import Decrease, Found, Trial

# A trial outside the interval seen so far moves on by between these factors.
SHORTEST_GROWTH, LONGEST_GROWTH = 1.1, 10.0
# A trial inside keeps this fraction of the interval from its ends.
MARGIN = 0.01
# Interpolation that leaves more than this of the interval twice in a row gives way to bisection
# (the rule of J. Moré, D. Thuente, ACM TOMS 20 (1994)).
SHRINK = 2 / 3
MAX_TRIALS = 50


def strong_wolfe(
    phi: Callable[[float], tuple[float, float]],
    value: float,
    slope: float,
    t: float,
    *,
    decrease: float = 1e-4,
    curvature: float = 0.9,
    noise: float = 0.0,
) -> Found:
    """A step that meets the strong Wolfe conditions.

    Parameters
    ----------
    phi : callable
        Value and slope at a step.
    value, slope : float
        The same at 0; the slope is negative.
    t : float
        First step tried.
    decrease, curvature : float
        The constants c1 and c2, with ``0 < c1 < c2 < 1``; small c2 means a nearly exact search.
    noise : float
        Differences of values up to this are rounding, see `Decrease`.

    Returns
    -------
    Found
        Not ``ok`` if no trial met the conditions: a direction that goes down for ever, or values
        and slopes that contradict each other.
    """
    start = Trial(0.0, value, slope)
    enough = Decrease(start, decrease, noise)
    flat = curvature * abs(slope)
    before = start
    for n in range(1, MAX_TRIALS + 1):
        trial = Trial.at(phi, t)
        if not enough(trial) or trial.value > before.value + noise:
            return _zoom(phi, before, trial, enough, flat, noise, n)
        if abs(trial.slope) <= flat:
            return Found.of(trial, n, ok=True)
        if trial.slope >= 0:
            return _zoom(phi, trial, before, enough, flat, noise, n)
        before, t = trial, _beyond(before, trial)
    return Found.of(before, MAX_TRIALS, ok=False)


def _zoom(
    phi: Callable[[float], tuple[float, float]],
    low: Trial,
    high: Trial,
    enough: Decrease,
    flat: float,
    noise: float,
    n_done: int,
) -> Found:
    """Shrink an interval that holds a good step.

    ``low`` is the best end: it decreases enough and its slope points to ``high``.
    """
    widths = (math.inf, math.inf)
    for n in range(n_done + 1, MAX_TRIALS + 1):
        width = abs(high.t - low.t)
        bisect = width > SHRINK * widths[0]
        widths = (widths[1], width)
        t = _between(low, high, noise, bisect=bisect)
        if t in (low.t, high.t):
            return Found.of(low, n - 1, ok=False)
        trial = Trial.at(phi, t)
        if not enough(trial) or trial.value > low.value + noise:
            high = trial
            continue
        if abs(trial.slope) <= flat:
            return Found.of(trial, n, ok=True)
        if trial.slope * (high.t - low.t) >= 0:
            high = low
        low = trial
    return Found.of(low, MAX_TRIALS, ok=False)


def _beyond(before: Trial, trial: Trial) -> float:
    """The next step outwards: where the slopes say that the slope vanishes, within bounds."""
    bend = trial.slope - before.slope
    step = trial.t - before.t
    t = trial.t - trial.slope * step / bend if bend > 0 else math.inf
    return min(max(t, SHORTEST_GROWTH * trial.t), LONGEST_GROWTH * trial.t)


def _between(low: Trial, high: Trial, noise: float, *, bisect: bool) -> float:
    """The next step inwards: a minimiser of the cubic through both ends, within bounds.

    Where the values agree to rounding the slopes alone are interpolated.
    """
    step = high.t - low.t
    fraction = 0.5
    if not high.finite:
        fraction = 0.1
    elif not bisect:
        if abs(high.value - low.value) > noise:
            guess = cubic_fraction(low, high)
        else:
            guess = secant_fraction(low, high)
        if math.isfinite(guess):
            fraction = min(max(guess, MARGIN), 1 - MARGIN)
    return low.t + fraction * step
