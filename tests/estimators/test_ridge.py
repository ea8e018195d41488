"""Ridge against scikit-learn, against its normal equations, and with every solver."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import sklearn.linear_model as reference
from scipy import sparse
from scipy.optimize import nnls
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skopt_dl.dispatch import SOLVERS, IncompatibleSolverError, fitting
from skopt_dl.engine import Oracle, run
from skopt_dl.linear_model import Ridge
from skopt_dl.problems.certificates import dual_point
from skopt_dl.solvers import FISTA, Cholesky

OFFSETS = np.array([1e6, 1e3, -1e6, 0.0])


@pytest.fixture(scope="module")
def data():
    """40 samples, 6 features of different scales and places, 3 targets, weights with zeros."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 6)) * [1, 5, 0.5, 1, 1, 2] + rng.standard_normal(6)
    Y = X @ rng.standard_normal((6, 3)) + rng.standard_normal((40, 3))
    return X, Y, rng.integers(0, 3, 40).astype(float)


def same_fit(ours, theirs, rtol=1e-9):
    assert ours.coef_.shape == theirs.coef_.shape
    assert np.shape(ours.intercept_) == np.shape(theirs.intercept_)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=rtol, atol=rtol)


def test_signature_is_that_of_scikit_learn():
    theirs = inspect.signature(reference.Ridge).parameters
    ours = inspect.signature(Ridge).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    assert list(ours)[len(theirs) :] == ["device", "max_time"]
    for key, parameter in theirs.items():
        assert (ours[key].default, ours[key].kind) == (parameter.default, parameter.kind)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 0.7, 1e3])
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_optimum_is_that_of_scikit_learn(data, fit_intercept, weighted, alpha, convert):
    X, Y, w = data
    w = w if weighted else None
    for y in (Y[:, 0], Y[:, :1], Y):
        theirs = reference.Ridge(alpha, fit_intercept=fit_intercept, solver="svd").fit(X, y, w)
        ours = Ridge(alpha, fit_intercept=fit_intercept, tol=1e-11).fit(convert(X), y, w)
        same_fit(ours, theirs)
        np.testing.assert_allclose(ours.predict(convert(X)), theirs.predict(X), rtol=1e-7)
        assert ours.n_iter_.shape == (1 if y.ndim == 1 else y.shape[1],)
        assert np.all(ours.n_iter_ >= 1)


@pytest.mark.parametrize("solver", ["auto", "svd", "cholesky", "lsqr", "sparse_cg"])
def test_scikit_learns_names(data, solver):
    X, Y, w = data
    ours = Ridge(2.0, solver=solver, tol=1e-11).fit(X, Y, w)
    same_fit(ours, reference.Ridge(2.0).fit(X, Y, w))
    assert ours.solver_ == ("cholesky" if solver == "auto" else solver)


@pytest.mark.parametrize("solver", ["sag", "saga"])
def test_scikit_learns_stochastic_names(data, solver):
    X, Y, w = data
    X = X / X.std(axis=0)
    ours = Ridge(2.0, solver=solver, tol=1e-7, max_iter=5000, random_state=0).fit(X, Y[:, 0], w)
    same_fit(ours, reference.Ridge(2.0).fit(X, Y[:, 0], w), rtol=1e-4)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("n_targets", [1, 3])
def test_every_solver_that_fits_finds_the_same_optimum(data, positive, n_targets):
    X, Y, w = data
    X, Y = X / X.std(axis=0), Y[:, :n_targets]
    best = Ridge(0.5, positive=positive, tol=1e-12).fit(X, Y, w)
    names = fitting(Ridge(positive=positive)._build_problem(X, Y[:, 0], w))
    # Rules on batches of samples approach an optimum, no tight tolerance.
    exact = [n for n in names if Oracle.SAMPLE_GRAD not in SOLVERS.get(n).needs.oracles]
    assert {"cd", "fista", "admm"} <= set(exact)
    assert ("lbfgs" in exact) is not positive
    for name in exact:
        model = Ridge(0.5, positive=positive, solver=name, tol=1e-8, max_iter=20_000)
        same_fit(model.set_params(random_state=0).fit(X, Y, w), best, rtol=1e-5)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_positive_is_non_negative_least_squares(data, fit_intercept):
    X, Y, w = data
    model = Ridge(0.5, positive=True, fit_intercept=fit_intercept, tol=1e-12).fit(X, Y, w)
    mean, level = np.average(X, axis=0, weights=w), np.average(Y, axis=0, weights=w)
    if not fit_intercept:
        mean, level = 0 * mean, 0 * level
    # The penalty as rows: |sqrt(w) (y - Xb)|^2 + alpha |b|^2.
    root = np.sqrt(w)[:, None]
    A = np.vstack([root * (X - mean), np.sqrt(0.5) * np.eye(6)])
    for k in range(3):
        b = np.concatenate([(root * (Y - level))[:, k], np.zeros(6)])
        np.testing.assert_allclose(model.coef_[k], nnls(A, b)[0], atol=1e-9)


def test_one_penalty_for_each_target(data):
    X, Y, w = data
    alpha = [0.1, 10.0, 1000.0]
    for solver in ("auto", "lsqr", "cd", "lbfgs"):
        ours = Ridge(alpha, solver=solver, tol=1e-9, max_iter=2000).fit(X, Y, w)
        same_fit(ours, reference.Ridge(alpha).fit(X, Y, w), rtol=1e-6)
    with pytest.raises(ValueError, match="penalties do not correspond: 3 != 2"):
        Ridge([1.0, 2.0]).fit(X, Y)


