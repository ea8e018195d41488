"""`TensorCompletion` where its data live: answers of the host, nothing left behind there."""

from __future__ import annotations

import pickle
import sys
import warnings
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skopt_dl import TensorCompletion
from skopt_dl._sklearn import arrays
from skopt_dl._sklearn.arrays import Place
from skopt_dl.kernels.namespace import to_numpy

AWAY = strict.Device("device1")
FORMS = ["cp", "tucker"]


def there(a: Any, device: Any = AWAY) -> Any:
    return strict.asarray(np.asarray(a), device=device)


def ratings(dtype: str = "float64") -> tuple[Any, Any, Any]:
    """Positions of three modes by ids that are no numbers of rows, values, and weights, a few of
    them zero."""
    rng = np.random.default_rng(0)
    full = np.einsum("ia,ja,ka->ijk", *(rng.uniform(0.5, 1.5, (n, 2)) for n in (9, 8, 7)))
    at = np.argwhere(rng.random(full.shape) < 0.6)
    weights = (np.arange(len(at)) % 5) / 2
    return 10 * at - 5, full[tuple(at.T)].astype(dtype), weights.astype(dtype)


def fitted(form: str, *data: Any, **params: Any) -> Any:
    model = TensorCompletion(2, form=form, alpha=1e-3, n_init=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.set_params(**{"max_iter": 4, **params}).fit(*data)


def arrays_of(model: Any) -> list[Any]:
    core = [] if model.core_ is None else [model.core_]
    return [*model.factors_, *model.ids_, *core]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("solver", ["als", "lbfgs", "levenberg_marquardt", "adam"])
@pytest.mark.parametrize("device", ["CPU_DEVICE", "device1"])
def test_the_fit_is_the_host_s_and_its_arrays_stay(form: str, solver: str, device: str) -> None:
    X, y, weights = ratings()
    place = strict.Device(device)
    host = fitted(form, X, y, weights, solver=solver)
    model = fitted(form, *(there(a, place) for a in (X, y, weights)), solver=solver)
    assert model.solve_report_.kernel == "generic" and model.n_iter_ == host.n_iter_
    for ours, known in zip(arrays_of(model), arrays_of(host), strict=True):
        assert ours.device == place
        np.testing.assert_allclose(np.abs(to_numpy(ours)), np.abs(known), rtol=1e-8, atol=1e-9)
    # An id that was not seen among them.
    asked = np.concatenate([X[:20], [[7, 5, 5]]])
    answer = model.predict(there(asked, place))
    assert answer.device == place
    np.testing.assert_allclose(to_numpy(answer), host.predict(asked), rtol=1e-9)
    assert model.score(there(X, place), y) == pytest.approx(host.score(X, y), abs=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_only_numbers_leave_the_device(form: str, left: list[tuple[int, ...]]) -> None:
    data = [there(a) for a in ratings()[:2]]
    model = fitted(form, *data, max_iter=20)
    model.predict(data[0])
    assert left == []


@pytest.mark.parametrize("form", FORMS)
def test_single_precision_and_targets_that_follow(form: str) -> None:
    X, y, weights = ratings("float32")
    model = fitted(form, there(X), y, weights)
    assert all(str(u.dtype).endswith("float32") for u in model.factors_)
    answer = model.predict(there(X))
    assert answer.device == AWAY and str(answer.dtype).endswith("float32")
    np.testing.assert_allclose(to_numpy(answer), fitted(form, X, y, weights).predict(X), rtol=1e-3)
    back = fitted(form, X, there(y), weights)
    assert all(type(u) is np.ndarray for u in arrays_of(back))


@pytest.mark.parametrize("form", FORMS)
def test_models_move_and_refuse_others_data(form: str) -> None:
    X, y, _ = ratings()
    model = fitted(form, there(X), there(y))
    with pytest.raises(ValueError, match=r"TensorCompletion\.predict\(\) must use the same names"):
        model.predict(X)
    home = model.to_device("cpu")
    assert all(type(u) is np.ndarray for u in arrays_of(home))
    np.testing.assert_allclose(home.predict(X), to_numpy(model.predict(there(X))), rtol=1e-12)
    state = model.__getstate__()
    assert not [name for name, value in state.items() if list(arrays._arrays_in(value))]
    again = pickle.loads(pickle.dumps(model))
    for ours, known in zip(arrays_of(again), arrays_of(model), strict=True):
        assert ours.device == AWAY
        np.testing.assert_array_equal(to_numpy(ours), to_numpy(known))


@pytest.mark.parametrize("form", FORMS)
def test_device_cuda_mirrors_host_data(form: str, monkeypatch: Any) -> None:
    place, sent, original = Place("array_api_strict", str(AWAY)), [], arrays.device_place
    for module in (arrays, sys.modules["skopt_dl._sklearn.base"]):
        monkeypatch.setattr(module, "device_place", lambda d: place if d == "cuda" else original(d))
    put = Place.put

    def counted(self: Place, x: Any) -> Any:
        if self == place and not arrays.is_foreign(x):
            sent.append(np.shape(x))
        return put(self, x)

    monkeypatch.setattr(Place, "put", counted)
    X, y, weights = ratings()
    model = fitted(form, X, y, weights, device="cuda")
    assert sent == [X.shape, y.shape, weights.shape]
    assert model.solve_report_.kernel == "generic"
    assert all(type(u) is np.ndarray for u in arrays_of(model))
    host = fitted(form, X, y, weights)
    np.testing.assert_allclose(model.predict(X), host.predict(X), rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X + 0.5, y), "positions must be integers"),
        (lambda X, y: (np.where(X[0, 0] == X, np.inf, X), y), "positions contain NaN or infinity"),
        (lambda X, y: (X[:, :1], y), "two modes or more"),
        (lambda X, y: (X, np.where(y == y[0], np.nan, y)), "y contains NaN"),
        (lambda X, y: (X, y[:-1]), "inconsistent numbers"),
        (lambda X, y: (X, np.stack([y, y], axis=1)), "y should be a 1d array"),
    ],
)
def test_bad_data_are_named_where_they_are(change: Any, message: str) -> None:
    X, y, _ = ratings()
    with pytest.raises(ValueError, match=message):
        fitted("cp", *(there(a) for a in change(X, y)))


