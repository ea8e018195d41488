"""The laws of a solver."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Any

import numpy as np

from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.engine import Oracle, Problem, Solver, SolveResult, Status, Stopping, Trait, run
from skopt_dl.testing.examples import example_problems
from skopt_dl.testing.law import host, require, require_close


def tolerance_of(solver: Solver) -> float:
    """The certificate that a solver's default settings are held to.

    A method that only sees batches of samples wanders around the optimum at a distance that its
    step length sets: it is held to 5 %, every other to 1e-6.
    """
    return 5e-2 if Oracle.SAMPLE_GRAD in solver.needs.oracles else 1e-6


def check_solver(
    solver: Solver,
    problems: Iterable[Problem] | None = None,
    *,
    tol: float | None = None,
    max_iter: int | None = None,
) -> None:
    """Check that ``solver`` solves what it declares, refuses the rest, and keeps the contract.

    Parameters
    ----------
    solver : Solver
        An instance of your class.
    problems : iterable of Problem, optional
        Convex problems. Default: `example_problems`, small regressions and classifications.
    tol : float, optional
        The certificate to reach. Default: `tolerance_of` the solver.
    max_iter : int, optional
        Iterations granted. Default: the solver's own budget.

    Raises
    ------
    AssertionError
        Naming the broken law.
    """
    check_settings(solver)
    tol = tolerance_of(solver) if tol is None else tol
    fitted = 0
    for problem in example_problems() if problems is None else problems:
        missing = solver.needs.missing(problem)
        if missing:
            check_refusal(solver, problem, missing)
        else:
            check_solve(solver, problem, tol=tol, max_iter=max_iter)
            fitted += 1
    require("a solver fits at least one of the problems", fitted > 0, f"{solver!r} fits none")


def check_settings(solver: Solver) -> None:
    """A solver is described by its parameters: it can be rebuilt, compared and pickled."""
    rebuilt = type(solver)(**solver.get_params(deep=False))
    require("a solver is rebuilt from get_params", rebuilt == solver, f"{rebuilt!r}, {solver!r}")
    require("a solver survives pickling", pickle.loads(pickle.dumps(solver)) == solver)
    require("a unit is 'iteration' or 'epoch'", solver.unit in ("iteration", "epoch"))
    require("chunk and budget are positive", solver.chunk >= 1 and solver.default_max_iter >= 1)


def check_refusal(solver: Solver, problem: Problem, missing: list[str]) -> None:
    """What does not fit is refused with what is missing and with solvers that would do."""
    try:
        resolve(solver, problem)
    except IncompatibleSolverError as error:
        text = str(error)
    else:
        raise AssertionError(f"broken law: {solver!r} lacks {missing} and is not refused")
    for phrase in missing:
        require("a refusal says what is missing", phrase in text, text)
    require("a refusal names solvers that can", "Solvers that can: '" in text, text)


def check_solve(
    solver: Solver, problem: Any, *, tol: float, max_iter: int | None = None
) -> SolveResult:
    """One solve: certified, inputs unchanged, dtype kept, repeatable, at rest at its answer."""
    budget = solver.default_max_iter if max_iter is None else max_iter
    stopping = Stopping(tol=tol, max_iter=budget)
    settings, start = repr(solver), problem.start()
    held = [
        a for a in (getattr(problem, "y", None), getattr(problem, "omega", None)) if a is not None
    ]
    before = [host(problem.xp.asarray(a, copy=True)) for a in (start, *held)]

    def solve(from_: Any) -> SolveResult:
        return run(problem, solver, start=from_, stopping=stopping, rng=np.random.default_rng(0))

    first = solve(start)
    what = f"{solver!r} on {problem.description}: {first.status}, {first.certificate}"
    require("a solver reaches the tolerance", first.status is Status.CONVERGED, what)
    if Trait.CONVEX in problem.traits:
        require("its answer is certified", problem.certificate(first.w).value <= tol, what)
    for a, b in zip(before, (start, *held), strict=True):
        require("a solve does not write start or data", np.array_equal(a, host(b)), what)
    require("settings do not change in a solve", repr(solver) == settings, what)
    require("the dtype is kept", first.w.dtype == problem.dtype, f"{what}: {first.w.dtype}")
    require("iterations are counted", 1 <= first.n_iter <= budget, what)
    again = solve(start)
    require_close("the same seed gives the same answer", again.w, first.w, 0.0)
    rested = solve(first.w)
    require(
        "a restart from the answer stops at the first report",
        rested.n_iter <= solver.chunk,
        f"{what}; the restart took {rested.n_iter} iterations",
    )
    return first
