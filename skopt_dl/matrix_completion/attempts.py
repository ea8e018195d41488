"""Several solves of one problem, of which the best is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skopt_dl.engine import SolveResult


def best_of(
    estimator: Any,
    problem: Any,
    start: Callable[[int], Any],
    rng: Any,
    *,
    quiet: bool = False,
    advice: Callable[[SolveResult], str | None] | None = None,
    enough: Callable[[SolveResult], bool] | None = None,
    **settings: Any,
) -> SolveResult:
    """The one of ``n_init`` solves with the least objective.

    A solve that is not kept may have failed: only the kept one warns.

    Parameters
    ----------
    estimator : EngineEstimator
        Has ``n_init``, ``tol`` and ``max_iter``.
    problem : Problem
        Its ``seed`` is drawn anew for each solve.
    start : callable
        From the number of the solve to where it starts.
    rng : RandomState
        Gives the seeds, and what a solver draws.
    quiet : bool
        Whether it is for the caller to warn.
    advice : callable, optional
        What a warning says to change, from the solve that is kept.
    enough : callable, optional
        Whether no other start could be better than this solve: then no more are made.
    **settings
        Of the solves.
    """
    attempts = []
    for k in range(estimator.n_init):
        problem.seed = int(rng.randint(2**31 - 1))
        attempts.append(
            estimator._attempt(
                problem,
                start=start(k),
                rng=rng,
                part=(k, estimator.n_init),
                **{"tol": estimator.tol, "max_iter": estimator.max_iter, **settings},
            )
        )
        if enough is not None and enough(attempts[-1][0]):
            break
    kept, stopping = min(attempts, key=lambda attempt: attempt[0].certificate.objective)
    if not quiet:
        said = None if advice is None else advice(kept)
        estimator._warn_unless_converged(kept, stopping, said)
    return kept  # type: ignore[no-any-return]
