"""A stand-in for CuPy on the host, for machines without a GPU.

``PYTHONPATH=tests/standin pytest -m gpu`` runs the tests that need a GPU on it: arrays are NumPy's
inside, but they mix with NumPy's and leave the "device" only where CuPy's do, and CUDA sources are
compiled for the host. What it cannot say is whether CuPy and a device do the same.

Source of the behaviour: CuPy 14.2, https://docs.cupy.dev/en/v14.2.0/user_guide/difference.html
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

# What takes arrays of the host in: all others refuse them.
CREATION = frozenset({"array", "asarray", "ascontiguousarray", "asfortranarray", "asanyarray"})


class ndarray:  # noqa: N801 (CuPy's name)
    """An array that does not turn into NumPy's by itself."""

    def __init__(self, host: Any) -> None:
        self._host = np.asarray(host)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct "
            "a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return _called(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return __getattr__(function.__name__)(*args, **kwargs)

    def get(self, *, order: str = "C") -> Any:
        return np.array(self._host, order=order)

    @property
    def device(self) -> Any:
        return cuda.Device(0)

    @property
    def T(self) -> ndarray:
        return ndarray(self._host.T)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in ATTRIBUTES | METHODS:
            raise AttributeError(f"the stand-in of CuPy's array has no {name!r}")
        found = getattr(self._host, name)
        return found if name in ATTRIBUTES else function(found, name)

    def __getitem__(self, key: Any) -> Any:
        return _wrapped(self._host[_key(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._host[_key(key)] = _bare(value)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Any:
        return (_wrapped(a) for a in self._host)

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any:
        return self._host.__dlpack__(*args, **kwargs)

    def __dlpack_device__(self) -> Any:
        return self._host.__dlpack_device__()

    def __reduce__(self) -> Any:
        return ndarray, (self._host,)

    def __repr__(self) -> str:
        return f"cupy stand-in of {self._host!r}"


ATTRIBUTES = frozenset({"shape", "ndim", "size", "dtype", "itemsize", "nbytes", "flags", "strides"})
_METHODS = """
    all any argmax argmin argsort astype clip copy cumsum diagonal dot fill flatten item max
    mean min nonzero prod ravel repeat reshape round sort std sum swapaxes take tolist trace
    transpose var view
"""
METHODS = frozenset(_METHODS.split())


def _bare(value: Any) -> Any:
    """What NumPy computes with; arrays of the host are refused, as CuPy does."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (list, tuple)):
        return type(value)(_bare(each) for each in value)
    return value


def _key(key: Any) -> Any:
    """An index; that one may be an array of the host, which is copied."""
    keys = key if isinstance(key, tuple) else (key,)
    bare = tuple(k._host if isinstance(k, ndarray) else k for k in keys)
    return bare if isinstance(key, tuple) else bare[0]


def _wrapped(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return ndarray(value)
    # Named tuples too: CuPy's are bare.
    return tuple(map(_wrapped, value)) if isinstance(value, tuple) else value


def _called(f: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    out = kwargs.get("out")
    found = f(*(_bare(a) for a in args), **{k: _bare(v) for k, v in kwargs.items()})
    return out if isinstance(out, ndarray) else _wrapped(found)


def function(f: Callable[..., Any], name: str) -> Callable[..., Any]:
    """``f`` of NumPy for arrays of this module."""

    @wraps(f)
    def standing_in(*args: Any, **kwargs: Any) -> Any:
        if name in CREATION and args and isinstance(args[0], np.ndarray):
            args = (ndarray(np.array(args[0], order="A")), *args[1:])
        found = _called(f, args, kwargs)
        # Numbers of the host are said to be so by these names.
        host = name in ("item", "isscalar", "ndim") and hasattr(found, "item")
        return found.item() if host else found

    standing_in.__name__ = name
    return standing_in


def _operator(name: str) -> Callable[..., Any]:
    f = getattr(np.ndarray, name)

    def operator(self: ndarray, *others: Any) -> Any:
        if any(hasattr(other, "tocsr") for other in others):
            return NotImplemented
        found = f(self._host, *(_bare(other) for other in others))
        if name.startswith("__i") and name != "__invert__":
            self._host = found
            return self
        return found if found is NotImplemented else _wrapped(found)

    operator.__name__ = name
    return operator


_BINARY = """
    add sub mul truediv floordiv mod pow matmul and or xor lshift rshift
"""
for _name in _BINARY.split():
    for _form in ("__{}__", "__r{}__", "__i{}__"):
        if hasattr(np.ndarray, _form.format(_name)):
            setattr(ndarray, _form.format(_name), _operator(_form.format(_name)))
for _name in ("neg", "pos", "abs", "invert", "lt", "le", "gt", "ge", "eq", "ne"):
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))
for _name in ("bool", "int", "float", "index"):
    setattr(ndarray, f"__{_name}__", lambda self, _f=f"__{_name}__": getattr(self._host, _f)())
ndarray.__hash__ = None  # type: ignore[assignment]

# What NumPy 2.4 has and CuPy 14.2 has not.
_LACKING = """
    asmatrix block bmat einsum_path errstate frompyfunc geomspace histogram_bin_edges insert
    isnat longdouble ma matrix matvec memmap nanpercentile nanquantile ndenumerate nditer
    object_ polyder polydiv polyint rec spacing str_ unstack vecdot vecmat void
"""
# The last is a module of ours.
LACKING = frozenset([*_LACKING.split(), "linalg"])


def __getattr__(name: str) -> Any:
    if name.startswith("__") or name in LACKING or not hasattr(np, name):
        raise AttributeError(f"module 'cupy' has no attribute {name!r}")
    found = getattr(np, name)
    return function(found, name) if callable(found) and not isinstance(found, type) else found


def is_available() -> bool:
    return True


def asnumpy(a: Any) -> Any:
    return a.get() if hasattr(a, "get") else np.asarray(a)


def from_dlpack(a: Any) -> ndarray:
    return ndarray(np.from_dlpack(a))


from . import cuda, linalg  # noqa: E402
from .cuda import RawModule, get_default_memory_pool  # noqa: E402

__all__ = ["RawModule", "cuda", "get_default_memory_pool", "linalg", "ndarray"]
