"""Pairs of `MatrixCompletion` where CuPy finds a device: numbered there, and the host's answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skopt_dl import MatrixCompletion
from skopt_dl.matrix_completion.pairs import TABLE, numbered


def ratings(dtype: str = "float64") -> tuple[Any, Any, Any]:
    """Pairs of ids that are no numbers of rows, their values, and weights, a few of them zero."""
    rng = np.random.default_rng(0)
    full = rng.standard_normal((30, 2)) @ rng.standard_normal((2, 20))
    pairs = rng.permutation(np.argwhere(rng.random(full.shape) < 0.5))
    weights = (np.arange(len(pairs)) % 5) / 2
    return 7 * pairs - 40, full[tuple(pairs.T)].astype(dtype), weights.astype(dtype)


@pytest.mark.parametrize("spread", [1, 3, 10 * TABLE, 2**50])
def test_ids_are_numbered_in_ascending_order(spread: int) -> None:
    ids = spread * np.random.default_rng(0).integers(-20, 20, 50)
    known, place = numbered(ids)
    for ours, spec in zip((known, place), np.unique(ids, return_inverse=True), strict=True):
        np.testing.assert_array_equal(ours, spec)


@pytest.fixture
def fetched(cupy: Any, monkeypatch: Any) -> list[tuple[int, ...]]:
    """Shapes of the arrays that left the device."""
    shapes, get = [], cupy.ndarray.get

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        shapes.append(self.shape)
        return get(self, *args, **kwargs)

    monkeypatch.setattr(cupy.ndarray, "get", counted)
    return shapes


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("bias", "alpha", "dtype"),
    [(False, 0.05, "float64"), ("both", "auto", "float64"), ("both", 0.05, "float32")],
)
def test_gpu_pairs_stay_there(bias: Any, alpha: Any, dtype: str, cupy: Any, fetched: Any) -> None:
    X, y, weights = ratings(dtype)
    params = {"alpha": alpha, "fit_bias": bias, "random_state": 0}
    host = MatrixCompletion(2, **params).fit(X, y, weights)
    there = [cupy.asarray(a) for a in (X, y, weights)]
    model = MatrixCompletion(2, **params).fit(there[0], there[1])
    # The distinct ids alone: labels stay on the host. Weights are looked at there.
    assert max(np.prod(shape, dtype=int) for shape in fetched) <= 30
    model = MatrixCompletion(2, **params).fit(*there)
    np.testing.assert_array_equal(model.row_ids_, host.row_ids_)
    assert type(model.row_ids_) is np.ndarray and isinstance(model.components_, cupy.ndarray)
    fetched.clear()
    asked = np.concatenate([X[:40], [[5000, X[0, 1]]]])
    answer = model.predict(cupy.asarray(asked))
    score = model.score(there[0], there[1])
    assert fetched == []
    tolerance = 1e-6 if dtype == "float64" else 5e-3
    np.testing.assert_allclose(answer.get(), host.predict(asked), rtol=tolerance, atol=tolerance)
    assert type(score) is float and score == pytest.approx(host.score(X, y), abs=tolerance)


@pytest.mark.gpu
def test_gpu_more_pairs(cupy: Any) -> None:
    X, y, _ = ratings()
    first = X[:, 0] < 100
    models = []
    for put in (np.asarray, cupy.asarray):
        model = MatrixCompletion(2, alpha=0.05, random_state=0)
        model.partial_fit(put(X[first]), put(y[first]))
        models.append(model.partial_fit(put(X[~first]), put(y[~first])))
    np.testing.assert_array_equal(models[0].row_ids_, models[1].row_ids_)
    predicted = models[1].predict(cupy.asarray(X))
    np.testing.assert_allclose(predicted.get(), models[0].predict(X), rtol=1e-7, atol=1e-8)
