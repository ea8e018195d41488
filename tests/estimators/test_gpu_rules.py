"""Rules R5, R8, R9 and R10 of ``docs/devices.rst`` where CuPy finds a device."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn import model_selection as plain
from zoo import BY_NAME, KINDS, Kind, regression

from skopt_dl import Lasso, Ridge
from skopt_dl.model_selection import GridSearchCV

CLASSIFIERS = [kind for kind in KINDS if kind.is_classifier]


def python(code: str, **environment: str) -> None:
    """Run ``code`` in a process of its own."""
    subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=120, env={**os.environ, **environment}
    )


@pytest.mark.gpu
def test_gpu_that_is_hidden_or_beyond_the_last(cupy: Any) -> None:
    X, y = regression(0)
    beyond = f"cuda:{cupy.cuda.runtime.getDeviceCount()}"
    with pytest.raises(RuntimeError, match=f"there is no device '{beyond}'"):
        Lasso(device=beyond).fit(X, y)
    # A driver without a device: an error that says so, and no fit on the host.
    python(
        "import numpy as np, skopt_dl\n"
        "model = skopt_dl.Lasso(device='cuda')\n"
        "try:\n"
        "    model.fit(np.eye(3), [1., 2., 3.])\n"
        "except RuntimeError as error:\n"
        "    assert 'gpu-cuda12x' in str(error) or 'there is no device' in str(error), error\n"
        "else:\n"
        "    raise SystemExit('it was fitted')\n"
        "assert not hasattr(model, 'coef_')\n",
        CUDA_VISIBLE_DEVICES="",
    )


@pytest.mark.gpu
def test_gpu_host_fits_import_no_cupy(cupy: Any) -> None:
    python(
        "import sys, numpy as np, skopt_dl\n"
        "X = np.random.default_rng(0).standard_normal((40, 3))\n"
        "for model in (skopt_dl.Lasso(), skopt_dl.Ridge()):\n"
        "    model.fit(X, X[:, 0]).predict(X)\n"
        "assert not [m for m in sys.modules if m.split('.')[0] in ('cupy', 'cupyx')]\n"
    )


@pytest.mark.gpu
@pytest.mark.parametrize("kind", CLASSIFIERS, ids=str)
def test_gpu_words_for_classes(kind: Kind, cupy: Any) -> None:
    X, y = kind.make_data(0)
    words = np.array(["ant", "bee", "cat"])[y]
    moved = cupy.asarray(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = kind.make().fit(moved, words)
        numbered = kind.make().fit(moved, cupy.asarray(y))
    assert type(model.classes_) is np.ndarray and type(numbered.classes_) is np.ndarray
    predicted = model.predict(moved)
    assert type(predicted) is np.ndarray
    # The words are those of the numbers, which stay on the device.
    numbers = numbered.predict(moved)
    assert isinstance(numbers, cupy.ndarray)
    np.testing.assert_array_equal(predicted, np.array(["ant", "bee", "cat"])[numbers.get()])
    assert isinstance(model.predict_proba(moved), cupy.ndarray)
    assert model.score(moved, words) == pytest.approx(np.mean(predicted == words))


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [BY_NAME["LogisticRegression"], BY_NAME["MLPClassifier"]], ids=str)
def test_gpu_labels_of_searches_and_batches(kind: Kind, cupy: Any) -> None:
    X, y = kind.make_data(0)
    there, labels = cupy.asarray(X), cupy.asarray(y)
    grid = {"C" if kind.name == "LogisticRegression" else "alpha": [0.01, 1.0]}
    # scikit-learn's stratified splits read labels on the host; ours bring them there.
    searches = [plain.GridSearchCV, GridSearchCV]
    found = [
        search(kind.make(max_iter=20), grid, cv=3, error_score="raise").fit(there, given)
        for search, given in zip(searches, (y, labels), strict=True)
    ]
    scores = [s.cv_results_["mean_test_score"] for s in found]
    np.testing.assert_allclose(*scores, atol=1e-12)
    assert isinstance(kind.answer(found[1].best_estimator_)[0], cupy.ndarray)
    if kind.name == "MLPClassifier":
        model = kind.make().partial_fit(there, labels, classes=cupy.asarray([0, 1, 2]))
        host = kind.make().partial_fit(X, y, classes=[0, 1, 2])
        assert type(model.classes_) is np.ndarray
        np.testing.assert_allclose(kind.answer(model)[0].get(), kind.answer(host)[0], atol=1e-9)
        batches = [(there[:30, :], labels[:30]), (there[30:, :], labels[30:])]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = kind.make(max_iter=2).fit_batches(batches)
        assert isinstance(kind.answer(model)[0], cupy.ndarray)


@pytest.mark.gpu
@pytest.mark.parametrize("device", [None, "cuda"])
def test_gpu_batches_of_rows(device: Any, cupy: Any) -> None:
    X, y = regression(0)
    put = cupy.asarray if device is None else np.asarray
    model, host = Ridge(device=device), Ridge()
    for one, place in ((model, put), (host, np.asarray)):
        one.fit_batches([(place(X[:20, :]), place(y[:20]))])
        one.partial_fit(place(X[20:, :]), place(y[20:]))
    assert isinstance(model.coef_, cupy.ndarray if device is None else np.ndarray)
    found = model.to_device("cpu").coef_
    np.testing.assert_allclose(found, host.coef_, rtol=1e-9)
    np.testing.assert_allclose(found, Ridge().fit(X, y).coef_, rtol=1e-9)


@pytest.mark.gpu
def test_gpu_several_processes_warn(cupy: Any) -> None:
    # Defined here and without names of this module, so that it travels to the workers by value.
    def fitted(X: Any, y: Any) -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            Lasso(alpha=0.1).fit(X, y)
        return [str(w.message) for w in caught if "n_jobs > 1" in str(w.message)]

    X, y = (cupy.asarray(a) for a in regression(0))
    assert fitted(X, y) == []
    for said in Parallel(n_jobs=2, backend="loky")(delayed(fitted)(X, y) for _ in range(2)):
        assert len(said) == 1 and "on cupy on cuda:" in said[0]
    for said in Parallel(n_jobs=2, backend="threading")(delayed(fitted)(X, y) for _ in range(2)):
        assert said == []


@pytest.mark.gpu
def test_gpu_tensors_are_handed_over(cupy: Any) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch finds no CUDA device")
    X, y = regression(0)
    tensor, target = (torch.asarray(a, device="cuda") for a in (X, y))
    shared = cupy.from_dlpack(tensor)
    assert shared.data.ptr == tensor.data_ptr()
    model = Lasso(alpha=0.01).fit(shared, cupy.from_dlpack(target))
    np.testing.assert_allclose(model.coef_.get(), Lasso(alpha=0.01).fit(X, y).coef_, atol=1e-5)
    back = torch.from_dlpack(model.predict(shared))
    assert back.device.type == "cuda"
    with pytest.raises(TypeError, match=r"cupy\.from_dlpack"):
        Lasso(alpha=0.01).fit(tensor, target)
