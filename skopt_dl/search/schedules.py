r"""Learning-rate schedules: how the step of a stochastic rule changes from epoch to epoch.

A schedule is asked before the first epoch, after each one, and when progress has stopped; it
answers in plain numbers.
Letters: :math:`\eta_0` the initial rate, k the epochs done, t the samples seen.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any

from skopt_dl.engine.settings import Settings


class Schedule(Settings, ABC):
    """The learning rate as a function of progress."""

    @abstractmethod
    def after_epoch(self, initial: float, rate: float, n_epochs: float, n_samples: int) -> float:
        """The rate of the next epoch, from the initial and the current one.

        Before the first epoch ``rate`` is ``initial``, and both counts are 0.
        """

    @abstractmethod
    def after_plateau(self, rate: float) -> float | None:
        """The rate to go on with where progress has stopped; ``None`` to end the solve."""


class Constant(Schedule):
    r"""Always the initial rate, :math:`\eta_0`."""

    def after_epoch(self, initial: float, rate: float, n_epochs: float, n_samples: int) -> float:
        return rate

    def after_plateau(self, rate: float) -> float | None:
        return None


class InverseScaling(Schedule):
    r"""scikit-learn's "invscaling", :math:`\eta_0 / (t + 1)^{\text{power}}` with t in samples.

    Parameters
    ----------
    power : float
        Exponent, non-negative.
    """

    def __init__(self, power: float = 0.5) -> None:
        self.power = power

    def after_epoch(self, initial: float, rate: float, n_epochs: float, n_samples: int) -> float:
        return initial / (n_samples + 1) ** self.power

    def after_plateau(self, rate: float) -> float | None:
        return None


class Decreasing(Schedule):
    r""":math:`\eta_0 / (1 + k)^{\text{power}}` with k in epochs.

    With a fresh permutation each epoch and a strongly convex objective the squared distance to the
    optimum falls like the square of this rate, so ``power`` above 1/2 makes stochastic steps
    converge while their sum still diverges.

    Parameters
    ----------
    power : float
        Exponent, between 0 and 1.
    """

    def __init__(self, power: float = 0.75) -> None:
        self.power = power

    def after_epoch(self, initial: float, rate: float, n_epochs: float, n_samples: int) -> float:
        return initial / (1 + n_epochs) ** self.power

    def after_plateau(self, rate: float) -> float | None:
        return None


class Adaptive(Schedule):
    """scikit-learn's "adaptive": constant until progress stops, then a fraction of itself.

    Parameters
    ----------
    factor : float
        What the rate is divided by, above 1.
    floor : float
        A rate at or below it is not lowered: the solve ends.
    """

    def __init__(self, factor: float = 5.0, floor: float = 1e-6) -> None:
        self.factor, self.floor = factor, floor

    def after_epoch(self, initial: float, rate: float, n_epochs: float, n_samples: int) -> float:
        return rate

    def after_plateau(self, rate: float) -> float | None:
        return None if rate <= self.floor else rate / self.factor


class Step(Schedule):
    r""":math:`\eta_0\, f^{\lfloor k / m \rfloor}`: a factor f every m epochs.

    Parameters
    ----------
    every : int
        m, at least 1.
    factor : float
        f, in (0, 1].
    """

    def __init__(self, every: int = 30, factor: float = 0.1) -> None:
        self.every, self.factor = every, factor

    def after_epoch(self, initial: float, rate: float, n_epochs: float, n_samples: int) -> float:
        _require_count(self, "every")
        _require_share(self, "factor", zero=False)
        return initial * self.factor ** (n_epochs // self.every)

    def after_plateau(self, rate: float) -> float | None:
        return None


class Exponential(Schedule):
    r""":math:`\eta_0 f^k`.

    Parameters
    ----------
    factor : float
        f, in (0, 1].
    """

    def __init__(self, factor: float = 0.95) -> None:
        self.factor = factor

    def after_epoch(self, initial: float, rate: float, n_epochs: float, n_samples: int) -> float:
        _require_share(self, "factor", zero=False)
        return initial * self.factor**n_epochs

    def after_plateau(self, rate: float) -> float | None:
        return None


class Cosine(Schedule):
    r"""Half a cosine from :math:`\eta_0` to a floor: in N epochs, and constant after them.

    .. math:: \eta_0 \big(f + (1 - f) \tfrac12 (1 + \cos(\pi \min(k / N, 1)))\big)

    Parameters
    ----------
    n_epochs : int
        N, at least 1; the budget of the solve, as a rule.
    floor : float
        f, the last rate as a share of the first.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.
    """

    def __init__(self, n_epochs: int, floor: float = 0.0) -> None:
        self.n_epochs, self.floor = n_epochs, floor

    def after_epoch(self, initial: float, rate: float, n_epochs: float, n_samples: int) -> float:
        _require_count(self, "n_epochs")
        _require_share(self, "floor")
        return initial * _swing(1.0, self.floor, n_epochs / self.n_epochs)

    def after_plateau(self, rate: float) -> float | None:
        return None


class WarmUp(Schedule):
    r"""Linear to the initial rate, :math:`\eta_0 (k + 1) / N` for N epochs; then another schedule.

    Parameters
    ----------
    n_epochs : int
        N, at least 1.
    then : str or Schedule
        What follows; its epochs count from the end of the warm-up (its samples from the start).
    """

    def __init__(self, n_epochs: int = 5, then: str | Schedule = "constant") -> None:
        self.n_epochs, self.then = n_epochs, then

    def after_epoch(self, initial: float, rate: float, n_epochs: float, n_samples: int) -> float:
        _require_count(self, "n_epochs")
        following, late = schedule_of(self.then), n_epochs - self.n_epochs
        if late < 0:
            return initial * (n_epochs + 1) / self.n_epochs
        return following.after_epoch(initial, rate if late else initial, late, n_samples)

    def after_plateau(self, rate: float) -> float | None:
        return schedule_of(self.then).after_plateau(rate)


class OneCycle(Schedule):
    r"""Up to :math:`\eta_0` and down again, each on half a cosine, in N epochs.

    Parameters
    ----------
    n_epochs : int
        N, at least 1; the last rate stays after them.
    rise : float
        Share of the epochs in which the rate rises.
    start, end : float
        First and last rate as shares of :math:`\eta_0`.

    References
    ----------
    L. Smith, N. Topin, "Super-convergence: very fast training of neural networks using large
    learning rates", 2019.
    """

    def __init__(
        self, n_epochs: int, rise: float = 0.3, start: float = 0.04, end: float = 4e-6
    ) -> None:
        self.n_epochs, self.rise, self.start, self.end = n_epochs, rise, start, end

    def after_epoch(self, initial: float, rate: float, n_epochs: float, n_samples: int) -> float:
        _require_count(self, "n_epochs")
        for name in ("rise", "start", "end"):
            _require_share(self, name)
        done, top = n_epochs / self.n_epochs, self.rise
        if done < top:
            return initial * _swing(self.start, 1.0, done / top)
        return initial * _swing(1.0, self.end, (done - top) / (1 - top) if top < 1 else 0.0)

    def after_plateau(self, rate: float) -> float | None:
        return None


def _swing(first: float, last: float, share: float) -> float:
    """From ``first`` to ``last`` on half a cosine; ``last`` stays once ``share`` is past 1."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def _require_count(schedule: Schedule, name: str) -> None:
    value = getattr(schedule, name)
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{schedule!r}: {name}={value!r}, but it must be an integer >= 1")


def _require_share(schedule: Schedule, name: str, *, zero: bool = True) -> None:
    value = getattr(schedule, name)
    if not (isinstance(value, int | float) and 0 <= value <= 1 and (zero or value > 0)):
        low = ">= 0" if zero else "> 0"
        raise ValueError(f"{schedule!r}: {name}={value!r}, but it must be {low} and <= 1")


SCHEDULES: dict[str, type[Schedule]] = {
    "adaptive": Adaptive,
    "constant": Constant,
    "decreasing": Decreasing,
    "exponential": Exponential,
    "invscaling": InverseScaling,
    "step": Step,
}


def schedule_of(given: Any) -> Schedule:
    """The schedule of a name or an instance.

    Raises
    ------
    ValueError
        With the known names.
    """
    if isinstance(given, Schedule):
        return given
    if isinstance(given, str) and given in SCHEDULES:
        return SCHEDULES[given]()
    raise ValueError(
        f"schedule={given!r}: expected one of {', '.join(map(repr, SCHEDULES))} or a Schedule"
    )
