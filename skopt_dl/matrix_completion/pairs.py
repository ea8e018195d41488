"""Entries given as (row, column) pairs: their checks and the numbering of their ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl._sklearn.arrays import is_foreign
from skopt_dl.kernels.namespace import device_of, is_numpy, namespace_of
from skopt_dl.linops.aside import distinct

# Ids on the host are looked up in a table of all numbers between the least and the largest, unless
# these are so many times as many: 5 000 000 ids among 2 000 000 in 0.09 s, and by sorting in 0.5 s.
TABLE = 8


def looks_like_pairs(X: Any) -> bool:
    """Whether ``X`` has exactly two columns, of an integer type or with names among them.

    Names are no numbers of a matrix: as pairs they get an answer that helps.
    """
    if hasattr(X, "tocsr"):
        return False
    whole = _whole_columns(X)
    X = X if is_foreign(X) else np.asarray(X)
    if X.ndim != 2 or X.shape[1] != 2:
        return False
    if whole:
        return True
    if is_foreign(X):
        return _kind(X).startswith(("int", "uint"))
    named = X.dtype.kind == "O" and any(isinstance(a, str) for a in X[:1].flat)
    return X.dtype.kind in "iuUS" or named


def check_pairs(name: str, X: Any) -> Any:
    """``X`` as an array of integers of shape (q, 2), where it lives.

    Raises
    ------
    ValueError
        If it has another shape, or numbers that are not integers.
    """
    X = _dense(name, X, "pairs (row, column)")
    if X.ndim != 2 or X.shape[1] != 2:
        raise ValueError(
            f"{name}: expected pairs (row, column), an array of shape (n_entries, 2), but got the "
            f"shape {X.shape}"
        )
    return _whole(name, X, "pairs (row, column)")


def check_positions(name: str, X: Any) -> Any:
    """``X`` as an array of integers of shape (q, D), with two modes or more, where it lives.

    Raises
    ------
    ValueError
        If it has another shape, or numbers that are not integers.
    """
    X = _dense(name, X, "positions")
    if X.ndim != 2 or X.shape[1] < 2 or X.shape[0] == 0:
        raise ValueError(
            f"{name}: expected positions along two modes or more, an array of shape (n_entries, "
            f"n_modes), but got the shape {X.shape}"
        )
    return _whole(name, X, "positions")


def _dense(name: str, X: Any, what: str) -> Any:
    """``X`` as an array; a sparse matrix is no list of positions."""
    if hasattr(X, "tocsr"):
        raise TypeError(
            f"{name}: {what} are rows of a dense array, but a sparse matrix was passed; its "
            "entries are np.stack([X.row, X.col], axis=1) and X.data, in COO format"
        )
    if is_foreign(X):
        return X
    if not (_whole_columns(X) and hasattr(X, "isna")):
        return np.asarray(X)
    # Columns of nullable integers, which NumPy would make objects of.
    missing = np.flatnonzero(X.isna().to_numpy().any(axis=1))
    if len(missing):
        raise ValueError(
            f"{name}: {what} have no id in {len(missing)} rows, of which {missing[0]} is the "
            "first; drop those entries first"
        )
    return X.to_numpy(dtype=np.int64)


def _whole_columns(X: Any) -> bool:
    """Whether ``X`` is a data frame all of whose columns are integers, missing ones among them."""
    types = getattr(X, "dtypes", None)
    return types is not None and len(types) > 0 and all(_is_whole(t) for t in types)


def _is_whole(dtype: Any) -> bool:
    asked = getattr(dtype, "is_integer", None)  # of a polars type
    return bool(asked()) if callable(asked) else getattr(dtype, "kind", "O") in "iu"


def _kind(X: Any) -> str:
    """The name of the type of numbers: each namespace has types of its own."""
    return str(X.dtype).rpartition(".")[2]


def _whole(name: str, X: Any, what: str) -> Any:
    kind = _kind(X)
    floating, whole = kind.startswith("float"), kind.startswith(("int", "uint"))
    xp = namespace_of(X)
    if floating and not bool(xp.all(xp.isfinite(X))):
        raise ValueError(f"{name}: {what} contain NaN or infinity; drop those entries first")
    if not (whole or (floating and bool(xp.all(xp.floor(X) == X)))):
        raise ValueError(
            f"{name}: {what} must be integers, but got an array of {X.dtype} with "
            "other values; number the ids first, with sklearn.preprocessing.OrdinalEncoder say"
        )
    return xp.astype(X, xp.int64)


def numbered(ids: Any) -> tuple[Any, Any]:
    """The distinct ``ids`` in ascending order, and the place of each of ``ids`` among them."""
    xp = namespace_of(ids)
    if is_numpy(xp):
        return _numbered_on_host(ids)
    ordered = xp.sort(ids)
    first = xp.ones(1, dtype=xp.bool, device=device_of(ids))
    known = ordered[xp.concat([first, ordered[1:] != ordered[:-1]])]
    return known, xp.searchsorted(known, ids)


def _numbered_on_host(ids: Any) -> tuple[Any, Any]:
    low = int(ids.min()) if len(ids) else 0
    span = int(ids.max()) - low + 1 if len(ids) else 0
    if span > TABLE * len(ids):
        return distinct(ids)
    seen = np.zeros(span, dtype=bool)
    seen[ids - low] = True
    return np.flatnonzero(seen) + low, (np.cumsum(seen) - 1)[ids - low]


def positions(ids: Any, known: Any) -> tuple[Any, Any]:
    """Where each of ``ids`` stands in the sorted array ``known``, and whether it is there.

    An id that is not there gets position 0.
    """
    xp = namespace_of(ids, known)
    place = xp.clip(xp.searchsorted(known, ids), 0, known.shape[0] - 1)
    found = xp.take(known, place) == ids
    return xp.where(found, place, xp.zeros_like(place)), found
