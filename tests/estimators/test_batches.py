"""Fits on batches of rows, one at a time in memory: the answers of `fit`, the memory of a batch."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from skopt_dl import (
    ElasticNet,
    IncompatibleSolverError,
    Lasso,
    LogisticRegression,
    MLPClassifier,
    Ridge,
)

LINES = [
    Ridge(3.0),
    Ridge(3.0, fit_intercept=False, solver="svd"),
    Lasso(0.05, tol=1e-10),
    ElasticNet(0.1, l1_ratio=0.4, positive=True, tol=1e-10, solver="cd"),
]
N, P = 1500, 7


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    scales = np.logspace(-1, 3, P)
    X = scales * (rng.standard_normal((N, P)) + 3)
    y = (X / scales) @ rng.standard_normal(P) + rng.standard_normal(N) + 50
    return X, y, rng.integers(0, 3, N).astype(float)


def split(*arrays: Any, size: int = 400) -> list[tuple[Any, ...]]:
    return [tuple(a[i : i + size] for a in arrays) for i in range(0, len(arrays[0]), size)]


@pytest.mark.parametrize("model", LINES, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_batches_give_the_answer_of_all_rows(data: Any, model: Any, weighted: bool) -> None:
    X, y, w = data
    arrays = data if weighted else data[:2]
    known = clone(model).fit(X, y, w if weighted else None)
    streamed = clone(model).fit_batches(iter(split(*arrays)))
    np.testing.assert_allclose(streamed.coef_ * X.std(0), known.coef_ * X.std(0), atol=1e-9)
    np.testing.assert_allclose(streamed.intercept_, known.intercept_, rtol=1e-10)
    assert streamed.n_features_in_ == P
    assert streamed.solve_report_.status == "converged"

    grown = clone(model)
    for k, batch in enumerate(split(*arrays)):
        grown.partial_fit(*batch)
        if k == 1:
            half = clone(model).fit(X[:800], y[:800], w[:800] if weighted else None)
            np.testing.assert_allclose(grown.predict(X), half.predict(X), rtol=1e-8)
            grown = pickle.loads(pickle.dumps(grown))
    np.testing.assert_array_equal(grown.coef_, streamed.coef_)


def test_fit_forgets_earlier_batches(data: Any) -> None:
    X, y, _ = data
    model = Ridge().partial_fit(X[:500], y[:500]).fit(X[500:900], y[500:900])
    model.partial_fit(X[900:], y[900:])
    np.testing.assert_allclose(model.coef_, Ridge().fit(X[900:], y[900:]).coef_, rtol=1e-9)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regression(data: Any, l1_ratio: float, classes: int) -> None:
    X, y, w = data
    labels = np.digitize(y, np.quantile(y, np.arange(1, classes) / classes))
    solver = "prox_newton" if l1_ratio else "newton_cholesky"
    model = LogisticRegression(C=0.1, l1_ratio=l1_ratio, solver=solver, tol=1e-10, max_iter=50)
    known = clone(model).fit(X, labels, w)
    streamed = clone(model).fit_batches(split(X, labels, w))
    np.testing.assert_allclose(streamed.coef_ * X.std(0), known.coef_ * X.std(0), atol=1e-7)
    np.testing.assert_allclose(streamed.predict_proba(X), known.predict_proba(X), atol=1e-8)
    assert streamed.solver_ == solver


def test_float32_is_kept(data: Any) -> None:
    X, y, _ = (a.astype(np.float32) for a in data)
    assert Lasso(0.1).fit_batches(split(X, y)).coef_.dtype == np.float32
    assert LogisticRegression(tol=10).fit_batches(split(X, y > 50)).coef_.dtype == np.float32


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "no batch"),
        ([1], r"a batch is a tuple \(X, y\)"),
        ([(np.ones((3, 2)), np.ones(3)), (np.ones((3, 1)), np.ones(3))], "1 features"),
        ([(np.full((3, 2), np.nan), np.ones(3))], "NaN"),
        ([(np.ones((3, 2)), np.ones((3, 2)))], "2 dimensions"),
        ([(np.ones((3, 2)), np.ones(3), np.zeros(3))], "weight"),
    ],
    ids=str,
)
def test_bad_batches_leave_nothing(batches: Any, message: str) -> None:
    model = Ridge()
    with pytest.raises(ValueError, match=message):
        model.fit_batches(batches)
    assert vars(model) == vars(Ridge())


def test_what_reads_batches_again_wants_more_than_a_generator(data: Any) -> None:
    X, y, _ = data
    with pytest.raises(TypeError, match="can be read once only"):
        LogisticRegression().fit_batches(iter(split(X, y > 50)))
    with pytest.raises(ValueError, match="at least 2 classes"):
        LogisticRegression().fit_batches(split(X, y > 0))
    with pytest.raises(IncompatibleSolverError, match="on batches of rows"):
        LogisticRegression(solver="saga").fit_batches(split(X, y > 50))


# --- memory ---------------------------------------------------------------------------------------

ROWS, COLUMNS, BATCH = 60_000, 50, 4_000


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A file of 24 MB, and a target."""
    path = tmp_path_factory.mktemp("rows") / "X.dat"
    rng = np.random.default_rng(0)
    X = np.memmap(path, dtype=np.float64, mode="w+", shape=(ROWS, COLUMNS))
    X[:] = rng.standard_normal((ROWS, COLUMNS))
    y = X[:, 0] - X[:, 1] + rng.standard_normal(ROWS)
    X.flush()
    return path, np.asarray(y)


def mapped(path: Path) -> Any:
    return np.memmap(path, dtype=np.float64, mode="r", shape=(ROWS, COLUMNS))


class Batches:
    """Slices of a file, from the beginning at each iteration."""

    def __init__(self, path: Path, y: Any) -> None:
        self.path, self.y = path, y

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for i in range(0, ROWS, BATCH):
            yield np.array(mapped(self.path)[i : i + BATCH]), self.y[i : i + BATCH]


def peak(call: Callable[[], Any]) -> int:
    """Bytes allocated at most while ``call`` runs."""
    tracemalloc.start()
    call()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_batches_need_the_memory_of_two(on_disk: Any) -> None:
    path, y = on_disk
    batch = 8 * BATCH * COLUMNS
    Ridge().fit_batches(Batches(path, y))  # what is imported at the first use is none of it
    # The batch, its rows moved to the origin, and small matrices.
    assert peak(lambda: Ridge().fit_batches(Batches(path, y))) < 2.6 * batch
    assert peak(lambda: Lasso(0.1).fit_batches(Batches(path, y))) < 2.6 * batch
    newton = LogisticRegression(solver="newton_cholesky")
    newton.fit_batches(Batches(path, y > 0))
    # And three arrays like it, from which its part of the Hessian is made.
    assert peak(lambda: newton.fit_batches(Batches(path, y > 0))) < 5 * batch


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "model",
    [
        Ridge(solver="cg", max_iter=3),
        Lasso(0.1),
        LogisticRegression(max_iter=3),
        MLPClassifier((8,), max_iter=2, tol=0),
    ],
    ids=lambda m: type(m).__name__,
)
def test_a_mapped_file_is_not_read_into_memory(on_disk: Any, model: Any) -> None:
    path, y = on_disk
    target = y if isinstance(model, (Ridge, Lasso)) else y > 0
    clone(model).fit(mapped(path)[:200], target[:200])
    assert peak(lambda: clone(model).fit(mapped(path), target)) < 0.6 * 8 * ROWS * COLUMNS
