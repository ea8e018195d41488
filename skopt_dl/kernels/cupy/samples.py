"""Loops over single samples on CuPy: many steps in one launch of one block, without a read between.

A step of the array form is some twenty launches and a read. Sparse rows of SAG, SAGA and SVRG have
the array form.
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
    X = None if m.sparse else m.base.X
    arrays = _held(m, "mean", "y", "scale", "boost")
    shaped = _held(m, "threshold", "shrink", "l2", "W", "b", "table", "average", "average_b")
    if X is None or not X.size or not _plain(X, *arrays, *shaped):
        getattr(generic, name)(model, order)
        return
    (n, p), K, real = X.shape, m.W.shape[1], X.dtype.type
    for count, part in _launches(order):
        _launch(
            "sample_steps",
            X,
            K,
            *(np.int64(n), np.int32(p), np.int32(K), count, part),
            *(np.int32(kind), np.int32(m.loss_id), X, *arrays),
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
    rows = m.base.rows if m.sparse else m.base.X
    data = rows.data if m.sparse else rows
    arrays, shaped = _held(m, "mean", "y", "omega", "sigma"), _held(m, "l1", "l2", "u", "v")
    places = [rows.indices, rows.indptr] if m.sparse else []
    small = all(str(a.dtype) == "int32" for a in places)
    if not (small and data.size and _plain(data, *arrays, *shaped)):
        return generic.dual_epoch(model, order)
    p, K = m.v.shape
    largest = cupy.zeros(1, data.dtype)
    for count, part in _launches(order):
        _launch(
            "dual_steps",
            data,
            K,
            *(np.int32(p), np.int32(K), count, part, np.int32(m.loss_id)),
            *(data, *(places or (NOTHING, NOTHING)), *arrays),
            *(np.int32(m.positive), *shaped, largest),
        )
    return float(largest[0])


def _held(model: Any, *names: str) -> list[Any]:
    """Arrays of a model, from now on with their rows one behind the other."""
    import cupy

    for name in names:
        setattr(model, name, cupy.ascontiguousarray(getattr(model, name)))
    return [getattr(model, name) for name in names]


def _plain(X: Any, *arrays: Any) -> bool:
    """Whether the kernels read all arrays as they are, and their outputs fit a block's memory."""
    room = SHARED // X.dtype.itemsize - THREADS
    widest = max(a.shape[1] for a in arrays if a.ndim == 2)
    alike = all(a.dtype == X.dtype and a.flags.c_contiguous for a in (X, *arrays))
    return bool(alike and 2 * widest <= room)


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
