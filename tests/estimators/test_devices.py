"""Data decide the device: native fits off the host, equal to NumPy's; conversions; the GPU."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from zoo import BY_NAME, KINDS, Kind, pairs, regression

import skopt_dl
from skopt_dl import Lasso
from skopt_dl._sklearn import arrays
from skopt_dl._sklearn.arrays import Place
from skopt_dl._sklearn.scores import accuracy, are_plain_labels, plain_r2, r2
from skopt_dl.kernels.cupy.linalg import StandardLinalg
from skopt_dl.kernels.cupy.namespace import CREATION, StandardNamespace
from skopt_dl.kernels.namespace import namespace_of, to_numpy

# The second device refuses np.asarray, as CuPy does: a silent copy to the host raises.
DEVICES = {"default": strict.Device("CPU_DEVICE"), "device1": strict.Device("device1")}


@pytest.fixture(params=list(DEVICES))
def device(request: Any) -> Any:
    return DEVICES[request.param]


def there(a: Any, device: Any) -> Any:
    return strict.asarray(np.asarray(a), device=device)


def here(a: Any) -> np.ndarray:
    return to_numpy(a) if arrays.is_foreign(a) else np.asarray(a)


def fit(model: Any, X: Any, y: Any, **kwargs: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, **kwargs) if y is None else model.fit(X, y, **kwargs)


def outputs(model: Any, X: Any) -> dict[str, Any]:
    """What every method says about ``X``."""
    methods = ("predict", "decision_function", "predict_proba", "transform")
    return {m: getattr(model, m)(X) for m in methods if hasattr(model, m)}


# Where rounding decides: the sign, or the ratio to its own size, of a gradient that vanishes; the
# basis of a null space.
ROUNDING_DECIDES = {
    ("MatrixCompletion", "adafactor"),
    ("MatrixCompletion", "lion"),
    ("MatrixCompletion", "rprop"),
    ("MatrixCompletion", "sign_sgd"),
    ("MatrixCompletion", "signum"),
    ("MatrixCompletion", "soap"),
    ("MatrixCompletion", "vsgd"),
    ("LogisticRegression", "adafactor"),
    ("LogisticRegression", "soap"),
    ("MLPClassifier", "soap"),
    ("MLPRegressor", "soap"),
    ("MLPRegressor", "vsgd"),
}


# --- native fits ------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "solver"), pairs(), ids=str)
def test_fits_where_the_data_live_and_equals_numpy(kind: Kind, solver: str) -> None:
    device = DEVICES["device1"]
    X, y = kind.make_data(0)
    # Few iterations: where the objective is not convex, later ones magnify the last digit.
    params = {"solver": solver, "max_iter": 4}
    host = fit(kind.make(**params), X, y)
    native = fit(kind.make(**params), there(X, device), None if y is None else there(y, device))
    known = (kind.name, solver) not in ROUNDING_DECIDES
    for a, b in zip(kind.answer(native), kind.answer(host), strict=True):
        assert a.device == device
        assert np.all(np.isfinite(here(a)))
        if known:
            np.testing.assert_allclose(here(a), b, rtol=1e-6, atol=1e-9)
    for method, value in outputs(native, there(X, device)).items():
        assert value.device == device, method
        if known:
            expected = outputs(host, X)[method]
            np.testing.assert_allclose(here(value), expected, rtol=1e-6, atol=1e-8)
    assert native.solve_report_ is not None


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_targets_and_weights_follow_X(kind: Kind, device: Any) -> None:
    X, y = kind.make_data(1)
    if y is None:
        pytest.skip("there is no target")
    weights = np.linspace(0.5, 1.5, len(y))
    mixed = fit(kind.make(), there(X, device), y, sample_weight=weights)
    host = fit(kind.make(), X, y, sample_weight=weights)
    for a, b in zip(kind.answer(mixed), kind.answer(host), strict=True):
        assert a.device == device
        np.testing.assert_allclose(here(a), b, rtol=1e-5, atol=1e-8)
    score = mixed.score(there(X, device), y, weights)
    assert type(score) is float
    assert score == pytest.approx(host.score(X, y, weights))
    # And a host X takes its target to the host.
    back = fit(kind.make(), X, there(y, device), sample_weight=weights)
    assert isinstance(kind.answer(back)[0], np.ndarray)
    assert type(back.score(X, there(y, device))) is float


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_dtypes(kind: Kind, dtype: str, device: Any) -> None:
    X, y = kind.make_data(2)
    X = np.nan_to_num(10 * X).astype(dtype)
    model = fit(kind.make(), there(X, device), y)
    expected = "float32" if dtype == "float32" else "float64"
    assert all(str(a.dtype).endswith(expected) for a in kind.answer(model))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_predict_elsewhere_raises_and_to_device_converts(kind: Kind, device: Any) -> None:
    X, y = kind.make_data(3)
    model = fit(kind.make(), there(X, device), y)
    method = "predict" if hasattr(model, "predict") else "transform"
    message = rf"{kind.name}\.{method}\(\) must use the same namespace"
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(X)
    moved = model.to_device("cpu")
    np.testing.assert_allclose(
        np.asarray(getattr(moved, method)(X), dtype=float),
        here(getattr(model, method)(there(X, device))).astype(float),
        rtol=1e-8,
        atol=1e-10,
    )
    assert all(a.device == device for a in kind.answer(model)), "the original was changed"
    with pytest.raises(ValueError, match=message):
        getattr(moved, method)(there(X, device))


def test_device1_refuses_conversion() -> None:
    """The spy itself: without it the tests above would prove nothing."""
    with pytest.raises(RuntimeError, match="convert"):
        np.asarray(there([1.0], DEVICES["device1"]))


def test_string_labels_stay_on_the_host(device: Any) -> None:
    kind = BY_NAME["LogisticRegression"]
    X, y = kind.make_data(0)
    names = np.array(["ant", "bee", "cat"])[y]
    model = fit(kind.make(), there(X, device), names)
    assert isinstance(model.classes_, np.ndarray)
    predicted = model.predict(there(X, device))
    assert isinstance(predicted, np.ndarray)
    np.testing.assert_array_equal(predicted, fit(kind.make(), X, names).predict(X))
    assert model.score(there(X, device), names) > 0.5


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_bad_data_off_the_host(kind: Kind, device: Any) -> None:
    X, y = kind.make_data(0)

    def refuse(X: Any, y: Any, match: str) -> None:
        with pytest.raises(ValueError, match=match):
            fit(kind.make(), there(X, device), y)

    refuse(X[0], y, "Expected 2D array, got 1D")
    refuse(X[:, :0], y, r"0 feature\(s\)")
    refuse(X[:0], y if y is None else y[:0], r"0 sample\(s\)")
    refuse(np.where(np.arange(X.size).reshape(X.shape) == 3, np.inf, X), y, "infinity")
    refuse(np.nan_to_num(X) + 1j, y, "Complex")
    if y is not None:
        refuse(X * np.nan, y, "NaN")
        refuse(X, y[:-1], "inconsistent numbers of samples")
        with pytest.raises(ValueError, match="requires y"):
            kind.make().fit(there(X, device), None)
    model = fit(kind.make(), there(X, device), y)
    with pytest.raises(ValueError, match="features"):
        next(iter(outputs(model, there(X[:, 1:], device))))


# --- scores -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [2, 9, 1000, 20_001])
def test_r2_of_plain_vectors_has_scikit_learns_bits(n: int, dtype: Any) -> None:
    from sklearn.metrics import r2_score

    rng = np.random.RandomState(n)
    y = (rng.randn(2 * n) + 3).astype(dtype)
    predicted = (y + 0.3 * rng.randn(2 * n)).astype(dtype)
    assert plain_r2(y, predicted) == r2_score(y, predicted)
    assert plain_r2(y[::2], predicted[::2]) == r2_score(y[::2], predicted[::2])


def test_what_is_not_plain_is_left_to_scikit_learn() -> None:
    y, labels = np.arange(4.0), np.arange(4)
    for other in (y[:3], y[:, None], labels, y.astype(np.float32), [*y], y + np.inf, y + np.nan):
        assert plain_r2(y, other) is None
    # A constant target, and a single sample, have rules of their own.
    assert plain_r2(np.ones(3), np.arange(3.0)) is plain_r2(y[:1], y[:1]) is None
    assert are_plain_labels(labels, labels[::-1])
    assert are_plain_labels(np.asarray(["a", "bb"]), np.asarray(["a", "b"]))
    for other in (labels[:3], labels[:, None], y, [*labels], labels.astype(object)):
        assert not are_plain_labels(labels, other)
    assert not are_plain_labels(labels[:0], labels[:0])


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_equal_scikit_learns(weighted: bool, device: Any) -> None:
    from sklearn.metrics import accuracy_score, r2_score

    rng = np.random.default_rng(0)
    weights = rng.random(50) if weighted else None
    w = None if weights is None else there(weights, device)
    y, p = rng.standard_normal((50, 3)), rng.standard_normal((50, 3))
    y[:, 2] = p[:, 2] = 1.0
    value = r2(there(y, device), there(p, device), w)
    assert value == pytest.approx(r2_score(y, p, sample_weight=weights))
    a, b = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
    value = accuracy(there(a, device), there(b, device), w)
    assert value == pytest.approx(accuracy_score(a, b, sample_weight=weights))
    rows = rng.integers(0, 2, (50, 2)), rng.integers(0, 2, (50, 2))
    value = accuracy(there(rows[0], device), there(rows[1], device), w)
    assert value == pytest.approx(accuracy_score(*rows, sample_weight=weights))


# --- persistence ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_pickles_hold_numpy_and_come_back_to_their_place(kind: Kind, device: Any) -> None:
    X, y = kind.make_data(0)
    model = fit(kind.make(), there(X, device), y)
    state = model.__getstate__()
    for name, value in state.items():
        assert not list(arrays._arrays_in(value)), name
    back = pickle.loads(pickle.dumps(model))
    for a, b in zip(kind.answer(back), kind.answer(model), strict=True):
        assert a.device == device
        np.testing.assert_array_equal(here(a), here(b))


def test_a_pickle_from_a_missing_device_warns_once_and_is_numpy() -> None:
    X, y = regression(0)
    model = Lasso(alpha=0.01).fit(there(X, DEVICES["device1"]), y)
    state = model.__getstate__()
    _, _, names = state[arrays._PLACE]
    state[arrays._PLACE] = ("cupy", "cuda:0", names)
    if _gpu() is not None:
        pytest.skip("there is a GPU here")
    back = Lasso.__new__(Lasso)
    with pytest.warns(UserWarning, match=r"saved on cupy on cuda:0.*NumPy arrays") as seen:
        back.__setstate__(state)
    assert len(seen) == 1
    np.testing.assert_allclose(back.predict(X), Lasso(alpha=0.01).fit(X, y).predict(X))


# --- device= ----------------------------------------------------------------------------------


@pytest.fixture
def device1_for_cuda(monkeypatch: Any) -> Place:
    """Let "cuda" mean array_api_strict's second device, and count the copies that go there."""
    place = Place("array_api_strict", str(DEVICES["device1"]))
    original = arrays.device_place
    for module in (arrays, sys.modules["skopt_dl._sklearn.base"]):
        monkeypatch.setattr(module, "device_place", lambda d: place if d == "cuda" else original(d))
    return place


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_device_cuda_mirrors_host_data(kind: Kind, device1_for_cuda: Place) -> None:
    X, y = kind.make_data(0)
    model = fit(kind.make(device="cuda"), X, y)
    host = fit(kind.make(), X, y)
    for a, b in zip(kind.answer(model), kind.answer(host), strict=True):
        assert isinstance(a, np.ndarray)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-8)
    for method, value in outputs(model, X).items():
        assert isinstance(value, np.ndarray), method
    reports = model.solve_report_
    assert (reports[0] if isinstance(reports, list) else reports).kernel == "generic"
    assert not arrays.foreign_attributes(model)
    native = fit(kind.make(device="cuda"), there(X, DEVICES["device1"]), y)
    assert arrays.fitted_place(native) == device1_for_cuda


