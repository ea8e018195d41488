"""The terms of one block of rows in a sum over blocks: pure functions, which travel to the rows.

A block is ``(X, target, omega)``, X being an array or a CSR matrix, in any namespace. Parameters
are coefficients of shape (p, K), flat, with the K intercepts behind them where columns are measured
from an ``origin``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from skopt_dl.kernels.namespace import device_of, is_numpy, namespace_of, to_numpy

Block = tuple[Any, Any, Any]
# Entries of sparse rows that are filled in at a time.
FILLED = 2**21


def beside(like: Any, *values: Any) -> list[Any]:
    """The values, of which host arrays are put where ``like`` is."""
    xp, device = namespace_of(like), device_of(like)
    if is_numpy(xp):
        return list(values)
    return [xp.asarray(a, device=device) if isinstance(a, np.ndarray) else a for a in values]


def where_the_block_is(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``function(block, loss, *args)`` be asked from the host, which then gets the answer."""

    @wraps(function)
    def called(block: Block, loss: Any, *args: Any) -> Any:
        asked = any(isinstance(a, np.ndarray) for a in args)
        answer = function(block, loss, *beside(block[1], *args))
        return to_numpy(answer) if asked else answer

    return called


def model_of(w: Any, shape: tuple[int, int], origin: Any) -> tuple[Any, Any]:
    """Coefficients (p, K) and intercepts (K,) beside the raw columns."""
    xp, (p, K) = namespace_of(w), shape
    W = xp.reshape(w[: p * K], (p, K))
    if origin is None:
        return W, xp.zeros(K, dtype=w.dtype, device=device_of(w))
    return W, w[p * K :] - origin @ W


def flat_of(sums: Any, origin: Any) -> Any:
    """From ``X'R`` over ``1'R``, of shape (p + 1, K), to a gradient in the parameters."""
    xp, rows, last = namespace_of(sums), sums[:-1, :], sums[-1, :]
    if origin is None:
        return xp.reshape(rows, (-1,))
    return xp.concat([xp.reshape(rows - origin[:, None] * last, (-1,)), last])


def scores(X: Any, W: Any, b: Any, target: Any) -> Any:
    """Predictions in the shape that the loss takes."""
    z = X @ W + b
    return z if target.ndim == 2 else z[:, 0]


def row_sums(X: Any, R: Any) -> Any:
    """``X'R`` over ``1'R``."""
    xp, R = namespace_of(R), R if R.ndim == 2 else R[:, None]
    return xp.concat([X.T @ R, xp.sum(R, axis=0)[None, :]])


def along(omega: Any, a: Any) -> Any:
    return omega * a if a.ndim == 1 else omega[:, None] * a


@where_the_block_is
def value_grad(block: tuple[Any, Any, Any], loss: Any, W: Any, b: Any) -> Any:
    """Gradient sums with the value in a last row."""
    X, target, omega = block
    value, slope = loss.value_slope(target, scores(X, W, b, target))
    xp = namespace_of(W)
    last = xp.zeros((1, W.shape[1]), dtype=W.dtype, device=device_of(W))
    last[0, 0] = omega @ value
    return xp.concat([row_sums(X, along(omega, slope)), last])


def bending(loss: Any, target: Any, z: Any) -> Callable[[Any], Any]:
    if target.ndim == 1:
        curvature = loss.curvature(target, z)
        return lambda d: curvature * d
    return loss.curvature_map(target, z)  # type: ignore[no-any-return]


@where_the_block_is
def hessian_product(block: tuple[Any, Any, Any], loss: Any, W: Any, b: Any, D: Any, db: Any) -> Any:
    X, target, omega = block
    bend = bending(loss, target, scores(X, W, b, target))
    return row_sums(X, along(omega, bend(scores(X, D, db, target))))


@where_the_block_is
def hessian(block: tuple[Any, Any, Any], loss: Any, W: Any, b: Any, origin: Any) -> Any:
    """The Hessian in coefficients and intercepts beside ``origin``, of shape (pK + K, pK + K)."""
    X, target, omega = block
    bend = bending(loss, target, scores(X, W, b, target))
    xp, K, p = namespace_of(W), W.shape[1], X.shape[1] + 1
    bents = []
    for k in range(K):
        bent = along(omega, bend(_unit(target, k)))
        bents.append(bent if bent.ndim == 2 else bent[:, None])
    H = xp.zeros((p, K, p, K), dtype=W.dtype, device=device_of(W))
    for part in _pieces(X):
        A = xp.ones((part.stop - part.start, p), dtype=W.dtype, device=device_of(W))
        A[:, :-1] = X[part].toarray() if hasattr(X, "tocsr") else X[part, :]
        A[:, :-1] -= origin
        for k, bent in enumerate(bents):
            for j in range(K):
                H[:, j, :, k] += (A * bent[part, j, None]).T @ A
    return xp.reshape(H, (p * K, p * K))


def _unit(target: Any, k: int) -> Any:
    """A change of output ``k`` by one, in the shape of ``target``."""
    xp = namespace_of(target)
    unit = xp.zeros_like(target)
    if target.ndim == 1:
        return unit + 1.0
    unit[:, k] = 1.0
    return unit


def _pieces(X: Any) -> list[slice]:
    """All rows; of sparse ones, which are filled in, some at a time."""
    n, p = X.shape
    size = max(1, FILLED // max(1, p)) if hasattr(X, "tocsr") else max(1, n)
    return [slice(low, min(low + size, n)) for low in range(0, n, size)]


@where_the_block_is
def diagonal(block: Block, loss: Any, W: Any, b: Any, origin: Any) -> Any:
    """The diagonal of the Hessian, flat."""
    X, target, omega = block
    xp, K = namespace_of(W), W.shape[1]
    bend = bending(loss, target, scores(X, W, b, target))
    h = xp.empty((X.shape[0], K), dtype=W.dtype, device=device_of(W))
    for k in range(K):
        bent = along(omega, bend(_unit(target, k)))
        h[:, k] = bent if bent.ndim == 1 else bent[:, k]
    squares = (X.multiply(X) if hasattr(X, "tocsr") else X**2).T @ h
    if origin is None:
        return xp.reshape(squares, (-1,))
    weight = xp.sum(h, axis=0)
    squares -= 2 * origin[:, None] * (X.T @ h) - (origin**2)[:, None] * weight
    return xp.concat([xp.reshape(squares, (-1,)), weight])
