r"""Quasi-Newton methods on batches: curvature pairs that noise does not spoil.

Letters: w the iterate, g the gradient on a batch, H the inverse Hessian of the pairs, s a step and
y the change of the gradient over it, :math:`\eta` the learning rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.quasi_newton import BlockInverseHessian, InverseHessian
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState, curvature_step
from skopt_dl.solvers.stochastic.metrics import (
    random_directions,
    sample_of,
    stable_length,
    warm_length,
)
from skopt_dl.solvers.stochastic.ranges import is_number

# What the curvature of all pairs is raised by, in units of the largest seen: condition 10 at most.
RAISED = 0.1
# Powell's damping keeps at least this share of the curvature that the last matrix had along s.
KEPT = 0.25


@dataclass
class PairState(StochasticState):
    """Adds the metric of the pairs, the largest curvature seen, the step that both allow and the
    direction that limits it, and running sums of iterates."""

    H: Any = None
    largest: Any = 0.0
    length: float = 1.0
    steepest: Any = None
    total: Any = None
    last_mean: Any = None
    fresh_epoch: int = -1
    draws: Any = None


class OnlineBFGS(StochasticSolver):
    """Online L-BFGS: both gradients of a pair from the same batch (oLBFGS).

    .. math::

        w^+ = w - \\eta H g_B(w), \\qquad s = w^+ - w, \\qquad
        y = g_B(w^+) - g_B(w) + \\lambda s

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate : float or "auto"
        "auto" is half of what the steepest direction of a batch allows in the metric H, found anew
        for each of the first pairs, and later whenever all pairs have been replaced.
    memory : int
        Pairs kept.
    damping : float or "auto"
        :math:`\\lambda`, non-negative: what the pairs' curvature is raised by. "auto" is a tenth
        of the largest curvature :math:`s'y / s's` of all pairs so far, and 0 where a batch has all
        samples.
    schedule, batch_size, shuffle, max_grad_norm, average
        As for `SGD`.

    Notes
    -----
    Two gradients a step. The difference has no noise of sampling in it, only that of the batch's
    own curvature. A batch that hardly bends makes H long along its step for as long as its pair is
    kept, and the next ones are not so flat: that is what the damping prevents; the paper has 0.

    References
    ----------
    N. Schraudolph, J. Yu, S. Günter, "A stochastic quasi-Newton method for online convex
    optimization", AISTATS 2007; A. Mokhtari, A. Ribeiro, "Global convergence of online limited
    memory BFGS", JMLR 16 (2015).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        memory: int = 10,
        damping: float | str = "auto",
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.memory, self.damping = memory, damping
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> PairState:
        if self.damping != "auto" and not (is_number(self.damping) and self.damping >= 0):  # type: ignore[operator]
            raise ValueError(
                f"OnlineBFGS: damping={self.damping!r}, but it must be 'auto' or a number >= 0"
            )
        return _first(self, problem, w)

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return 1.0

    def _step(self, problem: Any, state: PairState, g: Any) -> None:
        g = problem.xp.asarray(g, copy=True)
        _follow(self, problem, state)
        s = -(state.rate * state.length) * state.H.apply(g)
        state.w = state.w + s
        y = problem.sample_grad(state.w, state.batch[0])[1] - g
        state.H.push(s, y + self._raised(problem, state, s, y) * s)

    def _raised(self, problem: Any, state: PairState, s: Any, y: Any) -> float:
        """The damping."""
        if self.damping != "auto":
            return self.damping  # type: ignore[return-value]
        if state.batch[0].shape[0] == problem.n_samples:
            return 0.0
        square = to_float(s @ s)
        state.largest = max(state.largest, to_float(s @ y) / square if square > 0 else 0.0)
        return RAISED * state.largest


