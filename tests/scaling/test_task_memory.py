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


def test_blocks_of_unknown_lengths_have_no_bound() -> None:
    pd = pytest.importorskip("pandas")
    X = np.random.default_rng(0).standard_normal((60, 3))
    frame = dd.from_pandas(pd.DataFrame(X, columns=list("abc")), npartitions=2)
    for model in (
        ours.LogisticRegression(),
        ours.MLPClassifier((3,), max_iter=1),
        ours.MatrixCompletion(1, max_iter=1),
    ):
        matrix = isinstance(model, ours.MatrixCompletion)
        quietly(model, *((frame,) if matrix else (frame[["a", "b"]], frame["c"] > 0)))
        assert model.task_bytes_ is None
