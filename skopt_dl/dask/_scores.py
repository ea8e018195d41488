"""Scores as sums over blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl._sklearn.arrays import model_beside, on_host
from skopt_dl.dask._collections import add_arrays, rows_of, summed
from skopt_dl.dask._install import dask
from skopt_dl.kernels.namespace import device_of, namespace_of, to_numpy


def r2(model: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """The coefficient of determination, a mean over several targets.

    Squares are about the mean of the first block, whose digits last.
    """
    rows = rows_of(model, X, y, sample_weight, outputs=True)
    delayed = dask().delayed
    level = delayed(_level)(rows.blocks[0])
    parts = [delayed(_squares)(model._local, block, level) for block in rows.blocks]
    (sums,) = model._cluster().compute(summed(parts, add_arrays))
    weight, residual, first, second = sums
    return float(np.mean(1.0 - residual / (second - first**2 / weight)))


def accuracy(model: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """The weighted share of right labels, or of rows of which all labels are right."""
    several = several_labels(model._local)
    rows = rows_of(model, X, y, sample_weight, labels=True, outputs=several)
    delayed = dask().delayed
    parts = [delayed(_right)(model._local, block) for block in rows.blocks]
    (sums,) = model._cluster().compute(summed(parts, add_arrays))
    return float(sums[1] / sums[0])


def _level(block: tuple[Any, Any, Any]) -> Any:
    y = block[1]
    return on_host(namespace_of(y).mean(y, axis=0)) if y.shape[0] else np.zeros(y.shape[1:])


def _squares(local: Any, block: tuple[Any, Any, Any], level: Any) -> Any:
    X, y, w = block
    n, targets = y.shape[0], y.shape[1] if y.ndim == 2 else 1
    if not n:
        return np.zeros((4, targets))
    xp, device = namespace_of(y), device_of(y)
    w = xp.ones(n, dtype=xp.float64, device=device) if w is None else w
    level = xp.asarray(level, device=device)
    errors = (y - _raw(model_beside(X, local), X), y - level)
    residual, moved = (xp.reshape(a, (n, -1)) for a in errors)
    weight = xp.broadcast_to(xp.sum(w), (targets,))
    return to_numpy(xp.stack([weight, w @ residual**2, w @ moved, w @ moved**2]))


def _raw(local: Any, X: Any) -> Any:
    if hasattr(local, "coefs_"):
        return local._decode(_response(local, X))
    return X @ local.coef_ + local.intercept_


def _response(local: Any, X: Any) -> Any:
    """A network's response to an array, which has no names of columns to check."""
    return local._net.respond(local.coefs_, local.intercepts_, X)


def _labels(local: Any, X: Any) -> Any:
    there = model_beside(X, local)
    if hasattr(local, "coefs_"):
        return on_host(local._decode(_response(there, X)))
    z = on_host(X @ there.coef_.T + there.intercept_)
    return local.classes_[(z[:, 0] > 0).astype(int) if z.shape[1] == 1 else np.argmax(z, axis=1)]


def _right(local: Any, block: tuple[Any, Any, Any]) -> Any:
    X, y, w = block
    if not len(y):
        return np.zeros(2)
    w = np.ones(len(y)) if w is None else on_host(w)
    right = _labels(local, X) == y
    return np.asarray([np.sum(w), np.sum(w[np.all(right, axis=1) if right.ndim == 2 else right])])


def several_labels(local: Any) -> bool:
    """Whether a row may have several labels."""
    binarizer = getattr(local, "_label_binarizer", None)
    return binarizer is not None and binarizer.y_type_.startswith("multilabel")
