r"""Adam's variants: its maximum, its decoupled decay, Nesterov's and a rectified step.

Letters: w the iterate, g the gradient on a batch, m and v its first and second moment,
:math:`\eta` the learning rate, t the number of updates. Epsilon is where `Adam` has it, added to
the root of the second moment before its correction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.adam import AdamState
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver
from skopt_dl.solvers.stochastic.rates import NETWORK_RATE, coordinate_rate

# Effective length of the average above which its variance is finite and known well enough.
CERTAIN = 5
# r is about a quarter where the first hundred updates are done.
WARM = 4


@dataclass
class AMSGradState(AdamState):
    """Adds the largest second moment so far."""

    top: Any = None


@dataclass
class NAdamState(AdamState):
    """Adds the product of the momenta so far."""

    product: float = 1.0


def corrections(beta_1: float, beta_2: float, t: int) -> float:
    """Both bias corrections of Adam after ``t`` updates, as a factor of the rate."""
    return math.sqrt(1 - beta_2**t) / (1 - beta_1**t)


class AMSGrad(StochasticSolver):
    """AMSGrad: Adam with the largest second moment so far, so that no step grows again.

    .. math::

        m, v \\text{ as in Adam}, \\qquad \\hat v \\leftarrow \\max(\\hat v, v), \\qquad
        w \\leftarrow w - \\eta \\frac{\\sqrt{1 - \\beta_2^t}}{1 - \\beta_1^t}\\,
        \\frac{m}{\\sqrt{\\hat v} + \\varepsilon}

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`.
    beta_1, beta_2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        Added to the root of the largest second moment, non-negative.

    Notes
    -----
    The bias corrections are Adam's (as in PyTorch); the paper has none.

    References
    ----------
    S. Reddi, S. Kale, S. Kumar, "On the convergence of Adam and beyond", ICLR 2018.
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

    def _start(self, problem: Any, w: Any) -> AMSGradState:
        zeros = problem.xp.zeros_like
        return AMSGradState(w=w, m=zeros(w), v=zeros(w), top=zeros(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: AMSGradState, g: Any) -> None:
        problem.kernels.amsgrad_update(
            state.w,
            g,
            state.m,
            state.v,
            state.top,
            state.rate * corrections(self.beta_1, self.beta_2, state.n_updates),
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )


class AdamW(StochasticSolver):
    """AdamW: Adam with a decay of the weights that is no part of the gradient.

    .. math::

        w \\leftarrow (1 - \\eta \\lambda) w, \\quad\\text{then Adam's update}

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`.
    beta_1, beta_2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        As for `Adam`.
    weight_decay : float
        :math:`\\lambda`, non-negative; 0 is Adam.

    Notes
    -----
    The decay acts on every parameter, intercepts included, and comes on top of the penalty of the
    objective: the answer is not the minimiser of that objective. Unlike a penalty it is not divided
    by the second moment. Multiplied by the rate as in PyTorch; the paper's is not. The automatic
    rate of a linear model is in units of its coefficients: there the decay has a network's rate,
    on the same schedule.

    References
    ----------
    I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
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
        weight_decay: float = 0.01,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.weight_decay = weight_decay
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> AdamState:
        return AdamState(w=w, m=problem.xp.zeros_like(w), v=problem.xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: AdamState, g: Any) -> None:
        rate = state.rate
        if self.learning_rate == "auto" and Trait.LINEAR_MODEL in problem.traits and rate > 0:
            rate = NETWORK_RATE * rate / state.initial_rate
        state.w *= 1 - rate * self.weight_decay
        problem.kernels.adam_update(
            state.w,
            g,
            state.m,
            state.v,
            state.rate * corrections(self.beta_1, self.beta_2, state.n_updates),
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )


