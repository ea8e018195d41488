"""Proximal operators on CuPy, one kernel each: the twins of ``generic_prox``.

Arrays of other types or orders are served by the array form.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from skopt_dl.kernels import generic_prox
from skopt_dl.kernels.cupy.source import kernel

SOURCE = "prox"
THREADS = 256
BLOCKS = 1024


def _readable(a: Any, v: Any) -> bool:
    return a.dtype == v.dtype and a.flags.c_contiguous and a.size in (1, v.size)


def _setting(value: Any, v: Any) -> tuple[Any, Any, Any] | None:
    """The three arguments that stand for a number or an array; ``None`` if no kernel reads it."""
    if isinstance(value, Real):
        return np.uintp(0), v.dtype.type(value), np.int32(0)
    if not _readable(value, v):
        return None
    return value, v.dtype.type(0), np.int32(value.size == v.size)


def _prox(name: str, v: Any, settings: tuple[Any, ...], *last: Any) -> Any:
    import cupy

    read = [_setting(each, v) for each in settings]
    if not _readable(v, v) or None in read:
        return getattr(generic_prox, name)(v, *settings, *last)
    out = cupy.empty(v.shape, v.dtype)
    if v.size:
        blocks = min(BLOCKS, -(-v.size // THREADS))
        given = [part for each in read for part in each or ()]
        ends = [np.int32(x) if isinstance(x, bool) else v.dtype.type(x) for x in last]
        args = (np.int64(v.size), v, *given, *ends, out)
        kernel(SOURCE, name, v)((blocks,), (THREADS,), args)
    return out


def prox_elastic_net(v: Any, step: Any, l1: Any, l2: Any, positive: bool) -> Any:
    """See `skopt_dl.kernels.generic_prox.prox_elastic_net`."""
    return _prox("prox_elastic_net", v, (step, l1, l2), bool(positive))


def prox_mcp(v: Any, step: Any, alpha: Any, gamma: float) -> Any:
    """See `skopt_dl.kernels.generic_prox.prox_mcp`."""
    return _prox("prox_mcp", v, (step, alpha), float(gamma))


def prox_scad(v: Any, step: Any, alpha: Any, a: float) -> Any:
    """See `skopt_dl.kernels.generic_prox.prox_scad`."""
    return _prox("prox_scad", v, (step, alpha), float(a))
