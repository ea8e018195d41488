"""Objectives: the error of a fitted model, computed from the data and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np


class Lasso:
    """Duality gap of ``|y - Xw - b|^2 / 2n + alpha |w|_1`` over the objective of the null model."""

    def __init__(self, X: Any, y: Any, alpha: float) -> None:
        self.X, self.y, self.alpha = X, np.asarray(y, dtype=np.float64), alpha

    def error(self, model: Any) -> float:
        """The relative gap at the model's coefficients."""
        n, yc = len(self.y), self.y - self.y.mean()
        coef = np.asarray(model.coef_, dtype=np.float64)
        r = self.y - self.X @ coef - model.intercept_
        primal = r @ r / (2 * n) + self.alpha * np.abs(coef).sum()
        rc = r - r.mean()
        largest = np.abs(self.X.T @ rc).max() / n
        scale = min(1.0, self.alpha / largest) if largest > 0 else 1.0
        if rc @ rc > 0:
            scale = min(scale, (yc @ rc) / (rc @ rc))
        dual = (yc @ yc - (yc - scale * rc) @ (yc - scale * rc)) / (2 * n)
        return float((primal - dual) / (yc @ yc / (2 * n)))


class Ridge:
    """Gradient of ``|y - Xw - b|^2 / 2n + alpha |w|^2 / 2n`` over the gradient at zero."""

    def __init__(self, X: Any, y: Any, alpha: float) -> None:
        self.X, self.y, self.alpha = X, y, alpha

    def error(self, model: Any) -> float:
        """The relative gradient at the model's coefficients."""
        coef = np.ravel(model.coef_)
        r = self.y - self.X @ coef - model.intercept_
        grad = self.X.T @ (r - r.mean()) - self.alpha * coef
        null = self.X.T @ (self.y - self.y.mean())
        return float(np.abs(grad).max() / np.abs(null).max())


class Logistic:
    """Gradient of ``sum log(1 + exp(-y z)) / n + |w|^2 / (2 C n)`` over the gradient at zero."""

    def __init__(self, X: Any, y: Any, C: float) -> None:
        self.X, self.y, self.C = X, y, C

    def error(self, model: Any) -> float:
        """The relative gradient, of the intercept too."""
        n, coef = len(self.y), np.ravel(model.coef_)
        z = self.X @ coef + model.intercept_
        slope = 1 / (1 + np.exp(-z)) - self.y
        grad = self.X.T @ slope / n + coef / (self.C * n)
        null = self.X.T @ (self.y.mean() - self.y) / n
        return float(max(np.abs(grad).max(), abs(slope.mean())) / np.abs(null).max())
