"""The laws of a solver."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Any

import numpy as np

from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.engine import Oracle, Problem, Solver, SolveResult, Status, Stopping, run
from skopt_dl.kernels.namespace import to_float
from skopt_dl.testing.examples import example_problems
from skopt_dl.testing.law import host, require, require_close

# What a method is held to, and for how many epochs, whose steps do not shrink at the optimum by
# themselves: it wanders around it at a distance that its rate sets, so its duality gap need not
# become small. The share of the way from the start to the optimum that may be left:
WANDERING = 0.1
WANDERING_EPOCHS = 300
FEW_EPOCHS = 10


def wanders(solver: Solver) -> bool:
    """Whether the method steps along gradients of batches, or along subgradients."""
    return bool({Oracle.SAMPLE_GRAD, Oracle.SUBGRADIENT} & solver.needs.oracles)


def check_solver(
    solver: Solver,
    problems: Iterable[Problem] | None = None,
    *,
    tol: float = 1e-6,
    max_iter: int | None = None,
) -> None:
    """Check that ``solver`` solves what it declares, refuses the rest, and keeps the contract.

    Parameters
    ----------
    solver : Solver
        An instance of your class.
    problems : iterable of Problem, optional
        Convex problems. Default: `example_problems`, small regressions and classifications.
    tol : float
        The certificate to reach. A method of batches or subgradients (its needs name them) is held
        to its objective instead: 90 % of the way from the start to the optimum.
    max_iter : int, optional
        Iterations granted. Default: the solver's own budget; 300 epochs for these.

    Raises
    ------
    AssertionError
        Naming the broken law.
    """
    check_settings(solver)
    fitted = 0
    for problem in example_problems() if problems is None else problems:
        missing = solver.needs.missing(problem)
        if missing:
            check_refusal(solver, problem, missing)
        else:
            if wanders(solver):
                check_wandering(solver, problem, max_iter=max_iter or WANDERING_EPOCHS)
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
    """One solve: certified, and at rest at its answer, besides `check_contract`."""
    budget = solver.default_max_iter if max_iter is None else max_iter
    stopping = Stopping(tol=tol, max_iter=budget)
    result, what = check_contract(solver, problem, stopping)
    require("a solver reaches the tolerance", result.status is Status.CONVERGED, what)
    require("its answer is certified", problem.certificate(result.w).value <= tol, what)
    rested = _solve(solver, problem, result.w, stopping)
    require(
        "a restart from the answer stops at the first report",
        rested.n_iter <= solver.chunk,
        f"{what}; the restart took {rested.n_iter} iterations",
    )
    return result


def check_wandering(solver: Solver, problem: Any, *, max_iter: int) -> SolveResult:
    """A solve by batches: most of the way down, and not up again, besides `check_contract`."""
    few = Stopping(tol=None, max_iter=FEW_EPOCHS)
    check_contract(solver, problem, few)
    result = _solve(solver, problem, problem.start(), Stopping(tol=None, max_iter=max_iter))
    what = f"{solver!r} on {problem.description}: {result.status}, {result.certificate}"
    best = run(problem, resolve("auto", problem)[0], stopping=Stopping(tol=1e-8, max_iter=10_000))
    start, lowest = to_float(problem.value(problem.start())), best.certificate.objective
    allowed = lowest + WANDERING * (start - lowest)
    require(
        "a method of batches or subgradients covers 90 % of the way to the optimum",
        result.certificate.objective <= allowed,
        f"{what}; optimum {lowest:.6g}, start {start:.6g}",
    )
    rested = _solve(solver, problem, result.w, few)
    require(
        "it does not lose what it has",
        rested.certificate.objective <= allowed,
        f"{what}; after a restart {rested.certificate.objective:.6g}",
    )
    return result


def check_contract(solver: Solver, problem: Any, stopping: Stopping) -> tuple[SolveResult, str]:
    """Inputs and settings unchanged, dtype kept, iterations counted, repeatable by its seed."""
    settings, start = repr(solver), problem.start()
    data = (getattr(problem, "y", None), getattr(problem, "omega", None))
    held = [start, *(a for a in data if a is not None)]
    before = [host(problem.xp.asarray(a, copy=True)) for a in held]
    first = _solve(solver, problem, start, stopping)
    what = f"{solver!r} on {problem.description}: {first.status}, {first.certificate}"
    for a, b in zip(before, held, strict=True):
        require("a solve does not write start or data", np.array_equal(a, host(b)), what)
    require("settings do not change in a solve", repr(solver) == settings, what)
    require("the dtype is kept", first.w.dtype == problem.dtype, f"{what}: {first.w.dtype}")
    require("iterations are counted", 1 <= first.n_iter <= stopping.max_iter, what)
    again = _solve(solver, problem, start, stopping)
    require_close("the same seed gives the same answer", again.w, first.w, 0.0)
    return first, what


def _solve(solver: Solver, problem: Any, start: Any, stopping: Stopping) -> SolveResult:
    return run(problem, solver, start=start, stopping=stopping, rng=np.random.default_rng(0))
