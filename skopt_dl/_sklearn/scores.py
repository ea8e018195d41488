"""``score`` on the device of the data: a Python float, so that searches work without dispatch.

Host data take scikit-learn's own metrics; plain vectors their formulas alone, to the last bit,
because the checks before these take longer than a small fit. Arrays of another namespace take the
same formulas where they live, and only the final number comes to the host.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score

from skopt_dl._sklearn.arrays import Place, is_foreign, on_host, put_beside
from skopt_dl._sklearn.validation import check_weights
from skopt_dl.kernels.namespace import namespace_of, to_float


class DeviceRegressorMixin(RegressorMixin):
    """scikit-learn's `RegressorMixin` with a ``score`` that also works off the host."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination of the predictions, averaged over the outputs.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            True targets.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples.

        Returns
        -------
        float
            1 is perfect, 0 is as good as the mean of ``y``.
        """
        predicted = self.predict(X)  # type: ignore[attr-defined]
        if not is_foreign(X):
            y, weights = on_host(y), on_host(sample_weight)
            plain = None if weights is not None else plain_r2(y, predicted)
            return float(r2_score(y, predicted, sample_weight=weights)) if plain is None else plain
        y = put_beside(predicted, y if is_foreign(y) else np.asarray(y))
        return r2(y, predicted, check_weights(sample_weight, predicted))


class DeviceClassifierMixin(ClassifierMixin):
    """scikit-learn's `ClassifierMixin` with a ``score`` that also works off the host."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of correctly predicted samples (of whole rows, for multilabel targets).

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            True labels.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples.

        Returns
        -------
        float
            Between 0 and 1.
        """
        predicted = self.predict(X)  # type: ignore[attr-defined]
        if not is_foreign(X):
            y, weights = on_host(y), on_host(sample_weight)
            if weights is None and are_plain_labels(y, predicted):
                return float(np.mean(y == predicted))
            return float(accuracy_score(y, predicted, sample_weight=weights))
        # Predicted strings are on the host, and the comparison goes where the prediction is.
        y = Place.of(predicted).put(y if is_foreign(y) else np.asarray(y))
        return accuracy(y, predicted, check_weights(sample_weight, predicted))


def plain_r2(y: Any, predicted: Any) -> float | None:
    """scikit-learn's ``r2_score`` of two vectors of one float type; ``None`` for anything else that
    it has a rule for, or raises on."""
    if not type(y) is type(predicted) is np.ndarray:
        return None
    if y.ndim != 1 or y.shape != predicted.shape or len(y) < 2:
        return None
    if y.dtype != predicted.dtype or y.dtype.kind != "f":
        return None
    # One column each, as there: sums over rows are rounded as they are there.
    y, predicted = y[:, None], predicted[:, None]
    spread = np.sum((y - np.average(y, axis=0)) ** 2, axis=0)
    ratio = 1 - np.sum((y - predicted) ** 2, axis=0) / np.where(spread > 0, spread, np.nan)
    return float(ratio[0]) if np.isfinite(ratio[0]) else None


def are_plain_labels(y: Any, predicted: Any) -> bool:
    """Whether both are vectors of integers, truth values or strings, of one length."""
    return (
        type(y) is type(predicted) is np.ndarray
        and y.ndim == 1
        and 0 < len(y) == len(predicted)
        and predicted.ndim == 1
        and y.dtype.kind == predicted.dtype.kind
        and y.dtype.kind in "iubU"
    )


def r2(y: Any, predicted: Any, weights: Any = None) -> float:
    """``1 - sum w (y - p)^2 / sum w (y - mean)^2``, averaged over outputs.

    A constant output counts 1 if it is predicted exactly and 0 otherwise, as in scikit-learn.
    """
    xp = namespace_of(predicted)
    y = xp.reshape(xp.astype(y, predicted.dtype), (predicted.shape[0], -1))
    predicted = xp.reshape(predicted, y.shape)
    w = xp.ones_like(y[:, 0]) if weights is None else weights
    w = (w / xp.sum(w))[:, None]
    residual = xp.sum(w * (y - predicted) ** 2, axis=0)
    spread = xp.sum(w * (y - xp.sum(w * y, axis=0)) ** 2, axis=0)
    one, zero = xp.ones_like(spread), xp.zeros_like(spread)
    ratio = 1 - residual / xp.where(spread > 0, spread, one)
    constant = xp.where(residual > 0, zero, one)
    return to_float(xp.mean(xp.where(spread > 0, ratio, constant)))


def accuracy(y: Any, predicted: Any, weights: Any = None) -> float:
    """Weighted share of rows where ``y`` equals ``predicted``."""
    xp = namespace_of(predicted)
    right = y == predicted
    right = xp.all(right, axis=1) if right.ndim == 2 else right
    hits = xp.astype(right, xp.float64)
    if weights is None:
        return to_float(xp.mean(hits))
    weights = xp.astype(weights, xp.float64)
    return to_float(xp.sum(weights * hits) / xp.sum(weights))
