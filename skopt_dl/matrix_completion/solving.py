"""How `MatrixCompletion` comes to its answer: which problems, from which starts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from skopt_dl._sklearn.arrays import put_beside
from skopt_dl.dispatch import resolve
from skopt_dl.dispatch.resolve import IncompatibleSolverError
from skopt_dl.engine import Oracle, Problem, SolveResult
from skopt_dl.matrix_completion.attempts import best_of
from skopt_dl.matrix_completion.building import (
    ball_problem,
    factor_problem,
    has_posterior,
    learns,
    posterior_problem,
    rank_of,
)
from skopt_dl.matrix_completion.pairs import positions
from skopt_dl.matrix_completion.pilot import Pilot
from skopt_dl.matrix_completion.prepared import Prepared
from skopt_dl.matrix_completion.recovery import advice_for, fits_exactly, recovered
from skopt_dl.matrix_completion.training import Training

Unpack = Callable[[Any, Any], dict[str, Any]]


def solved(estimator: Any, data: Prepared, rng: Any, interim: Unpack) -> tuple[Any, SolveResult]:
    """The problem whose answer is the model, and the best solve of it.

    ``interim(problem, w)`` gives fitted attributes for callbacks while a solve is under way.
    """
    if estimator.loss != "squared":
        return _robustly_solved(estimator, data, rng, interim)
    if estimator.penalty == "nuclear_ball":
        ball = ball_problem(estimator, data)
        return ball, _best(estimator, ball, data, rng, interim)
    if not learns(estimator):
        problem = factor_problem(estimator, data, estimator.alpha)
        if estimator.alpha == 0:
            data.warn_if_undetermined(rank_of(estimator, data))
            if estimator.solver == "auto":
                return problem, recovered(
                    estimator, problem, partial(_best, estimator, problem, data, rng, interim)
                )
        return problem, _best(estimator, problem, data, rng, interim)
    learned = posterior_problem(estimator, data)
    if has_posterior(estimator) and _fits(estimator, learned):
        return learned, _best(estimator, learned, data, rng, interim)
    # The solver minimises the penalised objective: at the strength that the evidence takes.
    start = _best(estimator, learned, data, rng, interim, solver="auto")
    alpha = learned.penalty_per_entry(learned.unpack(start.w))
    problem = factor_problem(estimator, data, alpha)
    return problem, _best(estimator, problem, data, rng, interim)


def first_problem(estimator: Any, data: Prepared, seed: int) -> Any:
    """The problem that `solved` begins with."""
    loss = None if estimator.loss == "squared" else Pilot(estimator, data, seed).loss()
    problem: Any
    if estimator.penalty == "nuclear_ball":
        problem = ball_problem(estimator, data)
    elif learns(estimator) and has_posterior(estimator):
        problem = posterior_problem(estimator, data)
    else:
        alpha = 0.05 if learns(estimator) else estimator.alpha
        problem = factor_problem(estimator, data, alpha, loss)
    problem.seed = seed
    return problem


def _robustly_solved(
    estimator: Any, data: Prepared, rng: Any, interim: Unpack
) -> tuple[Any, SolveResult]:
    """The same with a robust loss, whose delta and penalty a first fit may have to find."""
    pilot = Pilot(estimator, data, int(rng.randint(2**31 - 1)))
    loss, alpha = pilot.loss(), estimator.alpha
    if learns(estimator):
        alpha = pilot.strength()
    problem = factor_problem(estimator, data, alpha, loss)
    start = None if estimator.positive else pilot.start
    return problem, _best(estimator, problem, data, rng, interim, start=start)


def _fits(estimator: Any, problem: Problem) -> bool:
    """Whether the estimator's solver can work on this problem."""
    try:
        resolve(estimator.solver, problem)
    except IncompatibleSolverError:
        return False
    return True


def _best(
    estimator: Any,
    problem: Any,
    data: Prepared,
    rng: Any,
    interim: Unpack,
    solver: Any = None,
    start: Any = None,
    **settings: Any,
) -> SolveResult:
    """The best of ``n_init`` solves; ``start(problem)`` is another first start."""
    chosen = resolve(estimator.solver if solver is None else solver, problem)[0]
    # Draws have no optimum: such a method ends by itself.
    draws = Oracle.CONDITIONAL_DRAW in chosen.needs.oracles

    def begin(k: int) -> Any:
        first = _first_start(estimator, problem, data.training, start) if k == 0 else None
        return problem.random_start() if first is None else first

    return best_of(
        estimator,
        problem,
        begin,
        rng,
        tol=None if draws else estimator.tol,
        unpack=lambda w: interim(problem, w),
        solver=solver,
        advice=partial(advice_for, estimator, problem),
        enough=partial(fits_exactly, estimator, problem),
        **settings,
    )


def _first_start(estimator: Any, problem: Any, training: Training, otherwise: Any) -> Any:
    """The spectral (or another) start, or with ``warm_start`` the earlier column factors."""
    if not (estimator.warm_start and hasattr(estimator, "components_")):
        return problem.start() if otherwise is None else otherwise(problem)
    xp, (n, kq) = problem.xp, problem.column_shape
    old = xp.astype(estimator._columns.Q, problem.dtype)
    pairs = training.col_ids is not None
    known = getattr(estimator, "col_ids_", None)
    same = (known is not None) if pairs else (known is None and old.shape[0] == n)
    if not same or old.shape[1] != kq:
        raise ValueError(
            "MatrixCompletion: warm_start=True needs the columns, the rank and fit_bias of the "
            f"previous fit: it had column parameters of shape {tuple(old.shape)}, and now they "
            f"would be {(n, kq)}. Use warm_start=False"
        )
    if pairs:
        place, found = (put_beside(old, a) for a in positions(training.col_ids, known))
        fresh = problem.columns_of(problem.start())
        old = xp.where(found[:, None], xp.take(old, place, axis=0), fresh)
    return problem.from_cols(old)
