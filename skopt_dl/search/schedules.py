r"""Learning-rate schedules: how the step of a stochastic rule changes from epoch to epoch.

A schedule is asked after each epoch, and when progress has stopped; it answers in plain numbers.
Letters: :math:`\eta_0` the initial rate, k the epochs done, t the samples seen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from skopt_dl.engine.settings import Settings


class Schedule(Settings, ABC):
    """The learning rate as a function of progress."""

    @abstractmethod
    def after_epoch(self, initial: float, rate: float, n_epochs: float, n_samples: int) -> float:
        """The rate of the next epoch, from the initial and the current one."""

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


SCHEDULES: dict[str, type[Schedule]] = {
    "adaptive": Adaptive,
    "constant": Constant,
    "decreasing": Decreasing,
    "invscaling": InverseScaling,
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
