"""Data sets: a name, a shape and a kind of columns; ``small`` shrinks them for a smoke run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

Maker = Callable[[bool], tuple[Any, Any]]


def gaussian(n: int, p: int, *, rho: float = 0.0, support: int = 50, order: str = "F") -> Maker:
    """Gaussian columns, neighbours correlated by ``rho``, a sparse truth and noise of half its
    size; the intercept is 3."""

    def make(small: bool) -> tuple[Any, Any]:
        rows, columns = (max(60, n // 50), max(20, p // 50)) if small else (n, p)
        rng = np.random.default_rng(0)
        X = rng.standard_normal((rows, columns))
        for j in range(1, columns if rho else 0):
            X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
        w = np.zeros(columns)
        w[: min(support, columns)] = rng.standard_normal(min(support, columns))
        y = X @ w
        y += 0.5 * y.std() * rng.standard_normal(rows) + 3
        return np.asarray(X, order=order), y

    return make


def words(n: int, p: int, length: int = 60) -> Maker:
    """Sparse rows of unit length, columns as frequent as words (Zipf)."""

    def make(small: bool) -> tuple[Any, Any]:
        rows, columns = (200, 300) if small else (n, p)
        rng = np.random.default_rng(0)
        frequency = 1 / np.arange(3, columns + 3)
        index = rng.choice(columns, size=(rows, length), p=frequency / frequency.sum())
        ptr = np.arange(0, rows * length + 1, length)
        values = rng.exponential(size=rows * length)
        # scikit-learn reads 32-bit indices only.
        X = sp.csr_array((values, index.ravel().astype(np.int32), ptr.astype(np.int32)))
        X.resize(rows, columns)
        X.sum_duplicates()
        X = sp.csr_array(sp.diags_array(1 / np.sqrt((X * X).sum(axis=1))) @ X)
        w = rng.standard_normal(columns) * (rng.random(columns) < 0.02)
        y = X @ w
        return X, y + 0.2 * y.std() * rng.standard_normal(rows)

    return make


@dataclass(frozen=True)
class Problem:
    """Data with an objective and its strength.

    ``strength`` divides the largest useful alpha for a lasso, and is alpha for a ridge and C for a
    logistic regression.
    """

    kind: str
    make: Maker
    strength: float


PROBLEMS = {
    "lasso_tall": Problem("lasso", gaussian(100_000, 200, order="C"), 100),
    "lasso_square": Problem("lasso", gaussian(3000, 3000, support=300), 100),
    "lasso_wide": Problem("lasso", gaussian(500, 20_000), 10),
    "lasso_wide_hard": Problem("lasso", gaussian(500, 20_000), 100),
    "lasso_corr": Problem("lasso", gaussian(1000, 5000, rho=0.99), 100),
    "lasso_text": Problem("lasso", words(20_000, 12_000), 30),
    "lasso_text_hard": Problem("lasso", words(20_000, 12_000), 200),
    "ridge_tall": Problem("ridge", gaussian(100_000, 300, order="C"), 1.0),
    "ridge_wide": Problem("ridge", gaussian(500, 20_000), 1.0),
    "ridge_text": Problem("ridge", words(20_000, 12_000), 1.0),
    "logistic_tall": Problem("logistic", gaussian(50_000, 100, order="C"), 1.0),
    "logistic_wide": Problem("logistic", gaussian(500, 2000), 1.0),
    "logistic_text": Problem("logistic", words(20_000, 12_000), 1.0),
}
