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