class SdLBFGS(StochasticSolver):
    """Stochastic damped L-BFGS, for objectives that are not convex (SdLBFGS).

    .. math::

        \\bar y = \\theta y + (1 - \\theta) B_0 s, \\qquad
        \\theta = \\begin{cases} 0.75\\,\\sigma / (\\sigma - s'y) & s'y < 0.25\\,\\sigma \\\\
        1 & \\text{else} \\end{cases}, \\qquad \\sigma = s'B_0 s, \\quad B_0 = \\gamma I

    with y from one batch, as for `OnlineBFGS`: every pair keeps a quarter of the curvature that
    :math:`B_0` has along it, so H stays positive definite.

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, memory, schedule, batch_size, shuffle, max_grad_norm, average
        As for `OnlineBFGS`.

    Notes
    -----
    :math:`\\gamma` is the larger of :math:`y'y / s'y` and the inverse of the stable step found at
    the start.

    References
    ----------
    X. Wang, S. Ma, D. Goldfarb, W. Liu, "Stochastic quasi-Newton methods for nonconvex stochastic
    optimization", SIAM J. Optim. 27 (2017).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        memory: int = 10,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule, self.memory = learning_rate, schedule, memory
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> PairState:
        return _first(self, problem, w)

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return 1.0

    def _step(self, problem: Any, state: PairState, g: Any) -> None:
        g = problem.xp.asarray(g, copy=True)
        _follow(self, problem, state)
        s = -(state.rate * state.length) * state.H.apply(g)
        state.w = state.w + s
        y = problem.sample_grad(state.w, state.batch[0])[1] - g
        curvature, square = to_float(s @ y), to_float(y @ y)
        steep = 1 / to_float(state.H.first)
        if curvature > 0:
            steep = max(steep, square / curvature)
        sigma = steep * to_float(s @ s)
        if curvature < KEPT * sigma:
            theta = (1 - KEPT) * sigma / (sigma - curvature)
            y = theta * y + ((1 - theta) * steep) * s
        state.H.push(s, y)


class SQN(StochasticSolver):
    """Stochastic quasi-Newton with curvature from Hessian products at averaged iterates.

    .. math::

        w \\leftarrow w - \\eta H g_B, \\qquad
        s = \\bar w_t - \\bar w_{t-1}, \\qquad y = \\nabla^2 F_S(\\bar w_t)\\, s

    every ``pair_every`` updates, with :math:`\\bar w_t` the mean of the iterates since the last
    pair and S a sample of its own.

    Needs gradients and Hessian products on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `OnlineBFGS`.
    memory : int
        Pairs kept; 0 is `SGD` with the step that the start allows.
    pair_every : int
        Updates between two pairs, at least 1.
    hessian_size : int
        Samples in S, at least 1.

    Notes
    -----
    Curvature is not a difference of noisy gradients, and costs a product every ``pair_every``
    updates.

    References
    ----------
    R. Byrd, S. Hansen, J. Nocedal, Y. Singer, "A stochastic quasi-Newton method for large-scale
    optimization", SIAM J. Optim. 26 (2016).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Oracle.SAMPLE_HVP, Trait.SMOOTH)

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        memory: int = 10,
        pair_every: int = 10,
        hessian_size: int = 600,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule, self.memory = learning_rate, schedule, memory
        self.pair_every, self.hessian_size = pair_every, hessian_size
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> PairState:
        return _first(self, problem, w)

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return 1.0

    def _step(self, problem: Any, state: PairState, g: Any) -> None:
        g = problem.xp.asarray(g, copy=True)
        _measure(self, problem, state)
        state.w = state.w - (state.rate * state.length) * state.H.apply(g)
        averaged_pair(self, problem, state)


