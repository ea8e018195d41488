"""Paths of the lasso and the elastic net against scikit-learn, and where they begin."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import sklearn.linear_model as reference
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skopt_dl.linear_model import (
    ElasticNet,
    Lasso,
    _exact_path as exact,
    alpha_max,
    enet_path,
    lasso_path,
)
from skopt_dl.problems.working_set import WorkingSet

TIGHT = {"tol": 1e-13, "max_iter": 200_000}
SHAPES = {"tall": (80, 20), "square": (30, 30), "wide": (30, 90)}


def make(n, p, seed=0):
    """Correlated columns of mean zero (the functions have no intercept) and a sparse truth."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    X[:, 1:] += 0.7 * X[:, :-1]
    y = X[:, :6] @ rng.standard_normal(6) + 0.5 * rng.standard_normal(n)
    return X - X.mean(axis=0), y - y.mean()


def relative(gaps, y):
    return np.max(gaps) / (y @ y / len(y) / 2)


@pytest.mark.parametrize("name", ["enet_path", "lasso_path"])
def test_signature_is_that_of_scikit_learn(name):
    theirs = inspect.signature(getattr(reference, name)).parameters
    ours = inspect.signature({"enet_path": enet_path, "lasso_path": lasso_path}[name]).parameters
    # Deprecated in scikit-learn, whose ``alphas`` then has our default.
    expected = [key for key in theirs if key not in ("n_alphas", "params")]
    assert [key for key in ours if key in expected] == expected
    for key in set(expected) - {"alphas"}:
        assert (ours[key].default, ours[key].kind) == (theirs[key].default, theirs[key].kind)
    assert ours["alphas"].default == 100


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("layout", ["C", "F", "csc", "csr"])
def test_path_is_that_of_scikit_learn(shape, l1_ratio, positive, layout):
    X, y = make(*SHAPES[shape])
    if layout in ("csc", "csr"):
        X = sparse.csr_array(X * (np.abs(X) > 1)).asformat(layout)
    else:
        X = np.asarray(X, order=layout)
    kwargs = {"l1_ratio": l1_ratio, "alphas": 40, "positive": positive, "eps": 1e-2}
    theirs = reference.enet_path(X, y, **kwargs, **TIGHT)
    alphas, coefs, gaps, n_iters = enet_path(X, y, **kwargs, tol=1e-10, return_n_iter=True)
    np.testing.assert_allclose(alphas, theirs[0], rtol=1e-12)
    np.testing.assert_allclose(coefs, theirs[1], atol=1e-6 * np.max(np.abs(theirs[1])))
    assert coefs.shape == theirs[1].shape
    assert relative(gaps, y) <= 1e-10
    assert len(n_iters) == len(alphas)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_solver_and_gram_give_one_path(shape):
    X, y = make(*SHAPES[shape])
    kwargs = {"alphas": 10, "eps": 0.05, "tol": 1e-10, "max_iter": 20_000}
    _, coefs, _ = lasso_path(X, y, **kwargs)
    variants = [
        {"solver": "cd"},
        {"solver": "fista"},
        {"selection": "random", "random_state": 0},
        {"precompute": True},
        {"precompute": False},
        {"precompute": X.T @ X},
        {"precompute": X.T @ X, "Xy": X.T @ y},
    ]
    for variant in variants:
        _, other, gaps = lasso_path(X, y, **kwargs, **variant)
        np.testing.assert_allclose(other, coefs, atol=1e-3, err_msg=str(variant))
        assert relative(gaps, y) <= 1e-10


def test_a_hundred_strengths_take_few_products(monkeypatch):
    X, y = make(60, 400)
    products = []

    def counting(self, *args):
        products.append(self.size)
        return original(self, *args)

    original = WorkingSet.block_correlations
    monkeypatch.setattr(WorkingSet, "block_correlations", counting)
    lasso_path(X, y, tol=1e-8)
    assert len(products) <= 25


def test_weights_are_repetitions():
    X, y = make(30, 50)
    weights = np.arange(30) % 3
    rows = np.repeat(np.arange(30), weights)
    for kwargs in ({}, {"solver": "cd", "max_iter": 100_000}):
        a = enet_path(X, y, sample_weight=weights, alphas=20, tol=1e-12, **kwargs)
        b = enet_path(X[rows], y[rows], alphas=20, tol=1e-12, **kwargs)
        np.testing.assert_allclose(a[0], b[0])
        np.testing.assert_allclose(a[1], b[1], atol=1e-6)


def test_strengths_may_be_given_down_to_zero():
    X, y = make(40, 10)
    given = [0.0, 0.5, 0.1]
    alphas, coefs, _ = lasso_path(X, y, alphas=given, tol=1e-12, max_iter=100_000)
    np.testing.assert_array_equal(alphas, [0.5, 0.1, 0.0])
    np.testing.assert_allclose(coefs[:, -1], np.linalg.lstsq(X, y)[0], atol=1e-5)
    ridge = reference.Ridge(alpha=0.5 * 40, fit_intercept=False).fit(X, y)
    _, coefs, _ = enet_path(X, y, l1_ratio=0, alphas=[0.5], tol=1e-12, max_iter=100_000)
    np.testing.assert_allclose(coefs[:, 0], ridge.coef_, atol=1e-5)


def test_float32_keeps_its_dtype_and_is_nearly_as_good():
    X, y = make(40, 100)
    _, coefs, gaps = lasso_path(X.astype(np.float32), y.astype(np.float32), alphas=30)
    _, expected, _ = lasso_path(X, y, alphas=30)
    assert coefs.dtype == np.float32
    assert relative(gaps, y) < 1e-5
    np.testing.assert_allclose(coefs, expected, atol=5e-3)


