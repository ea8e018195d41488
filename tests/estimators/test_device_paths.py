"""Paths and their cross-validation where X lives: equal to NumPy's, and no X or y leaves it."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest
from sklearn.model_selection import KFold

import skopt_dl
from skopt_dl import LassoCV, MultiTaskElasticNetCV
from skopt_dl._sklearn import arrays, base
from skopt_dl.kernels.namespace import to_numpy
from skopt_dl.linear_model import alpha_max, enet_path, lasso_path

DEVICE = strict.Device("device1")
# Samples and features; no fold, target or strength is counted by the same numbers.
SHAPES = {"tall": (120, 9), "short": (61, 40), "wide": (37, 150)}


def there(a: Any) -> Any:
    return strict.asarray(np.ascontiguousarray(a), device=DEVICE)


def make(shape: str, n_targets: int = 1, dtype: str = "float64") -> tuple[Any, Any]:
    n, p = SHAPES[shape]
    rng = np.random.default_rng(n)
    X = rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1)) + rng.uniform(-2, 2, p)
    W = np.zeros((p, n_targets))
    W[:6] = rng.standard_normal((6, n_targets))
    Y = X @ W + 0.3 * rng.standard_normal((n, n_targets)) + 1.0
    return X.astype(dtype), (Y[:, 0] if n_targets == 1 else Y).astype(dtype)


def never_data(shapes: list[tuple[int, ...]], X: Any) -> None:
    """X and y have an axis of samples; answers and small problems have none."""
    assert not [shape for shape in shapes if X.shape[0] in shape]


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"l1_ratio": 0.6},
        {"positive": True},
        {"solver": "fista", "alphas": 4, "eps": 0.2, "tol": 1e-8, "max_iter": 5000},
        # What the exact path leaves to another method.
        {"alphas": [0.3, 0.1, 0.0], "tol": 1e-8, "max_iter": 1000},
    ],
    ids=str,
)
def test_a_path_is_that_of_the_host(shape: str, params: dict[str, Any], left: Any) -> None:
    X, y = make(shape)
    params = {"alphas": 12, "eps": 0.05, "tol": 1e-7, **params}
    if shape == "wide" and 0.0 in np.atleast_1d(params["alphas"]):
        pytest.skip("many solutions")
    alphas, coefs, gaps = enet_path(X, y, **params)
    strengths, native, their_gaps = enet_path(there(X), there(y), **params)
    never_data(left, X)
    assert native.device == DEVICE and isinstance(strengths, np.ndarray)
    np.testing.assert_allclose(strengths, alphas, rtol=1e-12)
    atol = 1e-4 if 0.0 in alphas or "solver" in params else 1e-9
    np.testing.assert_allclose(to_numpy(native), coefs, rtol=1e-7, atol=atol)
    assert np.any(coefs != 0) and np.nanmax(their_gaps) <= params["tol"] * np.mean(y**2)
    np.testing.assert_allclose(their_gaps, gaps, atol=params["tol"])


def test_what_else_a_path_takes(left: Any) -> None:
    X, y = make("tall")
    w = np.linspace(0.5, 1.5, len(y))
    host = lasso_path(X, y, sample_weight=w, alphas=5)[1]
    native = lasso_path(there(X), y, sample_weight=w, alphas=5)[1]
    np.testing.assert_allclose(to_numpy(native), host, rtol=1e-8, atol=1e-10)
    given = lasso_path(there(X), there(y), alphas=5, precompute=X.T @ X)[1]
    np.testing.assert_allclose(to_numpy(given), lasso_path(X, y, alphas=5)[1], atol=1e-10)
    never_data(left, X)
    X32, y32 = make("short", dtype="float32")
    single = lasso_path(there(X32), there(y32), alphas=5)[1]
    assert single.dtype == strict.float32
    np.testing.assert_allclose(to_numpy(single), lasso_path(X32, y32, alphas=5)[1], atol=1e-5)
    X, Y = make("tall", n_targets=3)
    options: dict[str, Any] = {"alphas": 5, "tol": 1e-9, "max_iter": 10_000, "eps": 0.05}
    several = enet_path(there(X), there(Y), **options)[1]
    assert several.shape == (3, 9, 5) and several.device == DEVICE
    np.testing.assert_allclose(to_numpy(several), enet_path(X, Y, **options)[1], atol=1e-4)
    start = to_numpy(several)[..., 0]
    again = enet_path(there(X), there(Y), coef_init=there(start), **options)[1]
    np.testing.assert_allclose(to_numpy(again), to_numpy(several), atol=1e-4)
    assert alpha_max(there(X), there(Y)) == pytest.approx(alpha_max(X, Y), rel=1e-12)


def test_bad_data_of_a_path_are_named() -> None:
    X, y = make("tall")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        lasso_path(there(X), there(y[:-1]))
    with pytest.raises(ValueError, match="NaN or infinity"):
        lasso_path(there(X * np.inf), there(y))
    with pytest.raises(ValueError, match="Expected 2D array"):
        lasso_path(there(y), there(y))


SEARCHES: list[tuple[str, str, dict[str, Any]]] = [
    ("LassoCV", "tall", {}),
    ("LassoCV", "tall", {"cv": KFold(4, shuffle=True, random_state=0)}),
    ("LassoCV", "tall", {"fit_intercept": False, "precompute": False}),
    ("LassoCV", "short", {"positive": True}),
    ("LassoCV", "wide", {}),
    ("LassoCV", "tall", {"solver": "fista", "alphas": 4, "cv": 3}),
    ("ElasticNetCV", "tall", {"l1_ratio": [0.5, 0.9]}),
    ("ElasticNetCV", "wide", {"l1_ratio": 0.8}),
    ("MultiTaskLassoCV", "tall", {"alphas": 4, "cv": 3}),
    ("MultiTaskElasticNetCV", "tall", {"alphas": 4, "cv": 3, "l1_ratio": [0.5, 0.9]}),
    ("MultiTaskLassoCV", "wide", {"alphas": 2, "cv": 2, "eps": 0.4, "tol": 1e-6}),
]


@pytest.mark.parametrize(("name", "shape", "params"), SEARCHES, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_search_is_that_of_the_host(
    name: str, shape: str, params: dict[str, Any], weighted: bool, left: Any
) -> None:
    X, y = make(shape, n_targets=3 if "Task" in name else 1)
    w = np.linspace(0.5, 1.5, len(X)) if weighted else None
    params = {"alphas": 8, "eps": 0.05, "cv": 4, "tol": 1e-8, "max_iter": 5000, **params}
    kind = getattr(skopt_dl, name)
    host = kind(**params).fit(X, y, sample_weight=w)
    native = kind(**params).fit(there(X), there(y), sample_weight=w)
    # The way of weights to the device is one from the host.
    never_data(left, X)
    assert native.coef_.device == DEVICE
    assert isinstance(native.mse_path_, np.ndarray) and type(native.alpha_) is float
    np.testing.assert_allclose(native.alphas_, host.alphas_, rtol=1e-12)
    # The same method agrees to rounding; others as far as the same gap binds them.
    exact = "solver" not in params and (shape == "tall" or "Task" not in name)
    rtol, atol = (1e-7, 1e-8) if exact else (1e-3, 1e-3)
    # The last fit of several targets is by another method than the host's.
    atol = 1e-3 if "Task" in name else atol
    np.testing.assert_allclose(native.mse_path_, host.mse_path_, rtol=rtol)
    assert native.alpha_ == pytest.approx(host.alpha_, rel=1e-12)
    np.testing.assert_allclose(to_numpy(native.coef_), host.coef_, atol=atol)
    np.testing.assert_allclose(to_numpy(native.predict(there(X))), host.predict(X), atol=10 * atol)


def test_a_search_in_single_precision() -> None:
    X, y = make("tall", dtype="float32")
    host, native = (
        LassoCV(alphas=8, eps=0.05).fit(*data) for data in ((X, y), (there(X), there(y)))
    )
    assert native.coef_.dtype == strict.float32
    np.testing.assert_allclose(native.mse_path_, host.mse_path_, rtol=1e-4)
    np.testing.assert_allclose(to_numpy(native.coef_), host.coef_, atol=1e-4)


def test_a_search_that_reads_few_samples_exactly() -> None:
    """Where moments lose the digits of an error, the rows themselves are read."""
    X, _ = make("tall")
    y = X @ np.arange(1.0, 10.0)
    host, native = (
        LassoCV(alphas=[1e-7, 1e-3]).fit(*data) for data in ((X, y), (there(X), there(y)))
    )
    np.testing.assert_allclose(native.mse_path_, host.mse_path_, rtol=1e-3, atol=1e-16)


def test_max_time_pads_where_the_data_live() -> None:
    X, y = make("wide")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = MultiTaskElasticNetCV(max_time=1e-9, alphas=5).fit(there(X), there(y[:, None]))
    assert any("errors missing" in str(w.message) for w in caught)
    assert np.isnan(model.mse_path_).any() and model.coef_.device == DEVICE


@pytest.mark.parametrize("name", ["LassoCV", "MultiTaskElasticNetCV"])
def test_a_search_keeps_the_rules_of_devices(name: str, monkeypatch: Any) -> None:
    """Answers mirror host data that went to a device, targets follow X, models move and are saved;
    what is read of a search are NumPy arrays everywhere."""
    X, y = make("tall", n_targets=2 if "Task" in name else 1)
    kind, params = getattr(skopt_dl, name), {"alphas": 3, "eps": 0.1, "cv": 3, "tol": 1e-6}
    host, native = kind(**params).fit(X, y), kind(**params).fit(there(X), y)
    place = arrays.Place("array_api_strict", str(DEVICE))
    for module in (arrays, base):
        monkeypatch.setattr(module, "device_place", {"cuda": place, "cpu": arrays.HOST}.get)
    mirrored = kind(**params, device="cuda").fit(X, y)
    assert arrays.fitted_place(native) == place
    assert arrays.fitted_place(mirrored) == arrays.fitted_place(host) == arrays.HOST
    with pytest.raises(ValueError, match="must use the same namespace"):
        native.predict(X)
    back = pickle.loads(pickle.dumps(native))
    assert back.coef_.device == DEVICE
    for model in (mirrored, native.to_device("cpu"), back.to_device("cpu")):
        np.testing.assert_allclose(model.predict(X), host.predict(X), atol=1e-2)
    away = host.to_device("cuda")
    assert to_numpy(away.predict(there(X))) == pytest.approx(host.predict(X))
    for model in (native, mirrored, back, away):
        assert isinstance(model.mse_path_, np.ndarray) and isinstance(model.alphas_, np.ndarray)
        assert type(model.alpha_) is float


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "shape", "params"), SEARCHES, ids=str)
def test_gpu_search(name: str, shape: str, params: dict[str, Any], cupy: Any) -> None:
    X, y = make(shape, n_targets=3 if "Task" in name else 1)
    params = {"alphas": 8, "eps": 0.05, "cv": 4, "tol": 1e-7, **params}
    kind = getattr(skopt_dl, name)
    host = kind(**params).fit(X, y)
    native = kind(**params).fit(cupy.asarray(X), cupy.asarray(y))
    assert isinstance(native.coef_, cupy.ndarray)
    np.testing.assert_allclose(native.mse_path_, host.mse_path_, rtol=1e-4)
    np.testing.assert_allclose(native.coef_.get(), host.coef_, rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("form", ["csr_matrix", "csc_matrix"])
def test_gpu_sparse_path(form: str, cupy: Any) -> None:
    import cupyx.scipy.sparse

    X, y = make("wide")
    X = np.where(np.abs(X) > 1.5, X, 0.0)
    moved = getattr(cupyx.scipy.sparse, form)(cupyx.scipy.sparse.csr_matrix(cupy.asarray(X)))
    native = lasso_path(moved, cupy.asarray(y), alphas=10, eps=0.05, tol=1e-8)[1]
    host = lasso_path(X, y, alphas=10, eps=0.05, tol=1e-8)[1]
    np.testing.assert_allclose(native.get(), host, atol=1e-4)
    search = LassoCV(alphas=8, eps=0.05).fit(moved, cupy.asarray(y))
    known = LassoCV(alphas=8, eps=0.05).fit(X, y)
    np.testing.assert_allclose(search.mse_path_, known.mse_path_, rtol=1e-3)