def test_device_cuda_copies_X_once(device1_for_cuda: Place, monkeypatch: Any) -> None:
    copied = []
    original = Place.put

    def put(self: Place, x: Any) -> Any:
        if self == device1_for_cuda and not arrays.is_foreign(x):
            copied.append(np.shape(x))
        return original(self, x)

    monkeypatch.setattr(Place, "put", put)
    X, y = regression(0)
    Lasso(device="cuda").fit(X, y)
    assert copied == [X.shape, y.shape]


def test_to_device_and_back(device1_for_cuda: Place) -> None:
    X, y = regression(0)
    host = Lasso(alpha=0.01).fit(X, y)
    away = host.to_device("cuda")
    assert isinstance(host.coef_, np.ndarray)
    assert away.coef_.device == DEVICES["device1"]
    np.testing.assert_array_equal(away.to_device("cpu").coef_, host.coef_)
    X1 = there(X, DEVICES["device1"])
    np.testing.assert_allclose(here(away.predict(X1)), host.predict(X))


def test_callbacks_see_host_models_of_a_device_fit(device1_for_cuda: Place) -> None:
    from sklearn.callback import ScoringMonitor

    X, y = regression(0)
    monitor = ScoringMonitor(scoring="r2")
    Lasso(alpha=0.01, device="cuda").set_callbacks(monitor).fit(X, y)
    assert len(monitor.get_logs().data) >= 2


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("device", ["gpu", "cuda:x", 0, ""])
def test_an_unknown_device_is_refused(kind: Kind, device: Any) -> None:
    X, y = kind.make_data(0)
    with pytest.raises(ValueError, match=f"parameter device={device!r} is not valid"):
        fit(kind.make(device=device), X, y)


