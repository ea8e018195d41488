"""Classification as regression on labels in {-1, 1}: what the ridge classifiers share."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted

from skopt_dl._sklearn.arrays import host_dtype, put_beside
from skopt_dl._sklearn.parameters import check_choice
from skopt_dl._sklearn.validation import check_weights, check_X_y
from skopt_dl.kernels.namespace import namespace_of, to_numpy
from skopt_dl.linear_model._classification import LinearClassifierMixin, pick_labels


def labels_of(scores: Any, classes: Any, *, multilabel: bool) -> Any:
    """The labels that ``scores`` (n,) or (n, K) mean, beside them if they are numbers."""
    xp = namespace_of(scores)
    scores = scores[:, 0] if scores.ndim == 2 and scores.shape[1] == 1 else scores
    if multilabel:
        return xp.astype(xp.reshape(scores, (scores.shape[0], -1)) > 0, xp.int64)
    return pick_labels(scores, classes)


class SignedLabelsMixin(LinearClassifierMixin):
    """Labels as columns of -1 and 1: one for two classes, else one for each class or label."""

    _host_attributes: ClassVar[frozenset[str]] = frozenset(
        {"classes_", "n_iter_", "solve_report_", "label_binarizer_"}
    )

    def _check_class_weight(self: Any) -> None:
        if not isinstance(self.class_weight, dict):
            check_choice(self, "class_weight", (None, "balanced"))

    def _signed(self: Any, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any, Any]:
        """Validated ``X``, labels on the host, their signs ``(n, K)`` beside X, and weights."""
        X, y = check_X_y(self, X, y, labels=True, multi_output=True)
        self.label_binarizer_ = LabelBinarizer(pos_label=1, neg_label=-1)
        signs = self.label_binarizer_.fit_transform(y)
        self.classes_ = self.label_binarizer_.classes_
        if not self._is_multilabel:
            y = column_or_1d(y, warn=True)
        weights = check_weights(sample_weight, X)
        if self.class_weight is not None:
            each = compute_sample_weight(self.class_weight, y)
            weights = check_weights(each if weights is None else to_numpy(weights) * each, X)
        return X, y, put_beside(X, np.asarray(signs, dtype=host_dtype(X))), weights

    @property
    def _is_multilabel(self: Any) -> bool:
        return bool(self.label_binarizer_.y_type_.startswith("multilabel"))

    def predict(self: Any, X: Any) -> Any:
        """Predict class labels.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_labels)
            The label of the largest score; a row of zeros and ones for multilabel targets. Labels
            that are not numbers are on the host.
        """
        check_is_fitted(self)
        return labels_of(self._scores(X, "predict"), self.classes_, multilabel=self._is_multilabel)

    def __sklearn_tags__(self: Any) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.classifier_tags.multi_label = True
        return tags
