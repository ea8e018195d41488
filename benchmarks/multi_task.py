"""Several targets at once: our cross-validated multi-task lasso against scikit-learn's.

Processor seconds of 100 strengths over 5 folds and the last fit, medians of interleaved runs, and
the largest difference of their errors relative to the smallest one. ``--both`` follows the paths on
inner products and on columns of data, whatever `goes_by_rows` would choose.
"""

from __future__ import annotations

from benchmarks.timing import parser, seconds_of  # first: it pins BLAS to one thread

# isort: split
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
from sklearn import linear_model as theirs

from skopt_dl import linear_model as ours
from skopt_dl.linear_model import _paths

# Samples, features, targets.
SHAPES = (
    (500, 100, 5),
    (5000, 200, 20),
    (500, 1000, 5),
    (300, 2000, 3),
    (100, 1500, 5),
    (200, 10000, 3),
)


def data(n: int, p: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Neighbouring columns correlate by 1/2; ten of them matter."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    X[:, 1:] = 0.5 * X[:, :-1] + 0.75**0.5 * X[:, 1:]
    Y = X[:, : min(10, p)] @ rng.standard_normal((min(10, p), k))
    return X, Y + rng.standard_normal((n, k))


def main(arguments: list[str] | None = None) -> None:
    """A line per shape and model."""
    known = parser(__doc__, repeat=3)
    known.add_argument("--both", action="store_true", help="both ways to follow a path")
    options = known.parse_args(arguments)
    ways = {"inner products": True, "columns": False} if options.both else {"": None}
    for shape in ((60, 8, 2),) if options.smoke else SHAPES:
        X, Y = data(*shape)
        for name in ("MultiTaskLassoCV", "MultiTaskElasticNetCV"):
            for way, by_rows in ways.items():
                a, b = (getattr(module, name)(cv=5) for module in (ours, theirs))
                spent: dict[str, list[float]] = {"ours": [], "theirs": []}
                for _ in range(1 if options.smoke else options.repeat):
                    with following(by_rows):
                        spent["ours"].append(seconds_of(partial(a.fit, X, Y))[0])
                    spent["theirs"].append(seconds_of(partial(b.fit, X, Y))[0])
                mine, other = (float(np.median(s)) for s in spent.values())
                gap = np.max(np.abs(a.mse_path_ - b.mse_path_)) / np.min(b.mse_path_)
                print(
                    f"{shape!s:<18} {name:<22} {way:<15} {mine:8.3f} s  scikit-learn {other:8.3f} "
                    f"s  ratio {other / mine:6.2f}  errors differ by {gap:.1e}",
                    flush=True,
                )


@contextmanager
def following(by_rows: bool | None) -> Iterator[None]:
    """Paths on inner products, or on columns, or (``None``) as `goes_by_rows` says."""
    before = _paths.goes_by_rows
    if by_rows is not None:
        _paths.goes_by_rows = lambda problem: by_rows
    try:
        yield
    finally:
        _paths.goes_by_rows = before


if __name__ == "__main__":
    main()
