"""Files larger than what a process may allocate: fits under the system's own limit, in a process.

`test_batches.py` counts what NumPy allocates; here nothing gets more, whoever asks.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="a limit of address space that is kept"
)
ROWS, COLUMNS = 120_000, 100
# What a fit may take beside the mapped file, as a share of it. Vectors of a number a row are a
# hundredth each.
SHARES = {
    "Ridge()": 0.15,
    "Ridge(solver='cg')": 0.15,
    "Lasso(0.1)": 0.15,
    "ElasticNet(0.1)": 0.15,
    "LassoCV()": 0.25,
    "RidgeCV()": 0.2,
    "RidgeCV(cv=4)": 0.3,
    "LogisticRegression()": 0.2,
    "LogisticRegression(solver='newton_cholesky')": 0.2,
    "RidgeClassifier()": 0.15,
}
# In single precision, of which most is computed in double.
SINGLE = {
    "Ridge()": 0.2,
    "LassoCV()": 0.3,
    "Lasso(0.1)": 0.3,
    "RidgeCV()": 0.3,
    "RidgeCV(cv=4)": 0.45,
}
BY_ROWS = {
    "MLPClassifier((8,), max_iter=2, tol=0)": 0.2,
    "MLPRegressor(hidden_layer_sizes=(8,), max_iter=2, tol=0)": 0.2,
}
# Methods that read a column at a time.
BY_COLUMNS = {
    "Lasso(0.1, solver='cd')": 0.15,
    "LogisticRegression(solver='prox_newton', l1_ratio=1.0, C=0.01)": 0.2,
}
SCRIPT = """
import resource, sys, warnings
import numpy as np
from sklearn.base import clone, is_classifier
from skopt_dl import (ElasticNet, Lasso, LassoCV, LogisticRegression, MLPClassifier, MLPRegressor,
                      Ridge, RidgeClassifier, RidgeCV)

warnings.simplefilter("ignore")
path, dtype, order, rows, columns, shares, refused = sys.argv[1:]
shape = int(rows), int(columns)
X = np.memmap(path, dtype=dtype, mode="r", shape=shape, order=order)
y = X[:, 0] - X[:, 1] + np.random.default_rng(1).standard_normal(shape[0]).astype(dtype)

def size():
    with open("/proc/self/status") as lines:
        (line,) = (each for each in lines if each.startswith("VmSize:"))
    return 1024 * int(line.split()[1])

def within(share, call):
    most, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size() + int(share * X.nbytes), hard))
    try:
        return call()
    except MemoryError:
        return None
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))

for text, share in eval(shares).items():
    model = eval(text)
    target = (y > 0).astype(int) if is_classifier(model) else y
    # What is imported or kept at the first use is none of it.
    clone(model).fit(X[:2000], target[:2000])
    assert within(share, lambda: np.array(X)) is None, "the limit does not hold"
    fitted = within(share, lambda: clone(model).fit(X, target))
    assert (fitted is None) == (text in eval(refused)), text
    if fitted is not None:
        assert fitted.score(X[:5000], target[:5000]) > 0.5, text
print("done")
"""


def written(folder: Path, dtype: str, order: str) -> Path:
    path = folder / "rows"
    X = np.memmap(path, dtype=dtype, mode="w+", shape=(ROWS, COLUMNS), order=order)  # type: ignore[call-overload]
    rng = np.random.default_rng(0)
    for i in range(0, ROWS, 4000):
        X[i : i + 4000] = rng.standard_normal((4000, COLUMNS))
    X.flush()
    return path


@pytest.mark.parametrize(("dtype", "order"), [("float64", "C"), ("float64", "F"), ("float32", "C")])
def test_a_mapped_file_is_fitted_without_room_for_it(
    tmp_path: Path, dtype: str, order: str
) -> None:
    path = written(tmp_path, dtype, order)
    shares, refused = SINGLE, set[str]()
    if dtype == "float64":
        shares = SHARES | BY_ROWS | BY_COLUMNS
        # Each of these turns the file once, and says that there is no room instead of dying.
        refused = set(BY_COLUMNS) if order == "C" else set(BY_ROWS)
    one = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    # Freed blocks go back to the system, so that no fit lives on those of the one before.
    env = {**os.environ, **one, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
    given = [str(path), dtype, order, str(ROWS), str(COLUMNS), repr(shares), repr(refused)]
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, *given], env=env, capture_output=True, text=True, timeout=180
    )
    assert ran.returncode == 0 and ran.stdout.split() == ["done"], ran.stdout + ran.stderr
