r"""RMSprop and its kin: steps scaled by a running mean of squared gradients.

Letters: w the iterate, g the gradient on a batch, r its running mean square, m its running mean,
v the velocity, s the running mean square of the steps, :math:`\eta` the learning rate,
:math:`\rho` the decay, :math:`\beta` the momentum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState
from skopt_dl.solvers.stochastic.rates import coordinate_rate
from skopt_dl.solvers.stochastic.sgd import fading


@dataclass
class SquaresState(StochasticState):
    """Adds the running mean square, and what a rule keeps beside it."""

    r: Any = None
    m: Any = None
    v: Any = None
    s: Any = None


class RMSprop(StochasticSolver):
    """RMSprop: each coordinate's gradient divided by its recent root mean square.

    .. math::

        r &\\leftarrow \\rho r + (1 - \\rho) g^2, \\qquad
        m \\leftarrow \\rho m + (1 - \\rho) g \\quad\\text{(centred)} \\\\
        w &\\leftarrow w - \\eta \\frac{g}{\\sqrt{r} + \\varepsilon} \\quad\\text{or}\\quad
        w \\leftarrow w - \\eta \\frac{g}{\\sqrt{r - m^2} + \\varepsilon}

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`.
    decay : float
        Share of the mean square that is kept, in [0, 1).
    epsilon : float
        Added to the root, non-negative.
    centered : bool
        Divide by the standard deviation: the square of the running mean is subtracted.

    Notes
    -----
    Epsilon is outside the root, as in PyTorch; optax and some textbooks have it inside, which is
    another method for small gradients. The means start at 0 without correction, so the first step
    of the plain form is :math:`\\eta / \\sqrt{1 - \\rho}`. A variance that rounding makes negative
    is 0.

    References
    ----------
    T. Tieleman, G. Hinton, "Lecture 6.5: RMSProp", Coursera, 2012; A. Graves, "Generating sequences
    with recurrent neural networks", arXiv 1308.0850 (centred).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    coordinatewise: ClassVar[bool] = True
    decreases: ClassVar = "always"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        decay: float = 0.9,
        epsilon: float = 1e-8,
        centered: bool = False,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.decay, self.epsilon, self.centered = decay, epsilon, centered
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> SquaresState:
        zero = problem.xp.zeros_like(w)
        m = problem.xp.zeros_like(w) if self.centered else None
        return SquaresState(w=w, r=zero, m=m)

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: SquaresState, g: Any) -> None:
        problem.kernels.rmsprop_update(
            state.w, g, state.r, state.m, state.rate, self.decay, self.epsilon
        )


class RMSpropNesterov(StochasticSolver):
    """RMSprop with Nesterov's momentum.

    .. math::

        r &\\leftarrow \\rho r + (1 - \\rho) g^2, \\qquad
        d = \\frac{g}{\\sqrt{r} + \\varepsilon} \\\\
        v &\\leftarrow \\beta v - \\eta d, \\qquad w \\leftarrow w + \\beta v - \\eta d

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`; the automatic rate is multiplied by ``1 - momentum``.
    momentum : float
        Share of the velocity that is kept, in [0, 1]; 0 is `RMSprop`.
    decay, epsilon : float
        As for `RMSprop`.

    Notes
    -----
    As in `Nesterov` the iterate is the point looked ahead to, ``w = x + beta v`` with the paper's
    x: the look ahead is discarded before the velocity's own step, never added twice. Textbooks have
    epsilon inside the root; here it is where `RMSprop` has it.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, "Deep learning", MIT Press 2016, algorithm 8.6.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    decreases: ClassVar = "always"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        momentum: float = 0.9,
        decay: float = 0.9,
        epsilon: float = 1e-8,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.momentum, self.decay, self.epsilon = momentum, decay, epsilon
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> SquaresState:
        return SquaresState(w=w, r=problem.xp.zeros_like(w), v=problem.xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return fading(self.momentum) * coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: SquaresState, g: Any) -> None:
        problem.kernels.rmsprop_nesterov_update(
            state.w,
            g,
            state.r,
            state.v,
            state.rate,
            self.momentum,
            self.decay,
            self.epsilon,
        )


class AdaDelta(StochasticSolver):
    """AdaDelta: steps with the units of the parameters, without a learning rate.

    .. math::

        r &\\leftarrow \\rho r + (1 - \\rho) g^2, \\qquad
        d = \\frac{\\sqrt{s + \\varepsilon}}{\\sqrt{r + \\varepsilon}}\\, g \\\\
        w &\\leftarrow w - d, \\qquad s \\leftarrow \\rho s + (1 - \\rho) d^2

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    decay : float
        Share of both mean squares that is kept, in [0, 1).
    epsilon : float
        Inside both roots, non-negative; its root is the size of the first steps.
    batch_size, shuffle, max_grad_norm, average
        As for `Adam`.

    Notes
    -----
    The mean square of the steps is updated after its use. There is no learning rate, as in the
    paper; PyTorch's multiplies d. Up to epsilon the path does not depend on the scale of the loss.

    References
    ----------
    M. Zeiler, "ADADELTA: an adaptive learning rate method", arXiv 1212.5701, 2012.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    coordinatewise: ClassVar[bool] = True
    learning_rate = 1.0
    schedule = "constant"

    def __init__(
        self,
        *,
        decay: float = 0.95,
        epsilon: float = 1e-6,
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.decay, self.epsilon = decay, epsilon
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> SquaresState:
        return SquaresState(w=w, r=problem.xp.zeros_like(w), s=problem.xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return 1.0

    def _step(self, problem: Any, state: SquaresState, g: Any) -> None:
        problem.kernels.adadelta_update(state.w, g, state.r, state.s, self.decay, self.epsilon)