@pytest.mark.parametrize("name", ["TableEncoder", "TabularMLPClassifier", "TabularMLPRegressor"])
def test_what_stays_on_the_host_says_so(name: str, device: Any) -> None:
    """Those that the page lists; a GPU's array would raise from within, or be copied silently."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 3)), rng.standard_normal(30)
    with pytest.raises(TypeError, match=r"(works on|takes) .* pass a copy on the host"):
        getattr(skopt_dl, name)().fit(there(X, device), there(y, device))


def test_every_estimator_fits_where_its_data_live_or_is_listed(device: Any) -> None:
    listed = (Path(__file__).parents[2] / "docs" / "devices.rst").read_text(encoding="utf-8")
    listed = listed.split("What stays on the host")[1].split("How it works")[0]
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 3)), rng.standard_normal(60)
    answered = 0
    for name in skopt_dl.__all__:
        kind = getattr(skopt_dl, name)
        if not hasattr(kind, "fit") or f"``{name}``" in listed:
            continue
        labels = "Class" in name or "Logistic" in name
        model = kind(**({"max_iter": 2} if "MLP" in name else {}))
        target = np.stack([y, -y], axis=1) if "MultiTask" in name else y > 0 if labels else y
        target = None if "MatrixCompletion" in name else there(target, device)
        ids = model.__sklearn_tags__().input_tags.categorical
        given = there(np.round(X).astype(int) if ids else X, device)
        fit(model, given, target)
        for a in outputs(model, given).values():
            assert a.device == device, name
            answered += 1
    assert answered > 15


@pytest.mark.parametrize("name", ["Lasso", "ElasticNet", "Ridge"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_batches_are_summed_where_they_are(
    name: str, dtype: str, fit_intercept: bool, device: Any, device1_for_cuda: Place
) -> None:
    X, y = regression(0)
    X, weights = (X + 3).astype(dtype), np.linspace(0.5, 1.5, len(y))
    parts = [slice(0, 15), slice(15, 40)]
    host, model = (getattr(skopt_dl, name)(alpha=0.1, fit_intercept=fit_intercept) for _ in "ab")
    host.fit_batches([(X[p], y[p], weights[p]) for p in parts])
    away = [[there(a[p], device) for a in (X, y, weights)] for p in parts]
    model.fit_batches([tuple(batch) for batch in away])
    cuda = clone(model).set_params(device="cuda")
    cuda.fit_batches([(X[p], y[p], weights[p]) for p in parts])
    for _ in range(2):
        assert model.coef_.device == device and model.coef_.dtype == away[0][0].dtype
        np.testing.assert_allclose(here(model.coef_), host.coef_, rtol=1e-5, atol=1e-7)
        assert model.predict(away[0][0]).device == device
        assert type(cuda.coef_) is np.ndarray
        np.testing.assert_allclose(cuda.coef_, host.coef_, rtol=1e-5, atol=1e-7)
        # Once more with rows that come later.
        host.partial_fit(X[:9], y[:9])
        model.partial_fit(there(X[:9], device), there(y[:9], device))
        cuda.partial_fit(X[:9], y[:9])


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_labelled_batches_are_summed_where_they_are(
    classes: int, dtype: str, device: Any, device1_for_cuda: Place
) -> None:
    X, y = BY_NAME["LogisticRegression"].make_data(0)
    X, y = X.astype(dtype), np.array(["ant", "bee", "cat"])[np.minimum(y, classes - 1)]
    weights = np.linspace(0.5, 1.5, len(y))
    parts = [slice(0, 25), slice(25, 60)]
    batches = [(X[p], y[p], weights[p]) for p in parts]
    away = [
        tuple(there(a[p], device) if a is not y else y[p] for a in (X, y, weights)) for p in parts
    ]
    host, model, cuda = (
        skopt_dl.LogisticRegression(tol=1e-8, device=d) for d in (None, None, "cuda")
    )
    for one, given in ((host, batches), (model, away), (cuda, batches)):
        one.fit_batches(given)
    assert model.coef_.device == device and model.coef_.dtype == away[0][0].dtype
    np.testing.assert_allclose(here(model.coef_), host.coef_, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(model.predict(away[0][0]), host.predict(X[parts[0]]))
    assert type(cuda.coef_) is np.ndarray
    np.testing.assert_allclose(cuda.coef_, host.coef_, rtol=1e-5, atol=1e-7)


def test_gpu_without_a_gpu_names_what_to_install() -> None:
    if _gpu() is not None:
        pytest.skip("there is a GPU here")
    X, y = regression(0)
    with pytest.raises(RuntimeError, match=r"pip install skopt_dl\[gpu-cuda12x\]"):
        Lasso(device="cuda").fit(X, y)
    with pytest.raises(RuntimeError, match=r"gpu-cuda12x"):
        Lasso().fit(X, y).to_device("cuda:1")


def test_importing_and_fitting_never_import_cupy() -> None:
    code = (
        "import sys, numpy as np, skopt_dl\n"
        "skopt_dl.Lasso().fit(np.eye(3), [1., 2., 3.]).predict(np.eye(3))\n"
        "assert not [m for m in sys.modules if m.split('.')[0] in ('cupy', 'cupyx')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_gpu_arrays_are_refused_on_the_host() -> None:
    fake = type("ndarray", (), {"__module__": "cupy", "device": SimpleNamespace(id=0)})()
    with pytest.raises(TypeError, match=r"X\.get\(\)"):
        Lasso(device="cpu").fit(fake, [1.0])


# --- the CuPy namespace, on NumPy dressed as CuPy -----------------------------------------------


# What cupy.linalg has (14.2).
CLASSIC_LINALG = [
    *("cholesky", "qr", "svd", "eigh", "eigvalsh", "eigvals", "solve", "tensorsolve", "lstsq"),
    *("inv", "pinv", "tensorinv", "det", "slogdet", "matrix_power", "matrix_rank", "norm"),
]


class Classic:
    """NumPy with no more in ``linalg`` than CuPy has, and bare tuples for results."""

    __name__ = "classic"

    def __init__(self) -> None:
        def bare(function: Any) -> Any:
            def called(*args: Any, **kwargs: Any) -> Any:
                result = function(*args, **kwargs)
                return tuple(result) if isinstance(result, tuple) else result

            return called

        self.linalg = SimpleNamespace(**{n: bare(getattr(np.linalg, n)) for n in CLASSIC_LINALG})
        # It returns NaN where NumPy's raises.
        self.linalg.cholesky = lambda x: (
            np.linalg.cholesky(x) if np.linalg.eigvalsh(x)[0] > 0 else np.full_like(x, np.nan)
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def test_the_cupy_namespace_takes_devices() -> None:
    from contextlib import nullcontext

    asked = []

    def on_device(device: Any) -> Any:
        asked.append(device)
        return nullcontext()

    xp = StandardNamespace(np, on_device)
    assert xp.__name__ == "numpy"
    np.testing.assert_array_equal(xp.zeros(3, dtype=xp.float32, device="d"), np.zeros(3))
    np.testing.assert_array_equal(xp.full(2, 7.0), [7.0, 7.0])
    assert asked == ["d"]
    assert all(callable(getattr(xp, name)) for name in CREATION)
    with pytest.raises(AttributeError):
        xp.no_such_function  # noqa: B018


def test_the_cupy_namespace_has_all_of_the_standard_s_linalg() -> None:
    ours, standard = StandardLinalg(Classic()), np.linalg  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4))
    S = A @ np.swapaxes(A, -1, -2) + np.eye(3)
    one, two = rng.normal(size=(2, 5))
    calls: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
        "vector_norm": [((A,), {}), ((A,), {"keepdims": True}), ((A,), {"axis": 1, "ord": 1})],
        "matrix_norm": [((A,), {}), ((A,), {"keepdims": True}), ((A,), {"ord": 2})],
        "diagonal": [((A,), {}), ((A,), {"offset": 1})],
        "trace": [((A,), {}), ((A,), {"offset": -1})],
        "cholesky": [((S[0],), {}), ((S[0],), {"upper": True})],
        "svd": [((A,), {}), ((A,), {"full_matrices": False})],
        "qr": [((A[0],), {}), ((A[0].T,), {"mode": "complete"})],
        "matmul": [((A, np.swapaxes(B, 1, 2)), {})],
        "tensordot": [((A, B), {"axes": 3}), ((A, B), {"axes": ((0, 1), (0, 1))})],
        "outer": [((one, two), {})],
        "vecdot": [((A, B), {}), ((A, B), {"axis": 1})],
    }
    for name in ("eigh", "eigvalsh", "inv", "det", "slogdet", "pinv", "matrix_rank"):
        calls[name] = [((S,), {})]
    for name in ("svdvals", "matrix_transpose"):
        calls[name] = [((A,), {})]
    calls["matrix_power"], calls["solve"] = [((S, 2), {})], [((S, A), {})]
    # The standard's list, but for general eigenvalues and the cross product of space.
    assert set(calls) == {n for n in dir(strict.linalg) if not n.startswith("_")} & set(
        dir(standard)
    ) - {"cross", "eig", "eigvals"}
    for name, cases in calls.items():
        for args, kwargs in cases:
            result = getattr(ours, name)(*args, **kwargs)
            expected = getattr(standard, name)(*args, **kwargs)
            if isinstance(expected, tuple):
                assert result._fields == expected._fields
                pairs = list(zip(result, expected, strict=True))
            else:
                pairs = [(result, expected)]
            for a, b in pairs:
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, err_msg=name)


def test_a_factorisation_that_fails_on_the_device_raises() -> None:
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        StandardLinalg(Classic()).cholesky(-np.eye(2))  # type: ignore[arg-type]


# --- with a GPU -------------------------------------------------------------------------------


def _gpu() -> Any:
    """CuPy if it finds a device, else None."""
    if importlib.util.find_spec("cupy") is None:
        return None
    import cupy

    return cupy if cupy.is_available() else None


@pytest.fixture
def cupy() -> Any:
    module = _gpu()
    if module is None:
        pytest.skip("CuPy is not installed or finds no CUDA device")
    return module


@pytest.mark.gpu
@pytest.mark.parametrize(("kind", "solver"), pairs(), ids=str)
def test_gpu_native(kind: Kind, solver: str, cupy: Any) -> None:
    X, y = kind.make_data(0)
    params = {"solver": solver, "max_iter": 4}
    host = fit(kind.make(**params), X, y)
    native = fit(kind.make(**params), cupy.asarray(X), None if y is None else cupy.asarray(y))
    known = (kind.name, solver) not in ROUNDING_DECIDES
    for a, b in zip(kind.answer(native), kind.answer(host), strict=True):
        assert isinstance(a, cupy.ndarray)
        assert np.all(np.isfinite(a.get()))
        if known:
            np.testing.assert_allclose(a.get(), b, rtol=1e-5, atol=1e-7)
    for method, value in outputs(native, cupy.asarray(X)).items():
        assert isinstance(value, cupy.ndarray), method
        if known:
            expected = outputs(host, X)[method]
            np.testing.assert_allclose(value.get(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_gpu_for_host_data_and_pickles(kind: Kind, cupy: Any) -> None:
    X, y = kind.make_data(0)
    mirrored = fit(kind.make(device="cuda"), X, y)
    assert all(isinstance(a, np.ndarray) for a in kind.answer(mirrored))
    native = fit(kind.make(), cupy.asarray(X), y)
    back = pickle.loads(pickle.dumps(native))
    for a, b in zip(kind.answer(back), kind.answer(native), strict=True):
        assert isinstance(a, cupy.ndarray)
        np.testing.assert_array_equal(a.get(), b.get())
    assert namespace_of(kind.answer(native)[0]).__name__ == "cupy"


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["Lasso", "Ridge", "LogisticRegression"])
@pytest.mark.parametrize("form", ["csr_matrix", "csc_matrix", "coo_matrix"])
def test_gpu_sparse(name: str, form: str, cupy: Any) -> None:
    import cupyx.scipy.sparse

    kind = BY_NAME[name]
    X, y = kind.make_data(0)
    X = np.where(np.abs(X) > 0.7, X, 0.0)
    host = fit(kind.make(), sparse.csr_matrix(X), y)
    moved = getattr(cupyx.scipy.sparse, form)(cupyx.scipy.sparse.csr_matrix(cupy.asarray(X)))
    native = fit(kind.make(), moved, cupy.asarray(y))
    np.testing.assert_allclose(native.coef_.get(), host.coef_, rtol=1e-4, atol=1e-6)
    assert isinstance(native.predict(moved), cupy.ndarray)


@pytest.mark.gpu
def test_gpu_search_and_memory(cupy: Any) -> None:
    X, y = regression(0)
    search = GridSearchCV(Lasso(), {"alpha": [0.01, 0.1]}, cv=3)
    search.fit(cupy.asarray(X), cupy.asarray(y))
    host = GridSearchCV(Lasso(), {"alpha": [0.01, 0.1]}, cv=3).fit(X, y)
    assert search.best_params_ == host.best_params_


def test_several_processes_on_one_device_warn() -> None:
    # Defined here and without names of this module, so that it travels to the workers by value.
    def fitted(X: Any, y: Any, on_device: bool) -> list[str]:
        if on_device:
            X = strict.asarray(X, device=strict.Device("device1"))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            Lasso(alpha=0.1).fit(X, y)
        return [str(w.message) for w in caught]

    X, y = regression(0)
    assert fitted(X, y, True) == []
    host, device = Parallel(n_jobs=2, backend="loky")(
        delayed(fitted)(X, y, on_device) for on_device in (False, True)
    )
    assert host == []
    assert len(device) == 1 and "one of several processes (n_jobs > 1)" in device[0]