def test_targets_are_solved_at_once_where_the_solver_can(data):
    X, Y, _ = data
    assert not isinstance(Ridge().fit(X, Y).solve_report_, list)
    assert len(Ridge(solver="cd").fit(X, Y).solve_report_) == 3


def test_weights_are_repetitions(data):
    X, Y, w = data
    rows = np.repeat(np.arange(40), w.astype(int))
    for solver in ("cholesky", "svd", "lsqr"):
        weighted = Ridge(solver=solver, tol=1e-13, max_iter=100).fit(X, Y, w)
        repeated = Ridge(solver=solver, tol=1e-13, max_iter=100).fit(X[rows], Y[rows])
        same_fit(weighted, repeated, rtol=1e-10)


@pytest.mark.parametrize("convert", [np.asarray, sparse.csc_array])
@pytest.mark.parametrize("solver", ["auto", "lsqr", "cd"])
def test_columns_far_from_zero_and_constant_columns(convert, solver):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((60, 4)) * [1, 1e-2, 1, 1]
    y = X @ [1, 100, -1, 0.5] + 0.1 * rng.standard_normal(60) + 7
    raw = np.hstack([X + OFFSETS, np.full((60, 1), 3.0), np.zeros((60, 1))])
    near = raw[:, :4] - raw[:, :4].mean(axis=0)
    theirs = reference.Ridge(1e-3, solver="svd").fit(near, y)
    ours = Ridge(1e-3, solver=solver, tol=1e-9, max_iter=1000).fit(convert(raw), y)
    np.testing.assert_allclose(ours.coef_[:4], theirs.coef_, rtol=1e-6)
    np.testing.assert_allclose(ours.coef_[4:], 0, atol=1e-10)
    np.testing.assert_allclose(ours.predict(convert(raw)), theirs.predict(near), rtol=1e-6)


def test_float32_stays(data):
    X, Y, w = (a.astype(np.float32) for a in data)
    for solver in ("auto", "svd", "lsqr", "cd"):
        m = Ridge(solver=solver, tol=1e-4).fit(X, Y, w)
        assert m.coef_.dtype == m.predict(X).dtype == m.intercept_.dtype == np.float32


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alpha": -1.0}, "alpha=-1.0"),
        ({"alpha": [1.0, np.inf]}, "alpha="),
        ({"alpha": None}, "alpha=None"),
        ({"alpha": True}, "alpha=True"),
        ({"positive": 2}, "positive=2"),
        ({"max_iter": 0}, "max_iter=0"),
    ],
)
def test_bad_parameters_are_named(data, params, message):
    X, Y, _ = data
    with pytest.raises(ValueError, match=f"Ridge: the parameter {message}"):
        Ridge(**params).fit(X, Y)


def test_a_solver_that_cannot_says_why_and_who_can(data):
    X, Y, _ = data
    with pytest.raises(IncompatibleSolverError, match=r"X is sparse.*'cg' \(what 'auto' takes\)"):
        Ridge(solver="svd").fit(sparse.csr_array(X), Y)
    with pytest.raises(IncompatibleSolverError, match="'cd'"):
        Ridge(solver="cholesky", positive=True).fit(X, Y)


def test_grid_search_over_solvers_and_their_parameters(data):
    X, Y, _ = data
    grid = [
        {"solver": ["cholesky", "lsqr", "cd"]},
        {"solver": [FISTA()], "solver__restart": [True, False], "max_iter": [100_000]},
    ]
    search = GridSearchCV(Ridge(tol=1e-10), grid, cv=3).fit(X, Y[:, 0])
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-6)


def test_clone_keeps_an_instance_as_it_is(data):
    X, Y, _ = data
    model = Ridge(solver=FISTA(restart=False), max_iter=50_000).fit(X, Y)
    assert clone(model).solver == FISTA(restart=False)
    assert model.solver_ == "fista"


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_lbfgs_with_bounds_is_what_lbfgs_means_where_coefficients_are_positive(data, fit_intercept):
    X, Y, w = data
    params = {"alpha": 0.5, "positive": True, "fit_intercept": fit_intercept, "tol": 1e-10}
    best = Ridge(**params).fit(X, Y, w)
    model = Ridge(solver="lbfgs", **params).fit(X, Y, w)
    same_fit(model, best, rtol=1e-7)
    assert model.solver_ == "lbfgs"
    assert "LBFGSB" in model.solve_report_[0].solver
    assert np.max(model.n_iter_) < 100
    np.testing.assert_array_equal(model.coef_ == 0, best.coef_ == 0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_targets", [1, 3])
def test_what_the_gram_tells_is_what_the_rows_say(weighted, n_targets):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5)) + 0.3
    y = rng.standard_normal((60, n_targets))
    s = rng.uniform(0.5, 2, 60) if weighted else None
    problem, fresh = (Ridge()._build_problem(X, y, s) for _ in range(2))
    result = run(problem, Cholesky())
    ours, theirs = result.certificate, fresh.certificate(result.w)
    assert problem.known_at(result.w)[0] is None, "the predictions were not needed"
    assert ours.objective == pytest.approx(theirs.objective, rel=1e-13)
    assert ours.value <= 1e-14 and theirs.value <= 1e-14
    assert 0 <= ours.gap <= 1e-14 * ours.objective
    # Away from the optimum: the gap of the coefficients alone, and of the definition.
    w = result.w + 0.1
    expected, _ = dual_point(fresh, fresh.predict_raw(w), float(fresh.value(w)))
    assert fresh.certificate(w).gap == pytest.approx(expected, rel=1e-10) and expected > 1e-3