def test_floats_that_are_integers_are_positions() -> None:
    X, y, _ = ratings()
    known = fitted("cp", there(X), there(y)).predict(there(X))
    again = fitted("cp", there(X.astype(float)), there(y)).predict(there(X.astype("int32")))
    np.testing.assert_array_equal(to_numpy(again), to_numpy(known))


@pytest.mark.gpu
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("solver", ["als", "lbfgs", "adam"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_gpu_tensors(form: str, solver: str, dtype: str, cupy: Any) -> None:
    data = ratings(dtype)
    host = fitted(form, *data, solver=solver)
    model = fitted(form, *map(cupy.asarray, data), solver=solver)
    assert model.solve_report_.kernel == "cuda"
    assert all(isinstance(u, cupy.ndarray) for u in arrays_of(model))
    answer = model.predict(cupy.asarray(data[0]))
    tolerance = 1e-8 if dtype == "float64" else 1e-3
    np.testing.assert_allclose(answer.get(), host.predict(data[0]), rtol=tolerance, atol=tolerance)
    assert model.score(cupy.asarray(data[0]), data[1]) == pytest.approx(
        host.score(*data[:2]), abs=tolerance
    )
    mirrored = fitted(form, *data, solver=solver, device="cuda")
    assert all(type(u) is np.ndarray for u in arrays_of(mirrored))
    np.testing.assert_allclose(mirrored.predict(data[0]), answer.get(), rtol=tolerance)
