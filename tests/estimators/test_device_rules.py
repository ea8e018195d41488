"""The rules of ``docs/devices.rst`` that `test_devices` does not hold: kinds of input against
``device=``, how often data are moved, copies of models, labels; on the page's table itself."""

from __future__ import annotations

import copy
import io
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import array_api_strict as strict
import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import has_fit_parameter
from zoo import APART, BY_NAME, KINDS, Kind, regression

from skopt_dl import Lasso
from skopt_dl._sklearn import arrays
from skopt_dl._sklearn.arrays import Place
from skopt_dl.kernels.namespace import to_numpy

ROOT = Path(__file__).parents[2]
# The device that refuses conversions stands for the GPU.
AWAY = strict.Device("device1")
CLASSIFIERS = [kind for kind in KINDS if kind.is_classifier]


def there(a: Any) -> Any:
    return strict.asarray(np.asarray(a), device=AWAY)


def fit(model: Any, X: Any, y: Any, **kwargs: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, **kwargs) if y is None else model.fit(X, y, **kwargs)


def polars_frame(X: Any) -> Any:
    return pytest.importorskip("polars").DataFrame(X, schema=[f"x{k}" for k in range(X.shape[1])])


def pandas_frame(X: Any) -> Any:
    return pd.DataFrame(X, columns=[f"x{k}" for k in range(X.shape[1])])


HOST_DATA = {
    "numpy": np.asarray,
    "pandas": pandas_frame,
    "polars": polars_frame,
    "csr_matrix": sparse.csr_matrix,
    "csc_array": sparse.csc_array,
}


@pytest.fixture
def moves(monkeypatch: Any) -> list[tuple[str, Any]]:
    """Where every array that moved went, and its shape; "cuda" means the device that refuses."""
    place, made, original = Place("array_api_strict", str(AWAY)), [], arrays.device_place
    for module in (arrays, sys.modules["skopt_dl._sklearn.base"]):
        monkeypatch.setattr(module, "device_place", lambda d: place if d == "cuda" else original(d))
    put = Place.put

    def counted(self: Place, x: Any) -> Any:
        if Place.of(x) != self:
            made.append((self.namespace, np.shape(x)))
        return put(self, x)

    monkeypatch.setattr(Place, "put", counted)
    return made


# --- R1, R2: the data decide, or device= does ---------------------------------------------------


@pytest.mark.parametrize("form", HOST_DATA)
@pytest.mark.parametrize("device", [None, "cpu"])
def test_host_data_stay_on_the_host(form: str, device: Any, moves: list[Any]) -> None:
    X, y = regression(0)
    data = HOST_DATA[form](X)
    model = Lasso(alpha=0.01, device=device).fit(data, y)
    assert not get_config()["array_api_dispatch"]
    assert type(model.coef_) is np.ndarray and type(model.predict(data)) is np.ndarray
    assert moves == []


@pytest.mark.parametrize("form", ["numpy", "pandas", "polars"])
def test_host_data_are_copied_once_and_answers_mirror_them(form: str, moves: list[Any]) -> None:
    X, y = regression(0)
    data, s = HOST_DATA[form](X), np.linspace(0.5, 1.5, len(y))
    model = Lasso(alpha=0.01, device="cuda").fit(data, y, sample_weight=s)
    went = [shape for namespace, shape in moves if namespace != "numpy"]
    assert sorted(went) == sorted([X.shape, y.shape, s.shape])
    came = [shape for namespace, shape in moves if namespace == "numpy"]
    assert X.shape not in came and y.shape not in came
    moves.clear()
    assert type(model.coef_) is np.ndarray and type(model.predict(data)) is np.ndarray
    assert type(model.score(data, y)) is float
    assert moves == [], "a model with NumPy attributes predicts on the host"


@pytest.mark.parametrize("device", [None, "cuda"])
def test_device_data_stay_there(device: Any, moves: list[Any]) -> None:
    X, y = regression(0)
    model = Lasso(alpha=0.01, device=device).fit(there(X), there(y))
    assert model.coef_.device == AWAY and model.predict(there(X)).device == AWAY
    assert not get_config()["array_api_dispatch"]
    assert moves == []


# --- R3: targets and weights follow, once -------------------------------------------------------


def test_targets_and_weights_move_once(moves: list[Any]) -> None:
    X, y = regression(0)
    s = np.linspace(0.5, 1.5, len(y))
    Lasso(alpha=0.01).fit(there(X), y, sample_weight=s)
    assert moves == [("array_api_strict", y.shape), ("array_api_strict", s.shape)]


# --- R6: files and copies -----------------------------------------------------------------------


def through_joblib(model: Any) -> Any:
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


@pytest.mark.parametrize("trip", [through_joblib, copy.deepcopy, copy.copy])
@pytest.mark.parametrize("name", ["Lasso", "MLPClassifier", "MatrixCompletion"])
def test_copies_live_where_the_model_does(name: str, trip: Any) -> None:
    kind = BY_NAME[name]
    X, y = kind.make_data(0)
    model = fit(kind.make(), there(X), y)
    for a, b in zip(kind.answer(trip(model)), kind.answer(model), strict=True):
        assert a.device == AWAY
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b))


