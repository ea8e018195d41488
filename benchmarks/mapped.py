"""Memory that a fit takes beside a memory-mapped file, as a share of the file."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.timing import parser

MODELS = {
    "Ridge()": "r",
    "Lasso(0.1)": "r",
    "LassoCV()": "r",
    "RidgeCV()": "r",
    "RidgeCV(cv=5)": "r",
    "LogisticRegression()": "c",
    "LogisticRegression(solver='newton_cholesky')": "c",
    "Lasso(0.1, solver='cd')": "r",
    "LogisticRegression(solver='prox_newton', l1_ratio=1.0, C=0.01)": "c",
    "MLPClassifier((16,), max_iter=2, tol=0)": "c",
}
# The growth of a process's address space at its largest bounds what a fit had at a time.
CHILD = """
import sys, warnings
import numpy as np
from skopt_dl import *
warnings.simplefilter("ignore")
path, dtype, order, n, p, text, kind = sys.argv[1:]

def size(key):
    with open("/proc/self/status") as lines:
        (line,) = (each for each in lines if each.startswith(key + ":"))
    return 1024 * int(line.split()[1])

X = np.memmap(path, dtype=dtype, mode="r", shape=(int(n), int(p)), order=order)
y = X[:, 0] - X[:, 1] + np.random.default_rng(1).standard_normal(int(n)).astype(dtype)
y = (y > 0).astype(int) if kind == "c" else y
new = lambda: eval(text)
new().fit(X[:500], y[:500])
before = size("VmSize")
new().fit(X, y)
print(max(0, size("VmPeak") - before) / X.nbytes)
"""


def share(path: Path, dtype: str, order: str, shape: tuple[int, int], text: str) -> float:
    """What one fit takes in a process of its own."""
    given = [str(path), dtype, order, *map(str, shape), text, MODELS[text]]
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, *given], check=True, capture_output=True, text=True
    )
    return float(ran.stdout)


def main(arguments: list[str] | None = None) -> None:
    """The table of models, types and orders."""
    options = parser(__doc__, repeat=1).parse_args(arguments)
    shape = (5_000, 100) if options.smoke else (160_000, 100)
    kinds = [("float64", "C"), ("float64", "F"), ("float32", "C"), ("float32", "F")]
    rng, table = np.random.default_rng(0), dict[str, list[float]]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows"
        for dtype, order in kinds:
            X = np.memmap(path, dtype=dtype, mode="w+", shape=shape, order=order)  # type: ignore[call-overload]
            for i in range(0, shape[0], 4000):
                X[i : i + 4000] = rng.standard_normal((len(X[i : i + 4000]), shape[1]))
            X.flush()
            for text in MODELS:
                table.setdefault(text, []).append(share(path, dtype, order, shape, text))
    print(f"\nmemory beside a file of {shape[0]} x {shape[1]} numbers, as a share of it")
    print(f"  {'':<64}" + "".join(f"{dtype} {order}  " for dtype, order in kinds))
    for text, shares in table.items():
        print(f"  {text:<64}" + "".join(f"{each:9.2f}  " for each in shares))


if __name__ == "__main__":
    main()
