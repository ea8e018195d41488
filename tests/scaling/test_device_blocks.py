"""Blocks that are on a device are read there.

Blocks of ``array_api_strict``'s second device, which refuses conversions, stand for CuPy's.
"""

from __future__ import annotations

import warnings
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skopt_dl._sklearn.arrays import Place
from skopt_dl.kernels.namespace import to_numpy

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
import skopt_dl.dask as ours  # noqa: E402
from skopt_dl.dask._base import _on_block  # noqa: E402

DEVICE = strict.Device("device1")
N, P, ROWS = 203, 6, 80


def away(a: Any) -> Any:
    """A Dask array of blocks of rows on the device."""
    parts = []
    for i in range(0, len(a), ROWS):
        block = strict.asarray(a[i : i + ROWS], device=DEVICE)
        parts.append(da.from_delayed(dask.delayed(block, pure=False), block.shape, dtype=a.dtype))
    return da.concatenate(parts)


def make(dtype: str = "float64") -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, P)) * np.logspace(-1, 2, P) + 5.0
    y = X @ rng.standard_normal(P) + rng.standard_normal(N)
    return X.astype(dtype), y.astype(dtype), rng.integers(0, 3, N).astype(dtype)


MODELS = [
    ours.Ridge(alpha=2.0),
    ours.Ridge(fit_intercept=False),
    ours.Lasso(alpha=0.1, tol=1e-10),
    ours.ElasticNet(alpha=0.1, tol=1e-10),
    ours.LassoCV(alphas=5, cv=3),
    ours.RidgeCV(alphas=[0.1, 1.0, 10.0], cv=4),
]


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_least_squares_read_blocks_where_they_are(
    model: Any, weighted: bool, dtype: str, left: Any
) -> None:
    X, y, w = make(dtype)
    chunked = [da.from_array(a, chunks=(ROWS, *a.shape[1:])) for a in (X, y, w)]
    host = model.__sklearn_clone__().fit(*chunked[: 3 if weighted else 2])
    with dask.config.set(scheduler="synchronous"):
        device = model.__sklearn_clone__().fit(*map(away, (X, y, w)[: 3 if weighted else 2]))
        # Moments leave the device, blocks and targets do not.
        assert left and not [s for s in left if ROWS in s or N % ROWS in s]
        assert isinstance(device.coef_, np.ndarray) and device.coef_.dtype == dtype
        rtol = 1e-8 if dtype == "float64" else 1e-5
        np.testing.assert_allclose(device.coef_, host.coef_, rtol=rtol, atol=rtol)
        np.testing.assert_allclose(device.intercept_, host.intercept_, rtol=1e-4, atol=rtol)
        # Dask itself joins columns of blocks by NumPy, but for those with NumPy's protocol.
        block = _on_block(device.to_local(), "predict", strict.asarray(X[:ROWS], device=DEVICE))
        assert block.device == DEVICE
        np.testing.assert_allclose(to_numpy(block), host.predict(X[:ROWS]), rtol=1e-3)
        score = device.score(away(X), away(y))
    assert type(score) is float
    assert score == pytest.approx(host.score(*chunked[:2]), rel=1e-6)
    assert device.task_bytes_ == host.task_bytes_


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"fit_intercept": False, "solver": "newton_cg"},
        {"solver": "lbfgs", "class_weight": "balanced"},
        {"solver": "prox_newton", "l1_ratio": 0.5, "C": 0.1},
        {"solver": "consensus_admm"},
    ],
    ids=str,
)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_logistic_sums_are_taken_where_the_blocks_are(
    params: dict[str, Any], n_classes: int, weighted: bool, left: Any
) -> None:
    X, y, w = make()
    X /= np.logspace(-1, 2, P)
    labels = np.array(["a", "b", "c"])[np.argsort(np.argsort(y)) * n_classes // N]
    n = 3 if weighted else 2
    model = ours.LogisticRegression(tol=1e-8, max_iter=200, **params)
    chunked = [da.from_array(a, chunks=(ROWS, *a.shape[1:])) for a in (X, labels, w)]
    with dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        host = model.__sklearn_clone__().fit(*chunked[:n])
        given = (away(X), chunked[1], away(w))[:n]
        device = model.__sklearn_clone__().fit(*given)
        assert left and not [s for s in left if ROWS in s or N % ROWS in s]
        assert isinstance(device.coef_, np.ndarray)
        np.testing.assert_allclose(device.coef_, host.coef_, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(device.intercept_, host.intercept_, rtol=1e-4, atol=1e-5)
        assert device.score(*given) == pytest.approx(host.score(*chunked[:n]))
        block = strict.asarray(X[:ROWS], device=DEVICE)
        shares = _on_block(device.to_local(), "predict_proba", block)
        assert shares.device == DEVICE
        known = host.predict_proba(X[:ROWS])
        np.testing.assert_allclose(to_numpy(shares), known, atol=1e-5)


NETWORKS = [
    ours.MLPClassifier((7,), local_epochs=2),
    ours.MLPRegressor(hidden_layer_sizes=(7, 5)),
    ours.MLPRegressor(hidden_layer_sizes=(7,), dropout=0.2),
]


@pytest.mark.parametrize("model", NETWORKS, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_copies_of_a_network_train_where_the_blocks_are(
    model: Any, weighted: bool, left: Any
) -> None:
    X, y, w = make()
    X /= np.logspace(-1, 2, P)
    labels, n = isinstance(model, ours.MLPClassifier), 3 if weighted else 2
    y = (y > np.median(y)).astype(int) if labels else y / np.std(y)
    chunked = [da.from_array(a, chunks=(ROWS, *a.shape[1:])) for a in (X, y, w)][:n]
    given = (away(X), chunked[1] if labels else away(y), away(w))[:n]
    model = model.__sklearn_clone__().set_params(max_iter=2, random_state=0)
    with dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        host = model.__sklearn_clone__().fit(*chunked)
        device = model.__sklearn_clone__().fit(*given)
        # Weights are looked at on the host, as in every fit.
        gone = [s for s in left if ROWS in s or N % ROWS in s]
        assert left and all(weighted and len(s) == 1 for s in gone)
        for a, b in zip(device.coefs_, host.coefs_, strict=True):
            assert isinstance(a, np.ndarray)
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
        assert device.score(*given) == pytest.approx(host.score(*chunked))
    block = strict.asarray(X[:ROWS], device=DEVICE)
    answer = _on_block(device.to_local(), "predict", block)
    known = _on_block(host.to_local(), "predict", X[:ROWS])
    np.testing.assert_allclose(to_numpy(answer), known, rtol=1e-5, atol=1e-7)


def test_errors_that_lose_their_digits_are_measured_on_the_blocks() -> None:
    X, _, _ = make()
    y = X @ np.arange(1.0, P + 1)
    model = ours.RidgeCV(alphas=[1e-9, 1.0], cv=3)
    host = model.__sklearn_clone__().fit(*(da.from_array(a, chunks=ROWS) for a in (X, y)))
    with dask.config.set(scheduler="synchronous"):
        device = model.fit(away(X), away(y))
    assert device.alpha_ == host.alpha_ and device.n_passes_ == host.n_passes_


def test_bad_blocks_are_named() -> None:
    X, y, _ = make()
    bad = X.copy()
    bad[100, 2] = np.inf
    with dask.config.set(scheduler="synchronous"):
        with pytest.raises(ValueError, match="X contains NaN or infinity in block 1"):
            ours.Ridge().fit(away(bad), away(y))
        with pytest.raises(ValueError, match="sample_weight has negative values in block 0"):
            ours.Ridge().fit(away(X), away(y), away(-np.ones(N)))


@pytest.mark.parametrize("bias", [False, "rows", "cols", "both"])
@pytest.mark.parametrize("params", [{}, {"alpha": 0.05}, {"noise": "rows"}], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_factors_are_found_where_the_blocks_are(
    params: dict[str, Any], bias: Any, dtype: str, left: Any
) -> None:
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((N, 2)) @ rng.standard_normal((2, 14)) + 3.0).astype(dtype)
    X += 0.1 * rng.standard_normal(X.shape).astype(dtype)
    X[rng.random(X.shape) < 0.3] = np.nan
    X[5], X[:ROWS, 4] = np.nan, np.nan
    model = ours.MatrixCompletion(3, fit_bias=bias, random_state=0, max_iter=20, **params)
    there = da.from_array(X, chunks=(ROWS, 14))
    with dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        host = model.__sklearn_clone__().fit(there)
        device = model.__sklearn_clone__().fit(away(X))
    # Sums over columns leave the device, rows do not but for how far each is off.
    gone = [s for s in left if ROWS in s or N % ROWS in s]
    assert left and all("noise" in params and len(s) == 1 for s in gone)
    assert isinstance(device.components_, np.ndarray) and device.solver_ == host.solver_
    for name in ("components_", "col_bias_", "mean_", "alpha_", "noise_variance_"):
        known = getattr(host, name)
        np.testing.assert_allclose(getattr(device, name), known, rtol=1e-7, atol=1e-9)
    assert device.task_bytes_ == host.task_bytes_ and device.n_passes_ == host.n_passes_
    block = _on_block(device.to_local(), "transform", strict.asarray(X[:ROWS], device=DEVICE))
    assert block.device == DEVICE and str(block.dtype).endswith(dtype)
    known = host.to_local().transform(X[:ROWS])
    np.testing.assert_allclose(to_numpy(block), known, rtol=1e-4, atol=1e-4)


def test_a_block_without_an_entry_and_bad_ones() -> None:
    X = np.add.outer(np.arange(float(N)), np.arange(5.0))
    X[:ROWS] = np.nan
    with dask.config.set(scheduler="synchronous"):
        model = ours.MatrixCompletion(2, alpha=1e-6, tol=1e-8, random_state=0).fit(away(X))
        filled = _on_block(model.to_local(), "transform", strict.asarray(X[ROWS:], device=DEVICE))
        np.testing.assert_array_equal(to_numpy(filled), X[ROWS:])
        assert model.noise_variance_ < 1e-3
        X[N - 1, 2] = -np.inf
        with pytest.raises(ValueError, match="X contains infinity in block 2"):
            ours.MatrixCompletion(1).fit(away(X))
        with pytest.raises(ValueError, match="X has no observed entry"):
            ours.MatrixCompletion(1).fit(away(np.full((N, 5), np.nan)))


@pytest.mark.gpu
def test_gpu_blocks(cupy: Any) -> None:
    X, y, _ = make()
    host = ours.Lasso(alpha=0.1, tol=1e-10).fit(*(da.from_array(a, chunks=ROWS) for a in (X, y)))
    there = [da.from_array(a, chunks=ROWS).map_blocks(cupy.asarray) for a in (X, y)]
    device = ours.Lasso(alpha=0.1, tol=1e-10).fit(*there)
    np.testing.assert_allclose(device.coef_, host.coef_, rtol=1e-8)
    assert isinstance(device.predict(there[0]).compute(), cupy.ndarray)


@pytest.mark.gpu
@pytest.mark.parametrize("form", ["dense", "sparse", "pairs"])
def test_gpu_completion_of_blocks(form: str, cupy: Any) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, 2)) @ rng.standard_normal((2, 14))
    X += 0.1 * rng.standard_normal(X.shape)
    X[rng.random(X.shape) < 0.4] = np.nan
    at = np.argwhere(~np.isnan(X))
    given: tuple[Any, ...] = (da.from_array(X, chunks=(ROWS, 14)),)
    if form == "sparse":
        given = (given[0].map_blocks(_stored),)
    elif form == "pairs":
        given = da.from_array(at, chunks=(300, 2)), da.from_array(X[tuple(at.T)], chunks=300)
    model = ours.MatrixCompletion(3, random_state=0, max_iter=20)
    host = model.__sklearn_clone__().fit(*given)
    device = model.__sklearn_clone__().fit(
        *(a.map_blocks(Place("cupy", "cuda:0").put) for a in given)
    )
    for name in ("components_", "noise_variance_", "mean_"):
        np.testing.assert_allclose(getattr(device, name), getattr(host, name), rtol=1e-5, atol=1e-7)


def _stored(block: Any) -> Any:
    rows, cols = np.nonzero(~np.isnan(block))
    return sparse.csr_matrix((block[rows, cols], (rows, cols)), block.shape)
