"""Lasso, ElasticNet and ConstrainedLasso against scikit-learn and against their own definitions."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
import sklearn.linear_model as reference
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skopt_dl.dispatch import SOLVERS, IncompatibleSolverError, fitting
from skopt_dl.engine import Oracle
from skopt_dl.linear_model import ConstrainedLasso, ElasticNet, Lasso
from skopt_dl.solvers import FISTA

TIGHT = {"tol": 1e-13, "max_iter": 100_000}
OFFSETS = np.array([1e6, 1e3, -1e6, 0.0])
SPARSE = [Lasso(0.05), ElasticNet(0.05), ConstrainedLasso(2.0)]
PENALISED = [Lasso(0.1), ElasticNet(0.1), Lasso(0.1, positive=True)]


@pytest.fixture(scope="module")
def data():
    """40 samples, 6 features of different scales and places, 3 targets, weights with zeros."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 6)) * [1, 5, 0.2, 1, 1, 2] + rng.standard_normal(6)
    Y = X @ rng.standard_normal((6, 3)) + rng.standard_normal((40, 3))
    return X, Y, rng.integers(0, 3, 40).astype(float)


def same_fit(ours, theirs, rtol=1e-7):
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=rtol, atol=rtol)
    assert ours.coef_.shape == theirs.coef_.shape
    assert np.shape(ours.intercept_) == np.shape(theirs.intercept_)


@pytest.mark.parametrize("name", ["Lasso", "ElasticNet"])
def test_signature_is_that_of_scikit_learn(name):
    theirs = inspect.signature(getattr(reference, name)).parameters
    ours = inspect.signature({"Lasso": Lasso, "ElasticNet": ElasticNet}[name]).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    assert list(ours)[len(theirs) :] == ["solver", "device", "max_time"]
    for key, parameter in theirs.items():
        assert (ours[key].default, ours[key].kind) == (parameter.default, parameter.kind)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("precompute", [True, False])
@pytest.mark.parametrize("estimator", [Lasso(0.1), ElasticNet(0.1, l1_ratio=0.3)], ids=repr)
def test_optimum_is_that_of_scikit_learn(
    data, estimator, fit_intercept, positive, weighted, precompute
):
    X, Y, w = data
    params = {"fit_intercept": fit_intercept, "positive": positive, **TIGHT}
    theirs = getattr(reference, type(estimator).__name__)(alpha=0.1, **params)
    if isinstance(estimator, ElasticNet):
        theirs.set_params(l1_ratio=0.3)
    ours = clone(estimator).set_params(precompute=precompute, **params)
    for y in (Y[:, 0], Y[:, :1], Y):
        theirs.fit(X, y, w if weighted else None)
        ours.fit(X, y, w if weighted else None)
        same_fit(ours, theirs, rtol=2e-6)
        assert np.shape(ours.dual_gap_) == np.shape(theirs.dual_gap_)
        assert np.shape(ours.n_iter_) == np.shape(theirs.n_iter_)
        assert ours.sparse_coef_.shape == theirs.sparse_coef_.shape
        np.testing.assert_allclose(ours.sparse_coef_.toarray(), np.atleast_2d(ours.coef_))
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("estimator", PENALISED, ids=repr)
def test_every_solver_that_fits_finds_the_same_optimum(data, estimator):
    X, Y, w = data
    y = Y[:, 0]
    best = clone(estimator).set_params(**TIGHT).fit(X, y, w)
    names = fitting(clone(estimator)._build_problem(X, y, w))
    assert {"cd", "fista", "ista", "admm"} <= set(names)
    # Rules on batches of samples and subgradients approach an optimum, no tight tolerance.
    loose = {Oracle.SAMPLE_GRAD, Oracle.SUBGRADIENT}
    exact = [n for n in names if not loose & SOLVERS.get(n).needs.oracles]
    for name in exact:
        m = clone(estimator).set_params(solver=name, tol=1e-9, max_iter=50_000, random_state=0)
        same_fit(m.fit(X, y, w), best, rtol=1e-3)
        assert m.solver_ == name
        assert m.solve_report_.status == "converged"
        assert 0 <= m.dual_gap_ <= 1e-9 * np.average((y - np.average(y, weights=w)) ** 2, weights=w)