def test_dependent_and_empty_columns_stay_finite():
    X, y = make(20, 30)
    X[:, 10:20] = X[:, :10]
    X[:, 20] = 0.0
    X[:, 21] = 3 * X[:, 0]
    _, coefs, gaps = lasso_path(X, y, tol=1e-9)
    assert np.all(np.isfinite(coefs))
    assert relative(gaps, y) <= 1e-9
    np.testing.assert_array_equal(coefs[20], 0)


def test_a_path_that_outgrows_its_memory_is_finished_by_coordinate_descent(monkeypatch):
    X, y = make(60, 200)
    _, expected, _ = lasso_path(X, y, alphas=30, tol=1e-9)
    monkeypatch.setattr(exact, "MOST_COLUMNS", 20)
    _, coefs, gaps = lasso_path(X, y, alphas=30, tol=1e-9, max_iter=100_000)
    np.testing.assert_allclose(coefs, expected, atol=1e-2)
    assert relative(gaps, y) <= 1e-9


def test_a_budget_too_small_warns_with_the_way_out():
    X, y = make(30, 60)
    with pytest.warns(ConvergenceWarning, match="Increase max_iter") as caught:
        lasso_path(X, y, solver="cd", max_iter=1, tol=1e-8, alphas=20)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"alphas": 0}, "alphas=0"),
        ({"alphas": [-1.0]}, r"alphas=\[-1.0\] is not valid"),
        ({"l1_ratio": 2}, "l1_ratio=2"),
        ({"l1_ratio": 0}, "give alphas yourself"),
        ({"precompute": "yes"}, "precompute='yes'"),
        ({"precompute": np.eye(2)}, r"precompute has shape \(2, 2\)"),
        ({"precompute": np.eye(10)}, "not X'X of these data"),
        ({"selection": "greedy"}, "selection='greedy'"),
    ],
)
def test_bad_parameters_are_named(kwargs, message):
    X, y = make(20, 10)
    with pytest.raises(ValueError, match=message):
        enet_path(X, y, **kwargs)


# --- where a path begins -----------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("solver", ["auto", "cd", "fista"])
def test_alpha_max_is_where_the_first_coefficient_appears(
    fit_intercept, weighted, positive, convert, solver
):
    X, y = make(40, 15)
    X, y = convert(X + 2.0), y + 5.0
    w = np.arange(40.0) if weighted else None
    kwargs = {"fit_intercept": fit_intercept, "positive": positive}
    model = Lasso(tol=1e-12, max_iter=10_000, solver=solver, **kwargs)
    top = alpha_max(X, y, sample_weight=w, **kwargs)
    assert not np.any(model.set_params(alpha=top).fit(X, y, w).coef_)
    assert np.any(model.set_params(alpha=0.999 * top).fit(X, y, w).coef_)


def test_alpha_max_of_an_elastic_net_and_of_several_targets():
    X, y = make(40, 15)
    top = alpha_max(X, y, l1_ratio=0.3)
    assert not np.any(ElasticNet(alpha=top, l1_ratio=0.3).fit(X, y).coef_)
    assert np.any(ElasticNet(alpha=0.999 * top, l1_ratio=0.3, tol=1e-9).fit(X, y).coef_)
    Y = np.stack([y, np.roll(y, 1)], axis=1)
    top = alpha_max(X, Y)
    theirs = reference.MultiTaskLasso(tol=1e-12, max_iter=10_000)
    assert not np.any(theirs.set_params(alpha=top).fit(X, Y).coef_)
    assert np.any(theirs.set_params(alpha=0.999 * top).fit(X, Y).coef_)
    with pytest.raises(ValueError, match="l1_ratio=0"):
        alpha_max(X, y, l1_ratio=0)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("shape", [(60, 260, 3), (50, 400, 2)])
def test_rows_that_leave_the_model_and_come_back_do_no_harm(shape, l1_ratio):
    """Wide data and several targets, down to where more rows than samples are in the model."""
    n, p, k = shape
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    X[:, 1:] = 0.5 * X[:, :-1] + 0.75**0.5 * X[:, 1:]
    Y = X[:, :10] @ rng.standard_normal((10, k)) + rng.standard_normal((n, k))
    _, coefs, gaps = enet_path(X, Y, l1_ratio=l1_ratio, eps=1e-3, tol=1e-4)
    assert np.all(gaps <= 1e-4 * np.sum(Y**2) / (2 * n))
    assert np.abs(coefs).max() < 10


@pytest.mark.parametrize("n_targets", [1, 3])
def test_gaps_of_a_path_are_those_of_a_dual_point(n_targets):
    """Neighbours correlate by 0.999: sweeps pass points all of whose correlations are too small."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((75, 420)), rng.standard_normal((75, n_targets))
    for j in range(1, 420):
        X[:, j] = 0.999 * X[:, j - 1] + (1 - 0.999**2) ** 0.5 * X[:, j]
    Y += X[:, :8] @ rng.standard_normal((8, n_targets))
    y = Y[:, 0] if n_targets == 1 else Y
    alphas, coefs, gaps = lasso_path(X, y, eps=1e-2, alphas=12, tol=1e-3)
    for k, alpha in enumerate(alphas):
        W = coefs[..., k].reshape(n_targets, -1)
        R = Y - X @ W.T
        correlations = np.linalg.norm(X.T @ R, axis=1).max() / 75
        scale = min(np.sum(Y * R) / np.sum(R**2), alpha / correlations)
        primal = np.sum(R**2) / 150 + alpha * np.linalg.norm(W, axis=0).sum()
        dual = (scale * np.sum(Y * R) - scale**2 * np.sum(R**2) / 2) / 75
        assert gaps[k] >= (primal - dual) * (1 - 1e-6) - 1e-12 * np.sum(Y**2)