class BlockBFGS(StochasticSolver):
    """Stochastic block BFGS: the curvature along several random directions at once.

    .. math::

        H \\leftarrow D \\Delta^{-1} D' + (I - D \\Delta^{-1} Y') H (I - Y \\Delta^{-1} D'),
        \\qquad Y = (\\nabla^2 F_S + \\rho) D, \\quad \\Delta = D'Y

    with a matrix D of orthonormal random directions, once every ``pair_every`` updates.

    Needs gradients and Gauss-Newton products on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `OnlineBFGS`.
    block : int
        Directions in D, at least 1; never more than parameters. With all of them H is the inverse.
    memory, pair_every, hessian_size : int
        As for `SQN`, of blocks.
    regularization : float
        :math:`\\rho`, positive, relative to the largest mean curvature of all blocks so far: where
        the loss flattens, the curvature says nothing of the way out. The paper has 0.

    Notes
    -----
    The products are Gauss-Newton's, so :math:`\\Delta` is positive semi-definite; a block whose
    :math:`\\Delta` is singular to rounding is left out.

    References
    ----------
    R. Gower, D. Goldfarb, P. Richtárik, "Stochastic block BFGS: squeezing more curvature out of
    data", ICML 2016.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Oracle.SAMPLE_GGN, Trait.SMOOTH)

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        block: int = 10,
        memory: int = 5,
        pair_every: int = 10,
        hessian_size: int = 600,
        regularization: float = 0.1,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.block, self.memory = block, memory
        self.pair_every, self.hessian_size = pair_every, hessian_size
        self.regularization = regularization
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> PairState:
        state = _first(self, problem, w)
        first = state.H.first
        state.H = BlockInverseHessian(self.memory, first)
        return state

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return 1.0

    def _step(self, problem: Any, state: PairState, g: Any) -> None:
        xp = problem.xp
        g = xp.asarray(g, copy=True)
        due = (state.n_updates - 1) % self.pair_every == 0
        # Where an iterate is not finite there is no curvature; the next report ends the run.
        if due and bool(xp.all(xp.isfinite(state.w))):
            D, _ = xp.linalg.qr(random_directions(problem, state.draws, self.block))
            product = problem.sample_ggn(state.w, sample_of(problem, state.rng, self.hessian_size))
            Y = xp.stack([product(D[:, j]) for j in range(D.shape[1])], axis=1)
            mean = xp.sum(D * Y) / D.shape[1]
            state.largest = xp.maximum(mean, state.largest + 0 * mean)
            state.H.push(D, Y + self.regularization * state.largest * D)
        _measure(self, problem, state)
        state.w = state.w - (state.rate * state.length) * state.H.apply(g)


# --- what they share ------------------------------------------------------------------------------


def _first(solver: Any, problem: Any, w: Any) -> PairState:
    """The state before the first pair: H is the stable step of plain gradients."""
    step, _ = curvature_step(problem, w, solver.batch_size)
    return PairState(w=w, H=InverseHessian(max(1, solver.memory), first=step))


def _measure(solver: Any, problem: Any, state: PairState) -> None:
    """Once an epoch, how long a step on a batch may be in the metric of the pairs."""
    if solver.learning_rate != "auto":
        return
    index = state.batch[0]
    if state.fresh_epoch != state.n_iter:
        state.fresh_epoch = state.n_iter
        state.length = stable_length(problem, state.w, index, state.H.apply)


def _follow(solver: Any, problem: Any, state: PairState) -> None:
    """The same where every batch brings a pair: one batch that hardly bends lengthens H at once."""
    t, memory = state.n_updates, max(1, solver.memory)
    if solver.learning_rate == "auto" and (t <= memory or t % memory == 0):
        state.length, state.steepest = warm_length(
            problem, state.w, state.batch[0], state.H.apply, state.steepest
        )


def averaged_pair(solver: Any, problem: Any, state: PairState) -> None:
    """Add to the mean of the iterates; when it is complete, the pair of it and the one before."""
    state.total = state.w if state.total is None else state.total + state.w
    if state.n_updates % solver.pair_every:
        return
    mean = state.total / solver.pair_every
    if state.last_mean is not None and solver.memory:
        s = mean - state.last_mean
        index = sample_of(problem, state.rng, solver.hessian_size)
        if state.H.push(s, problem.sample_hvp(mean, index)(s)):
            state.fresh_epoch = -1
    state.last_mean, state.total = mean, None
