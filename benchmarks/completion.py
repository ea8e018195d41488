"""Matrix completion by class: exact recovery, noise, ratings, tables; peers where importable.

``python -m benchmarks.completion exact`` prints one class (``exact``, ``noisy``, ``ratings``,
``tables`` or ``speed``), without an argument all of them. Errors are relative, on the cells that
nobody has seen; seconds are those of the processor, all threads.
"""

from __future__ import annotations

from benchmarks.timing import parser, seconds_of  # first: pins BLAS  # isort: skip

import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skopt_dl.matrix_completion import MatrixCompletion

# Rows, columns, rank, entries over degrees of freedom, condition number.
EXACT: dict[str, tuple[int, int, int, float, float]] = {
    "1000 x 1000, rank 5, 6 times": (1000, 1000, 5, 6.0, 1.0),
    "1000 x 1000, rank 10, 2.5 times": (1000, 1000, 10, 2.5, 1.0),
    "300 x 300, rank 5, 3 times": (300, 300, 5, 3.0, 1.0),
    "300 x 300, rank 5, 2 times": (300, 300, 5, 2.0, 1.0),
    "300 x 300, rank 5, 1.7 times": (300, 300, 5, 1.7, 1.0),
    "300 x 300, rank 5, 1.5 times": (300, 300, 5, 1.5, 1.0),
    "400 x 300, rank 10, 1.3 times": (400, 300, 10, 1.3, 1.0),
    "400 x 300, rank 10, 1.2 times": (400, 300, 10, 1.2, 1.0),
    "1000 x 1000, rank 10, 2.5 times, condition 1e3": (1000, 1000, 10, 2.5, 1e3),
    "300 x 300, rank 5, 1.5 times, condition 1e5": (300, 300, 5, 1.5, 1e5),
    "1000 x 1000, rank 10, 2.5 times, condition 1e6": (1000, 1000, 10, 2.5, 1e6),
}
SMOKE = {"40 x 30, rank 2, 3 times": (40, 30, 2, 3.0, 1.0)}


def exact_matrix(
    m: int, n: int, rank: int, oversampling: float, condition: float, seed: int
) -> tuple[Any, np.ndarray]:
    """``(entries, full)``: a matrix of this rank, and some of its entries in CSR form.

    Every row and column has at least ``rank + 1`` entries: with fewer it is not determined.
    """
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((size, rank)))[0] for size in (m, n))
    size = np.geomspace(1, 1 / condition, rank) if condition > 1 else rng.uniform(0.5, 1, rank)
    full = (U * size) @ V.T
    full /= full.std()
    seen = np.zeros((m, n), dtype=bool)
    for i in range(m):
        seen[i, rng.choice(n, rank + 1, replace=False)] = True
    for j in np.flatnonzero(seen.sum(axis=0) <= rank):
        lacking = np.flatnonzero(~seen[:, j])
        seen[rng.choice(lacking, rank + 1 - seen[:, j].sum(), replace=False), j] = True
    wanted = int(oversampling * rank * (m + n - rank)) - int(seen.sum())
    seen.flat[rng.choice(np.flatnonzero(~seen), max(wanted, 0), replace=False)] = True
    rows, cols = np.nonzero(seen)
    return sparse.csr_array((full[rows, cols], (rows, cols)), shape=(m, n)), full


def off(filled: np.ndarray, full: np.ndarray, X: Any) -> float:
    """Relative error of the cells that ``X`` does not store."""
    unseen = np.ones(full.shape, dtype=bool)
    unseen[X.nonzero()] = False
    return float(np.linalg.norm((filled - full)[unseen]) / np.linalg.norm(full[unseen]))


def exact(options: Any) -> None:
    """Recovery (an error below 1e-6) over the seeds, with the median error and seconds."""
    print("Exact recovery: found, median error, median seconds")
    for name, problem in (SMOKE if options.smoke else EXACT).items():
        for solver in ("gauss_newton", "irls", "auto"):
            outcomes = []
            for seed in range(options.repeat):
                X, full = exact_matrix(*problem, seed)
                model = MatrixCompletion(
                    problem[2], alpha=0, solver=solver, tol=1e-13, random_state=0
                )
                seconds, filled = seconds_of(lambda model=model, X=X: model.fit(X).transform(X))
                outcomes.append((off(filled, full, X), seconds))
            errors, seconds = np.array(outcomes).T
            print(
                f"  {name:50s} {solver:13s} {np.sum(errors < 1e-6)} of {len(errors)}"
                f"  {np.median(errors):8.1e} {np.median(seconds):7.2f} s",
                flush=True,
            )


CLASSES = {"exact": exact}


def main() -> None:
    """Print the classes asked for."""
    arguments = parser(__doc__)
    arguments.add_argument("classes", nargs="*", default=list(CLASSES), metavar="class")
    options = arguments.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name in options.classes:
        CLASSES[name](options)


if __name__ == "__main__":
    main()
