"""Second moments of blocks of rows, in one pass.

Each block gives those of each fold that it has rows of (see `skopt_dl.linear_model._moments`); they
are added by a tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from skopt_dl.dask._collections import FAN_IN, Cluster, Rows, counted, summed
from skopt_dl.dask._install import dask
from skopt_dl.kernels.namespace import device_of, namespace_of, to_numpy
from skopt_dl.linear_model._moments import BLOCK, Moments

# The rows of a block that belong to a fold: (fold, first, last + 1).
Part = tuple[int, int, int]


def moments_of(
    cluster: Cluster, rows: Rows, *, fit_intercept: bool, parts: Sequence[Sequence[Part]] | None
) -> tuple[dict[int, Moments], tuple[Any, float], Rows]:
    """The moments of each fold (of fold 0 without ``parts``), about the origin also returned, and
    the rows with the lengths of their blocks.

    The origin is the mean of the first block, which is close enough to that of all rows for sums
    of squares to keep their digits; without an intercept it is zero.
    """
    delayed = dask().delayed
    p = rows.n_features
    origin: Any = (np.zeros(p), 0.0)
    if fit_intercept:
        origin = delayed(_origin, pure=True)(rows.blocks[0])
    of_block = delayed(_of_block, pure=True)
    given = [None] * len(rows.blocks) if parts is None else parts
    each = [of_block(b, origin, part) for b, part in zip(rows.blocks, given, strict=True)]
    rows, (total, origin) = counted(cluster, rows, summed(each, _added), origin)
    return total, origin, rows


def _origin(block: tuple[Any, Any, Any]) -> tuple[Any, float]:
    X, y, _ = block
    n, xp = y.shape[0], namespace_of(y)
    if not n:
        return np.zeros(X.shape[1]), 0.0
    if hasattr(X, "tocsr"):
        # SciPy's matrices have sums of two dimensions.
        sums = np.asarray(to_numpy(X.sum(axis=0, dtype=np.float64))).reshape(-1)
    else:
        sums = to_numpy(xp.sum(X, axis=0, dtype=xp.float64))
    return sums / n, float(xp.mean(y))


def _of_block(
    block: tuple[Any, Any, Any], origin: tuple[Any, float], parts: Sequence[Part] | None
) -> dict[int, Moments]:
    X, y, w = block
    xp, n = namespace_of(y), y.shape[0]
    w = xp.ones(n, dtype=xp.float64, device=device_of(y)) if w is None else w
    parts = [(0, 0, n)] if parts is None else parts
    origin = (xp.asarray(origin[0], device=device_of(y)), origin[1])
    return {fold: _of_part(X, y, w, first, end, origin) for fold, first, end in parts}


def _of_part(X: Any, y: Any, w: Any, first: int, end: int, origin: tuple[Any, float]) -> Moments:
    """The moments of consecutive rows; sparse ones are filled in, some at a time."""
    if not hasattr(X, "tocsr"):
        return Moments.of_rows(X, y, w, np.arange(first, end), origin)
    size = max(1, BLOCK // max(1, X.shape[1]))
    total = Moments.of_rows(X[:0].toarray(), y, w, np.arange(0), origin)
    for low in range(first, end, size):
        some = slice(low, min(low + size, end))
        rows = X[some].toarray()
        total.add(Moments.of_rows(rows, y[some], w[some], np.arange(rows.shape[0]), origin))
    return total


def _added(parts: Sequence[Mapping[int, Moments]]) -> dict[int, Moments]:
    """The sums of each fold; the parts are left as they are."""
    total: dict[int, Moments] = {}
    for part in parts:
        for fold, m in part.items():
            if fold in total:
                total[fold].add(m)
            else:
                total[fold] = replace(m, G=m.G.copy())
    return total


def fold_parts(lengths: Sequence[int], n_folds: int) -> list[list[Part]]:
    """The rows of each block by consecutive folds of all rows, as `sklearn.model_selection.KFold`.

    Raises
    ------
    ValueError
        For more folds than rows.
    """
    n = sum(lengths)
    if not 2 <= n_folds <= n:
        raise ValueError(f"cv={n_folds!r}, but it must be at least 2 and at most {n}, the rows")
    ends = np.cumsum([n // n_folds + (k < n % n_folds) for k in range(n_folds)])
    starts = np.concatenate([[0], ends[:-1]])
    parts, first = [], 0
    for length in lengths:
        mine = []
        for k in range(n_folds):
            low, high = max(first, starts[k]), min(first + length, ends[k])
            if low < high:
                mine.append((k, int(low - first), int(high - first)))
        parts.append(mine)
        first += length
    return parts


def task_bytes(rows: Rows, folds: int) -> int | None:
    """Bytes that a task of the pass holds at most; ``None`` where the blocks' lengths are unknown.

    Either a block, as it came and as it was checked, with a part of it in float64 and the moments
    of its folds; or the moments that are added at a time, and their sum.
    """
    if rows.lengths is None:
        return None
    p, longest = rows.n_features, max(rows.lengths, default=0)
    block = 2 * longest * p * rows.dtype.itemsize
    part = 8 * min(longest * p, max(BLOCK, 2 * p * p))
    matrices = 8 * p * p
    return max(block + part + (folds + 1) * matrices, (FAN_IN + 1) * folds * matrices)