@pytest.mark.parametrize("kind", [sparse.csc_array, sparse.csr_matrix])
@pytest.mark.parametrize("estimator", SPARSE, ids=repr)
def test_sparse_is_dense(estimator, kind):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((50, 8)) * (rng.random((50, 8)) < 0.3)
    y = X @ rng.standard_normal(8) + 3 + 0.1 * rng.standard_normal(50)
    dense = clone(estimator).set_params(tol=1e-12, max_iter=100_000).fit(X, y)
    Z = kind(X)
    Z.indices, Z.indptr = Z.indices.astype(np.int64), Z.indptr.astype(np.int64)
    stored = clone(estimator).set_params(tol=1e-12, max_iter=100_000).fit(Z, y)
    same_fit(stored, dense, rtol=1e-6)
    np.testing.assert_allclose(stored.predict(Z), dense.predict(X), rtol=1e-6)


@pytest.mark.parametrize("estimator", SPARSE, ids=repr)
def test_weights_are_repetitions(data, estimator):
    X, Y, w = data
    rows = np.repeat(np.arange(40), w.astype(int))
    model = clone(estimator).set_params(tol=1e-15, max_iter=100_000)
    with warnings.catch_warnings():
        # So tight a tolerance may end in a stall: rounding is what is compared.
        warnings.simplefilter("ignore", ConvergenceWarning)
        weighted = clone(model).fit(X, Y[:, 0], w)
        repeated = clone(model).fit(X[rows], Y[rows, 0])
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=0, atol=1e-6)


def test_one_number_for_all_weights_is_none(data):
    X, Y, _ = data
    same_fit(Lasso(0.1).fit(X, Y, 3.0), Lasso(0.1).fit(X, Y))


@pytest.mark.parametrize("estimator", [Lasso(0.1), ElasticNet(0.1), ConstrainedLasso()], ids=repr)
def test_float32_stays(data, estimator):
    X, Y, w = (a.astype(np.float32) for a in data)
    for y in (Y[:, 0], Y):
        m = clone(estimator).fit(X, y, w)
        assert m.coef_.dtype == m.predict(X).dtype == m.intercept_.dtype == np.float32
    assert Lasso(0.1).fit(np.arange(12).reshape(6, 2), np.arange(6)).coef_.dtype == np.float64


@pytest.mark.parametrize("convert", [np.asarray, sparse.csc_array, sparse.csr_array])
def test_columns_far_from_zero_and_constant_columns(convert):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((60, 4)) * [1, 1e-3, 1, 1]
    y = X @ [1, 1000, -1, 0.5] + 0.1 * rng.standard_normal(60) + 7
    raw = np.hstack([X + OFFSETS, np.full((60, 1), 3e6), np.ones((60, 1))])
    near = raw[:, :4] - raw[:, :4].mean(axis=0)
    theirs = reference.Lasso(1e-4, **TIGHT).fit(near, y)
    ours = Lasso(1e-4, tol=1e-10, max_iter=10_000).fit(convert(raw), y)
    np.testing.assert_allclose(ours.coef_[:4], theirs.coef_, rtol=1e-6)
    np.testing.assert_array_equal(ours.coef_[4:], 0)
    np.testing.assert_allclose(ours.predict(convert(raw)), theirs.predict(near), rtol=1e-6)


# --- precompute ---------------------------------------------------------------------------------


def gram_of(X, w):
    root = np.sqrt(w * len(w) / w.sum())[:, None]
    centred = root * (X - np.average(X, axis=0, weights=w))
    return centred.T @ centred


