r"""The loop that every stochastic rule shares: epochs of batches, a rate, one update per batch.

Letters: w the iterate, g the gradient on a batch, :math:`\eta` the learning rate, t the update.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Problem, Solver, State, Status, Trait
from skopt_dl.kernels.namespace import to_float
from skopt_dl.search.schedules import Schedule, schedule_of
from skopt_dl.solvers.stochastic.sampling import batch_size, batches, on_device, probe, reshuffled

# The curvature that sets an automatic rate: the largest of a few batches, each from a few turns of
# the power method, and half the step it allows, because other batches may be steeper.
PROBES = 3
POWER_STEPS = 8
SAFETY = 0.5


@dataclass
class StochasticState(State):
    """Adds what a rule needs to go on exactly where it stopped.

    Attributes
    ----------
    rng : Generator or RandomState
        Source of the permutations.
    order : array of int
        The current permutation, on the host.
    rate, initial_rate : float
        Learning rate of the next update, and the one it started from.
    schedule : Schedule
        Changes the rate between epochs.
    n_updates, n_samples : int
        Updates done, samples seen.
    loss : float or 0-d array
        Mean of the batch values over the last epoch, each taken before its update.
    """

    rng: Any = None
    order: Any = None
    rate: float = 0.0
    initial_rate: float = 0.0
    schedule: Schedule | None = None
    n_updates: int = 0
    n_samples: int = 0
    loss: Any = math.nan


class StochasticSolver(Solver):
    """A rule that moves along gradients of batches. A subclass says how it moves.

    Its constructor has at least the parameters below.

    Parameters
    ----------
    learning_rate : float or "auto"
        Initial rate, positive.
    schedule : str or Schedule
        "constant", "invscaling", "adaptive", "decreasing" or an instance. "auto" is "decreasing"
        for a linear model whose rate is automatic too, unless a batch has all samples; else
        "constant".
    batch_size : int or "auto"
        Samples per update; "auto" is ``min(200, n_samples)``.
    shuffle : bool
        Permute the samples before each epoch.
    """

    unit: ClassVar = "epoch"
    default_max_iter: ClassVar[int] = 1000

    learning_rate: float | str
    schedule: str | Schedule
    batch_size: int | str
    shuffle: bool

    @abstractmethod
    def _start(self, problem: Any, w: Any) -> Any:
        """The rule's own state at ``w``, its moments zero."""

    @abstractmethod
    def _auto_rate(self, problem: Any, w: Any) -> float:
        """The rate that ``learning_rate="auto"`` stands for."""

    @abstractmethod
    def _step(self, problem: Any, state: Any, g: Any) -> None:
        """One update of ``state`` by the batch gradient ``g``."""

    def init(self, problem: Problem, w: Any, rng: Any) -> Any:
        name = type(self).__name__
        automatic = self.learning_rate == "auto"
        if not automatic and not (_is_number(self.learning_rate) and self.learning_rate > 0):  # type: ignore[operator]
            raise ValueError(
                f"{name}: learning_rate={self.learning_rate!r}, but it must be 'auto' or a "
                "number > 0"
            )
        for key in ("momentum", "beta_1", "beta_2"):
            value = getattr(self, key, 0.0)
            # scikit-learn allows momentum=1, a velocity that never fades.
            top = value <= 1 if key == "momentum" else value < 1
            if not (_is_number(value) and value >= 0 and top):
                raise ValueError(f"{name}: {key}={value!r}, but it must lie between 0 and 1")
        n = problem.n_samples or 1
        # The gradient of all samples has no noise for which the rate would have to vanish.
        noisy = batch_size(self.batch_size, n) < n
        decreasing = automatic and noisy and Trait.LINEAR_MODEL in problem.traits
        schedule = self.schedule
        if schedule == "auto":
            schedule = "decreasing" if decreasing else "constant"
        state = self._start(problem, w)
        state.schedule = schedule_of(schedule)
        state.rate = self._auto_rate(problem, w) if automatic else float(self.learning_rate)
        state.initial_rate = state.rate
        state.rng = rng
        return state

    def advance(self, problem: Problem, state: Any, n: int) -> Status:
        xp, before, rate = problem.xp, problem.xp.asarray(state.w, copy=True), state.rate
        for _ in range(n):
            self._epoch(problem, state)
        # The mean step of an epoch, in units of the rate: a gradient, where the rule is linear.
        updates = n * -(-problem.n_samples // batch_size(self.batch_size, problem.n_samples))  # type: ignore[operator,arg-type]
        state.indicator = xp.max(xp.abs(state.w - before)) / (rate * updates) if rate else 0.0
        return Status.RUNNING

    def _epoch(self, problem: Any, state: Any) -> None:
        n = problem.n_samples
        size = batch_size(self.batch_size, n)
        if state.order is None or state.order.shape[0] != n:
            state.order = problem.kernels.index_range(n)
        if self.shuffle:
            state.order = reshuffled(state.order, state.rng)
        total = 0.0
        for index in batches(on_device(problem, state.order), size):
            value, g = problem.sample_grad(state.w, index)
            total = total + value * index.shape[0]
            state.n_updates += 1
            self._step(problem, state, g)
        state.loss = total / n
        state.n_iter += 1
        state.n_epochs += 1
        state.n_samples += n
        state.rate = state.schedule.after_epoch(
            state.initial_rate, state.rate, state.n_epochs, state.n_samples
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def curvature_step(problem: Any, w: Any, setting: Any) -> tuple[float, float]:
    """A stable step of plain gradient descent on batches, and the largest slope at ``w``.

    The step is half the inverse of the largest curvature met by the power method on a few batches
    of evenly spaced samples; the products with the Hessian are differences of batch gradients, so
    nothing more is asked of the problem. It costs 24 batch gradients, once.
    """
    xp = problem.xp
    size = batch_size(setting, problem.n_samples)
    root = float(xp.finfo(w.dtype).eps) ** 0.5
    # Far enough for the difference to have half its digits, near enough to see one curvature.
    distance = root * (1 + to_float(xp.linalg.vector_norm(w)))
    tiny = float(xp.finfo(w.dtype).smallest_normal) ** 0.5
    largest, slope = 0.0, 0.0
    for index in probe(problem, size, PROBES):
        g = xp.asarray(problem.sample_grad(w, index)[1], copy=True)
        slope = max(slope, to_float(xp.max(xp.abs(g))))
        d = g
        for _ in range(POWER_STEPS):
            norm = to_float(xp.linalg.vector_norm(d))
            if not norm > tiny:
                break
            d = (problem.sample_grad(w + (distance / norm) * d, index)[1] - g) / distance
            largest = max(largest, to_float(xp.linalg.vector_norm(d)))
    return (SAFETY / largest if largest > 0 else 1.0), slope