class NAdam(StochasticSolver):
    """NAdam: Adam with Nesterov's momentum, which grows from half its value.

    .. math::

        \\mu_t &= \\beta_1 \\big(1 - \\tfrac12\\, 0.96^{t \\psi}\\big), \\qquad
        m, v \\text{ as in Adam} \\\\
        w &\\leftarrow w - \\eta \\sqrt{1 - \\beta_2^t}\\, \\Big(
        \\frac{\\mu_{t+1}\\, m}{1 - \\prod_{i \\le t+1} \\mu_i} +
        \\frac{(1 - \\mu_t)\\, g}{1 - \\prod_{i \\le t} \\mu_i} \\Big) \\Big/
        (\\sqrt{v} + \\varepsilon)

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`.
    beta_1, beta_2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        As for `Adam`, non-negative.
    momentum_decay : float
        :math:`\\psi`, non-negative; with 0 the momentum is always half of ``beta_1``.

    References
    ----------
    T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016.
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
        momentum_decay: float = 0.004,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.momentum_decay = momentum_decay
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> NAdamState:
        return NAdamState(w=w, m=problem.xp.zeros_like(w), v=problem.xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: NAdamState, g: Any) -> None:
        t = state.n_updates
        now, later = self._momentum(t), self._momentum(t + 1)
        state.product *= now
        scale = state.rate * math.sqrt(1 - self.beta_2**t)
        problem.kernels.nadam_update(
            state.w,
            g,
            state.m,
            state.v,
            scale * later / (1 - state.product * later),
            scale * (1 - now) / (1 - state.product),
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )

    def _momentum(self, t: int) -> float:
        return self.beta_1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))


class RAdam(StochasticSolver):
    """RAdam: Adam without its scale while the second moment is still too uncertain.

    .. math::

        \\rho_\\infty &= \\frac{2}{1 - \\beta_2} - 1, \\qquad
        \\rho_t = \\rho_\\infty - \\frac{2 t \\beta_2^t}{1 - \\beta_2^t} \\\\
        w &\\leftarrow w - \\eta\\, r_t\\, \\frac{\\sqrt{1 - \\beta_2^t}}{1 - \\beta_1^t}\\,
        \\frac{m}{\\sqrt{v} + \\varepsilon}, \\qquad
        r_t^2 = \\frac{(\\rho_t - 4)(\\rho_t - 2)\\, \\rho_\\infty}
        {(\\rho_\\infty - 4)(\\rho_\\infty - 2)\\, \\rho_t} \\quad\\text{if } \\rho_t > 5 \\\\
        w &\\leftarrow w - \\eta\\, \\frac{m}{1 - \\beta_1^t} \\quad\\text{else}

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`; for a linear model the automatic rate is four times Adam's, because r grows
        from almost 0 to 1 while the rate falls.
    beta_1, beta_2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        As for `Adam`, non-negative.

    Notes
    -----
    The first, unscaled steps depend on the scale of the gradient. With the automatic rate of a
    linear model, which is in units of its coefficients, they are scaled too, with the r of
    :math:`\\rho = 5`. The bound of 5 is that of the authors' code and PyTorch; the paper's is 4.

    References
    ----------
    L. Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020.
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
        return AdamState(w=w, m=problem.xp.zeros_like(w), v=problem.xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        rate = coordinate_rate(problem, w, self.batch_size)
        return WARM * rate if Trait.LINEAR_MODEL in problem.traits else rate

    def _step(self, problem: Any, state: AdamState, g: Any) -> None:
        t, b1, b2 = state.n_updates, self.beta_1, self.beta_2
        step = state.rate * corrections(b1, b2, t)
        longest = 2 / (1 - b2) - 1
        length = longest - 2 * t * b2**t / (1 - b2**t)
        # An unscaled step has the units of the gradient, not those of a rate for coefficients.
        scaled = self.learning_rate == "auto" and Trait.LINEAR_MODEL in problem.traits
        if scaled:
            length = max(length, CERTAIN)
        if scaled or length > CERTAIN:
            if longest > CERTAIN:
                shrink = (length - 4) * (length - 2) * longest
                step *= math.sqrt(shrink / ((longest - 4) * (longest - 2) * length))
            problem.kernels.adam_update(state.w, g, state.m, state.v, step, b1, b2, self.epsilon)
        else:
            problem.kernels.moments_update(g, state.m, state.v, b1, b2)
            problem.kernels.gradient_update(state.w, state.m, state.rate / (1 - b1**t))
