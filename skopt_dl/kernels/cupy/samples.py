"""Loops over single samples on CuPy: many steps in one launch of one block, without a read between.

A step of the array form is some twenty launches and a read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from skopt_dl.kernels import generic
from skopt_dl.kernels.cupy.source import SHARED, kernel

SOURCE = "samples"
THREADS = 256
# Steps of a launch: after it the host listens to an interrupt.
STEPS = 65_536
NOTHING = np.uintp(0)


def _steps(name: str, kind: int, model: Any, order: Any) -> None:
    m = model
    data, places = _rows(m)
    arrays = _held(m, "reach", "mean", "y", "scale", "boost")
    shaped = _held(m, "threshold", "shrink", "l2", "W", "b", "table", "average", "average_b")
    if not _plain(data, places, *arrays, *shaped):
        getattr(generic, name)(model, order)
        return
    (p, K), real = m.W.shape, data.dtype.type
    for count, part in _launches(order):
        _launch(
            "sample_steps",
            data,
            K,
            *(np.int64(m.n), np.int32(p), np.int32(K), count, part),
            *(np.int32(kind), np.int32(m.loss_id), data, *places, *arrays),
            *(real(m.step), np.int32(m.positive), np.int32(m.intercept)),
            *shaped,
        )


def _twin(name: str, kind: int) -> Callable[[Any, Any], None]:
    twin = partial(_steps, name, kind)
    twin.__doc__ = f"See `skopt_dl.kernels.generic.{name}`."
    return twin


saga_steps = _twin("saga_steps", 0)
svrg_steps = _twin("svrg_steps", 1)
sag_steps = _twin("sag_steps", 2)


def dual_epoch(model: Any, order: Any) -> float:
    """See `skopt_dl.kernels.generic.dual_epoch`."""
    import cupy

    m = model
    data, places = _rows(m)
    arrays, shaped = _held(m, "mean", "y", "omega", "sigma"), _held(m, "l1", "l2", "u", "v")
    if not _plain(data, places, *arrays, *shaped):
        return generic.dual_epoch(model, order)
    p, K = m.v.shape
    largest = cupy.zeros(1, data.dtype)
    for count, part in _launches(order):
        _launch(
            "dual_steps",
            data,
            K,
            *(np.int32(p), np.int32(K), count, part, np.int32(m.loss_id)),
            *(data, *places, *arrays),
            *(np.int32(m.positive), *shaped, largest),
        )
    return float(largest[0])


def _held(model: Any, *names: str) -> list[Any]:
    """Arrays of a model, from now on with their rows one behind the other."""
    import cupy

    for name in names:
        setattr(model, name, cupy.ascontiguousarray(getattr(model, name)))
    return [getattr(model, name) for name in names]


def _rows(model: Any) -> tuple[Any, tuple[Any, Any]]:
    """The entries of a model's rows; where they are sparse, their columns and where each begins."""
    if not model.sparse:
        return model.base.X, (NOTHING, NOTHING)
    rows = model.base.rows
    return rows.data, (rows.indices, rows.indptr)


def _plain(data: Any, places: tuple[Any, Any], *arrays: Any) -> bool:
    """Whether the kernels read all arrays as they are, and their outputs fit a block's memory."""
    room = SHARED // data.dtype.itemsize - THREADS
    widest = max(a.shape[1] for a in arrays if a.ndim == 2)
    alike = all(a.dtype == data.dtype and a.flags.c_contiguous for a in (data, *arrays))
    small = places[0] is NOTHING or all(str(a.dtype) == "int32" for a in places)
    return bool(data.size and alike and small and 2 * widest <= room)


def _launches(order: Any) -> Any:
    """The samples in parts, each with their number."""
    import cupy

    order = cupy.asarray(order, dtype=np.int32)
    for i in range(0, order.size, STEPS):
        part = order[i : i + STEPS]
        yield np.int32(part.size), part


def _launch(name: str, like: Any, K: int, *args: Any) -> None:
    room = (THREADS + 2 * K) * like.dtype.itemsize
    kernel(SOURCE, name, like)((1,), (THREADS,), args, shared_mem=room)
