"""Tables as users have them: frames or arrays whose columns are numbers or categories, with gaps.

A `Table` is the same data in two parts: one array of numbers with NaN where one is missing, and one
array of strings per category with ``None`` where one is missing. pandas and polars are read through
narwhals, which scikit-learn brings along; neither is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral, Number
from typing import Any

import numpy as np
from sklearn.utils._missing import is_pandas_na, is_scalar_nan
from sklearn.utils.validation import _get_feature_names, validate_data

from skopt_dl._sklearn.arrays import refuse_dask, refuse_device_tensors, refuse_foreign

FLOATS = [np.float64, np.float32]


@dataclass(frozen=True)
class Layout:
    """Which columns are numbers and which are categories, by position; fixed in ``fit``.

    Attributes
    ----------
    names : list of str
        Names of all columns ("x0", "x1", ... where the data have none).
    numbers, categories : list of int
        Their positions.
    """

    names: list[str]
    numbers: list[int]
    categories: list[int]


@dataclass
class Table:
    """Validated columns.

    Attributes
    ----------
    numbers : array of shape (n, number of numeric columns)
        float64, NaN where missing.
    categories : list of array of shape (n,)
        Strings, ``None`` where missing.
    """

    numbers: np.ndarray
    categories: list[np.ndarray] = field(default_factory=list)

    @property
    def n_rows(self) -> int:
        return self.numbers.shape[0]


def is_frame(X: Any) -> bool:
    """Whether ``X`` is a data frame (of any library that narwhals reads)."""
    return hasattr(X, "columns") and (hasattr(X, "iloc") or hasattr(X, "get_column"))


def read_layout(owner: Any, X: Any, categorical: Any) -> Layout:
    """Decide which columns of ``X`` are categories.

    Parameters
    ----------
    owner : estimator
        Named in messages.
    X : frame or array of shape (n, p)
        The data, validated by `check_table`.
    categorical : "from_dtype", or sequence of int, str or bool
        Positions, names or a mask of the categories; "from_dtype" takes columns of strings, of a
        categorical type, and of objects that are not all numbers.

    Raises
    ------
    ValueError
        If ``categorical`` names a column that is not there.
    """
    columns = list(_columns(X))
    found = _get_feature_names(X)
    names = [f"x{j}" for j in range(len(columns))] if found is None else [str(c) for c in found]
    if isinstance(categorical, str) and categorical == "from_dtype":
        chosen = {j for j, column in enumerate(columns) if _holds_labels(column)}
    else:
        chosen = _positions(owner, categorical, names)
    everything = range(len(columns))
    return Layout(
        names, [j for j in everything if j not in chosen], [j for j in everything if j in chosen]
    )


def refuse_lazy(owner: Any, X: Any) -> None:
    """Raise a `TypeError` for a plan of a table, such as a ``LazyFrame`` of polars."""
    if hasattr(X, "collect") and hasattr(X, "collect_schema"):
        raise TypeError(
            f"{type(owner).__name__} works on tables in memory, but X is a "
            f"{type(X).__module__.split('.')[0]}.{type(X).__name__}: pass X.collect()"
        )


def check_table(owner: Any, X: Any, *, reset: bool) -> Any:
    """``X`` as a frame or a two-dimensional array, its shape and names checked.

    Sets ``n_features_in_`` and ``feature_names_in_`` of ``owner`` if ``reset``, else compares.
    """
    refuse_dask(owner, X)
    refuse_lazy(owner, X)
    refuse_device_tensors(owner, X)
    refuse_foreign(
        type(owner).__name__,
        X,
        takes="tables on the host, whose columns may hold words",
        instead="MLPClassifier or MLPRegressor, which fit where X lives",
    )
    if is_frame(X):
        validate_data(owner, X, reset=reset, skip_check_array=True)
        name = type(owner).__name__
        for axis, what in enumerate(("sample", "feature")):
            if X.shape[axis] < 1:
                raise ValueError(
                    f"Found array with 0 {what}(s) (shape={tuple(X.shape)}) while a minimum of 1 "
                    f"is required by {name}."
                )
        return X
    if not hasattr(X, "dtype"):
        X = _array_of_rows(X)
    # NumPy's text types hold categories; an array of numbers keeps scikit-learn's own checks.
    labels = getattr(getattr(X, "dtype", None), "kind", "") in "OUS"
    return validate_data(
        owner,
        X,
        dtype=None if labels else FLOATS,
        ensure_all_finite=False if labels else "allow-nan",
        reset=reset,
    )


def read_table(owner: Any, X: Any, layout: Layout) -> Table:
    """The columns of ``X`` as `layout` says.

    Raises
    ------
    ValueError
        If a column of numbers has text in it, or an infinite value; it is named.
    """
    if isinstance(X, np.ndarray) and X.dtype.kind == "f" and not layout.categories:
        return Table(np.asarray(X, np.float64))
    columns = list(_columns(X))
    numbers = np.empty((X.shape[0], len(layout.numbers)))
    for k, j in enumerate(layout.numbers):
        numbers[:, k] = _numbers(owner, columns[j], layout.names[j])
    return Table(numbers, [_labels(columns[j]) for j in layout.categories])


# --- one column -------------------------------------------------------------------------------


def _columns(X: Any) -> Any:
    """Each column: a narwhals series of a frame, a view of an array."""
    if not is_frame(X):
        return X.T
    import narwhals.stable.v2 as nw

    frame = nw.from_native(X, eager_only=True)
    return frame.iter_columns()


def _is_missing(value: Any) -> bool:
    return value is None or is_scalar_nan(value) or is_pandas_na(value) or _is_not_a_time(value)


def _is_not_a_time(value: Any) -> bool:
    return type(value).__name__ == "NaTType"


def _holds_labels(column: Any) -> bool:
    kind = column.dtype
    if not isinstance(column, np.ndarray):
        if kind.is_numeric() or kind.is_temporal() or str(kind) in ("Boolean", "Unknown"):
            return False
        if str(kind) != "Object":
            return True
        column = column.to_numpy()
    if column.dtype.kind in "fiub":
        return False
    return not all(isinstance(v, Number) or _is_missing(v) for v in column)


def _numbers(owner: Any, column: Any, name: str) -> np.ndarray:
    """A column as float64 with NaN where it has no value."""
    values = column
    if not isinstance(column, np.ndarray):
        if column.dtype.is_temporal():
            # Seconds since 1970, or of a duration.
            column = (
                column.dt.total_seconds() if "Duration" in str(column.dtype) else _epoch(column)
            )
        missing = column.is_null().to_numpy()
        values = np.full(len(column), np.nan)
        present = column.filter(~column.is_null()).to_numpy()
        values[~missing.astype(bool)] = _floats(owner, present, name)
    elif column.dtype.kind != "f":
        values = _floats(
            owner,
            np.array([np.nan if _is_missing(v) else v for v in column], dtype=object),
            name,
        )
    if np.isinf(values).any():
        raise ValueError(
            f"Input X contains infinity in column {name!r}: {type(owner).__name__} takes missing "
            "values (NaN, None), but no infinite ones"
        )
    return np.asarray(values, np.float64)


def _epoch(column: Any) -> Any:
    import narwhals.stable.v2 as nw

    if str(column.dtype) == "Date":
        column = column.cast(nw.Datetime("ms"))
    return column.dt.timestamp("ms") / 1000


def _floats(owner: Any, values: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        text = next((v for v in values if not isinstance(v, Number)), values)
        raise ValueError(
            f"{type(owner).__name__}: column {name!r} holds numbers, but {text!r} was found in it. "
            "Make it missing (NaN or None), or declare the column with categorical_features."
        ) from error


def _labels(column: Any) -> np.ndarray:
    """A column as strings, ``None`` where it has no value."""
    if not isinstance(column, np.ndarray):
        column = (
            column.to_numpy()
            if str(column.dtype) == "Object"
            else np.array(column.to_list(), dtype=object)
        )
    return np.array([None if _is_missing(v) else _text(v) for v in column], dtype=object)


def _text(value: Any) -> str:
    """A level by name: whole numbers alike whether a gap has made their column floating or not."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value)


def _array_of_rows(X: Any) -> Any:
    """Nested sequences as an array: of numbers if all are, else of objects."""
    plain = np.asarray(X)
    if plain.dtype.kind not in "US":
        return plain
    # NumPy has turned the numbers of mixed rows into text: keep each value as it is.
    return np.array(X, dtype=object)


def _positions(owner: Any, given: Any, names: list[str]) -> set[int]:
    name = type(owner).__name__
    items = list(given) if given is not None else []
    if len(items) == len(names) and items and all(isinstance(i, bool | np.bool_) for i in items):
        return {j for j, flag in enumerate(items) if flag}
    chosen = set()
    for item in items:
        if isinstance(item, str) and item in names:
            chosen.add(names.index(item))
        elif isinstance(item, Integral) and item in range(len(names)):
            chosen.add(int(item))
        else:
            raise ValueError(
                f"{name}: categorical_features names {item!r}, but X has the {len(names)} columns "
                f"{names[:10]}{' ...' if len(names) > 10 else ''}; give names, positions or a mask"
            )
    return chosen
