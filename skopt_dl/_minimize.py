"""Solve a problem without an estimator: resolve the solver, run the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skopt_dl.dispatch import resolve
from skopt_dl.engine import Observer, Problem, Solver, SolveResult, Stopping, run


def minimize(
    problem: Problem,
    solver: str | Solver = "auto",
    *,
    start: Any = None,
    tol: float | None = 1e-6,
    max_iter: int | None = None,
    max_time: float | None = None,
    observers: Sequence[Observer] = (),
    random_state: Any = None,
) -> SolveResult:
    """Minimise ``problem`` by any solver that fits it.

    Parameters
    ----------
    problem : Problem
        What to minimise, such as a `SmoothProblem` of your functions or a `LinearProblem`.
    solver : str or Solver
        ``"auto"``, a registered name or an instance with its own settings.
    start : array of shape (size,), optional
        Starting point, copied. Default: ``problem.start()``.
    tol : float or None
        Bound on the problem's certificate; ``None`` runs until a budget is spent.
    max_iter : int, optional
        Iterations, in the solver's unit. Default: the solver's own budget.
    max_time : float, optional
        Seconds of solving. Results then depend on the machine.
    observers : sequence of Observer
        Called after each report; one that returns true stops the solve.
    random_state : None, int, Generator or RandomState
        Randomness of stochastic solvers.

    Returns
    -------
    SolveResult
        The answer ``w`` with ``status``, ``certificate`` and ``history``. No warning is given:
        look at ``success``.

    Raises
    ------
    IncompatibleSolverError
        If the solver cannot work on this problem; the message says why and which ones can.
    ValueError, TypeError
        For an argument outside its range.
    """
    if not isinstance(problem, Problem):
        raise TypeError(
            f"minimize: problem={problem!r} is not a Problem; wrap functions in "
            "skopt_dl.problems.SmoothProblem(fun, grad, start=...)"
        )
    if tol is not None and not tol >= 0:
        raise ValueError(f"minimize: tol={tol!r}, but it must be at least 0 or None")
    if max_iter is not None and max_iter < 1:
        raise ValueError(f"minimize: max_iter={max_iter!r}, but it must be at least 1")
    if max_time is not None and not max_time > 0:
        raise ValueError(f"minimize: max_time={max_time!r}, but it must be above 0")
    chosen, reason = resolve(solver, problem)
    stopping = Stopping(
        tol=tol,
        max_iter=chosen.default_max_iter if max_iter is None else max_iter,
        max_time=max_time,
    )
    legacy = isinstance(random_state, np.random.RandomState)
    return run(
        problem,
        chosen,
        start=start,
        stopping=stopping,
        observers=observers,
        rng=random_state if legacy else np.random.default_rng(random_state),
        reason=reason,
    )
