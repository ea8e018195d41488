"""Scores of many predictions at once: what scikit-learn's metrics give for one after the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import UndefinedMetricWarning

from skopt_dl.kernels.namespace import namespace_of, to_numpy
from skopt_dl.linear_model._ridge_labels import labels_of

# From targets (n, K), predictions (n, A, K) and weights (n,) to scores (A,) on the host.
Metric = Callable[[Any, Any, Any], np.ndarray]


def _mean(a: Any, weights: Any) -> Any:
    """The weighted mean over the first axis."""
    xp = namespace_of(a)
    if weights is None:
        return xp.mean(a, axis=0)
    # Divided last: sums of whole numbers are exact then, and equal accuracies equal.
    each = xp.reshape(weights, (-1,) + (1,) * (a.ndim - 1))
    return xp.sum(each * a, axis=0) / xp.sum(weights)


def _squared_errors(y: Any, predicted: Any, weights: Any) -> Any:
    return _mean((predicted - y[:, None, :]) ** 2, weights)


def neg_mse(y: Any, predicted: Any, weights: Any) -> np.ndarray:
    """Minus the mean squared error, averaged over targets."""
    return -np.mean(to_numpy(_squared_errors(y, predicted, weights)), axis=1)


def neg_rmse(y: Any, predicted: Any, weights: Any) -> np.ndarray:
    """Minus the root of the mean squared error, averaged over targets."""
    return -np.mean(np.sqrt(to_numpy(_squared_errors(y, predicted, weights))), axis=1)


def r2(y: Any, predicted: Any, weights: Any) -> np.ndarray:
    """The coefficient of determination, averaged over targets.

    A constant target counts 1 if it is predicted exactly and 0 otherwise; a single sample has no
    score (NaN).
    """
    if y.shape[0] < 2:
        message = "R^2 score is not well-defined with less than two samples."
        warnings.warn(message, UndefinedMetricWarning, stacklevel=2)
        return np.full(predicted.shape[1], np.nan)
    errors = to_numpy(_squared_errors(y, predicted, weights))
    spread = to_numpy(_mean((y - _mean(y, weights)) ** 2, weights))
    ratio = np.divide(errors, spread, out=np.zeros_like(errors), where=spread > 0)
    scores = np.where(spread > 0, 1 - ratio, np.where(errors > 0, 0.0, 1.0))
    return np.mean(scores, axis=1)


def accuracy(y: Any, predicted: Any, weights: Any) -> np.ndarray:
    """The share of samples whose class, or whole row of labels, is predicted; ``y`` is signed."""
    xp = namespace_of(predicted)
    if y.shape[1] == 1 or bool(xp.any(xp.sum(xp.astype(y > 0, y.dtype), axis=1) != 1)):
        right = xp.all((predicted > 0) == (y > 0)[:, None, :], axis=2)
    else:
        right = xp.argmax(predicted, axis=2) == xp.argmax(y, axis=1)[:, None]
    return to_numpy(_mean(xp.astype(right, xp.float64), weights))


METRICS: dict[str, Metric] = {
    "r2": r2,
    "neg_mean_squared_error": neg_mse,
    "neg_root_mean_squared_error": neg_rmse,
    "accuracy": accuracy,
}


class GivenPredictions(RegressorMixin, BaseEstimator):
    """A regressor for scorers whose samples are its predictions."""

    def predict(self, Z: Any) -> Any:
        return Z


class GivenDecisions(ClassifierMixin, BaseEstimator):
    """A classifier for scorers whose samples are its decisions."""

    def __init__(self, classes: Any = None, multilabel: bool = False) -> None:
        self.classes, self.multilabel = classes, multilabel
        self.classes_ = classes

    def decision_function(self, Z: Any) -> Any:
        return Z

    def predict(self, Z: Any) -> Any:
        return labels_of(Z, self.classes_, multilabel=self.multilabel)
