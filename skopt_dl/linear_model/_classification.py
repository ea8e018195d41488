"""What linear classifiers share: labels, decisions, probabilities, sparse coefficients."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted

from skopt_dl._sklearn.arrays import put_beside
from skopt_dl._sklearn.scores import DeviceClassifierMixin
from skopt_dl.kernels.generic_losses import log_softmax, sigmoid
from skopt_dl.kernels.namespace import namespace_of, to_numpy


class LinearClassifierMixin(DeviceClassifierMixin):
    """Decisions and labels from ``coef_`` of shape (1, p), or (K, p) for K > 2 classes."""

    def decision_function(self: Any, X: Any) -> Any:
        """Signed scores of the classes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_classes)
            For two classes one number, positive for ``classes_[1]``.
        """
        return self._scores(X, "decision_function")

    def _scores(self: Any, X: Any, method: str) -> Any:
        z = self._raw_prediction(X, method)
        return z[:, 0] if z.ndim == 2 and z.shape[1] == 1 else z

    def predict(self: Any, X: Any) -> Any:
        """Predict class labels.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples,)
            The label of the largest score. Labels that are not numbers are on the host.
        """
        return pick_labels(self._scores(X, "predict"), self.classes_)

    def sparsify(self: Any) -> Any:
        """Turn ``coef_`` into a CSR matrix, which saves memory where most of it is zero.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        check_is_fitted(self)
        if not sparse.issparse(self.coef_):
            self.coef_ = sparse.csr_matrix(to_numpy(self.coef_))
        return self

    def densify(self: Any) -> Any:
        """Turn ``coef_`` back into an array, the form that `fit` leaves.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        check_is_fitted(self)
        if hasattr(self.coef_, "toarray"):
            self.coef_ = self.coef_.toarray()
        return self


class ProbabilitiesMixin:
    """Probabilities from scores: log-odds of two classes, or their logarithms up to a shift."""

    def predict_proba(self: Any, X: Any) -> Any:
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Rows sum to 1; columns are in the order of ``classes_``.
        """
        z = self._scores(X, "predict_proba")
        xp = namespace_of(z)
        if z.ndim == 1:
            return xp.stack([sigmoid(-z), sigmoid(z)], axis=1)
        return xp.exp(log_softmax(z))

    def predict_log_proba(self: Any, X: Any) -> Any:
        """Logarithms of the probabilities, accurate also where those round to zero.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Columns are in the order of ``classes_``.
        """
        z = self._scores(X, "predict_log_proba")
        xp = namespace_of(z)
        if z.ndim == 1:
            z = xp.stack([xp.zeros_like(z), z], axis=1)
        return log_softmax(z)


def pick_labels(scores: Any, classes: np.ndarray) -> Any:
    """The labels of the largest scores; those that are not numbers are on the host."""
    xp = namespace_of(scores)
    if scores.ndim == 1:
        index = xp.astype(scores > 0, xp.int64)
    else:
        index = xp.argmax(scores, axis=1)
    if classes.dtype.kind in "fiub":
        return xp.take(put_beside(scores, classes), index, axis=0)
    return classes[to_numpy(index)]


def encode_labels(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(classes, codes)``: the sorted labels, and the place of each sample's among them.

    Raises
    ------
    ValueError
        If there is only one class.
    """
    classes, codes = np.unique(y, return_inverse=True)
    if classes.shape[0] < 2:
        raise ValueError(
            "This solver needs samples of at least 2 classes in the data, but the data contains "
            f"only one class: {classes[0]!r}"
        )
    return classes, codes


def class_weights(owner: Any, classes: np.ndarray, y: np.ndarray, weights: Any) -> np.ndarray:
    """``owner.class_weight`` as one number per class; "balanced" counts weighted samples.

    Raises
    ------
    ValueError
        If weights are to be balanced and those of a class are all zero.
    """
    if weights is not None and isinstance(owner.class_weight, str):
        totals = np.bincount(np.searchsorted(classes, y), to_numpy(weights), len(classes))
        if not totals.all():
            raise ValueError(
                f"class_weight={owner.class_weight!r} divides by the weight of each class, but the "
                f"samples of class {classes[np.argmin(totals)]!r} have none: their sample_weight "
                "is zero"
            )
    return compute_class_weight(
        owner.class_weight,
        classes=classes,
        y=y,
        sample_weight=None if weights is None else to_numpy(weights),
    )
