r"""The loop that every stochastic rule shares: epochs of batches, a rate, one update per batch.

Letters: w the iterate, g the gradient on a batch, :math:`\eta` the learning rate, t the update.
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from skopt_dl.engine import Oracle, Problem, Solver, State, Status, Trait
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.spectrum import steepest_curvature
from skopt_dl.search.batch_sizes import BatchSize
from skopt_dl.search.orders import Order
from skopt_dl.search.schedules import Schedule, schedule_of
from skopt_dl.solvers.stochastic.averaging import Average, average_of
from skopt_dl.solvers.stochastic.ranges import check_ranges, is_number
from skopt_dl.solvers.stochastic.sampling import (
    batch_size,
    batches,
    check_shuffle,
    chosen,
    next_order,
    next_size,
    on_device,
    probe,
)

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
        The current permutation, on the host or, of many samples, where the problem is.
    rate, initial_rate : float
        Learning rate of the next update, and the one it started from.
    schedule : Schedule
        Changes the rate between epochs.
    n_updates, n_samples : int
        Updates done, samples seen.
    loss : float or 0-d array
        Mean of the batch values over the last epoch, each taken before its update.
    at : array, optional
        Where the next gradient is taken, for rules that do not take it at their iterate.
    batch_size : int
        Size of the batches of the last epoch; 0 before the first.
    batch : tuple of array and float, optional
        The samples of the current update and their value, while it is made.
    average : Average, optional
        How the answer is averaged; the iterate that the rule moves is then ``iterate`` between
        epochs, and ``w`` is ``mean``.
    spare : array, optional
        What a shortened gradient is kept in.
    """

    rng: Any = None
    order: Any = None
    rate: float = 0.0
    initial_rate: float = 0.0
    schedule: Schedule | None = None
    n_updates: int = 0
    n_samples: int = 0
    loss: Any = math.nan
    at: Any = None
    batch_size: int = 0
    batch: Any = None
    average: Average | None = None
    iterate: Any = None
    mean: Any = None
    spare: Any = None