def test_a_gram_that_is_given_is_used(data):
    X, Y, w = data
    plain = Lasso(0.1, **TIGHT).fit(X, Y, w)
    given = Lasso(0.1, precompute=gram_of(X, w), **TIGHT).fit(X, Y, w)
    same_fit(given, plain, rtol=1e-5)
    np.testing.assert_allclose(given.predict(X), plain.predict(X), rtol=1e-5)
    assert given._build_problem(X, Y, w).n_samples == X.shape[1] + 1


def test_precompute_works_where_columns_depend_on_each_other(data):
    X, Y, w = data
    X = np.hstack([X, X[:, :2] @ np.ones((2, 1))])
    params = {"alpha": 0.1, **TIGHT}
    plain = ElasticNet(**params).fit(X, Y[:, 0], w)
    for precompute in (True, np.True_, np.False_, gram_of(X, w)):
        same_fit(ElasticNet(precompute=precompute, **params).fit(X, Y[:, 0], w), plain, rtol=1e-5)


def test_a_wrong_gram_is_refused(data):
    X, Y, _ = data
    with pytest.raises(ValueError, match=r"precompute has shape \(2, 2\)"):
        Lasso(precompute=np.eye(2)).fit(X, Y)
    with pytest.raises(ValueError, match="not the Gram matrix of these data"):
        Lasso(precompute=np.eye(6), fit_intercept=False).fit(X, Y)
    with pytest.raises(ValueError, match="precompute='auto' is not valid"):
        Lasso(precompute="auto").fit(X, Y)


def test_a_gram_of_data_not_centred_is_made_anew(data):
    X, Y, _ = data
    with pytest.warns(UserWarning, match="computed anew") as caught:
        model = Lasso(0.1, precompute=X.T @ X, **TIGHT).fit(X, Y)
    assert caught[0].filename == __file__
    same_fit(model, Lasso(0.1, **TIGHT).fit(X, Y), rtol=1e-5)


# --- parameters ---------------------------------------------------------------------------------


def test_warm_start_goes_on(data):
    X, Y, _ = data
    model = Lasso(0.01, tol=1e-10, warm_start=True, solver="cd").fit(X, Y)
    cold = max(model.n_iter_)
    assert max(model.fit(X, Y).n_iter_) <= 2 < cold
    with pytest.raises(ValueError, match="warm_start=True"):
        model.fit(X[:, :3], Y)


def test_selection_reaches_coordinate_descent_by_name_only(data):
    X, Y, _ = data
    kwargs = {"selection": "random", "random_state": 0, **TIGHT}
    by_name = Lasso(0.1, solver="cd", **kwargs).fit(X, Y[:, 0])
    assert "random" in by_name.solve_report_.solver
    again = Lasso(0.1, solver="cd", **kwargs).fit(X, Y[:, 0])
    np.testing.assert_array_equal(by_name.coef_, again.coef_)
    assert "random" not in Lasso(0.1, solver=FISTA(), **kwargs).fit(X, Y[:, 0]).solve_report_.solver


def test_x_is_never_written(data):
    X, Y, w = (np.asfortranarray(a.copy()) for a in data)
    for array in (X, Y, w):
        array.flags.writeable = False
    for estimator in (Lasso(copy_X=False), Lasso(precompute=True), ConstrainedLasso()):
        estimator.fit(X, Y, w)


def test_the_budget_warns_with_the_way_out(data):
    X, Y, _ = data
    with pytest.warns(ConvergenceWarning, match="Increase max_iter") as caught:
        Lasso(0.001, solver="ista", max_iter=2).fit(X, Y[:, 0])
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alpha": -1.0}, r"alpha=-1.0 .* a number >= 0"),
        ({"alpha": np.nan}, "alpha=nan"),
        ({"alpha": "a"}, "alpha='a'"),
        ({"max_iter": 0}, "max_iter=0 .* integer >= 1 or None"),
        ({"max_iter": 1.5}, "max_iter=1.5"),
        ({"tol": -1}, "tol=-1"),
        ({"max_time": 0}, "max_time=0 .* > 0"),
        ({"fit_intercept": "yes"}, "fit_intercept='yes' .* True or False"),
        ({"selection": "greedy"}, "selection='greedy' .* 'cyclic', 'random'"),
    ],
)
def test_bad_parameters_are_named(data, params, message):
    X, Y, _ = data
    with pytest.raises(ValueError, match=f"Lasso: the parameter {message}"):
        Lasso(**params).fit(X, Y)


