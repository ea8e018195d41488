"""Variance-reduced methods and dual ascent where rows are alike, and where some are long."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer

from skopt_dl.engine import Stopping, run
from skopt_dl.losses import Logistic, Squared
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import SAG, SAGA, SDCA, SVRG, NewtonCholesky


def breast_cancer(kind):
    X, y = load_breast_cancer(return_X_y=True)
    X = X / np.linalg.norm(X, axis=1, keepdims=True) if kind == "unit" else X - X.mean(axis=0)
    X = X if kind == "unit" else X / X.std(axis=0)
    return LinearProblem(X, y.astype(float), Logistic(), L2(1 / len(y)))


def passes(problem, solver, chunk):
    best = run(problem, NewtonCholesky(), stopping=Stopping(tol=1e-14, max_iter=100))
    state = solver.init(problem, problem.start(), np.random.default_rng(0))
    while state.n_iter < 200:
        solver.advance(problem, state, chunk)
        if float(problem.value(state.w)) <= best.certificate.objective + 1e-12:
            return state.n_epochs
    return np.inf


@pytest.mark.parametrize("solver", [SAG(), SAGA(), SVRG(), SDCA()], ids=repr)
def test_rows_of_one_length_take_thirty_passes(solver):
    assert passes(breast_cancer("unit"), solver, 1) <= 30


@pytest.mark.parametrize(
    ("solver", "most"), [(SAG(), 100), (SAGA(), 100), (SVRG(), 180), (SDCA(), 110)], ids=repr
)
def test_unlike_rows_take_about_a_hundred(solver, most):
    assert passes(breast_cancer("standard"), solver, 10) <= most


def test_constants_are_the_bounds_until_the_curvatures_have_settled():
    problem = breast_cancer("standard")
    w = problem.start()
    model = problem.samples(w)
    bound = model.lipschitz
    assert model.remeasure()
    assert model.lipschitz == pytest.approx(bound)
    # Nothing has moved: all curvatures are at their largest, so twice that is the bound again.
    assert model.remeasure()
    assert model.lipschitz == pytest.approx(bound)
    model.W[...] = 3.0
    assert model.remeasure()
    assert model.lipschitz == pytest.approx(bound)
    assert model.remeasure()
    assert model.lipschitz < bound / 2
    curvature = problem.loss.curvature(problem.y, problem.base.matvec(model.W)[:, 0])
    each = model.scale * model.squares * curvature
    assert np.max(each * model.boost) <= model.lipschitz
    model.W[...] = 0.0
    assert model.remeasure()
    assert model.lipschitz == pytest.approx(bound)


def test_alike_rows_and_quadratic_losses_are_not_looked_at():
    assert not breast_cancer("unit").samples(np.zeros(30)).remeasure()
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 4)) * np.exp(2 * rng.standard_normal((50, 1)))
    assert not LinearProblem(X, X[:, 0], Squared(), L2(0.1)).samples(np.zeros(4)).remeasure()


@pytest.mark.parametrize("solver", [SAG(), SAGA(), SVRG()], ids=repr)
@pytest.mark.parametrize("intercept", [True, False])
def test_sparse_rows_of_unlike_lengths(solver, intercept):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 6)) * np.exp(1.2 * rng.standard_normal((80, 1)))
    X[rng.random(X.shape) < 0.4] = 0
    y = (X @ rng.standard_normal(6) + rng.standard_normal(80) > 0).astype(float)
    for design in (X, sparse.csr_array(X)):
        problem = LinearProblem(design, y, Logistic(), L2(0.05), fit_intercept=intercept)
        stopping = Stopping(tol=1e-9, max_iter=2000)
        result = run(problem, solver, stopping=stopping, rng=np.random.default_rng(0))
        assert result.success