# --- R8: labels ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CLASSIFIERS, ids=str)
def test_words_for_classes_stay_on_the_host(kind: Kind) -> None:
    X, y = kind.make_data(0)
    words = np.array(["ant", "bee", "cat"])[y]
    model = fit(kind.make(), there(X), words)
    assert type(model.classes_) is np.ndarray
    predicted = model.predict(there(X))
    assert type(predicted) is np.ndarray and set(predicted) <= set(words)
    assert model.predict_proba(there(X)).device == AWAY


# --- the page -----------------------------------------------------------------------------------


def test_every_rule_of_the_page_names_its_tests() -> None:
    page = (ROOT / "docs" / "devices.rst").read_text(encoding="utf-8")
    rules = re.findall(r"^   \* - (R\d+)\n((?:     .*\n)+)", page, re.M)
    assert [name for name, _ in rules] == [f"R{k}" for k in range(1, 11)]
    text = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("test_*.py"))
    for name, row in rules:
        tests = re.findall(r"``(test_\w+)``", row)
        assert tests, name
        for test in tests:
            assert f"def {test}(" in text, f"{name} names {test}, which does not exist"


# --- other arrays, and the GPU ------------------------------------------------------------------


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", [*KINDS, *APART], ids=str)
def test_tensors_on_the_host_are_host_data(kind: Kind, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    X, y = kind.make_data(0)
    X = X.astype(dtype)
    if kind.name.startswith("MultiTask"):
        y = np.stack([y, -y], axis=1)
    tensor, target = torch.asarray(X), None if y is None else torch.asarray(y)
    weights = None if y is None else np.linspace(0.5, 1.5, len(X))
    weighted = weights is not None and has_fit_parameter(kind.make(), "sample_weight")
    given = {"sample_weight": torch.asarray(weights)} if weighted else {}
    model = fit(kind.make(), tensor, target, **given)
    host = fit(kind.make(), X, y, **({"sample_weight": weights} if weighted else {}))
    for ours, known in zip(kind.answer(model), kind.answer(host), strict=True):
        assert type(ours) is type(known)
    methods = ("predict", "predict_proba", "decision_function", "transform")
    for method in (m for m in methods if hasattr(model, m)):
        answer = getattr(model, method)(tensor)
        assert type(answer) is np.ndarray
        np.testing.assert_array_equal(answer, getattr(host, method)(X))
    if y is not None:
        assert model.score(tensor, target) == host.score(X, y)
    # Both ways of the page share the memory.
    assert np.asarray(tensor).ctypes.data == tensor.data_ptr() == np.from_dlpack(tensor).ctypes.data


def test_tensors_on_a_device_are_refused_with_the_way_out() -> None:
    place = type("device", (), {"type": "cuda"})()
    tensor = type("Tensor", (), {"__module__": "torch", "device": place, "shape": (3, 2)})()
    with pytest.raises(TypeError, match=r"cupy\.from_dlpack\(X\).*or X\.cpu\(\)"):
        Lasso().fit(tensor, [1.0, 2.0, 3.0])


@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_a_frame_of_data_on_a_device_is_refused_with_the_way_out(frame: str) -> None:
    X, _ = BY_NAME["MatrixCompletion"].make_data(0)
    model = fit(BY_NAME["MatrixCompletion"].make(), there(X), None)
    message = rf"set_output asks for '{frame}'.*X\.get\(\).*set_output\(transform='default'\)"
    with pytest.raises(TypeError, match=message):
        model.set_output(transform=frame).transform(there(X))
    with config_context(transform_output=frame), pytest.raises(TypeError, match=message):
        clone(model).set_output(transform=None).fit_transform(there(X))
    assert model.set_output(transform="default").transform(there(X)).device == AWAY


@pytest.mark.gpu
@pytest.mark.parametrize("form", ["numpy", "pandas", "csr_matrix", "csc_array"])
def test_gpu_host_data_go_there_once(form: str, cupy: Any, monkeypatch: Any) -> None:
    X, y = regression(0)
    sent, original = [], arrays._to_gpu

    def to_gpu(host: Any, index: int) -> Any:
        sent.append(host.shape)
        return original(host, index)

    monkeypatch.setattr(arrays, "_to_gpu", to_gpu)
    data = HOST_DATA[form](X)
    model = Lasso(alpha=0.01, device="cuda").fit(data, y)
    assert sorted(sent) == sorted([X.shape, y.shape])
    assert type(model.coef_) is np.ndarray and type(model.predict(data)) is np.ndarray
    np.testing.assert_allclose(model.coef_, Lasso(alpha=0.01).fit(X, y).coef_, atol=1e-4)


@pytest.mark.gpu
def test_gpu_models_move_and_refuse(cupy: Any) -> None:
    X, y = regression(0)
    model = Lasso(alpha=0.01).fit(cupy.asarray(X), y)
    with pytest.raises(ValueError, match=r"Lasso\.predict\(\) must use the same namespace"):
        model.predict(X)
    with pytest.raises(TypeError, match=r"X\.get\(\)"):
        Lasso(device="cpu").fit(cupy.asarray(X), y)
    moved = model.to_device("cpu")
    np.testing.assert_allclose(moved.predict(X), model.predict(cupy.asarray(X)).get(), rtol=1e-10)
    assert isinstance(moved.to_device("cuda").coef_, cupy.ndarray)
    assert type(model.score(cupy.asarray(X), cupy.asarray(y))) is float
