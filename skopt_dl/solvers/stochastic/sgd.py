r"""Stochastic gradient descent, plain and with momentum.

Letters: w the iterate, g the gradient on a batch, v the velocity, :math:`\eta` the learning rate,
:math:`\beta` the momentum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState, curvature_step


@dataclass
class VelocityState(StochasticState):
    """Adds the velocity."""

    v: Any = None


class SGD(StochasticSolver):
    """Stochastic (proximal) gradient descent on shuffled batches.

    .. math:: w \\leftarrow \\operatorname{prox}_{\\eta\\Omega}\\big(w - \\eta g\\big)

    Needs gradients on batches of samples; the prox is left out where the objective is smooth.

    Parameters
    ----------
    learning_rate : float or "auto"
        Initial rate. "auto" is half the inverse of the largest curvature that the power method
        finds on three batches at the start.
    schedule : {"auto", "constant", "invscaling", "adaptive", "decreasing"} or Schedule
        How the rate changes; "auto" decreases it for a linear model whose rate is automatic.
    batch_size : int or "auto"
        Samples per update; "auto" is ``min(200, n_samples)``.
    shuffle : bool or {"once", "iid"}
        Permute the samples before each epoch, or "once", before the first; "iid" draws them with
        replacement.
    weight_decay : float
        :math:`\\lambda`, non-negative: an update begins with
        :math:`w \\leftarrow (1 - \\eta\\lambda) w`. It is no part of the objective.
    max_grad_norm : float, optional
        A longer gradient is shortened to this length; its direction stays.
    average : {"polyak", "ema", "swa"} or Average, optional
        Return an average of the iterates as the answer.

    Notes
    -----
    scikit-learn's ``solver="sgd"`` of the networks is `Nesterov` or `Momentum`, as their
    ``momentum`` and ``nesterovs_momentum`` say; this class has none.

    References
    ----------
    H. Robbins, S. Monro, "A stochastic approximation method", Ann. Math. Statist. 22 (1951);
    L. Bottou, F. Curtis, J. Nocedal, "Optimization methods for large-scale machine learning",
    SIAM Review 60 (2018); I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR
    2019.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD)
    coordinatewise: ClassVar[bool] = True

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        weight_decay: float = 0.0,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.batch_size, self.shuffle = batch_size, shuffle
        self.weight_decay = weight_decay
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> StochasticState:
        return StochasticState(w=w)

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return curvature_step(problem, w, self.batch_size)[0]

    def _step(self, problem: Any, state: StochasticState, g: Any) -> None:
        decay(state, self.weight_decay)
        problem.kernels.gradient_update(state.w, g, state.rate)
        if Trait.SMOOTH not in problem.traits:
            state.w = problem.prox(state.w, state.rate)


class Momentum(StochasticSolver):
    """SGD with Polyak's heavy ball.

    .. math::

        v &\\leftarrow \\beta v - \\eta g, \\qquad
        w^+ = \\operatorname{prox}_{\\eta\\Omega}(w + v), \\qquad v \\leftarrow w^+ - w

    Needs gradients on batches of samples; the prox is left out where the objective is smooth.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, weight_decay, max_grad_norm, average
        As for `SGD`; the automatic rate is multiplied by ``1 - momentum``, because the velocity
        sums that many gradients.
    momentum : float
        Share of the velocity that is kept, in [0, 1].

    Notes
    -----
    The velocity contains the rate, as in scikit-learn (in PyTorch it does not: there a change of
    the rate acts on past gradients too). After a prox the velocity is the step really taken; a
    fixed point is then a stationary point of the objective whatever the momentum.

    References
    ----------
    B. Polyak, "Some methods of speeding up the convergence of iteration methods", USSR Comput.
    Math. 4 (1964); P. Ochs, Y. Chen, T. Brox, T. Pock, "iPiano", SIAM J. Imaging Sci. 7 (2014).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD)
    coordinatewise: ClassVar[bool] = True

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        momentum: float = 0.9,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        weight_decay: float = 0.0,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.momentum, self.schedule = learning_rate, momentum, schedule
        self.batch_size, self.shuffle = batch_size, shuffle
        self.weight_decay = weight_decay
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> VelocityState:
        return VelocityState(w=w, v=problem.xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return fading(self.momentum) * curvature_step(problem, w, self.batch_size)[0]

    def _step(self, problem: Any, state: VelocityState, g: Any) -> None:
        decay(state, self.weight_decay)
        problem.kernels.momentum_update(state.w, g, state.v, state.rate, self.momentum, False)
        if Trait.SMOOTH not in problem.traits:
            w = problem.prox(state.w, state.rate)
            state.v += w - state.w
            state.w = w


class Nesterov(StochasticSolver):
    """SGD with Nesterov's momentum, in the form whose iterate is the point looked ahead to.

    .. math:: v \\leftarrow \\beta v - \\eta g, \\qquad w \\leftarrow w + \\beta v - \\eta g

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, weight_decay, max_grad_norm, average
        As for `SGD`; the automatic rate is multiplied by ``1 - momentum``.
    momentum : float
        Share of the velocity that is kept, in [0, 1].

    Notes
    -----
    scikit-learn's and PyTorch's variant: the gradient is taken at ``w``, which stands for
    ``x + beta v`` of the paper's iterate ``x``. The velocity contains the rate, see `Momentum`.

    References
    ----------
    Y. Nesterov, "A method of solving a convex programming problem with convergence rate
    O(1/k^2)", Soviet Math. Dokl. 27 (1983); I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the
    importance of initialization and momentum in deep learning", ICML 2013.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    coordinatewise: ClassVar[bool] = True

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        momentum: float = 0.9,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        weight_decay: float = 0.0,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.momentum, self.schedule = learning_rate, momentum, schedule
        self.batch_size, self.shuffle = batch_size, shuffle
        self.weight_decay = weight_decay
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> VelocityState:
        return VelocityState(w=w, v=problem.xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return fading(self.momentum) * curvature_step(problem, w, self.batch_size)[0]

    def _step(self, problem: Any, state: VelocityState, g: Any) -> None:
        decay(state, self.weight_decay)
        problem.kernels.momentum_update(state.w, g, state.v, state.rate, self.momentum, True)


def decay(state: Any, weight_decay: float) -> None:
    """Shrink the iterate by the rate times ``weight_decay``."""
    if weight_decay:
        state.w *= 1 - state.rate * weight_decay


def fading(momentum: float) -> float:
    """What one gradient adds to the velocity per unit of its lasting effect; never quite zero."""
    return max(1 - momentum, 1e-3)
