"""Scores as sums over blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.dask._collections import add_arrays, rows_of, summed
from skopt_dl.dask._install import dask


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
    return np.mean(y, axis=0) if len(y) else np.zeros(y.shape[1:])


def _squares(local: Any, block: tuple[Any, Any, Any], level: Any) -> Any:
    X, y, w = block
    targets = y.shape[1] if y.ndim == 2 else 1
    if not len(y):
        return np.zeros((4, targets))
    w = np.ones(len(y)) if w is None else w
    residual, moved = (np.reshape(a, (len(y), -1)) for a in (y - _raw(local, X), y - level))
    weight = np.full(targets, np.sum(w))
    return np.stack([weight, w @ residual**2, w @ moved, w @ moved**2])


def _raw(local: Any, X: Any) -> Any:
    if hasattr(local, "coefs_"):
        return local._decode(_response(local, X))
    return X @ local.coef_ + local.intercept_


def _response(local: Any, X: Any) -> Any:
    """A network's response to an array, which has no names of columns to check."""
    return local._net.respond(local.coefs_, local.intercepts_, X)


def _labels(local: Any, X: Any) -> Any:
    if hasattr(local, "coefs_"):
        return local._decode(_response(local, X))
    z = X @ np.atleast_2d(local.coef_).T + local.intercept_
    return local.classes_[(z[:, 0] > 0).astype(int) if z.shape[1] == 1 else np.argmax(z, axis=1)]


def _right(local: Any, block: tuple[Any, Any, Any]) -> Any:
    X, y, w = block
    if not len(y):
        return np.zeros(2)
    w = np.ones(len(y)) if w is None else w
    right = _labels(local, X) == y
    return np.asarray([np.sum(w), np.sum(w[np.all(right, axis=1) if right.ndim == 2 else right])])


def several_labels(local: Any) -> bool:
    """Whether a row may have several labels."""
    binarizer = getattr(local, "_label_binarizer", None)
    return binarizer is not None and binarizer.y_type_.startswith("multilabel")
