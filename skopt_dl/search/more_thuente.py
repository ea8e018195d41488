r"""The line search of J. Moré and D. Thuente, for the strong Wolfe conditions.

An interval is kept that holds a good step, once there is one. Until a step is found that decreases
enough, it is steered by :math:`\psi(t) = \phi(t) - \phi(0) - c_1 t\,\phi'(0)`, whose minimisers are
good steps, from then on by :math:`\phi`. The next trial is chosen between the minimisers of a cubic
and of a parabola through what is known, by four cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from skopt_dl.search.interpolation import cubic_fraction, quadratic_fraction, secant_fraction
from skopt_dl.search.trial import Decrease, Found, Trial

# Before there is an interval, a trial goes beyond the last step by between these factors of it.
NEAREST, FARTHEST = 1.1, 4.0
# Two trials shrink the interval to this share of it at least, or it is bisected.
SHRINK = 0.66
MAX_TRIALS = 20
# Of a trial without finite value and slope: how far towards it the next one goes.
RETREAT = 0.1


@dataclass
class Interval:
    """The best step, the other end of what may hold a better one, and whether it surely does."""

    best: Trial
    other: Trial
    bracketed: bool = False

    @property
    def ends(self) -> tuple[float, float]:
        return min(self.best.t, self.other.t), max(self.best.t, self.other.t)

    @property
    def width(self) -> float:
        return abs(self.other.t - self.best.t)

    def lowered(self, slope: float) -> Interval:
        """The same for :math:`\\phi(t) - t\\,` ``slope``."""
        return Interval(_lowered(self.best, slope), _lowered(self.other, slope), self.bracketed)


def more_thuente(
    phi: Callable[[float], tuple[float, float]],
    value: float,
    slope: float,
    t: float,
    *,
    decrease: float = 1e-3,
    curvature: float = 0.9,
    noise: float = 0.0,
    width: float = 0.1,
) -> Found:
    """A step that meets the strong Wolfe conditions, or the best of a narrow interval.

    Parameters
    ----------
    phi : callable
        Value and slope at a step.
    value, slope : float
        The same at 0; the slope is negative.
    t : float
        First step tried.
    decrease, curvature : float
        The constants c1 and c2, with ``0 < c1 < c2 < 1``.
    noise : float
        Differences of values up to this are rounding, see `Decrease`.
    width : float
        An interval narrower than this share of its upper end is not searched further; its best step
        is taken if it decreases enough.

    Returns
    -------
    Found
        Not ``ok`` if no trial was good enough to take.

    Notes
    -----
    The defaults are those of L-BFGS-B.

    References
    ----------
    J. Moré, D. Thuente, "Line search algorithms with guaranteed sufficient decrease", ACM TOMS 20
    (1994); R. Byrd, P. Lu, J. Nocedal, C. Zhu, "A limited memory algorithm for bound constrained
    optimization", SIAM J. Sci. Comput. 16 (1995).
    """
    start = Trial(0.0, value, slope)
    enough = Decrease(start, decrease, noise)
    flat, least = curvature * abs(slope), decrease * slope
    around, steered_by_psi = Interval(start, start), True
    widths = (math.inf, math.inf)
    for n in range(1, MAX_TRIALS + 1):
        trial = Trial.at(phi, t)
        good = enough(trial)
        if good and abs(trial.slope) <= flat:
            return Found.of(trial, n, ok=True)
        if good and trial.slope >= 0:
            steered_by_psi = False
        by_psi = steered_by_psi and not good and trial.value <= around.best.value
        lower = least if by_psi else 0.0
        t = _next(around.lowered(lower), _lowered(trial, lower))
        _take(around, trial, lower)
        if around.bracketed:
            if around.width >= SHRINK * widths[0] or not math.isfinite(t):
                t = around.best.t + 0.5 * (around.other.t - around.best.t)
            widths = (widths[1], around.width)
            low, high = around.ends
            if not low < t < high or high - low <= width * high:
                return Found.of(around.best, n, ok=enough(around.best) and around.best.t > 0)
    return Found.of(around.best, MAX_TRIALS, ok=False)


def _lowered(trial: Trial, slope: float) -> Trial:
    return Trial(trial.t, trial.value - trial.t * slope, trial.slope - slope)


def _take(around: Interval, trial: Trial, slope: float) -> None:
    """Make ``trial`` an end of the interval, by the values less ``slope`` times the step."""
    new, best = _lowered(trial, slope), _lowered(around.best, slope)
    if not trial.finite or new.value > best.value:
        around.other, around.bracketed = trial, True
        return
    if new.slope * (best.t - new.t) < 0:
        around.other, around.bracketed = around.best, True
    around.best = trial


def _next(around: Interval, trial: Trial) -> float:
    """The next step, from the interval before ``trial`` is part of it."""
    best, bracketed = around.best, around.bracketed
    step = trial.t - best.t
    if not trial.finite:
        return best.t + RETREAT * step
    cubic = cubic_fraction(best, trial)
    if trial.value > best.value:
        parabola = quadratic_fraction(best, trial)
        near = cubic if abs(cubic) < abs(parabola) else 0.5 * (cubic + parabola)
        return best.t + near * step
    secant = secant_fraction(best, trial)
    if trial.slope * best.slope < 0:
        return best.t + (cubic if abs(cubic - 1) > abs(secant - 1) else secant) * step
    low, high = around.ends if bracketed else _beyond(around, trial)
    end = high if step > 0 else low
    if abs(trial.slope) <= abs(best.slope):
        through = best.t + cubic * step if cubic > 1 else end
        along = best.t + secant * step if math.isfinite(secant) else end
        nearer = abs(through - trial.t) < abs(along - trial.t)
        t = through if nearer == bracketed else along
        if not bracketed:
            return min(max(t, low), high)
        limit = trial.t + SHRINK * (around.other.t - trial.t)
        return min(t, limit) if step > 0 else max(t, limit)
    if not bracketed:
        return end
    return trial.t + cubic_fraction(trial, around.other) * (around.other.t - trial.t)


def _beyond(around: Interval, trial: Trial) -> tuple[float, float]:
    """Between what steps the trial after ``trial`` lies; the first may be followed closely."""
    best = around.best.t
    step = trial.t - best
    return (trial.t + NEAREST * step if best > 0 else 0.0), trial.t + FARTHEST * step
