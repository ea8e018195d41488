"""The terms of one block of rows in a sum over blocks: pure functions, which travel to the rows.

A block is ``(X, target, omega)``, X being an array or a CSR matrix. Parameters are coefficients of
shape (p, K), flat, with the K intercepts behind them where columns are measured from an ``origin``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Block = tuple[Any, Any, Any]
# Entries of sparse rows that are filled in at a time.
FILLED = 2**21


def model_of(w: Any, shape: tuple[int, int], origin: Any) -> tuple[Any, Any]:
    """Coefficients (p, K) and intercepts (K,) beside the raw columns."""
    p, K = shape
    W = np.reshape(w[: p * K], (p, K))
    return W, np.zeros(K) if origin is None else w[p * K :] - origin @ W


def flat_of(sums: Any, origin: Any) -> Any:
    """From ``X'R`` over ``1'R``, of shape (p + 1, K), to a gradient in the parameters."""
    if origin is None:
        return sums[:-1].ravel()
    return np.concatenate([(sums[:-1] - np.outer(origin, sums[-1])).ravel(), sums[-1]])


def scores(X: Any, W: Any, b: Any, target: Any) -> Any:
    """Predictions in the shape that the loss takes."""
    z = X @ W + b
    return z if target.ndim == 2 else z[:, 0]


def row_sums(X: Any, R: Any) -> Any:
    """``X'R`` over ``1'R``."""
    R = R if R.ndim == 2 else R[:, None]
    return np.concatenate([X.T @ R, np.sum(R, axis=0)[None, :]])


def along(omega: Any, a: Any) -> Any:
    return omega * a if a.ndim == 1 else omega[:, None] * a


def value_grad(block: tuple[Any, Any, Any], loss: Any, W: Any, b: Any) -> Any:
    """Gradient sums with the value in a last row."""
    X, target, omega = block
    value, slope = loss.value_slope(target, scores(X, W, b, target))
    last = np.zeros((1, W.shape[1]))
    last[0, 0] = omega @ value
    return np.concatenate([row_sums(X, along(omega, slope)), last])


def bending(loss: Any, target: Any, z: Any) -> Callable[[Any], Any]:
    if target.ndim == 1:
        curvature = loss.curvature(target, z)
        return lambda d: curvature * d
    return loss.curvature_map(target, z)  # type: ignore[no-any-return]


def hessian_product(block: tuple[Any, Any, Any], loss: Any, W: Any, b: Any, D: Any, db: Any) -> Any:
    X, target, omega = block
    bend = bending(loss, target, scores(X, W, b, target))
    return row_sums(X, along(omega, bend(scores(X, D, db, target))))


def hessian(block: tuple[Any, Any, Any], loss: Any, W: Any, b: Any, origin: Any) -> Any:
    """The Hessian in coefficients and intercepts beside ``origin``, of shape (pK + K, pK + K)."""
    X, target, omega = block
    bend = bending(loss, target, scores(X, W, b, target))
    n, K, p = X.shape[0], W.shape[1], X.shape[1] + 1
    bents = []
    for k in range(K):
        unit = np.zeros(target.shape)
        unit[..., k] = 1.0
        bent = along(omega, bend(unit if target.ndim == 2 else np.ones(n)))
        bents.append(bent if bent.ndim == 2 else bent[:, None])
    H = np.zeros((p, K, p, K))
    for part in _pieces(X):
        A = np.ones((part.stop - part.start, p))
        filled = X[part].toarray() if hasattr(X, "tocsr") else X[part]
        np.subtract(filled, origin, out=A[:, :-1])
        for k, bent in enumerate(bents):
            for j in range(K):
                H[:, j, :, k] += (A * bent[part, j, None]).T @ A
    return np.reshape(H, (p * K, p * K))


def _pieces(X: Any) -> list[slice]:
    """All rows; of sparse ones, which are filled in, some at a time."""
    n, p = X.shape
    size = max(1, FILLED // max(1, p)) if hasattr(X, "tocsr") else max(1, n)
    return [slice(low, min(low + size, n)) for low in range(0, n, size)]


def diagonal(block: Block, loss: Any, W: Any, b: Any, origin: Any) -> Any:
    """The diagonal of the Hessian, flat."""
    X, target, omega = block
    bend, K = bending(loss, target, scores(X, W, b, target)), W.shape[1]
    h = np.empty((X.shape[0], K))
    for k in range(K):
        unit = np.zeros(target.shape)
        unit[..., k if target.ndim == 2 else slice(None)] = 1.0
        bent = along(omega, bend(unit))
        h[:, k] = bent if bent.ndim == 1 else bent[:, k]
    squares = (X.multiply(X) if hasattr(X, "tocsr") else X**2).T @ h
    if origin is None:
        return squares.ravel()
    weight = np.sum(h, axis=0)
    squares -= 2 * origin[:, None] * (X.T @ h) - np.outer(origin**2, weight)
    return np.concatenate([squares.ravel(), weight])
