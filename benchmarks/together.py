"""Networks of one architecture, trained together and one by one: processor seconds.

First stacks of sixteen networks that differ in penalty and seed, by the size of an update; then
searches over penalty and rate with five folds, scikit-learn's and ours. One thread; rounds are
interleaved and medians printed. The networks are the same to the last bit, which is checked.
"""

from __future__ import annotations

from benchmarks.timing import parser, seconds_of  # first: it pins BLAS to one thread

# isort: split
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn.model_selection as plain
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import skopt_dl.model_selection as ours
from skopt_dl import MLPClassifier
from skopt_dl.neural_network import _together

MEMBERS = 16
# Samples, features, hidden layers, batch, epochs.
STACKS = [
    (300, 10, (20,), 16, 60),
    (1000, 20, (100,), 32, 20),
    (1000, 20, (100,), 200, 60),
    (1000, 20, (64, 64), 32, 20),
    (2000, 50, (128, 128), 64, 4),
    (2000, 50, (128, 128), 256, 8),
    (2000, 50, (256, 256), 256, 4),
]
SEARCHES = [(load_iris, (20,)), (load_breast_cancer, (30,)), (load_digits, (50,))]
GRID = {"alpha": [1e-5, 1e-4, 1e-3, 1e-2], "learning_rate_init": [1e-3, 1e-2]}


def compare(name: str, candidates: dict[str, Callable[[], Any]], repeat: int, same: Any) -> None:
    """A line: medians of interleaved rounds."""
    spent: dict[str, list[float]] = {k: [] for k in candidates}
    answers: dict[str, Any] = {}
    for _ in range(repeat):
        for label, call in candidates.items():
            seconds, answers[label] = seconds_of(call)
            spent[label].append(seconds)
    if not same(*answers.values()):
        raise AssertionError(f"{name}: not the same networks")
    one, all_ = (statistics.median(s) for s in spent.values())
    print(
        f"{name:<44} one by one {one:6.3f}  together {all_:6.3f}  of it {all_ / one:.2f}",
        flush=True,
    )


def stack(n: int, p: int, hidden: Any, batch: int, epochs: int, dtype: str) -> Any:
    """Both ways to fit sixteen networks to noise: the work does not depend on what is learnt."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, p)).astype(dtype), rng.integers(0, 3, n)

    def models() -> list[Any]:
        return [
            MLPClassifier(
                hidden,
                solver="adam",
                alpha=10.0 ** -(k % 4),
                batch_size=batch,
                max_iter=epochs,
                random_state=k,
            )
            for k in range(MEMBERS)
        ]

    return {
        "one by one": lambda: [m.fit(X, y) for m in models()],
        "together": lambda: ours.fit_together(models(), X, y),
    }


def search(load: Any, hidden: Any, epochs: int) -> Any:
    """Both searches on a standardised set."""
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    model = MLPClassifier(hidden, solver="adam", batch_size=32, max_iter=epochs, random_state=0)
    return {
        "one by one": lambda: plain.GridSearchCV(model, GRID, cv=5, refit=False).fit(X, y),
        "together": lambda: ours.GridSearchCV(model, GRID, cv=5, refit=False).fit(X, y),
    }


def main(arguments: list[str] | None = None) -> None:
    """Stacks, then searches."""
    options = parser(__doc__, repeat=5).parse_args(arguments)
    repeat = 1 if options.smoke else options.repeat
    # Stacks of all sizes: this is what the threshold follows from.
    _together.MOST_PRODUCTS = 2**62
    with threadpool_limits(1):
        for n, p, hidden, batch, epochs in STACKS[:1] if options.smoke else STACKS:
            for dtype in ("float32", "float64"):
                compare(
                    f"{n} x {p}, {hidden}, batch {batch}, {dtype}",
                    stack(n, p, hidden, batch, 1 if options.smoke else epochs, dtype),
                    repeat,
                    lambda a, b: all(
                        u.loss_curve_ == v.loss_curve_ for u, v in zip(a, b, strict=True)
                    ),
                )
        for load, hidden in SEARCHES[:1] if options.smoke else SEARCHES:
            compare(
                f"search, {load.__name__[5:]}, {hidden}",
                search(load, hidden, 1 if options.smoke else 30),
                repeat,
                lambda a, b: np.array_equal(
                    a.cv_results_["mean_test_score"], b.cv_results_["mean_test_score"]
                ),
            )


if __name__ == "__main__":
    main()
