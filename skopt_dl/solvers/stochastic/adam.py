r"""Adam: steps scaled by running moments of the gradient.

Letters: w the iterate, g the gradient on a batch, m and v its first and second moment,
:math:`\eta` the learning rate, t the number of updates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState
from skopt_dl.solvers.stochastic.rates import coordinate_rate


@dataclass
class AdamState(StochasticState):
    """Adds the moments."""

    m: Any = None
    v: Any = None


class Adam(StochasticSolver):
    """Adam, adaptive moment estimation.

    .. math::

        m &\\leftarrow \\beta_1 m + (1 - \\beta_1) g, \\qquad
        v \\leftarrow \\beta_2 v + (1 - \\beta_2) g^2 \\\\
        w &\\leftarrow w - \\eta \\frac{\\sqrt{1 - \\beta_2^t}}{1 - \\beta_1^t}\\,
        \\frac{m}{\\sqrt{v} + \\varepsilon}

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate : float or "auto"
        Initial rate, about the largest change of a parameter in one update. "auto" is 0.001 for a
        network; for a linear model, whose coefficients have no natural size, it is the largest
        coordinate of a stable gradient step at the start.
    beta_1, beta_2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        Added to the root of the second moment, positive.
    schedule : {"auto", "constant", "invscaling", "adaptive", "decreasing"} or Schedule
        How the rate changes; "auto" decreases it for a linear model whose rate is automatic.
    batch_size : int or "auto"
        Samples per update; "auto" is ``min(200, n_samples)``.
    shuffle : bool or {"once", "iid"}
        Permute the samples before each epoch, or "once", before the first; "iid" draws them with
        replacement.
    max_grad_norm : float, optional
        A longer gradient is shortened to this length; its direction stays.
    average : {"polyak", "ema", "swa"} or Average, optional
        Return an average of the iterates as the answer.

    Notes
    -----
    Epsilon is added to the root of the moment *before* its bias correction (the paper's closing
    remark of section 2, and scikit-learn). PyTorch adds it after: its epsilon is ours divided by
    :math:`\\sqrt{1 - \\beta_2^t}`, which matters in the first steps only.

    References
    ----------
    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    coordinatewise: ClassVar[bool] = True

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> AdamState:
        if not self.epsilon > 0:
            raise ValueError(f"Adam: epsilon={self.epsilon!r}, but it must be positive")
        xp = problem.xp
        return AdamState(w=w, m=xp.zeros_like(w), v=xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: AdamState, g: Any) -> None:
        t = state.n_updates
        correction = math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        problem.kernels.adam_update(
            state.w,
            g,
            state.m,
            state.v,
            state.rate * correction,
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )
