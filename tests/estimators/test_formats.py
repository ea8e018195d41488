"""Whatever holds the numbers, the answer is the same: orders, sparse formats, index types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

import skopt_dl
from skopt_dl.linear_model import alpha_max, enet_path

FORMATS = ("csr", "csc", "coo", "bsr", "lil", "dok", "dia")
MODELS: dict[str, dict[str, Any]] = {
    "Lasso": {"alpha": 0.1, "tol": 1e-10},
    "ElasticNet": {"alpha": 0.1, "tol": 1e-10, "positive": True},
    "MultiTaskLasso": {"alpha": 0.1, "tol": 1e-10, "max_iter": 10_000},
    "Ridge": {"tol": 1e-12},
    "LogisticRegression": {"tol": 1e-8, "max_iter": 1000},
    "LassoCV": {"alphas": 5, "cv": 3, "tol": 1e-10},
    "RidgeCV": {"alphas": [0.1, 1.0]},
    "PenalizedRegressor": {"loss": "huber", "alpha": 0.05, "tol": 1e-8, "max_iter": 10_000},
}


def data(name: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 8))
    X[np.abs(X) < 0.7] = 0
    y = X @ rng.standard_normal(8) + 0.3 * rng.standard_normal(40)
    if name == "LogisticRegression":
        return X, (y > 0).astype(int)
    return X, np.stack([y, y[::-1]], axis=1) if name.startswith("MultiTask") else y


def fit(name: str, X: Any, y: Any) -> Any:
    model = getattr(skopt_dl, name)(**MODELS[name])
    return model.fit(X, y)


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("name", MODELS)
def test_sparse_formats(name: str, layout: str, kind: str) -> None:
    X, y = data(name)
    thin = getattr(sparse, f"{layout}_{kind}")(X)
    before = thin.copy()
    expected, found = fit(name, X, y), fit(name, thin, y)
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-4)
    np.testing.assert_allclose(found.predict(thin), expected.predict(X), atol=1e-3)
    assert abs(thin - before).sum() == 0


@pytest.mark.parametrize("layout", ["csr", "csc"])
@pytest.mark.parametrize("name", MODELS)
def test_indices_of_64_bits_and_entries_out_of_order(name: str, layout: str) -> None:
    X, y = data(name)
    thin = getattr(sparse, f"{layout}_array")(X)
    thin.indices, thin.indptr = thin.indices.astype(np.int64), thin.indptr.astype(np.int64)
    # Each row (or column) backwards, which is as good a matrix.
    for start, end in zip(thin.indptr[:-1], thin.indptr[1:], strict=True):
        thin.indices[start:end] = thin.indices[start:end][::-1].copy()
        thin.data[start:end] = thin.data[start:end][::-1].copy()
    thin.has_sorted_indices = False
    for part in (thin.data, thin.indices, thin.indptr):
        part.flags.writeable = False
    np.testing.assert_allclose(fit(name, thin, y).coef_, fit(name, X, y).coef_, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_memory_orders_views_and_precision(name: str) -> None:
    X, y = data(name)
    expected = fit(name, X, y).coef_
    wide = np.zeros((80, 16))
    wide[::2, ::2] = X
    for same in (np.asfortranarray(X), wide[::2, ::2], X[::-1][::-1], X.tolist()):
        np.testing.assert_allclose(fit(name, same, y).coef_, expected, atol=1e-6)
    for convert in (np.asarray, sparse.csr_array, sparse.csc_matrix):
        single = getattr(skopt_dl, name)(**{**MODELS[name], "tol": 1e-4})
        single.fit(convert(X.astype(np.float32)), y.astype(np.float32))
        assert single.coef_.dtype == np.float32
        assert single.predict(X.astype(np.float32)).dtype == np.float32
        np.testing.assert_allclose(single.coef_, expected, atol=0.1)
    assert fit(name, np.round(X).astype(int), y).coef_.dtype == np.float64


@pytest.mark.parametrize("layout", FORMATS)
def test_paths_of_sparse_formats(layout: str) -> None:
    X, y = data("Lasso")
    thin = getattr(sparse, f"{layout}_array")(X)
    for positive in (True, False):
        expected = enet_path(X, y, l1_ratio=0.7, alphas=6, tol=1e-10, positive=positive)
        found = enet_path(thin, y, l1_ratio=0.7, alphas=6, tol=1e-10, positive=positive)
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
        top = alpha_max(thin, y, positive=positive)
        assert top == pytest.approx(alpha_max(X, y, positive=positive))
    assert enet_path(thin.astype(np.float32), y, alphas=3)[1].dtype == np.float32


@pytest.mark.parametrize("precompute", [True, False, "gram", "list"])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_precompute(precompute: Any, positive: bool, fit_intercept: bool) -> None:
    X, y = data("Lasso")
    model = skopt_dl.Lasso(0.1, positive=positive, fit_intercept=fit_intercept, tol=1e-10)
    expected = model.fit(X, y).coef_
    centred = X - X.mean(axis=0) if fit_intercept else X
    gram = centred.T @ centred
    given = {"gram": gram, "list": gram.tolist()}.get(precompute, precompute)
    found = model.set_params(precompute=given).fit(X, y).coef_
    np.testing.assert_allclose(found, expected, atol=1e-8)
