"""Write ``gpu_models.pkl``: models fitted on a CUDA device, their data and what they say.

Run it where CuPy finds a device, from the root of the repository, and commit the file beside this
one; `test_gpu_pickle` then loads it wherever the suite runs::

    python tests/make_gpu_pickle.py
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from skopt_dl import Lasso, LogisticRegression, MatrixCompletion, MLPClassifier

TARGET = Path(__file__).parent / "gpu_models.pkl"


def cases() -> dict[str, tuple[Any, Any, Any]]:
    """An estimator of each family with small data."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 6))
    y = X[:, 0] - X[:, 1] + 0.1 * rng.standard_normal(40)
    labels = np.digitize(y, [-0.5, 0.5])
    M = rng.standard_normal((20, 2)) @ rng.standard_normal((2, 8))
    M[rng.random(M.shape) < 0.3] = np.nan
    M[0, :], M[:, 0] = 1.0, 1.0
    net = MLPClassifier((8,), max_iter=20, random_state=0)
    return {
        "Lasso": (Lasso(0.05), X, y),
        "LogisticRegression": (LogisticRegression(), X, labels),
        "MLPClassifier": (net, X, labels),
        "MatrixCompletion": (MatrixCompletion(2, alpha=0.05, random_state=0), M, None),
    }


def answer(model: Any, X: Any) -> Any:
    """What the model says about ``X``, as the most telling numbers it has."""
    for method in ("predict_proba", "predict", "transform"):
        if hasattr(model, method):
            return getattr(model, method)(X)
    raise TypeError(f"{model!r} says nothing")


def write(target: Path, there: Callable[[Any], Any], here: Callable[[Any], Any]) -> None:
    """Fit on data that ``there`` has moved; write models, data and answers, moved by ``here``."""
    saved = {}
    for name, (model, X, y) in cases().items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(there(X)) if y is None else model.fit(there(X), y)
        saved[name] = (pickle.dumps(model, protocol=4), X, here(answer(model, there(X))))
    target.write_bytes(pickle.dumps(saved, protocol=4))


if __name__ == "__main__":
    import cupy

    write(TARGET, cupy.asarray, lambda a: a.get())
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")
