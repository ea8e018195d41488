"""What a call costs: `fit` on 442 x 10 data against scikit-learn's."""

from __future__ import annotations

from benchmarks.timing import compare, fitting, parser, show  # first: pins BLAS  # isort: skip

import numpy as np
import sklearn.linear_model as peer
from sklearn.datasets import load_diabetes

import skopt_dl.linear_model as own
from benchmarks import objectives


def main(arguments: list[str] | None = None) -> None:
    """Lasso, Ridge and LogisticRegression, each with the solver that its default takes."""
    options = parser(__doc__, repeat=100).parse_args(arguments)
    X, y = load_diabetes(return_X_y=True)
    X = X / X.std(axis=0)
    labels = (y > np.median(y)).astype(float)
    repeat = 1 if options.smoke else options.repeat
    cases = {
        "Lasso": (objectives.Lasso(X, y, 1.0), {"alpha": 1.0}, y),
        "Ridge": (objectives.Ridge(X, y, 1.0), {"alpha": 1.0}, y),
        "LogisticRegression": (objectives.Logistic(X, labels, 1.0), {"C": 1.0}, labels),
    }
    for name, (objective, parameters, target) in cases.items():
        timings = compare(
            {
                "scikit-learn": fitting(getattr(peer, name), X, target, **parameters),
                "skopt_dl": fitting(getattr(own, name), X, target, **parameters),
            },
            objective.error,
            target=1e-5,
            repeat=repeat,
        )
        show(name, timings, reference="scikit-learn")


if __name__ == "__main__":
    main()
