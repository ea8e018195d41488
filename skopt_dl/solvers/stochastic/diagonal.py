r"""Rules that scale coordinates by the curvature along them, found with random signs.

Letters: w the iterate, g the gradient on a batch, z a vector of random signs, H the batch's
Hessian, m the first moment of g, h or v the running curvature, :math:`\eta` the learning rate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.kernels.memory import Memory, in_pieces
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState
from skopt_dl.solvers.stochastic.metrics import random_signs
from skopt_dl.solvers.stochastic.rates import coordinate_rate
from skopt_dl.solvers.stochastic.sampling import probe

NEEDS = Needs.of(Oracle.SAMPLE_GRAD, Oracle.SAMPLE_HVP, Trait.SMOOTH)
# The authors' rate of AdaHessian for networks.
NETWORK_RATE = 0.1
# One draw can vanish along a coordinate by chance (signs that are alike where only differences
# bend), and so can the curvature of one batch. The first moment is therefore the mean of so many
# squares, on batches from all over the samples; no later square is alone.
FIRST_DRAWS = 10


@dataclass
class DiagonalState(StochasticState):
    """Adds the moments of the gradient and of the curvature, how often the latter was seen, and
    memory to work in."""

    m: Any = None
    h: Any = None
    n_seen: int = 0
    draws: Any = None
    memory: Memory = field(default_factory=Memory)


def curvature_diagonal(problem: Any, state: Any, index: Any) -> Any:
    """An unbiased estimate of the diagonal of the Hessian on a batch, ``z * (H z)`` (Hutchinson).

    Its variance in coordinate i is the sum of the squares of the other entries of row i. The next
    call overwrites it.
    """
    z = random_signs(problem, state.draws, state.memory.array("signs", state.w.shape, state.w))
    z *= problem.sample_hvp(state.w, index, memory=state.memory)(z)
    return z


def _first_looks(problem: Any, index: Any) -> list[Any]:
    """The batches of the first moment, this one and others; few are looked at again."""
    others = probe(problem, index.shape[0], FIRST_DRAWS - 1)
    return list(islice(cycle([index, *others]), FIRST_DRAWS))


class AdaHessian(StochasticSolver):
    """AdaHessian: Adam with the diagonal of the Hessian in place of the gradient.

    .. math::

        m &\\leftarrow \\beta_1 m + (1 - \\beta_1) g, \\qquad
        v \\leftarrow \\beta_2 v + (1 - \\beta_2) (z \\odot H z)^2 \\\\
        w &\\leftarrow w - \\eta\\, \\hat m / (\\hat v^{k/2} + \\varepsilon)

    with the moments' biases corrected.

    Needs gradients and Hessian products on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate : float or "auto"
        "auto" is 0.1 for a network, 0.2 for a linear model.
    beta_1, beta_2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        Added to the curvature, positive.
    power : float
        k, in [0, 1]: 1 is a Newton step by coordinate, 0 a plain one.
    schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`.

    Notes
    -----
    A product with the Hessian each update, about two gradients; ten at the first one, whose moment
    is a mean over batches and so safe to divide by. The paper averages the estimates
    within blocks of convolutions; here each coordinate has its own.

    References
    ----------
    Z. Yao, A. Gholami, S. Shen, M. Mustafa, K. Keutzer, M. Mahoney, "AdaHessian: an adaptive second
    order optimizer for machine learning", AAAI 2021.
    """

    needs: ClassVar[Needs] = NEEDS

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        power: float = 1.0,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.beta_1, self.beta_2, self.epsilon, self.power = beta_1, beta_2, epsilon, power
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> DiagonalState:
        return _start(self, problem, w)

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return 0.2 if Trait.LINEAR_MODEL in problem.traits else NETWORK_RATE

    def _step(self, problem: Any, state: DiagonalState, g: Any) -> None:
        xp, kernels, t = problem.xp, problem.kernels, state.n_updates
        kernels.mean_update(state.m, g, self.beta_1)
        index = state.batch[0]
        looks = _first_looks(problem, index) if t == 1 else [index]
        squares = state.memory.array("squares", state.w.shape, state.w)
        squares[...] = 0
        for look in looks:
            seen = curvature_diagonal(problem, state, look)
            seen *= seen
            squares += seen
        squares /= len(looks)
        kernels.mean_update(state.h, squares, self.beta_2)
        step, correction = state.rate / (1 - self.beta_1**t), 1 - self.beta_2**t

        def moved(w: Any, m: Any, v: Any) -> Any:
            return w - step * m / (xp.sqrt(v / correction) ** self.power + self.epsilon)

        in_pieces(moved, state.w, state.w, state.m, state.h)


class Sophia(StochasticSolver):
    """Sophia: a diagonal Newton step of averages, no coordinate longer than the rate.

    .. math::

        m &\\leftarrow \\beta_1 m + (1 - \\beta_1) g, \\qquad
        h \\leftarrow \\beta_2 h + (1 - \\beta_2)\\, z \\odot H z \\\\
        w &\\leftarrow (1 - \\eta\\lambda) w - \\eta \\operatorname{clip}\\Big(
        \\frac{m}{\\max(\\gamma h, \\varepsilon)}, 1\\Big)

    with h renewed every ``refresh`` updates.

    Needs gradients and Hessian products on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate : float or "auto"
        The longest change of a coordinate in an update; "auto" as for `Adam`.
    beta_1, beta_2 : float
        Decay of the two means, in [0, 1).
    scale : float
        :math:`\\gamma`, positive: how much curvature a full step takes.
    epsilon : float
        The least curvature, positive.
    weight_decay : float
        :math:`\\lambda`, non-negative; apart from the penalty of the objective.
    refresh : int
        Updates between two looks at the curvature, at least 1.
    schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`.

    Notes
    -----
    Negative curvature counts as the least: such coordinates move by the rate, as those of sign
    methods do. The estimator is Hutchinson's (Sophia-H).

    References
    ----------
    H. Liu, Z. Li, D. Hall, P. Liang, T. Ma, "Sophia: a scalable stochastic second-order optimizer
    for language model pre-training", ICLR 2024.
    """

    needs: ClassVar[Needs] = NEEDS
    decreases: ClassVar = "always"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        beta_1: float = 0.96,
        beta_2: float = 0.99,
        scale: float = 0.01,
        epsilon: float = 1e-12,
        weight_decay: float = 0.0,
        refresh: int = 10,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.beta_1, self.beta_2, self.scale = beta_1, beta_2, scale
        self.epsilon, self.weight_decay, self.refresh = epsilon, weight_decay, refresh
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> DiagonalState:
        return _start(self, problem, w)

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: DiagonalState, g: Any) -> None:
        kernels = problem.kernels
        kernels.mean_update(state.m, g, self.beta_1)
        if (state.n_updates - 1) % self.refresh == 0:
            seen = curvature_diagonal(problem, state, state.batch[0])
            kernels.mean_update(state.h, seen, self.beta_2 if state.n_seen else 0.0)
            state.n_seen += 1
        kernels.clipped_newton_update(
            state.w,
            state.m,
            state.h,
            state.rate,
            self.scale,
            self.epsilon,
            self.weight_decay,
        )


def _start(solver: Any, problem: Any, w: Any) -> DiagonalState:
    if not solver.epsilon > 0:
        raise ValueError(
            f"{type(solver).__name__}: epsilon={solver.epsilon!r}, but it must be positive"
        )
    xp = problem.xp
    return DiagonalState(w=w, m=xp.zeros_like(w), h=xp.zeros_like(w))
