"""Data checks shared by the estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight, validate_data

FLOATS = [np.float64, np.float32]


def check_X_y(  # noqa: N802
    estimator: Any, X: Any, y: Any, *, multi_output: bool, accept_sparse: Any = ("csc", "csr")
) -> tuple[Any, Any]:
    """Validated floating ``X`` and numeric ``y`` of its dtype; also sets the feature names."""
    X, y = validate_data(
        estimator,
        X,
        y,
        accept_sparse=accept_sparse,
        dtype=FLOATS,
        multi_output=multi_output,
        y_numeric=True,
    )
    return X, np.asarray(y, dtype=X.dtype)


def check_weights(sample_weight: Any, X: Any) -> Any:
    """``None``, or non-negative weights of X's dtype of which at least one is positive."""
    if sample_weight is None:
        return None
    return _check_sample_weight(
        sample_weight, X, dtype=X.dtype, ensure_non_negative=True, copy=True
    )
