r"""Averages of the iterates, returned as the answer in the place of the last one.

Stochastic steps wander around the optimum; the mean of where they have been is nearer to it. The
rule goes on from its own iterate, which the average never touches.

Letters: :math:`w_t` the iterate after update t, :math:`\bar w` its average, d the decay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from skopt_dl.engine.settings import Settings
from skopt_dl.solvers.stochastic.ranges import FRACTION, is_number


class Average(Settings, ABC):
    r""":math:`\bar w \leftarrow \bar w + s_t (w_t - \bar w)` with a share :math:`s_t`."""

    @abstractmethod
    def share(self, t: int) -> float:
        """What the iterate after update ``t`` (1, 2, ...) gets; 1 restarts the average there."""


class PolyakAverage(Average):
    r"""The mean of all iterates, :math:`s_t = 1 / (t - \text{burn in})`.

    Parameters
    ----------
    burn_in : int
        Updates that are not averaged: until then the answer is the last iterate.

    References
    ----------
    B. Polyak, A. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J.
    Control Optim. 30 (1992).
    """

    def __init__(self, burn_in: int = 0) -> None:
        self.burn_in = burn_in

    def share(self, t: int) -> float:
        return 1 / max(1, t - self.burn_in)


class EMA(Average):
    r"""Exponential moving average, :math:`s_t = (1 - d) / (1 - d^t)`.

    Parameters
    ----------
    decay : float
        d, in [0, 1): 0 is the last iterate, and near 1 it is the mean of all.

    Notes
    -----
    The denominator makes the weights of the iterates sum to one from the first update on. Without
    it (PyTorch's ``AveragedModel``, optax's plain ``ema``) the start keeps the weight
    :math:`d^t`.
    """

    def __init__(self, decay: float = 0.99) -> None:
        self.decay = decay

    def share(self, t: int) -> float:
        return (1 - self.decay) / (1 - self.decay**t)


class SWA(Average):
    r"""Stochastic weight averaging: the mean of every m-th iterate after a burn-in.

    Parameters
    ----------
    burn_in : int
        Updates until the first iterate that is averaged; the last iterate is the answer before.
    every : int
        m, updates between two of them, at least 1: an epoch, or a cycle of the learning rate.

    References
    ----------
    P. Izmailov, D. Podoprikhin, T. Garipov, D. Vetrov, A. G. Wilson, "Averaging weights leads to
    wider optima and better generalization", UAI 2018.
    """

    def __init__(self, burn_in: int = 0, every: int = 1) -> None:
        self.burn_in, self.every = burn_in, every

    def share(self, t: int) -> float:
        # The last iterate before the burn-in ends is the first of the mean.
        count, rest = divmod(t - self.burn_in, self.every)
        if t <= self.burn_in or count < 1:
            return 1.0
        return 0.0 if rest else 1 / count


AVERAGES: dict[str, type[Average]] = {"ema": EMA, "polyak": PolyakAverage, "swa": SWA}


def average_of(given: Any) -> Average | None:
    """The average of a name, an instance or ``None``.

    Raises
    ------
    ValueError
        With the known names, or with the setting that is out of range.
    """
    if isinstance(given, str) and given in AVERAGES:
        return AVERAGES[given]()
    if given is not None and not isinstance(given, Average):
        raise ValueError(
            f"average={given!r}: expected None, one of {', '.join(map(repr, AVERAGES))} or an "
            "Average"
        )
    if isinstance(given, EMA) and not (is_number(given.decay) and given.decay in FRACTION):
        raise ValueError(f"EMA: decay={given.decay!r}, but it must be a number {FRACTION}")
    for name, least in (("burn_in", 0), ("every", 1)):
        value = getattr(given, name, least)
        if not (isinstance(value, int) and value >= least):
            raise ValueError(
                f"{type(given).__name__}: {name}={value!r}, but it must be an integer >= {least}"
            )
    return given
