"""What callbacks cost a fit of many short reports: none set, and one that does nothing."""

from __future__ import annotations

from benchmarks.timing import parser, seconds_of  # first: pins BLAS  # isort: skip

import statistics
from typing import Any

import numpy as np

from skopt_dl.linear_model import Lasso
from skopt_dl.linear_model._base import LinearEstimator


class Silent:
    """A callback that does nothing."""

    def setup(self, estimator: Any, context: Any) -> None:
        """Called before the fit."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Called after the fit."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Called as a task begins."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        """Called as a task ends."""
        return False


def main(arguments: list[str] | None = None) -> None:
    """Interleaved medians of processor seconds."""
    options = parser(__doc__, repeat=40).parse_args(arguments)
    rng = np.random.default_rng(0)
    X = np.cumsum(rng.standard_normal((60, 200)), axis=1)
    y = rng.standard_normal(60)

    def model() -> Lasso:
        return Lasso(alpha=1e-3, solver="fista", tol=0, max_iter=2000)

    fits = {
        # The decorated method itself: neither callbacks nor the undoing of a failed fit.
        "without the layer": lambda: LinearEstimator.fit.__wrapped__(model(), X, y),
        "no callback set": lambda: model().fit(X, y),
        "one silent callback": lambda: model().set_callbacks(Silent()).fit(X, y),
    }
    seconds: dict[str, list[float]] = {name: [] for name in fits}
    for _ in range(1 if options.smoke else options.repeat):
        for name, fit in fits.items():
            seconds[name].append(seconds_of(fit)[0])
    base = statistics.median(seconds["without the layer"])
    print("\n2000 iterations of fista, 200 reports")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"  {name:<28} {1e3 * median:8.2f} ms  ratio {median / base:.3f}")


if __name__ == "__main__":
    main()
