"""Exact recovery by ``solver="auto"``: the fast method first, the careful one where that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from skopt_dl.dispatch import SOLVERS, resolve
from skopt_dl.engine import Oracle, SolveResult, Stopping
from skopt_dl.kernels.namespace import to_float

# Turns and steps of gauss_newton before irls is asked. 1000 x 1000, rank 10, 2.5 times as many
# entries as degrees of freedom: with condition 1 it finds 5 of 5 in 0.12 s each and irls in 0.31;
# with 1e3 3 of 5 in 6.9 s, irls all in 0.7; with 1e6 none in 6.3 s, irls all in 1.0
# (benchmarks/completion.py exact).
PATIENCE = 20


def recovered(estimator: Any, problem: Any, solve: Callable[..., SolveResult]) -> SolveResult:
    """The answer without a penalty of the first method that gets there, or the best of all.

    ``solve(**settings)`` is the solve of a method by the estimator's other settings.
    """
    chosen = SOLVERS.name_of(resolve(estimator.solver, problem)[0])
    other = chosen == "gauss_newton" and problem.why_not(Oracle.TANGENT) is None
    if estimator.max_iter is not None or not other:
        return solve()
    first = solve(quiet=True, max_iter=PATIENCE)
    found = [first]
    if not _is_there(problem, first):
        second = solve(quiet=True, solver="irls")
        found.append(replace(second, reason="gauss_newton found no exact fit"))
        if not _is_there(problem, second):
            found.append(solve(quiet=True, start=lambda _: first.w))
    kept = min(found, key=lambda result: result.certificate.objective)
    estimator._warn_unless_converged(kept, Stopping(tol=estimator.tol))
    return kept


def _is_there(problem: Any, result: SolveResult) -> bool:
    """Whether a solve has converged, or rounding is all that its fit lacks."""
    null = to_float(problem.misfit(-problem.observed.values))
    least = float(problem.xp.finfo(problem.dtype).eps) ** 1.5 * null
    return result.success or result.certificate.objective <= least
