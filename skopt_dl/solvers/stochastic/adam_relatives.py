r"""Adam's relatives with another norm or another memory: Adamax, Adan and AdEMAMix.

Letters: w the iterate, g the gradient on a batch, m its running mean, v, u and n second moments,
:math:`\eta` the learning rate, t the number of updates.
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
from skopt_dl.solvers.stochastic.rates import coordinate_rate


@dataclass
class AdanState(AdamState):
    """Adds the mean change of the gradient, and the last gradient."""

    d: Any = None
    last: Any = None


@dataclass
class AdEMAMixState(AdamState):
    """Adds the slow mean."""

    slow: Any = None


class Adamax(StochasticSolver):
    """Adamax: Adam with the largest of the faded gradients in the place of their mean square.

    .. math::

        m &\\leftarrow \\beta_1 m + (1 - \\beta_1) g, \\qquad
        u \\leftarrow \\max(\\beta_2 u, |g| + \\varepsilon) \\\\
        w &\\leftarrow w - \\frac{\\eta}{1 - \\beta_1^t}\\, \\frac{m}{u}

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`.
    beta_1, beta_2 : float
        Decay of the mean and of the largest, in [0, 1).
    epsilon : float
        Added to the size of each gradient, non-negative (as in PyTorch; the paper has none).

    References
    ----------
    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 7.
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
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: AdamState, g: Any) -> None:
        rate = state.rate / (1 - self.beta_1**state.n_updates)
        problem.kernels.adamax_update(
            state.w, g, state.m, state.v, rate, self.beta_1, self.beta_2, self.epsilon
        )


class Adan(StochasticSolver):
    """Adan: Nesterov's momentum from the mean change of the gradient, scaled as in Adam.

    .. math::

        m &\\leftarrow \\beta_1 m + (1 - \\beta_1) g, \\qquad
        d \\leftarrow \\beta_2 d + (1 - \\beta_2) (g - g^-) \\\\
        n &\\leftarrow \\beta_3 n + (1 - \\beta_3) \\big(g + \\beta_2 (g - g^-)\\big)^2 \\\\
        w &\\leftarrow w - \\eta\\, \\Big(\\frac{m}{1 - \\beta_1^t} +
        \\frac{\\beta_2\\, d}{1 - \\beta_2^t}\\Big) \\Big/
        \\Big(\\sqrt{\\tfrac{n}{1 - \\beta_3^t}} + \\varepsilon\\Big)

    with :math:`g^-` the gradient before, the same as g in the first update.

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`.
    beta_1, beta_2, beta_3 : float
        Decay of the three means, in [0, 1).
    epsilon : float
        Added to the root of the corrected second moment, non-negative.

    Notes
    -----
    The decays are one minus those of the paper; the bias corrections are those of its code. optax
    weighs the change of the gradient by :math:`1 - \\beta_2` of these decays, which is the paper's
    formula with one of its letters read in the other convention.

    References
    ----------
    X. Xie, P. Zhou, H. Li, Z. Lin, S. Yan, "Adan: adaptive Nesterov momentum algorithm for faster
    optimizing deep models", IEEE TPAMI 46 (2024).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        beta_1: float = 0.98,
        beta_2: float = 0.92,
        beta_3: float = 0.99,
        epsilon: float = 1e-8,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.beta_1, self.beta_2, self.beta_3 = beta_1, beta_2, beta_3
        self.epsilon = epsilon
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> AdanState:
        zeros = problem.xp.zeros_like
        return AdanState(w=w, m=zeros(w), v=zeros(w), d=zeros(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: AdanState, g: Any) -> None:
        t = state.n_updates
        if state.last is None:
            state.last = problem.xp.asarray(g, copy=True)
        problem.kernels.adan_update(
            state.w,
            g,
            state.last,
            state.m,
            state.d,
            state.v,
            state.rate / (1 - self.beta_1**t),
            state.rate * self.beta_2 / (1 - self.beta_2**t),
            1 - self.beta_3**t,
            self.beta_1,
            self.beta_2,
            self.beta_3,
            self.epsilon,
        )


class AdEMAMix(StochasticSolver):
    """AdEMAMix: Adam with a second, much longer mean of the gradients.

    .. math::

        m, v \\text{ as in Adam}, \\qquad s \\leftarrow \\beta_3 s + (1 - \\beta_3) g, \\qquad
        w \\leftarrow w - \\eta\\, \\frac{m / (1 - \\beta_1^t) + \\alpha\\, s}
        {\\sqrt{v / (1 - \\beta_2^t)} + \\varepsilon}

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`.
    beta_1, beta_2 : float
        Decay of Adam's moments, in [0, 1).
    beta_3 : float
        Decay of the slow mean, in [0, 1).
    slow_share : float
        :math:`\\alpha`, weight of the slow mean, non-negative; 0 is Adam.
    epsilon : float
        Added to the root of the corrected second moment, non-negative.

    Notes
    -----
    The paper lets :math:`\\alpha` and :math:`\\beta_3` grow to these values over a long training;
    here they are constant, and the slow mean, which starts at zero, has no bias correction.

    References
    ----------
    M. Pagliardini, P. Ablin, D. Grangier, "The AdEMAMix optimizer: better, faster, older", ICLR
    2025.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        beta_3: float = 0.9999,
        slow_share: float = 5.0,
        epsilon: float = 1e-8,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.beta_1, self.beta_2, self.beta_3 = beta_1, beta_2, beta_3
        self.slow_share, self.epsilon = slow_share, epsilon
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> AdEMAMixState:
        zeros = problem.xp.zeros_like
        return AdEMAMixState(w=w, m=zeros(w), v=zeros(w), slow=zeros(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: AdEMAMixState, g: Any) -> None:
        t, root = state.n_updates, math.sqrt(1 - self.beta_2**state.n_updates)
        problem.kernels.ademamix_update(
            state.w,
            g,
            state.m,
            state.v,
            state.slow,
            state.rate * root / (1 - self.beta_1**t),
            state.rate * root * self.slow_share,
            self.beta_1,
            self.beta_2,
            self.beta_3,
            root * self.epsilon,
        )
