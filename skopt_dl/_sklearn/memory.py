"""Room on a device, looked at before work starts there: what a fit needs at least, what is free.

A fit that runs out of memory after an hour says nothing of use. What must be there at once is known
before: the data that are copied to the device, and the arrays of the method. The reading is only
that: no block of the user's memory pool is freed or moved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from skopt_dl._sklearn.arrays import HOST, Place, free_bytes

# Vectors that every method keeps at once: iterate, gradient, direction and a trial point; and of
# the samples predictions and slopes.
PARAMETER_VECTORS, SAMPLE_VECTORS = 4, 2


def floating_bytes(X: Any) -> int:
    """Bytes of ``X`` as floating data: float32 stays, every other type becomes float64."""
    shape = getattr(X, "shape", None)
    if shape is None:
        shape = np.shape(X)
    types = {str(t) for t in X.dtypes} if hasattr(X, "dtypes") else {str(getattr(X, "dtype", ""))}
    itemsize = 4 if {t.lower() for t in types} == {"float32"} else 8
    if hasattr(X, "nnz"):
        # 32-bit positions: an index for each stored entry, a start for each row.
        return int(X.nnz) * (itemsize + 4) + 4 * int(shape[0] + 1)
    return itemsize * math.prod(int(s) for s in shape)


def working_bytes(problem: Any, solver: Any) -> dict[str, int]:
    """Bytes of the arrays that ``solver`` keeps at once on ``problem`` at least, by what they are.

    A solver that declares a ``matrix`` is also charged for that.
    """
    itemsize = 4 if str(problem.dtype).endswith("float32") else 8
    numbers = PARAMETER_VECTORS * problem.size + SAMPLE_VECTORS * (problem.n_samples or 0)
    needed = {"its vectors": itemsize * numbers}
    side = {
        None: 0,
        "parameters": problem.size,
        "smaller side": min(problem.map.shape) if hasattr(problem, "map") else 0,
    }[solver.matrix]
    if side:
        needed[f"its {side} x {side} matrix"] = itemsize * side**2
    return needed


def check_room(owner: str, place: Place, needed: Mapping[str, int]) -> None:
    """Raise unless ``needed``, bytes by what they are for, can be had at ``place``.

    Raises
    ------
    MemoryError
        With both numbers, and what to do.
    """
    free = None if place == HOST else free_bytes(place)
    total = sum(needed.values())
    if free is None or total <= free:
        return
    parts = ", ".join(f"{what} {in_words(size)}" for what, size in needed.items())
    raise MemoryError(
        f"{owner} needs at least {in_words(total)} on {place} ({parts}), but {in_words(free)} are "
        "free there, CuPy's pool included. Pass float32 data or fewer samples, choose a solver "
        "that keeps no matrix, delete arrays that are no longer used, or fit on the host: NumPy "
        "data with device=None"
    )


def in_words(size: int) -> str:
    """Bytes in a unit that can be read: "3.2 GiB"."""
    value, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.4g} {unit}"
