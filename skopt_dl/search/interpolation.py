"""Where the polynomials through two trials of a line search have their minimum."""

from __future__ import annotations

import math

from skopt_dl.search.trial import Trial


def cubic_fraction(a: Trial, b: Trial) -> float:
    """Where between ``a`` (0) and ``b`` (1) the cubic interpolant has its minimum, or nan."""
    step = b.t - a.t
    left, right = a.slope * step, b.slope * step
    theta = left + right - 3 * (b.value - a.value)
    square = theta * theta - left * right
    if not square >= 0:
        return math.nan
    # Its slope is left - 2 m s + bottom s^2: the root where it rises, without cancellation.
    m, root = left + theta, math.sqrt(square)
    if m < 0:
        return left / (m - root)
    bottom = left + right + 2 * theta
    return (m + root) / bottom if bottom != 0 else math.nan


def quadratic_fraction(a: Trial, b: Trial) -> float:
    """The same of the parabola through both values and the slope at ``a``, or nan."""
    left = a.slope * (b.t - a.t)
    bend = b.value - a.value - left
    return -left / (2 * bend) if bend != 0 else math.nan


def secant_fraction(a: Trial, b: Trial) -> float:
    """Where the line through both slopes vanishes, or nan."""
    bend = b.slope - a.slope
    return -a.slope / bend if bend != 0 else math.nan
