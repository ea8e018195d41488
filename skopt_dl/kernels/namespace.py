"""Which array namespace an array belongs to, and the few places where it leaves it.

Everything above this file computes with ``xp = namespace_of(x)``; only a report converts a
scalar to the host (`to_float`), and only the user's boundary converts an array (`to_numpy`).
"""

from __future__ import annotations

from typing import Any

import numpy as np


def namespace_of(*arrays: Any) -> Any:
    """Return the one array-API namespace that all ``arrays`` share.

    Raises
    ------
    TypeError
        If an array is of no known namespace, or two of them differ.
    """
    if len(arrays) == 1 and isinstance(arrays[0], np.ndarray):
        return np  # nearly every call
    spaces = {_namespace(a).__name__: _namespace(a) for a in arrays if a is not None}
    if len(spaces) > 1:
        raise TypeError(
            f"arrays of different namespaces were given: {sorted(spaces)}; convert them to one"
        )
    return next(iter(spaces.values())) if spaces else np


def _namespace(array: Any) -> Any:
    if isinstance(array, (np.ndarray, np.generic)):
        return np
    if type(array).__module__ == "cupy":
        # CuPy's arrays do not name a namespace; importing ours imports CuPy, which is there.
        from skopt_dl.kernels.cupy.namespace import cupy_namespace

        return cupy_namespace()
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    raise TypeError(f"{type(array).__name__} is not an array of a known namespace")


def device_of(array: Any) -> Any:
    """The device that creation functions of ``array``'s namespace take to stay beside it."""
    return getattr(array, "device", None)


def to_float(scalar: Any) -> float:
    """One number on the host. On a GPU this waits for the device: only reports call it."""
    return float(scalar)


def to_numpy(array: Any) -> np.ndarray:
    """The same values as a NumPy array (a copy when the data are on another device)."""
    if isinstance(array, np.ndarray):
        return array
    if hasattr(array, "get"):
        return array.get()
    xp = namespace_of(array)
    host = getattr(xp, "Device", None)
    if host is not None:
        array = array.to_device(xp.Device("CPU_DEVICE"))
    return np.from_dlpack(array)


def is_numpy(xp: Any) -> bool:
    """Whether ``xp`` is NumPy itself, the namespace the compiled kernels read."""
    return xp is np


def scatter(index: Any, values: Any, size: int) -> Any:
    """Zeros of length ``size`` with ``values``, numbers or rows, at the distinct ``index``.

    Written with what every namespace of the array API has: assignment by an integer array is not
    part of it.
    """
    xp = namespace_of(values)
    if is_numpy(xp):
        out = xp.zeros((size, *values.shape[1:]), dtype=values.dtype)
        out[index] = values
        return out
    out = xp.zeros((size, *values.shape[1:]), dtype=values.dtype, device=device_of(values))
    if index.shape[0] == 0:
        return out
    order = xp.argsort(index)
    known = xp.take(index, order)
    every = xp.arange(size, dtype=index.dtype, device=device_of(values))
    at = xp.clip(xp.searchsorted(known, every), 0, index.shape[0] - 1)
    found = xp.reshape(xp.take(known, at) == every, (size, *(1 for _ in values.shape[1:])))
    return xp.where(found, xp.take(values, xp.take(order, at), axis=0), out)


def rows_of(array: Any, rows: Any) -> Any:
    """The ``rows`` of an array, a slice or indices on the host, where the array lives."""
    if isinstance(rows, slice):
        return array[rows, ...]
    if isinstance(array, np.ndarray):
        return array[rows]
    xp = namespace_of(array)
    return xp.take(array, xp.asarray(rows, device=device_of(array)), axis=0)
