"""Quasi-Newton and conjugate gradients on the factors of a matrix, beside descent and ALS."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skopt_dl.engine import Stopping, run
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.solvers import (
    ALS,
    LBFGS,
    GaussNewtonCG,
    GradientDescent,
    LevenbergMarquardt,
    NonlinearCG,
)


def matrix(condition: float, alpha: float = 1e-3) -> Any:
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((size, 3)))[0] for size in (60, 50))
    full = (U * np.linspace(1, 1 / condition, 3)) @ V.T
    X = np.where(rng.random(full.shape) < 0.4, full / full.std(), np.nan)
    return MatrixCompletion(3, alpha=alpha, random_state=0)._build_problem(X)


@pytest.mark.parametrize(
    "solver", [LBFGS(), NonlinearCG(), LevenbergMarquardt(), GaussNewtonCG()], ids=repr
)
@pytest.mark.parametrize("condition", [1, 5])
def test_they_end_where_alternating_least_squares_does(solver: Any, condition: float) -> None:
    problem, stopping = matrix(condition), Stopping(tol=1e-8, max_iter=3000)
    best = run(problem, ALS(), stopping=stopping).certificate.objective
    found = run(problem, solver, stopping=stopping)
    assert found.certificate.objective <= best * (1 + 1e-6)


def test_they_need_fewer_passes_than_descent_where_the_condition_is_twenty() -> None:
    problem = matrix(20, alpha=1e-5)
    start = problem.start()
    best = run(problem, ALS(), stopping=Stopping(tol=1e-9, max_iter=3000)).certificate.objective
    first = float(problem.value(start))
    passes = {}
    for solver in (LBFGS(), NonlinearCG(), GradientDescent()):

        class Watch:
            def on_report(self, report: Any) -> bool:
                return float(problem.value(report.state.w)) <= best + 1e-6 * (first - best)

        result = run(
            problem, solver, stopping=Stopping(tol=None, max_iter=20_000), observers=[Watch()]
        )
        # Trials along a line are a quartic's: what counts are iterations, a gradient each.
        passes[type(solver)] = result.n_iter
    assert passes[LBFGS] < 0.5 * passes[GradientDescent]
    assert passes[NonlinearCG] < 0.5 * passes[GradientDescent]


def test_alternating_least_squares_do_not_feel_the_condition() -> None:
    for condition in (1, 5, 20, 100):
        rng = np.random.default_rng(0)
        U, V = (np.linalg.qr(rng.standard_normal((size, 5)))[0] for size in (300, 250))
        full = (U * np.linspace(1, 1 / condition, 5)) @ V.T
        X = np.where(rng.random(full.shape) < 0.3, full / full.std(), np.nan)
        problem = MatrixCompletion(5, alpha=1e-8, random_state=0)._build_problem(X)
        solver, n = ALS(), 0
        state = solver.init(problem, problem.start(), np.random.default_rng(0))
        goal = 1e-12 * float(problem.value(0 * problem.start()))
        while float(problem.value(state.w)) > goal + 1e-7 and n < 40:
            solver.advance(problem, state, 1)
            n += 1
        assert n <= 15


@pytest.mark.parametrize("solver", [ALS(), LBFGS()], ids=repr)
def test_every_start_ends_at_the_best_matrix_of_its_rank(solver: Any) -> None:
    """Eckart and Young; of a full matrix no other minimum is local."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 9))
    s = np.linalg.svd(X, compute_uv=False)
    for seed in range(20):
        problem = MatrixCompletion(3, alpha=0.0, random_state=seed)._build_problem(X)
        result = run(
            problem,
            solver,
            start=np.random.default_rng(seed).standard_normal(problem.size),
            stopping=Stopping(tol=1e-12, max_iter=20_000),
        )
        P, Q = problem.unpack(result.w)
        lost = np.sum((X - P @ Q.T) ** 2)
        assert lost == pytest.approx(np.sum(s[3:] ** 2), rel=1e-10)
