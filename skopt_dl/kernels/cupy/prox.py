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
# Threads that share a group at most; a warp's.
LANES = 32
NULL = np.uintp(0)


def _readable(a: Any, v: Any) -> bool:
    return bool(a.dtype == v.dtype and a.flags.c_contiguous)


def _setting(value: Any, v: Any, entries: int) -> tuple[Any, Any, Any] | None:
    """The three arguments that stand for a number, or for an array of one or of ``entries``
    numbers; ``None`` if no kernel reads it."""
    if isinstance(value, Real):
        return NULL, v.dtype.type(value), np.int32(0)
    if not _readable(value, v) or value.size not in (1, entries):
        return None
    return value, v.dtype.type(0), np.int32(value.size == entries)


def _prox(name: str, v: Any, settings: tuple[Any, ...], *last: Any) -> Any:
    import cupy

    read = [_setting(each, v, v.size) for each in settings]
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


def prox_rows(v: Any, k: int, step: Any, l1: Any, l2: Any) -> Any:
    """See `skopt_dl.kernels.generic_prox.prox_rows`."""
    shapes = v.size // k, k
    read = [_setting(step, v, 1), _setting(l1, v, 1)]
    if not _readable(v, v) or None in read or not isinstance(l2, Real):
        return generic_prox.prox_rows(v, k, step, l1, l2)
    return _groups(v, shapes, (NULL, NULL), read, float(l2))


def prox_groups(v: Any, step: Any, strengths: Any, members: Any, present: Any, group: Any) -> Any:
    """See `skopt_dl.kernels.generic_prox.prox_groups`."""
    read = [_setting(step, v, 1), _setting(strengths, v, members.shape[0])]
    listed = members.dtype == np.int64 and members.flags.c_contiguous and _readable(present, v)
    if not _readable(v, v) or None in read or not listed:
        return generic_prox.prox_groups(v, step, strengths, members, present, group)
    return _groups(v, members.shape, (members, present), read, 0.0)


def _groups(
    v: Any, shape: tuple[int, int], lists: tuple[Any, Any], settings: list[Any], l2: float
) -> Any:
    """``shape[0]`` groups of up to ``shape[1]`` coefficients, those of ``lists`` or rows of v."""
    import cupy

    out = cupy.empty(v.shape, v.dtype)
    m, k = shape
    if v.size:
        lanes = min(LANES, 1 << (k - 1).bit_length())
        blocks = min(BLOCKS, -(-m * lanes // THREADS))
        given = [part for each in settings for part in each]
        sizes = (np.int32(m), np.int32(k), np.int32(lanes))
        kernel(SOURCE, "prox_groups", v)(
            (blocks,),
            (THREADS,),
            (*sizes, *lists, v, *given, v.dtype.type(l2), out),
            shared_mem=THREADS * v.dtype.itemsize,
        )
    return out
