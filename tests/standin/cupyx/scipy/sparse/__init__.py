"""Sparse matrices and arrays of the stand-in for CuPy: SciPy's inside, floats alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from cupy import ndarray

ARRAYS = frozenset({"data", "indices", "indptr", "row", "col"})
_PLAIN = """
    shape nnz dtype format ndim has_sorted_indices has_canonical_format
"""
_METHODS = """
    asformat astype copy diagonal dot max min mean multiply sort_indices sum sum_duplicates
    toarray tocoo tocsc tocsr transpose eliminate_zeros power
"""
PLAIN, METHODS = frozenset(_PLAIN.split()), frozenset(_METHODS.split())


def _bare(value: Any) -> Any:
    if isinstance(value, spmatrix):
        return value._host
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    return tuple(map(_bare, value)) if isinstance(value, tuple) else value


def _wrapped(value: Any) -> Any:
    if scipy.sparse.issparse(value):
        kind = "array" if isinstance(value, scipy.sparse.sparray) else "matrix"
        return globals()[f"{value.format}_{kind}"](value)
    return ndarray(np.asarray(value)) if isinstance(value, (np.ndarray, np.generic)) else value


class spmatrix:  # noqa: N801 (CuPy's name)
    """What the formats share."""

    def __init__(self, given: Any, shape: Any = None, dtype: Any = None) -> None:
        make = getattr(scipy.sparse, type(self).__name__)
        host = given if scipy.sparse.issparse(given) else _bare(given)
        self._host = make(host, shape=shape, dtype=dtype)
        if self._host.dtype.char not in "?fdFD":
            raise ValueError("Only bool, float32, float64, complex64 and complex128 are supported")

    def get(self) -> Any:
        return self._host.copy()

    @property
    def T(self) -> Any:
        return _wrapped(self._host.T)

    def __getattr__(self, name: str) -> Any:
        if name in ARRAYS and hasattr(self._host, name):
            return ndarray(getattr(self._host, name))
        if name in PLAIN and hasattr(self._host, name):
            return getattr(self._host, name)
        if name not in METHODS:
            raise AttributeError(f"the stand-in of CuPy's sparse matrix has no {name!r}")
        method = getattr(self._host, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return _wrapped(method(*map(_bare, args), **{k: _bare(v) for k, v in kwargs.items()}))

        return call

    def __matmul__(self, other: Any) -> Any:
        return _wrapped(self._host @ _bare(other))

    def __rmatmul__(self, other: Any) -> Any:
        return _wrapped(_bare(other) @ self._host)

    def __mul__(self, other: Any) -> Any:
        return _wrapped(self._host * _bare(other))

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Any:
        return _wrapped(self._host + _bare(other))

    def __sub__(self, other: Any) -> Any:
        return _wrapped(self._host - _bare(other))

    def __abs__(self) -> Any:
        return _wrapped(abs(self._host))

    def __getitem__(self, key: Any) -> Any:
        return _wrapped(self._host[_bare(key)])

    def __reduce__(self) -> Any:
        return type(self), (self._host,)


for _format in ("csr", "csc", "coo"):
    for _kind in ("matrix", "array"):
        _name = f"{_format}_{_kind}"
        globals()[_name] = type(
            _name, (spmatrix,), {"__module__": f"cupyx.scipy.sparse._{_format}"}
        )


def issparse(x: Any) -> bool:
    return isinstance(x, spmatrix)
