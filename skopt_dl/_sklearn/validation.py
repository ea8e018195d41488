"""Data checks shared by the estimators.

Host data go through scikit-learn's own checks and give NumPy arrays (or SciPy matrices). Arrays of
another namespace are checked where they live, by the same rules and in the same words, because
scikit-learn reads them only under a switch that a user should not need. `check_X_y` ends with the
data where the fit works (see `skopt_dl._sklearn.arrays.workplace`).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, _check_y, validate_data

from skopt_dl._sklearn.arrays import (
    HOST,
    Place,
    check_same_place,
    host_dtype,
    is_foreign,
    is_gpu_sparse,
    on_host,
    put_beside,
    shared,
    workplace,
)
from skopt_dl.kernels.namespace import namespace_of

FLOATS = [np.float64, np.float32]
# How pandas is asked for numbers, missing ones among them.
_NA = {"na_value": np.nan}


def check_X_y(  # noqa: N802
    estimator: Any,
    X: Any,
    y: Any,
    *,
    multi_output: bool = False,
    accept_sparse: Any = ("csc", "csr"),
    labels: bool = False,
    reset: bool = True,
    order: str | None = None,
) -> tuple[Any, Any]:
    """Validated floating ``X`` and its ``y``, both where the fit works; sets the feature names.

    Parameters
    ----------
    estimator : object
        Whose ``n_features_in_`` and ``feature_names_in_`` are set (or compared, if not ``reset``).
    X, y : array-like
        The data.
    multi_output : bool
        Allow a two-dimensional ``y``.
    accept_sparse : tuple of str or False
        Sparse formats taken as they are.
    labels : bool
        ``y`` holds class labels (or multilabel indicators): it comes back as a NumPy array of its
        own dtype, on the host. Otherwise it is a numeric array of X's dtype beside X.
    reset : bool
        False in ``partial_fit`` after the first call.
    order : {"C", "F"}, optional
        Memory order of a dense host ``X``.

    Returns
    -------
    X, y : arrays
        New references; the user's arrays are never written.
    """
    place = workplace(estimator, X)
    X = shared(X)
    if is_foreign(X):
        if y is None:
            raise ValueError(
                f"{type(estimator).__name__} requires y to be passed, but the target y is None"
            )
        X = _foreign_X(estimator, X, accept_sparse=accept_sparse, reset=reset)
        y = _host_labels(y, multi_output) if labels else _foreign_target(X, y, multi_output)
        check_consistent_length(X, y)
    elif reset and not labels and _is_plain(X, order) and _is_plain_target(X, y, multi_output):
        _keep_n_features(estimator, X)
        y = np.asarray(y, dtype=X.dtype)
    elif reset and labels and _is_plain(X, order) and _are_plain_labels(X, y):
        _keep_n_features(estimator, X)
    else:
        with naming_columns(estimator, X):
            X, y = validate_data(
                estimator,
                X,
                on_host(y),
                accept_sparse=accept_sparse,
                dtype=FLOATS,
                order=order,
                multi_output=multi_output,
                y_numeric=not labels,
                reset=reset,
            )
        y = _host_labels(y, multi_output) if labels else np.asarray(y, dtype=X.dtype)
    X = place.put(X)
    return X, y if labels else place.put(y)


def check_X(  # noqa: N802
    estimator: Any,
    X: Any,
    *,
    reset: bool = False,
    method: str = "predict",
    accept_sparse: Any = ("csr", "csc"),
    allow_nan: bool = False,
    order: str | None = None,
) -> Any:
    """Validated floating ``X`` alone.

    Parameters
    ----------
    estimator : object
        Whose feature count and names are set (``reset``) or compared.
    X : array-like
        The data.
    reset : bool
        True in the fit of an estimator without ``y``: the data then move to where the fit works.
        Otherwise they must live where the fitted attributes do.
    method : str
        The method that asks, for the message.
    accept_sparse, order
        As in `check_X_y`.
    allow_nan : bool
        Let NaN through (missing entries); infinities still raise.

    Returns
    -------
    X : array
        A float32 or float64 array or sparse matrix.
    """
    if not reset:
        check_same_place(estimator, X, method)
    place = workplace(estimator, X) if reset else None
    X = shared(X)
    if is_foreign(X):
        X = _foreign_X(estimator, X, accept_sparse=accept_sparse, reset=reset, allow_nan=allow_nan)
    else:
        with naming_columns(estimator, X):
            X = validate_data(
                estimator,
                X,
                accept_sparse=accept_sparse,
                dtype=FLOATS,
                order=order,
                ensure_all_finite="allow-nan" if allow_nan else True,
                reset=reset,
            )
    return X if place is None else place.put(X)


def check_weights(sample_weight: Any, X: Any) -> Any:
    """``None``, or non-negative weights of X's dtype beside X, of which at least one is positive.

    A number stands for equal weights. The result is a copy.
    """
    if sample_weight is None:
        return None
    sample_weight = on_host(sample_weight)
    host = _check_sample_weight(
        sample_weight,
        np.empty((X.shape[0], 0)),
        dtype=host_dtype(X),
        ensure_non_negative=True,
        copy=True,
    )
    return put_beside(X.data if is_gpu_sparse(X) else X, host)


def check_values(estimator: Any, y: Any, place: Place) -> Any:
    """Validated numbers, one for each entry that ``estimator`` is given, at ``place``.

    float32 stays, other types become float64. Numbers of another namespace are looked at there.
    """
    if y is not None and is_foreign(y) and place != HOST:
        values = _foreign_values(y, multi_output=False)
        _check_finite(values, "y", type(estimator).__name__, allow_nan=False)
        return place.put(values)
    # Not by validate_data: without X at hand it forgets the names of X's columns.
    y = _check_y(on_host(y), y_numeric=True, estimator=estimator)
    return place.put(np.asarray(y, dtype=y.dtype if y.dtype in FLOATS else np.float64))


def check_foreign_X_y(name: str, X: Any, y: Any) -> tuple[Any, Any]:  # noqa: N802
    """Validated ``X`` of another namespace and its ``y``, for the function ``name``.

    The target has X's dtype and follows it there; one column counts as one dimension.
    """
    X = _foreign_matrix(name, X, ("csc", "csr"), allow_nan=False)
    y = _foreign_target(X, y, multi_output=True)
    check_consistent_length(X, y)
    return X, y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


@contextmanager
def naming_columns(estimator: Any, X: Any) -> Iterator[None]:
    """Name the columns of a data frame that are no numbers, where its conversion fails for them."""
    try:
        yield
    except (ValueError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        names = _not_numbers(X) if hasattr(X, "columns") and hasattr(X, "dtypes") else []
        if not names:
            raise
        raise kind(
            f"{type(estimator).__name__}: X must hold numbers, but its columns {names} do not "
            f"({str(error).splitlines()[0]:.120}); encode them before, with OneHotEncoder or "
            "OrdinalEncoder in a ColumnTransformer, or leave them out"
        ) from error


def _not_numbers(X: Any) -> list[Any]:
    """Names of the columns of a data frame that hold text, categories or dates."""
    names = []
    for name in X.columns:
        column = X[name]
        try:
            np.asarray(column.to_numpy(**_NA if hasattr(X, "isna") else {}), dtype=float)
        except (ValueError, TypeError):
            names.append(name)
        else:
            # Dates alone convert, but to no common type with numbers.
            if "date" in str(column.dtype).lower():
                names.append(name)
    return names


# --- plain arrays -----------------------------------------------------------------------------


def _is_plain(X: Any, order: str | None = None) -> bool:
    """Whether X is a finite two-dimensional NumPy array that needs no conversion and no message.

    Most data are, and scikit-learn's checks take longer than the fit of a small model.
    """
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype in FLOATS
        and min(X.shape) >= 1
        and (order is None or X.flags[order])  # type: ignore[index]
        and _is_finite(X)
    )


def _is_plain_target(X: Any, y: Any, multi_output: bool) -> bool:
    """Whether y is a finite NumPy array of numbers, one (or one row) for each row of X."""
    return (
        type(y) is np.ndarray
        and y.dtype.kind in "fiu"
        and (y.ndim == 1 or (multi_output and y.ndim == 2 and y.shape[1] >= 1))
        and y.shape[0] == X.shape[0]
        and _is_finite(y)
    )


def _are_plain_labels(X: Any, y: Any) -> bool:
    """Whole numbers or booleans so close together that they are certainly classes."""
    return (
        type(y) is np.ndarray
        and y.dtype.kind in "biuf"
        and y.ndim == 1
        and y.shape[0] == X.shape[0]
        # scikit-learn warns where more than half of the labels are distinct.
        and y.max().item() - y.min().item() < y.shape[0] // 2
        and (y.dtype.kind != "f" or np.array_equal(y, np.trunc(y)))
    )


def _is_finite(a: Any) -> bool:
    if get_config()["assume_finite"]:
        return True
    # One product without a temporary; where it overflows it is scikit-learn that looks closer.
    entries = a.ravel(order="K")
    return math.isfinite(np.dot(entries, entries))


def _keep_n_features(estimator: Any, X: Any) -> None:
    estimator.n_features_in_ = X.shape[1]
    vars(estimator).pop("feature_names_in_", None)


# --- arrays of another namespace --------------------------------------------------------------


def _foreign_X(  # noqa: N802
    estimator: Any, X: Any, *, accept_sparse: Any, reset: bool, allow_nan: bool = False
) -> Any:
    X = _foreign_matrix(type(estimator).__name__, X, accept_sparse, allow_nan)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return X


def _foreign_matrix(name: str, X: Any, accept_sparse: Any, allow_nan: bool) -> Any:
    if is_gpu_sparse(X):
        if not accept_sparse:
            raise TypeError(f"{name} needs a dense X, but a sparse one was passed: use X.toarray()")
        X = X if X.format in accept_sparse else X.asformat(accept_sparse[0])
    elif X.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {X.ndim}D array instead. Reshape your data to "
            "(n_samples, n_features): {name} was passed an X of shape {shape}".format(
                name=name, shape=tuple(X.shape)
            )
        )
    for axis, what in enumerate(("sample", "feature")):
        if X.shape[axis] < 1:
            raise ValueError(
                f"Found array with 0 {what}(s) (shape={tuple(X.shape)}) while a minimum of 1 is "
                f"required by {name}."
            )
    X = _floating(X)
    _check_finite(X.data if is_gpu_sparse(X) else X, "X", name, allow_nan)
    return X


def _foreign_target(X: Any, y: Any, multi_output: bool) -> Any:
    y = _foreign_values(put_beside(X, y if is_foreign(y) else np.asarray(y)), multi_output)
    y = namespace_of(y).astype(y, X.dtype, copy=False)
    _check_finite(y, "y", "the estimator", allow_nan=False)
    return y


def _foreign_values(y: Any, multi_output: bool) -> Any:
    if y.ndim == 2 and not multi_output:
        if y.shape[1] != 1:
            raise ValueError(f"y should be a 1d array, got an array of shape {tuple(y.shape)}")
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected.",
            DataConversionWarning,
            stacklevel=5,
        )
        y = y[:, 0]
    if y.ndim not in (1, 2):
        raise ValueError(f"y has {y.ndim} dimensions, but it must have one or two")
    return _floating(y)


def _host_labels(y: Any, multi_output: bool) -> Any:
    y = np.asarray(on_host(y))
    if not (multi_output and y.ndim == 2):
        y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    return y


def _floating(a: Any) -> Any:
    """``a`` if it is float32 or float64, else its float64 copy."""
    if str(a.dtype).endswith(("float64", "float32")):
        return a
    if "complex" in str(a.dtype):
        raise ValueError(f"Complex data not supported: an array of {a.dtype} was passed")
    if is_gpu_sparse(a):
        return a.astype(np.float64)
    xp = namespace_of(a)
    return xp.astype(a, xp.float64)


def _check_finite(a: Any, what: str, name: str, allow_nan: bool) -> None:
    if get_config()["assume_finite"]:
        return
    xp = namespace_of(a)
    bad = xp.isinf(a) if allow_nan else ~xp.isfinite(a)
    if bool(xp.any(bad)):
        kinds = "infinity" if allow_nan else "NaN or infinity"
        raise ValueError(
            f"Input {what} contains {kinds}. {name} does not accept missing or infinite values."
        )


def check_container(estimator: Any, X: Any) -> None:
    """Raise where the answer to data on a device would become a frame, which is on the host.

    Raises
    ------
    TypeError
        With the way out.
    """
    frame = _get_output_config("transform", estimator)["dense"]
    if is_foreign(X) and frame != "default":
        raise TypeError(
            f"{type(estimator).__name__}: set_output asks for {frame!r}, a frame on the host, but "
            f"X is {Place.of(X)}: pass X.get() to a model on the host (to_device('cpu')), or "
            "set_output(transform='default') for an answer where X is"
        )
