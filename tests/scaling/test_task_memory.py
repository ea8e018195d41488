"""What a fit of many passes says that a task holds is what it holds, and not many times more."""

from __future__ import annotations

import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
import skopt_dl.dask as ours  # noqa: E402

ROWS = 40_000
CASES: list[tuple[Any, int, int]] = [
    (ours.LogisticRegression(max_iter=2), 40, 2),
    (ours.LogisticRegression(max_iter=2), 150, 2),
    (ours.LogisticRegression(max_iter=2), 30, 6),
    (ours.LogisticRegression(max_iter=2, solver="lbfgs"), 40, 3),
    (ours.LogisticRegression(max_iter=2, solver="consensus_admm"), 60, 2),
    (ours.MLPClassifier((5,), max_iter=2), 40, 2),
    (ours.MLPClassifier((300, 300), max_iter=2, dropout=0.3), 40, 2),
    (ours.MLPClassifier((50,), max_iter=2), 200, 9),
    (ours.MLPRegressor(hidden_layer_sizes=(50,), max_iter=2, solver="ademamix"), 60, 0),
    (ours.MatrixCompletion(3, alpha=0.1, max_iter=2), 40, 0),
    (ours.MatrixCompletion(20, alpha=0.1, max_iter=2), 40, 0),
    (ours.MatrixCompletion(10, max_iter=2, fit_bias="both"), 100, 0),
    (ours.MatrixCompletion(10, max_iter=2, noise="rows"), 100, 0),
]


def quietly(model: Any, *data: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*data)


def blocks(model: Any, columns: int, classes: int, dtype: Any = np.float64) -> tuple[Any, ...]:
    X = da.random.default_rng(0).normal(size=(ROWS, columns), chunks=(10_000, columns))
    y = da.random.default_rng(1).normal(size=ROWS, chunks=10_000)
    y = (da.fabs(y) * classes / 3).astype(int) % classes if classes else y
    X = X.astype(dtype)
    return (X,) if isinstance(model, ours.MatrixCompletion) else (X, y)


@pytest.mark.parametrize(("model", "columns", "classes"), CASES, ids=lambda v: str(v)[:40])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_task_holds_what_is_said(
    model: Any, columns: int, classes: int, dtype: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    model = clone(model).set_params(persist=False)
    data = blocks(model, columns, classes, dtype)
    with dask.config.set(scheduler="synchronous"):
        # One task at a time, and small results.
        quietly(clone(model).set_params(verbose=True), *data)
        tracemalloc.start()
        quietly(model, *data)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    said = model.task_bytes_
    line = f"4 blocks of {columns} columns; memory of a task: {said / 2**20:.1f} MiB"
    assert line in capsys.readouterr().out
    assert most < said < 3.5 * most


@pytest.mark.parametrize("k", [3, 20])
def test_a_task_on_pairs_holds_what_is_said(k: int) -> None:
    rng = np.random.default_rng(0)
    pairs = np.stack([rng.integers(0, 3000, 200_000), rng.integers(0, 300, 200_000)], axis=1)
    pairs = np.unique(pairs, axis=0)
    values = rng.standard_normal(len(pairs))
    given = [da.from_array(a, chunks=(50_000, *a.shape[1:])) for a in (pairs, values)]
    model = ours.MatrixCompletion(k, alpha=0.1, max_iter=2, persist=False)
    with dask.config.set(scheduler="synchronous"):
        quietly(clone(model), *given)
        tracemalloc.start()
        quietly(model, *given)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # Beside a task are the pieces that its blocks are dealt in, once for the data.
    pieces = pairs.nbytes + values.nbytes
    assert most - pieces < model.task_bytes_ < 3.5 * most


@pytest.mark.parametrize("persist", [True, False])
def test_blocks_of_unknown_lengths_are_measured_on_the_way(persist: bool) -> None:
    pd = pytest.importorskip("pandas")
    X = np.random.default_rng(0).standard_normal((60, 3))
    frame = dd.from_pandas(pd.DataFrame(X, columns=list("abc")), npartitions=2)
    known = da.from_array(X, chunks=(30, 3))
    for model, labels in (
        (ours.Ridge(), False),
        (ours.LassoCV(alphas=3), False),
        (ours.LogisticRegression(), True),
        (ours.MLPClassifier((3,), max_iter=1), True),
        (ours.MLPRegressor(hidden_layer_sizes=(3,), max_iter=1), False),
        (ours.MatrixCompletion(1, max_iter=1), None),
    ):
        if hasattr(model, "persist"):
            model.set_params(persist=persist)
        found = []
        for given in (frame, known):
            whole = given is known
            A, y = (given[:, :2], given[:, 2]) if whole else (given[["a", "b"]], given["c"])
            data = (given,) if labels is None else (A, y > 0 if labels else y)
            found.append(quietly(clone(model), *data))
        ours_, spec = found
        assert ours_.task_bytes_ == spec.task_bytes_ > 0, model
        # Nothing is read to be measured alone, but for folds and for a network without labels.
        alone = isinstance(model, (ours.LassoCV, ours.MLPRegressor))
        assert ours_.n_passes_ == spec.n_passes_ + int(alone), model
