"""Backtracking: the full step, then shorter ones, until the objective decreases enough."""

from __future__ import annotations

from collections.abc import Callable

from skopt_dl.search.trial import Decrease, Found, Trial

# A refused step shrinks by a factor between these two.
SHORTEST, LONGEST = 0.1, 0.5
MAX_TRIALS = 50


def backtrack(
    phi: Callable[[float], tuple[float, float]],
    value: float,
    slope: float,
    t: float = 1.0,
    *,
    decrease: float = 1e-4,
    noise: float = 0.0,
) -> Found:
    """The first step from ``t`` downwards that meets the Armijo condition.

    For directions with a natural length, such as Newton's. The next step is the minimiser of the
    parabola through what is known, kept between a tenth and a half of the last.

    Parameters
    ----------
    phi : callable
        Value and slope at a step.
    value, slope : float
        The same at 0; the slope is negative.
    t : float
        First step tried.
    decrease : float
        Armijo's constant c1.
    noise : float
        Differences of values up to this are rounding, see `Decrease`.
    """
    enough = Decrease(Trial(0.0, value, slope), decrease, noise)
    trial = Trial(t, value, slope)
    for n in range(1, MAX_TRIALS + 1):
        trial = Trial.at(phi, t)
        if enough(trial):
            return Found.of(trial, n, ok=True)
        factor = SHORTEST
        if trial.finite:
            excess = trial.value - value - slope * t
            if excess > 0:
                factor = min(max(-slope * t / (2 * excess), SHORTEST), LONGEST)
            else:
                factor = LONGEST
        t *= factor
    return Found.of(trial, MAX_TRIALS, ok=False)
