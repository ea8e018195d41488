r"""Nesterov's momentum with the schedule that trains deep networks from a sparse start.

Letters: w the iterate, g the gradient on a batch, v the velocity, :math:`\eta` the learning rate,
:math:`\mu` the momentum, t the update.
"""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, curvature_step
from skopt_dl.solvers.stochastic.sgd import VelocityState, fading


class GrowingNesterov(StochasticSolver):
    """Nesterov's accelerated gradient, its momentum growing towards a limit.

    .. math::

        \\mu_t &= \\min\\Big(1 - \\tfrac12 \\Big/ \\Big(\\Big\\lfloor \\frac{t}{T}
        \\Big\\rfloor + 1\\Big),\\ \\mu_{\\max}\\Big) \\\\
        v &\\leftarrow \\mu_t v - \\eta g, \\qquad w \\leftarrow w + \\mu_{t+1} v - \\eta g

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Momentum`; the automatic rate is that of the first momentum.
    momentum : float
        :math:`\\mu_{\\max}`, in [0, 1]; the authors tried 0.9, 0.99, 0.995 and 0.999.
    period : int
        T, updates between two values of the momentum, at least 1.
    settle_after : int, optional
        Updates after which the momentum is at most 0.9: the authors' last thousand, where the
        iterate comes to rest in the valley that it has followed.

    Notes
    -----
    The paper's :math:`2^{-1 - \\log_2(\\lfloor t/250 \\rfloor + 1)}` is the
    half over a count above.
    The iterate is the point looked ahead to, as in `Nesterov`; it looks with the momentum of the
    update to come. Our t begins at 0.

    References
    ----------
    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum
    in deep learning", ICML 2013.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        momentum: float = 0.99,
        period: int = 250,
        settle_after: int | None = None,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.momentum, self.period, self.settle_after = momentum, period, settle_after
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def momentum_at(self, t: int) -> float:
        """The momentum of update ``t``, the first of which is 0."""
        grown = min(1 - 0.5 / (t // self.period + 1), self.momentum)
        return grown if self.settle_after is None or t < self.settle_after else min(grown, 0.9)

    def _start(self, problem: Any, w: Any) -> VelocityState:
        return VelocityState(w=w, v=problem.xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        # Nesterov's steps are stable whatever the momentum; the noise is sized for the first one.
        return fading(self.momentum_at(0)) * curvature_step(problem, w, self.batch_size)[0]

    def _step(self, problem: Any, state: VelocityState, g: Any) -> None:
        now, later = (self.momentum_at(state.n_updates + k) for k in (-1, 0))
        problem.kernels.momentum_update(state.w, g, state.v, state.rate, now, True)
        if later != now:
            state.w += (later - now) * state.v
