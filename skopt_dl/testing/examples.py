"""Small problems for checking a solver: together they have every oracle of a linear model."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.losses import Logistic, Multinomial, Squared
from skopt_dl.penalties import L1, L2, L1Ball
from skopt_dl.problems import LinearProblem


def example_problems(dtype: Any = np.float64) -> list[LinearProblem]:
    """Least squares and logistic regression, with smooth, sparse and constrained coefficients."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 5))
    signal = X @ np.asarray([2.0, -1.0, 0.0, 0.5, 0.0])
    y = 1.0 + signal + 0.1 * rng.standard_normal(40)
    labels = (signal + rng.standard_normal(40) > 0).astype(dtype)
    classes = np.eye(3, dtype=dtype)[np.digitize(signal, [-1.0, 1.0])]
    X, y = X.astype(dtype), y.astype(dtype)
    table = (
        (y, Squared(), L2(0.1)),
        (y, Squared(), L1(0.1)),
        (y, Squared(), L1(0.1, positive=True)),
        (y, Squared(), L1Ball(2.0)),
        (labels, Logistic(), L2(0.1)),
        (labels, Logistic(), L1(0.03)),
        (classes, Multinomial(), L2(0.1)),
    )
    return [
        LinearProblem(
            X,
            target,
            loss,
            penalty,
            fit_intercept=True,
            description=f"the example {type(loss).__name__} with {penalty!r}",
        )
        for target, loss, penalty in table
    ]