def test_a_solver_that_cannot_says_why_and_who_can(data):
    X, Y, _ = data
    with pytest.raises(IncompatibleSolverError) as caught:
        Lasso(0.1, solver="lbfgs").fit(sparse.csc_array(X), Y[:, 0])
    text = str(caught.value)
    assert "solver 'lbfgs' cannot fit Lasso(alpha=0.1, solver='lbfgs')" in text
    assert "on this float64 CSC matrix" in text
    assert "the L1 penalty has none" in text
    assert "'anderson_cd' (what 'auto' takes)" in text
    assert "'fista'" in text


def test_grid_search_over_solvers_and_their_parameters(data):
    X, Y, _ = data
    grid = [
        {"solver": ["cd", "fista"], "alpha": [0.01, 0.1]},
        {"solver": [FISTA()], "solver__restart": [True, False]},
    ]
    search = GridSearchCV(Lasso(max_iter=10_000, tol=1e-8), grid, cv=3).fit(X, Y[:, 0])
    scores = search.cv_results_["mean_test_score"]
    # In the order of the grid: alpha varies slower than solver.
    np.testing.assert_allclose(scores[[0, 2]], scores[[1, 3]], rtol=1e-4)
    assert np.all(np.isfinite(scores))


# --- the constrained form -----------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.02, 0.3])
@pytest.mark.parametrize("solver", ["auto", "projected_gradient", "admm"])
def test_the_radius_of_a_lasso_gives_that_lasso(data, alpha, solver):
    X, Y, w = data
    lasso = Lasso(alpha, **TIGHT).fit(X, Y[:, 0], w)
    radius = np.abs(lasso.coef_).sum()
    model = ConstrainedLasso(radius, tol=1e-11, solver=solver).fit(X, Y[:, 0], w)
    same_fit(model, lasso, rtol=1e-4)
    np.testing.assert_allclose(np.abs(model.coef_).sum(), radius, rtol=1e-5)


def test_a_wide_ball_does_not_bind(data):
    X, Y, _ = data
    free = reference.LinearRegression().fit(X, Y)
    same_fit(ConstrainedLasso(1e3, tol=1e-12).fit(X, Y), free, rtol=1e-4)


def test_the_ball_needs_a_radius(data):
    X, Y, _ = data
    with pytest.raises(ValueError, match=r"radius=0 .* > 0"):
        ConstrainedLasso(0).fit(X, Y)
    with pytest.raises(IncompatibleSolverError, match="does not act on single coordinates"):
        ConstrainedLasso(solver="cd").fit(X, Y)


@pytest.mark.parametrize("solver", ["cd", "anderson_cd", "prox_newton"])
def test_equal_columns_of_float32_end_at_a_minimum(solver):
    for seed in range(10, 16):
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((40, 60))
        y = A @ np.where(rng.random(60) < 0.3, 1, 0) + 0.1 * rng.standard_normal(40)
        X, y = np.hstack([A, A]).astype(np.float32), y.astype(np.float32)
        ours = Lasso(0.01, solver=solver).fit(X, y)
        assert ours.solve_report_.status == "converged"
        exact = Lasso(0.01, tol=1e-10).fit(X.astype(float), y.astype(float))
        low = [float(m.solve_report_.objective) for m in (ours, exact)]
        assert low[0] <= low[1] + 2e-4 * np.var(y) / 2
