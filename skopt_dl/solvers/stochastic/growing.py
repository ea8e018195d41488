r"""L-BFGS on batches: of one size with an overlap, and of a size that grows with the noise.

Letters: w the iterate, g the gradient on the batch, d the direction, t the step along it, H the
inverse Hessian of the pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from numbers import Integral
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, Status, Trait
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.quasi_newton import InverseHessian
from skopt_dl.search.schedules import schedule_of
from skopt_dl.solvers.curvature import check_share
from skopt_dl.solvers.stochastic.base import StochasticState, curvature_step
from skopt_dl.solvers.stochastic.metrics import stable_length
from skopt_dl.solvers.stochastic.sampling import batch_size, on_device

# Backtracking on a batch: Armijo's constant, the factor, and how often at most.
DECREASE, SHRINK, TRIALS = 1e-4, 0.5, 20
# Samples that a pair is made of, where half of the batch has them: fewer see too little curvature.
FEW = 5
# Parts of a batch whose gradients tell its variance.
PARTS = 8


@dataclass
class BatchState(StochasticState):
    """Adds the pairs, the place in the permutation, the batch size and what is left of a batch."""

    H: InverseHessian = field(default_factory=lambda: InverseHessian(1))
    at: int = 0
    length: float = 1.0
    measured: int = -1
    size: int = 1
    kept: Any = None


class MultiBatchLBFGS(Solver):
    """L-BFGS on batches that overlap; pairs come from the overlap alone.

    .. math::

        w^+ = w - \\eta H g_{B_k}(w), \\qquad
        y = g_{O_k}(w^+) - g_{O_k}(w), \\qquad O_k = B_k \\cap B_{k+1}

    Needs gradients and values on batches of samples and a smooth objective.

    Parameters
    ----------
    memory : int
        Pairs kept.
    batch_size : int or "auto"
        Samples per step; "auto" is ``min(200, n_samples)``.
    overlap : float
        Share of a batch that the next one takes over, above 0 and at most 1, but five samples or
        half of a small batch at least; a step has one new sample at least.

    Notes
    -----
    The first trial of a step is half of what the steepest direction of a batch allows in the metric
    of the pairs, measured once an epoch; it is halved until the batch's value decreases enough. On
    a linear model it shrinks from epoch to epoch, as batches never agree on the optimum. An
    iteration is an epoch: as many steps as new samples make a pass over the data. A batch of all
    samples overlaps with itself: then this is `ProgressiveLBFGS` at its full size, with steps that
    are tried at 1.

    References
    ----------
    A. Berahas, J. Nocedal, M. Takáč, "A multi-batch L-BFGS method for machine learning", NIPS 2016.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Oracle.SAMPLE_VALUE, Trait.SMOOTH)
    unit: ClassVar = "epoch"

    def __init__(
        self, *, memory: int = 10, batch_size: int | str = "auto", overlap: float = 0.25
    ) -> None:
        self.memory, self.batch_size, self.overlap = memory, batch_size, overlap

    def init(self, problem: Problem, w: Any, rng: Any) -> BatchState:
        check_share(self, "overlap")
        # The gradient of all samples has no noise for which the step would have to vanish.
        n = problem.n_samples or 1
        noisy = batch_size(self.batch_size, n) < n
        decreasing = noisy and Trait.LINEAR_MODEL in problem.traits
        return _start(self, problem, w, rng, "decreasing" if decreasing else "constant")

    def advance(self, problem: Any, state: BatchState, n: int) -> Status:
        return _epochs(self, problem, state, n, self._step)

    def _step(self, problem: Any, state: BatchState) -> int:
        """One step; the number of new samples."""
        if state.size >= problem.n_samples:
            return _whole_step(problem, state)
        xp = problem.xp
        fresh = _next(problem, state, max(1, state.size - _length(state.kept)))
        index = fresh if state.kept is None else xp.concat([state.kept, fresh])
        before, g = state.w, _grad(problem, state.w, index)
        if state.measured != state.n_iter:
            state.measured = state.n_iter
            state.length = stable_length(problem, state.w, index, state.H.apply)
        _descend(problem, state, index, g)
        least = max(1, min(FEW, state.size // 2))
        keep = min(max(least, int(self.overlap * state.size)), max(1, state.size - 1))
        state.kept = index[-keep:]
        s = state.w - before
        state.H.push(s, _grad(problem, state.w, state.kept) - _grad(problem, before, state.kept))
        return fresh.shape[0]


class ProgressiveLBFGS(Solver):
    """L-BFGS on batches that grow when their noise hides the way down (progressive batching).

    .. math::

        \\text{grow } B \\text{ where}\\quad
        \\frac{\\operatorname{Var}(g_i)}{|B|}\\Big(1 - \\frac{|B|}{n}\\Big) > \\theta^2 |g_B|^2

    and to the size at which both sides are equal.

    Needs gradients and values on batches of samples and a smooth objective.

    Parameters
    ----------
    memory : int
        Pairs kept.
    batch_size : int or "auto"
        Samples of the first batch; "auto" is ``min(200, n_samples)``.
    theta : float
        Noise that is allowed, as a share of the gradient, positive.

    Notes
    -----
    The variance is that of the gradients of 8 parts of the batch, which cost no more than the batch
    at once. Steps are halved until the batch's value decreases enough, and pairs are differences of
    gradients on one batch. Once the batch is the whole data this is L-BFGS with backtracking: it
    converges to any accuracy. An iteration is an epoch.

    References
    ----------
    R. Bollapragada, D. Mudigere, J. Nocedal, H.-J. Shi, P. Tang, "A progressive batching L-BFGS
    method for machine learning", ICML 2018; R. Byrd, G. Chin, J. Nocedal, Y. Wu, "Sample size
    selection in optimization methods for machine learning", Math. Programming 134 (2012).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Oracle.SAMPLE_VALUE, Trait.SMOOTH)
    unit: ClassVar = "epoch"

    def __init__(
        self, *, memory: int = 10, batch_size: int | str = "auto", theta: float = 0.9
    ) -> None:
        self.memory, self.batch_size, self.theta = memory, batch_size, theta

    def init(self, problem: Problem, w: Any, rng: Any) -> BatchState:
        if not self.theta > 0:
            raise ValueError(f"ProgressiveLBFGS: theta={self.theta!r}, but it must be positive")
        return _start(self, problem, w, rng)

    def advance(self, problem: Any, state: BatchState, n: int) -> Status:
        return _epochs(self, problem, state, n, self._step)

    def _step(self, problem: Any, state: BatchState) -> int:
        n = problem.n_samples
        index = _next(problem, state, state.size)
        g, variance = _grad_variance(problem, state.w, index)
        square = to_float(g @ g)
        allowed = self.theta**2 * square
        if state.size < n and variance * (1 - state.size / n) > allowed:
            wanted = variance * state.size / allowed if allowed > 0 else n
            # At least a tenth more: a test on noise must not stand still.
            state.size = min(n, max(int(min(wanted, n)) + 1, int(1.1 * state.size) + 1))
        _descend_with_pair(problem, state, index, g)
        return index.shape[0]


def _whole_step(problem: Any, state: BatchState) -> int:
    index = _next(problem, state, problem.n_samples)
    _descend_with_pair(problem, state, index, _grad(problem, state.w, index))
    return index.shape[0]


def _descend_with_pair(problem: Any, state: BatchState, index: Any, g: Any) -> None:
    """A step on a batch and the pair of its gradients there."""
    before = state.w
    _descend(problem, state, index, g)
    state.H.push(state.w - before, _grad(problem, state.w, index) - g)


def _start(solver: Any, problem: Any, w: Any, rng: Any, schedule: str = "constant") -> BatchState:
    memory = solver.memory
    if not isinstance(memory, Integral) or memory < 1:
        raise ValueError(f"{type(solver).__name__}: memory={memory!r}, but it must be at least 1")
    size = batch_size(solver.batch_size, problem.n_samples)
    step, _ = curvature_step(problem, w, solver.batch_size)
    return BatchState(
        w=w,
        H=InverseHessian(int(memory), first=step),
        rng=rng,
        size=size,
        rate=1.0,
        initial_rate=1.0,
        schedule=schedule_of(schedule),
    )


def _epochs(solver: Any, problem: Any, state: BatchState, n: int, step: Any) -> Status:
    """As many steps as make ``n`` passes over the samples; the indicator is the last gradient."""
    samples = problem.n_samples
    for _ in range(n):
        seen, total = 0, 0.0
        while seen < samples:
            fresh = step(problem, state)
            seen += fresh
            total += fresh * state.loss
        state.loss = total / seen
        state.n_iter += 1
        state.n_epochs += seen / samples
        state.n_samples += seen
        schedule: Any = state.schedule
        state.rate = schedule.after_epoch(1.0, state.rate, state.n_epochs, state.n_samples)
    return Status.RUNNING


def _next(problem: Any, state: BatchState, size: int) -> Any:
    """The next ``size`` samples of the stream; a new permutation where the old one ends."""
    n = problem.n_samples
    size = min(size, n)
    if state.order is None or state.at + size > n:
        state.order, state.at = state.rng.permutation(n), 0
    part = state.order[state.at : state.at + size]
    state.at += size
    return on_device(problem, part)


def _length(index: Any) -> int:
    return 0 if index is None else index.shape[0]


def _grad(problem: Any, w: Any, index: Any) -> Any:
    return problem.xp.asarray(problem.sample_grad(w, index)[1], copy=True)


def _grad_variance(problem: Any, w: Any, index: Any) -> tuple[Any, float]:
    """The gradient on a batch, and the variance of that mean, from its parts."""
    size = index.shape[0]
    bounds = sorted({(k * size) // PARTS for k in range(PARTS + 1)})
    parts = [index[a:b] for a, b in pairwise(bounds)]
    grads = [_grad(problem, w, part) for part in parts]
    shares = [part.shape[0] / size for part in parts]
    g = sum(share * grad for share, grad in zip(shares, grads, strict=True))
    if len(parts) < 2:
        return g, float("inf")
    spread = sum(
        share * to_float((grad - g) @ (grad - g)) for share, grad in zip(shares, grads, strict=True)
    )
    return g, spread / (len(parts) - 1)


def _descend(problem: Any, state: BatchState, index: Any, g: Any) -> None:
    """A step along ``-H g``, halved until the batch's value decreases enough."""
    d = -state.H.apply(g)
    slope = to_float(g @ d)
    if not slope < 0:
        state.H.clear()
        d = -state.H.apply(g)
        slope = to_float(g @ d)
    value, t = to_float(problem.sample_value(state.w, index)), state.length * state.rate
    state.indicator, state.loss = problem.xp.max(problem.xp.abs(g)), value
    for _ in range(TRIALS):
        trial = state.w + t * d
        if to_float(problem.sample_value(trial, index)) <= value + DECREASE * t * slope:
            state.w = trial
            return
        t *= SHRINK
    state.H.clear()