class StochasticSolver(Solver):
    """A rule that moves along gradients of batches. A subclass says how it moves.

    Its constructor has the parameters below; one that makes no sense for the rule it may fix as a
    class attribute.

    Parameters
    ----------
    learning_rate : float or "auto"
        Initial rate, positive.
    schedule : str or Schedule
        "constant", "invscaling", "adaptive", "decreasing" or an instance. "auto" is "decreasing"
        for a linear model whose rate is automatic too, where the rule asks for it (``decreases``);
        else "constant".
    batch_size : int, "auto" or BatchSize
        Samples per update; "auto" is ``min(200, n_samples)``. `skopt_dl.search.batch_sizes` has
        sizes that grow.
    shuffle : bool, {"once", "iid"} or Order
        Permute the samples before each epoch, or "once", before the first; "iid" draws each sample
        of each batch independently, with replacement. `skopt_dl.search.orders` has orders that
        begin with easy samples.
    max_grad_norm : float, optional
        A longer gradient is shortened to this length; its direction stays.
    average : {"polyak", "ema", "swa"} or Average, optional
        Return an average of the iterates as the answer. Where a rule has one of its own, "auto" is
        that, if the rate is automatic too.

    Attributes
    ----------
    decreases : {"never", "noise", "always"}
        When the automatic schedule lowers an automatic rate on a linear model: where batches are
        noisy, or always (steps that do not shrink with the gradient), or never (steps that shrink
        by themselves).
    decreasing : str or Schedule
        What the automatic schedule lowers the rate by.
    by_model : bool
        Whether a batch's gradient comes from ``state.model``, what `Oracle.KRONECKER` makes of the
        batch: the pass forward is then done once for both.
    own_average : Average, optional
        What ``average="auto"`` stands for, for rules that have it as their default.
    coordinatewise : bool
        Whether an update of a parameter depends on nothing but its own gradients and the count of
        updates. One state may then hold the parameters of several models.
    """

    unit: ClassVar = "epoch"
    default_max_iter: ClassVar[int] = 1000
    decreases: ClassVar[Literal["never", "noise", "always"]] = "noise"
    decreasing: ClassVar[str | Schedule] = "decreasing"
    by_model: ClassVar[bool] = False
    own_average: ClassVar[Average | None] = None
    coordinatewise: ClassVar[bool] = False

    learning_rate: float | str
    schedule: str | Schedule
    batch_size: int | str | BatchSize
    shuffle: bool | str | Order
    max_grad_norm: float | None = None
    average: str | Average | None = None

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
        if not automatic and not (is_number(self.learning_rate) and self.learning_rate > 0):  # type: ignore[operator]
            raise ValueError(
                f"{name}: learning_rate={self.learning_rate!r}, but it must be 'auto' or a "
                "number > 0"
            )
        check_ranges(self)
        check_shuffle(self.shuffle)
        if isinstance(self.shuffle, Order) and self.shuffle.needs_losses:
            reason = problem.why_not(Oracle.SAMPLE_LOSSES)
            if reason is not None:
                raise ValueError(
                    f"{name}: shuffle={self.shuffle!r} needs {Oracle.SAMPLE_LOSSES}, which "
                    f"{problem.description} does not offer"
                )
        n = problem.n_samples or 1
        # The gradient of all samples has no noise for which the rate would have to vanish.
        noisy = batch_size(self.batch_size, n) < n
        lowers = self.decreases == "always" or (self.decreases == "noise" and noisy)
        decreasing = automatic and lowers and Trait.LINEAR_MODEL in problem.traits
        schedule = self.schedule
        if schedule == "auto":
            schedule = self.decreasing if decreasing else "constant"
        state = self._start(problem, w)
        state.schedule, average = schedule_of(schedule), self.average
        if average == "auto" and self.own_average is not None:
            average = self.own_average if automatic else None
        state.average = average_of(average)
        if self.max_grad_norm is not None:
            state.spare = problem.xp.empty_like(w)
        initial = self._auto_rate(problem, w) if automatic else float(self.learning_rate)
        state.rate = state.schedule.after_epoch(initial, initial, 0, 0)
        state.initial_rate = initial
        state.rng = rng
        if hasattr(state, "draws"):
            # Directions do not depend on how many rows a permutation has: a row of weight two and
            # that row given twice see the same.
            state.draws = copy.deepcopy(rng)
        return state

    def advance(self, problem: Problem, state: Any, n: int) -> Status:
        xp, before, rate = problem.xp, problem.xp.asarray(state.w, copy=True), state.rate
        done = state.n_updates
        for _ in range(n):
            self._epoch(problem, state)
        # The mean step of an epoch, in units of the rate: a gradient, where the rule is linear.
        updates = state.n_updates - done
        state.indicator = xp.max(xp.abs(state.w - before)) / (rate * updates) if rate else 0.0
        return Status.RUNNING

    def _look(self, problem: Any, state: Any, index: Any) -> tuple[Any, Any]:
        """Value and gradient of a batch where the rule takes them."""
        w = state.w if state.at is None else state.at
        if self.by_model:
            state.model = problem.kronecker(w, index)
            return state.model.value_grad()
        return problem.sample_grad(w, index)

    def _epoch(self, problem: Any, state: Any) -> None:
        n = problem.n_samples
        state.order = next_order(self.shuffle, state.order, n, state.rng, problem.kernels)
        if state.iterate is not None:
            state.w = state.iterate
        seen = on_device(problem, chosen(self.shuffle, problem, state))
        state.batch_size = next_size(self.batch_size, problem, state, seen)
        count, total = seen.shape[0], 0.0
        limit = self.max_grad_norm
        for index in batches(seen, state.batch_size):
            value, g = self._look(problem, state, index)
            total = total + value * index.shape[0]
            state.n_updates += 1
            state.batch = index, value
            self._step(problem, state, clipped(problem.xp, g, limit, state.spare))
            if state.average is not None:
                _average(problem, state)
        state.batch = None
        if state.average is not None:
            state.iterate, state.w = state.w, state.mean
        state.loss = total / count
        state.n_iter += 1
        state.n_epochs += count / n
        state.n_samples += count
        state.rate = state.schedule.after_epoch(
            state.initial_rate, state.rate, state.n_epochs, state.n_samples
        )


def clipped(xp: Any, g: Any, limit: float | None, out: Any = None) -> Any:
    """``g``, shortened to the length ``limit`` if it is longer; in ``out``, new memory without."""
    if limit is None:
        return g
    norm = xp.sqrt(g @ g)
    out = xp.empty_like(g) if out is None else out
    out[...] = g
    # The limit in the denominator too: nothing is divided by zero, and short gradients stay.
    out *= limit / xp.where(norm > limit, norm, xp.full_like(norm, limit))
    return out


def _average(problem: Any, state: Any) -> None:
    share = state.average.share(state.n_updates)
    if state.mean is None:
        state.mean = problem.xp.asarray(state.w, copy=True)
    elif share == 1:
        state.mean[...] = state.w
    elif share > 0:
        problem.kernels.mean_update(state.mean, state.w, 1 - share)


def curvature_step(problem: Any, w: Any, setting: Any) -> tuple[float, float]:
    """A stable step of plain gradient descent on batches, and the largest slope at ``w``.

    The step is half the inverse of the largest curvature met by the power method on a few batches
    of evenly spaced samples; the products with the Hessian are differences of batch gradients, so
    nothing more is asked of the problem. It costs 24 batch gradients, once.
    """
    xp, size = problem.xp, batch_size(setting, problem.n_samples)
    largest, slope = 0.0, 0.0
    for index in probe(problem, size, PROBES):

        def gradient(v: Any, index: Any = index) -> Any:
            return problem.sample_grad(v, index)[1]

        found, g = steepest_curvature(gradient, w, POWER_STEPS)
        largest, slope = max(largest, found), max(slope, to_float(xp.max(xp.abs(g))))
    return (SAFETY / largest if largest > 0 else 1.0), slope
