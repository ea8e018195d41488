"""What the methods of a direction and a line search share: the point, its indicator, the step.

Letters: w the iterate, g the gradient there, d the direction, t the step.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from skopt_dl.engine import Point, Problem, Solver, State, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.search import Found, more_thuente, rounding, strong_wolfe

# How many digits a function loses inside is not known: where no step is found, the difference up to
# which values count as equal grows by this factor, until half of the digits are in doubt.
GROWTH = 1000.0
# Iterations that may pass without progress, once rounding hides all changes of the value.
PATIENCE = 100
# Searches for the strong Wolfe conditions, by name.
WOLFE_SEARCHES: dict[str, Callable[..., Found]] = {
    "nocedal_wright": strong_wolfe,
    "more_thuente": more_thuente,
}


@dataclass
class Progress:
    """Tells progress from rounding, and keeps the best point where values no longer can.

    Attributes
    ----------
    doubt : float
        Relative difference up to which values count as equal.
    lowest : float
        The lowest value so far.
    best : Point
        The point of smallest gradient since the value last fell clear of rounding.
    smallest, goal : float
        The largest gradient component at ``best``, and what it has to fall to next.
    idle : int
        Iterations since the value last fell clear of rounding or the goal was met.
    """

    doubt: float = 0.0
    lowest: float = float("inf")
    best: Point | None = None
    smallest: float = float("inf")
    goal: float = float("inf")
    idle: int = 0

    def noise(self, value: float) -> float:
        """How much may be rounding in a value near ``value``."""
        return self.doubt * abs(value)

    def note(self, point: Point, value: float, size: float, least_noise: float) -> None:
        """Compare a new point, of value ``value`` and largest gradient component ``size``."""
        falling = not value >= self.lowest - least_noise
        clearly = not value >= self.lowest - self.noise(value)
        self.idle = 0 if falling or size <= self.goal else self.idle + 1
        if clearly or size <= self.goal:
            self.goal = 0.5 * size
        if clearly or size < self.smallest:
            self.best, self.smallest = point, size
        self.lowest = min(self.lowest, value)


@dataclass
class DescentState(State):
    """Adds the point, whose ``w`` is this state's, and what has been gained."""

    point: Point | None = None
    progress: Progress = field(default_factory=Progress)

    def stand_at(self, problem: Any, point: Point) -> None:
        """Take ``point`` as the iterate; the indicator is its largest gradient component."""
        xp = problem.xp
        self.point, self.w = point, point.w
        none = xp.zeros((), dtype=problem.dtype, device=problem.device)
        self.indicator = xp.max(xp.abs(point.grad)) if problem.size else none


def step_along(
    problem: Any,
    state: DescentState,
    d: Any,
    slope: float,
    t: float,
    search: Callable[..., Found],
) -> Found:
    """Search along ``d`` from the current point and go to the step found; stay where there is none.

    Parameters
    ----------
    problem, state
        Changed: the state stands at the new point and has one iteration more.
    d : array of shape (size,)
        Direction.
    slope : float
        ``g'd``, negative.
    t : float
        First step tried.
    search : callable
        ``strong_wolfe`` or ``backtrack`` with its constants.
    """
    point: Any = state.point
    line, value = problem.along(point, d), to_float(point.value)
    progress = state.progress
    eps = float(problem.xp.finfo(problem.dtype).eps)
    progress.doubt = max(progress.doubt, rounding(1.0, eps))
    # Measured from the lowest value: steps that each rise by rounding must not add up.
    slack = max(0.0, progress.noise(value) - max(0.0, value - progress.lowest))
    found = search(line, value, slope, t, noise=slack)
    if found.ok:
        after = line.accept(found.t)
        state.stand_at(problem, after)
        state.n_iter += 1
        progress.note(after, found.value, to_float(state.indicator), rounding(value, eps))
    return found


def wolfe_search(solver: Any) -> Callable[..., Found]:
    """The search that ``line_search`` names, with the solver's two constants."""
    return partial(
        WOLFE_SEARCHES[solver.line_search],
        decrease=solver.sufficient_decrease,
        curvature=solver.curvature,
    )


def first_step(slope: float) -> float:
    """``min(1, 1/|g|)``, the first trial along ``-g``, whose slope is ``-|g|^2``."""
    return 1.0 if slope >= -1 else (-slope) ** -0.5


class DescentSolver(Solver):
    """A method of a direction and a line search. A subclass says how one iteration goes."""

    def advance(self, problem: Problem, state: DescentState, n: int) -> Status:
        for _ in range(n):
            if state.indicator == 0:
                return Status.CONVERGED
            # Nothing is moved before the engine has certified: a method that starts at its own
            # answer stays there.
            if state.indicator <= state.target:
                return Status.RUNNING
            verdict = self._iterate(problem, state)
            if verdict is None and state.progress.idle >= PATIENCE:
                verdict = Status.STALLED
            if verdict is not None:
                if state.progress.best is not None:
                    state.stand_at(problem, state.progress.best)
                return verdict
        return Status.RUNNING

    @abstractmethod
    def _iterate(self, problem: Any, state: Any) -> Status | None:
        """One step; ``None``, or the status to end with."""


def steepest(problem: Any, state: DescentState, search: Callable[..., Found]) -> Status | None:
    """A step along ``-g``, the last resort; ``None``, or the status to end with.

    Where there is none, values are trusted less. In the end the status is ``STALLED`` if the first
    trial could at most gain what rounding hides, else ``LINE_SEARCH_FAILED``.
    """
    g = state.point.grad  # type: ignore[union-attr]
    slope = -to_float(g @ g)
    t = first_step(slope)
    progress, limit = state.progress, float(problem.xp.finfo(problem.dtype).eps) ** 0.5
    while not step_along(problem, state, -g, slope, t, search).ok:
        if progress.doubt >= limit:
            break
        progress.doubt = min(limit, GROWTH * progress.doubt)
    else:
        return None
    hidden = -slope * t <= progress.noise(to_float(state.point.value))  # type: ignore[union-attr]
    return Status.STALLED if hidden else Status.LINE_SEARCH_FAILED


def check_line_search(solver: Any, *, needs_curvature: bool = True) -> None:
    """Raise unless the constants of the line search make sense.

    Raises
    ------
    ValueError
        Naming the parameter, its value and its range.
    """
    c1, name = solver.sufficient_decrease, type(solver).__name__
    if not 0 < c1 < 0.5:
        raise ValueError(
            f"{name}: sufficient_decrease={c1!r}, but it must be above 0 and below 0.5"
        )
    if needs_curvature and not c1 < solver.curvature < 1:
        raise ValueError(
            f"{name}: curvature={solver.curvature!r}, but it must be above sufficient_decrease="
            f"{c1!r} and below 1"
        )


def check_choice(solver: Any, name: str, known: Collection[str]) -> None:
    """Raise unless the parameter ``name`` is one of ``known``.

    Raises
    ------
    ValueError
        Naming the parameter, its value and what it may be.
    """
    value = getattr(solver, name)
    if value not in known:
        raise ValueError(
            f"{type(solver).__name__}: {name}={value!r}, but it must be one of "
            f"{', '.join(map(repr, known))}"
        )
