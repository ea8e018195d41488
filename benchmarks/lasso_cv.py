"""Lasso paths and their cross-validation against scikit-learn's.

Errors: of a path, its largest duality gap over the objective of the null model; of a
cross-validation, the squared largest error of ``mse_path_`` over the variance of y, the exact one
being that of a tolerance far below the target.
"""

from __future__ import annotations

from benchmarks.timing import compare, parser, show  # first: pins BLAS  # isort: skip

from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn.linear_model as reference

from benchmarks.datasets import Maker, gaussian
from skopt_dl.linear_model import LassoCV, lasso_path

SELECTION = {
    "tall 20000x300": gaussian(20_000, 300, rho=0.5, support=30, order="C"),
    "wide 300x5000": gaussian(300, 5000, rho=0.5, support=30),
}
PATHS = {"wide 500x20000": gaussian(500, 20_000, rho=0.5), "tall 20000x500": gaussian(20_000, 500)}


def path(function: Callable[..., Any], X: Any, y: Any) -> Callable[[float], Any]:
    """From a tolerance to a path of 100 strengths down to a hundredth of the largest."""
    return lambda tol: function(X, y, eps=1e-2, alphas=100, tol=tol, max_iter=10**5)


def selection(estimator: Any, X: Any, y: Any) -> Callable[[float], Any]:
    """From a tolerance to five folds of 100 strengths."""
    return lambda tol: estimator(tol=tol, max_iter=10**5).fit(X, y)


def compare_selection(name: str, make: Maker, options: Any) -> None:
    """Both estimators to a loose and a tight error."""
    X, y = make(options.smoke)
    exact = LassoCV(tol=1e-12, max_iter=10**6).fit(X, y).mse_path_
    candidates = {
        "skopt_dl": selection(LassoCV, X, y),
        "scikit-learn": selection(reference.LassoCV, X, y),
    }

    def error(model: Any) -> float:
        return float((np.max(np.abs(model.mse_path_ - exact)) / np.var(y)) ** 2)

    for target in (1e-4, 1e-8):
        timings = compare(candidates, error, target=target, repeat=options.repeat)
        show(f"LassoCV, {name}, to {target:g}", timings, reference="skopt_dl")


def compare_paths(name: str, make: Maker, options: Any) -> None:
    """Both functions to a loose and a tight gap."""
    X, y = make(options.smoke)
    X, y = np.asfortranarray(X - X.mean(axis=0)), y - y.mean()
    candidates = {
        "skopt_dl": path(lasso_path, X, y),
        "scikit-learn": path(reference.lasso_path, X, y),
    }
    unit = y @ y / len(y) / 2
    for target in (1e-4, 1e-8):
        timings = compare(
            candidates,
            lambda found: float(np.max(found[2]) / unit),
            target=target,
            repeat=options.repeat,
        )
        show(f"lasso_path, {name}, to {target:g}", timings, reference="skopt_dl")


def main(arguments: list[str] | None = None) -> None:
    """Run every comparison."""
    options = parser(__doc__, repeat=3).parse_args(arguments)
    options.repeat = 1 if options.smoke else options.repeat
    for name, make in SELECTION.items():
        compare_selection(name, make, options)
    for name, make in PATHS.items():
        compare_paths(name, make, options)


if __name__ == "__main__":
    main()
