"""Choosing the strength of ridge regression, against scikit-learn's.

The error is that of the best score, relative to that of a decomposition of the rows themselves
(leave-one-out) or of refits (folds). Neither estimator has a tolerance that matters here.
"""

from __future__ import annotations

from benchmarks.timing import compare, parser, show  # first: pins BLAS  # isort: skip

from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn.linear_model as reference
from sklearn.model_selection import GridSearchCV

from skopt_dl.linear_model import Ridge, RidgeCV

# Rows, columns, strengths, folds.
CASES = {
    "leave-one-out, tall": (20_000, 300, 100, None),
    "leave-one-out, wide": (600, 10_000, 100, None),
    "five folds, tall": (20_000, 300, 50, 5),
    "five folds, wide": (600, 10_000, 50, 5),
}


def choosing(estimator: Any, X: Any, y: Any, alphas: Any, cv: Any) -> Callable[[float], Any]:
    """A fit that has no tolerance."""
    return lambda _: estimator(alphas, cv=cv).fit(X, y)


def best_score(X: Any, y: Any, alphas: Any, cv: Any) -> float:
    """The score to reach."""
    if cv is None:
        return float(RidgeCV(alphas, gcv_mode="svd").fit(X, y).best_score_)
    # The exact one is found at the strength that the estimator chooses, or next to it.
    alpha = RidgeCV(alphas, cv=cv).fit(X, y).alpha_
    at = int(np.argmin(np.abs(alphas - alpha)))
    near = {"alpha": alphas[max(0, at - 1) : at + 2]}
    return float(GridSearchCV(Ridge(), near, cv=cv).fit(X, y).best_score_)


def main(arguments: list[str] | None = None) -> None:
    """Each case in turn."""
    options = parser(__doc__, repeat=3).parse_args(arguments)
    for name, (n, p, n_alphas, cv) in CASES.items():
        if options.smoke:
            n, p, n_alphas = max(n // 200, 30), p // 50, 5
        rng = np.random.default_rng(0)
        X = rng.standard_normal((n, p))
        y = X[:, :3].sum(axis=1) + 5 * rng.standard_normal(n)
        alphas = np.logspace(-2, 5, n_alphas)
        exact = best_score(X, y, alphas, cv)

        def error(model: Any, exact: float = exact) -> float:
            return abs(float(model.best_score_) / exact - 1)

        timings = compare(
            {
                "skopt_dl": choosing(RidgeCV, X, y, alphas, cv),
                "scikit-learn": choosing(reference.RidgeCV, X, y, alphas, cv),
            },
            error,
            target=1e-8,
            repeat=1 if options.smoke else options.repeat,
        )
        show(name, timings, reference="skopt_dl")


if __name__ == "__main__":
    main()
