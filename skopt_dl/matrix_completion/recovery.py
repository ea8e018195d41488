"""Exact recovery by ``solver="auto"``: the fast method first, the careful one where that fails."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from skopt_dl.dispatch import SOLVERS, resolve
from skopt_dl.engine import Oracle, SolveResult, Status, Stopping
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
    advice = advice_for(estimator, problem, kept)
    estimator._warn_unless_converged(kept, Stopping(tol=estimator.tol), advice)
    return kept


def fits_exactly(estimator: Any, problem: Any, result: SolveResult) -> bool:
    """Whether there is no penalty and all entries are met, to ``tol`` or rounding, of their size.

    No other start can do better.
    """
    if estimator.alpha != 0 or estimator.loss != "squared":
        return False
    least = max(estimator.tol**2, float(problem.xp.finfo(problem.dtype).eps) ** 1.5)
    return bool(result.certificate.objective <= least * _null(problem))


def advice_for(estimator: Any, problem: Any, result: SolveResult) -> str | None:
    """What to change where a fit without a penalty has not converged; None for other fits."""
    other = result.status in (Status.NONFINITE, Status.MAX_TIME)
    if estimator.alpha != 0 or estimator.loss != "squared" or other:
        return None
    if _is_there(problem, result):
        # The next power of ten above what rounding allows.
        enough = 10.0 ** math.ceil(math.log10(max(result.certificate.value, 1e-300)))
        return (
            "The entries are fitted to rounding, and no solver gets further in this precision: "
            f"tol={enough:.0e} would do"
        )
    obs, k = problem.observed, problem.k
    free = k * (sum(obs.shape) - k)
    left = math.sqrt(max(result.certificate.objective, 0.0) / _null(problem))
    return (
        f"The best matrix of rank {k} that was found misses the entries by {left:.1e} of their "
        f"size, and there are {obs.n_entries / free:.2g} times as many entries as it has degrees "
        f"of freedom. If they are exact: try more starts (n_init={2 * estimator.n_init + 4}), "
        "another n_components, or a larger max_iter; if they are noisy: alpha='auto'"
    )


def _null(problem: Any) -> float:
    return to_float(problem.misfit(-problem.observed.values))


def _is_there(problem: Any, result: SolveResult) -> bool:
    """Whether a solve has converged, or rounding is all that its fit lacks."""
    least = float(problem.xp.finfo(problem.dtype).eps) ** 1.5 * _null(problem)
    return result.success or result.certificate.objective <= least
