r"""Sharpness-aware minimisation: gradients at the worst point nearby.

Letters: w the iterate, g the gradient on a batch, v the velocity, :math:`\eta` the learning rate,
:math:`\beta` the momentum, :math:`\rho` the radius.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, clipped, curvature_step
from skopt_dl.solvers.stochastic.sgd import VelocityState, fading


@dataclass
class NearbyState(VelocityState):
    """Adds memory for the point nearby."""

    near: Any = None


class SAM(StochasticSolver):
    """SAM, sharpness-aware minimisation, with momentum.

    .. math::

        g &= \\nabla f\\Big(w + \\rho \\frac{\\nabla f(w)}{\\|\\nabla f(w)\\|}\\Big), \\qquad
        v \\leftarrow \\beta v - \\eta g, \\qquad w \\leftarrow w + v

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Momentum`.
    radius : float
        :math:`\\rho`, non-negative, in the units of the parameters; 0 is `Momentum`.
    momentum : float
        Share of the velocity that is kept, in [0, 1].

    Notes
    -----
    An update costs two gradients on the same batch. It looks for flat valleys of objectives that
    are not convex; of a quadratic it keeps the optimum, up to a wander of the size of the radius.

    References
    ----------
    P. Foret, A. Kleiner, H. Mobahi, B. Neyshabur, "Sharpness-aware minimization for efficiently
    improving generalization", ICLR 2021.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        radius: float = 0.05,
        momentum: float = 0.9,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.radius, self.momentum = radius, momentum
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> NearbyState:
        return NearbyState(w=w, v=problem.xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return fading(self.momentum) * curvature_step(problem, w, self.batch_size)[0]

    def _step(self, problem: Any, state: NearbyState, g: Any) -> None:
        if self.radius > 0:
            xp = problem.xp
            length = xp.sqrt(g @ g)
            share = self.radius / xp.where(length > 0, length, xp.ones_like(length))
            if state.near is None:
                state.near = xp.zeros_like(g)
            near = problem.kernels.shifted(state.w, g, share, state.near)
            g = problem.sample_grad(near, state.batch[0])[1]
            g = clipped(xp, g, self.max_grad_norm, state.spare)
        problem.kernels.momentum_update(state.w, g, state.v, state.rate, self.momentum, False)
