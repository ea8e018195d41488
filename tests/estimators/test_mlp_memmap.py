"""Networks on memory-mapped data: the file is read where it lies, not copied."""

from __future__ import annotations

import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skopt_dl import MLPClassifier, MLPRegressor

ROWS, COLUMNS = 40_000, 60


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("kind", "params"),
    [(MLPClassifier, {}), (MLPRegressor, {}), (MLPRegressor, {"solver": "lbfgs"})],
)
def test_a_file_is_not_copied(
    tmp_path: Path, kind: Any, params: dict[str, Any], dtype: Any
) -> None:
    path = tmp_path / "rows"
    written = np.memmap(path, dtype=dtype, mode="w+", shape=(ROWS, COLUMNS))
    written[:] = np.random.default_rng(0).standard_normal((ROWS, COLUMNS), dtype=np.float32)
    written.flush()
    X = np.memmap(path, dtype=dtype, mode="r", shape=(ROWS, COLUMNS))
    y = (np.asarray(X[:, 0]) > 0).astype(np.int64 if kind is MLPClassifier else dtype)
    held: dict[str, Any] = {} if params else {"X_val": X[:2000], "y_val": y[:2000]}
    params = {**params, "hidden_layer_sizes": (5,), "early_stopping": bool(held)}
    model = kind(max_iter=2, random_state=0, **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        tracemalloc.start()
        try:
            model.fit(X, y, **held)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        known = kind(**model.get_params()).fit(np.array(X), y, **held)
    assert peak < 0.4 * X.nbytes
    np.testing.assert_array_equal(model.coefs_[0], known.coefs_[0])
