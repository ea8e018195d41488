"""What a block of rows of a partly observed matrix answers: pure functions, sums over blocks.

A block is an array with NaN for what is missing, a CSR matrix of the entries, or a `Group` of
entries. ``mean`` is what the model has as a constant, ``bias`` which biases it has. A task computes
where its block lives, on the host or on a device; what it is given and what it answers are NumPy
arrays. What it says of its rows, and not of a sum, is in a list.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from skopt_dl._sklearn.arrays import Place, on_host
from skopt_dl.dask._collections import converted
from skopt_dl.dask._pairs import Group
from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.matrix_completion.columns import biases
from skopt_dl.matrix_completion.observe import observe
from skopt_dl.matrix_completion.posterior import PosteriorProblem
from skopt_dl.matrix_completion.problem import FactorProblem

Sums = tuple[Any, ...]


def _beside_the_block(task: Callable[..., Sums]) -> Callable[..., Sums]:
    """``task`` with its arrays put where the block lives, and its sums brought to the host."""

    @wraps(task)
    def on_block(X: Any, *args: Any) -> Sums:
        place = Place.of(X.entries.values if isinstance(X, Group) else X)
        beside = (place.put(a) if isinstance(a, np.ndarray) else a for a in args)
        found = task(X, *beside)
        return tuple([on_host(p) for p in a] if isinstance(a, list) else on_host(a) for a in found)

    return on_block


def _observed(X: Any, mean: float) -> Any:
    """The entries less the constant; ``None`` where there are none."""
    if isinstance(X, Group):
        observed: Any = X.entries
    else:
        sparse = hasattr(X, "tocsr")
        given = X.data if sparse else X
        xp = namespace_of(given)
        if not given.size or bool(xp.all(xp.isnan(given))):
            return None
        # Sums over blocks are in float64.
        wide = X.astype(np.float64, copy=False) if sparse else xp.astype(X, xp.float64, copy=False)
        observed = observe(wide, np.nan)
    if not observed.shape[0]:
        return None
    return observed.shifted(mean) if mean else observed


def checked(i: int, X: Any, dtype: str) -> Any:
    """One block as an array or a CSR matrix, checked where it lives."""
    X, stored = converted(X, dtype)
    xp = namespace_of(stored)
    if bool(xp.any(xp.isinf(stored))):
        raise ValueError(
            f"skopt_dl.dask.MatrixCompletion: X contains infinity in block {i}; NaN marks what is "
            "missing"
        )
    return X


def extent(X: Any) -> tuple[int, int]:
    """Rows of a block, and the entries that it holds or could hold."""
    n, p = X.shape
    return n, int(X.entries.values.shape[0]) if isinstance(X, Group) else n * p


@_beside_the_block
def sizes(X: Any, n_columns: int) -> Sums:
    """Weight, squares, sum, rows, rows with entries; then the weight of each column."""
    observed = _observed(X, 0.0)
    rows = float(X.shape[0])
    if observed is None:
        return np.asarray([0.0, 0.0, 0.0, rows, 0.0]), np.zeros(n_columns)
    values, xp = observed.values, observed.xp
    seen = xp.count_nonzero(observed.row_weight > 0)
    sums = xp.count_nonzero(observed.weights > 0), xp.sum(values * values), xp.sum(values)
    total = [float(sums[0]), float(sums[1]), float(sums[2]), rows, float(seen)]
    return np.asarray(total, np.float64), observed.col_weight


@_beside_the_block
def centred_squares(X: Any, mean: float) -> Sums:
    """The sum of squares about the constant."""
    observed = _observed(X, mean)
    if observed is None:
        return (np.zeros(1),)
    return (observed.xp.reshape(observed.xp.sum(observed.values * observed.values), (1,)),)


def _row_means(observed: Any, c: Any, bias: Any) -> Any:
    """Row biases beside the columns' ``c``."""
    xp = observed.xp
    a = xp.zeros_like(observed.row_weight)
    if bias in ("rows", "both"):
        sums = observed.matrix(observed.values - _additive(observed, a, c)) @ xp.ones_like(c)
        a = sums / xp.clip(observed.row_weight, 1.0, None)
    return a


def _additive(observed: Any, a: Any, c: Any) -> Any:
    """Entry values of ``a_i + c_j``."""
    xp = observed.xp
    left = xp.stack([a, xp.ones_like(a)], axis=1)
    right = xp.stack([xp.ones_like(c), c], axis=1)
    return observed.products(left, right)


@_beside_the_block
def column_sums(X: Any, mean: float, bias: Any, c: Any) -> Sums:
    """What is left of each column's sum, the row biases beside ``c`` (``None``: zero) taken out."""
    observed = _observed(X, mean)
    if observed is None:
        return (np.zeros(X.shape[1]),)
    zeros, ones = (f(observed.row_weight) for f in (observed.xp.zeros_like, observed.xp.ones_like))
    a = zeros if c is None else _row_means(observed, c, bias)
    left = observed.values - _additive(observed, a, observed.xp.zeros_like(observed.col_weight))
    return (observed.matrix_t(left) @ ones,)


@_beside_the_block
def turned(X: Any, V: Any, mean: float, bias: Any, c: Any) -> Sums:
    """``E'E V`` of the entries less the biases, with zeros where there are none."""
    observed = _observed(X, mean)
    if observed is None:
        return (np.zeros(V.shape),)
    left = observed.values
    if bias:
        left = left - _additive(observed, _row_means(observed, c, bias), c)
    return (observed.matrix_t(left) @ (observed.matrix(left) @ V),)


def with_ones(P: Any, bias: Any) -> Any:
    """``[P | 1]``, in whose columns everything about biases is linear; P without biases."""
    if not bias:
        return P
    xp = namespace_of(P)
    return xp.concat([P, xp.ones_like(P[:, :1])], axis=1)


@_beside_the_block
def columns(X: Any, Q: Any, k: int, alpha: float, mean: float, bias: Any) -> Sums:
    """Of the best rows for ``Q``: each column's Gram matrix and right side in `with_ones`, their
    weighted Gram matrix, and the squared residual."""
    n, width = Q.shape[0], k + (bias in ("rows", "both")) + bool(bias)
    observed = _observed(X, mean)
    if observed is None:
        zeros = np.zeros((n, width, width)), np.zeros((n, width)), np.zeros((width, width))
        return *zeros, np.zeros(1)
    problem = FactorProblem(observed, k, alpha, **biases(bias))
    w = problem.from_cols(Q)
    E = problem.residual(w)
    Z = with_ones(problem.unpack(w)[0], bias)
    sides = observed.matrix_t(observed.values) @ Z
    gram = Z.T @ (observed.row_weight[:, None] * Z)
    return observed.gram_cols(Z), sides, gram, problem.xp.reshape(observed.dot(E, E), (1,))


@_beside_the_block
def row_weights(X: Any) -> Sums:
    """The weight of each row."""
    observed = _observed(X, 0.0)
    return ([np.zeros(X.shape[0]) if observed is None else observed.row_weight],)


@_beside_the_block
def beliefs(
    X: Any,
    Q: Any,
    T: Any,
    tau: float,
    gamma: Any,
    mu: Any,
    lam: Any,
    k: int,
    mean: float,
    bias: Any,
) -> Sums:
    """Of the posteriors of rows for columns ``Q`` with variances ``T``: the expected squared error;
    the sums of squares, of logarithms of the variances and of means of the rows' parameters; the
    squares of the components' means; what `column_beliefs` has, of rows that count alike.

    Without a precision ``tau`` the rows are the best for ``Q``, without variances. With precisions
    ``lam`` of the rows' noise, relative to it, the last are instead the expected squared errors of
    the rows, which say how they count.
    """
    kp = gamma.shape[0]
    observed = _observed(X, mean)
    if observed is None:
        powers = np.zeros(1), *(np.zeros(width) for width in (kp, kp, kp, k))
        return *powers, *(_no_columns(Q) if lam is None else ([np.zeros(X.shape[0])],))
    problem, P, S, L, R, left = _rows_beside(observed, Q, T, tau, gamma, mu, lam, k, bias)
    xp, right = problem.xp, problem.factor._right(T, 0.0)
    E, W = observed.products(L, R) - observed.values, observed.pattern
    spread = xp.sum(L * L * (W @ right) + left * (W @ (R * R + right)), axis=1)
    if lam is None:
        error, rest = observed.dot(E, E) + xp.sum(spread), _columns_beside(problem, L, R, left)
    else:
        spread = observed.matrix(E * E) @ xp.ones_like(observed.col_weight) + spread
        error, rest = xp.sum(spread), ([spread],)
    seen = problem.row_copies[:, None]
    smallest = float(np.finfo(np.float64).smallest_normal)
    logs = xp.sum(seen * xp.log(xp.clip(S, smallest, None)), axis=0)
    power, first = (xp.sum(seen * A, axis=0) for A in (P * P + S, P))
    return xp.reshape(error, (1,)), power, logs, first, xp.sum(seen * P[:, :k] ** 2, axis=0), *rest


@_beside_the_block
def column_beliefs(
    X: Any,
    Q: Any,
    T: Any,
    tau: float,
    gamma: Any,
    mu: Any,
    lam: Any,
    now: Any,
    k: int,
    mean: float,
    bias: Any,
) -> Sums:
    """Of the same rows, which count by the precisions ``now``: each column's Gram matrix, right
    side and sum of the rows' variances."""
    observed = _observed(X, mean)
    if observed is None:
        return _no_columns(Q)
    problem, _, _, L, R, left = _rows_beside(observed, Q, T, tau, gamma, mu, lam, k, bias)
    return _columns_beside(problem, L, R, left, now)


def _no_columns(Q: Any) -> Sums:
    n, kq = Q.shape
    return np.zeros((n, kq, kq)), np.zeros((n, kq)), np.zeros((n, kq))


def _rows_beside(
    observed: Any, Q: Any, T: Any, tau: float, gamma: Any, mu: Any, lam: Any, k: int, bias: Any
) -> tuple[Any, ...]:
    """The problem of a block; means and variances of its rows; factors, variances of the left."""
    problem = PosteriorProblem(observed, k, **biases(bias))
    f, xp = problem.factor, problem.xp
    if tau > 0:
        scales = xp.full_like(gamma[:1], tau), gamma, mu
        return problem, *problem.rows_given(Q, T, *scales, lam=lam)
    P = f.unpack(f.from_cols(Q))[0]
    S = xp.zeros_like(P)
    return problem, P, S, f._left(P, 1.0), f._right(Q, 1.0), f._left(S, 0.0)


def _columns_beside(problem: Any, L: Any, R: Any, left: Any, lam: Any = None) -> Sums:
    """What rows with these factors, by their precisions ``lam``, say of the columns."""
    observed, f = problem.observed, problem.factor
    fixed = slice(f.k, f.kp)
    target = observed.values - observed.products(L[:, fixed], R[:, fixed])
    F, G = f.of_cols(L), f.of_cols(left)
    H = F
    if lam is not None:
        steady, H = problem.xp.sqrt(lam)[:, None], lam[:, None] * F
        F, G = steady * F, lam[:, None] * G
    return observed.gram_cols(F), observed.matrix_t(target) @ H, observed.pattern_t @ G
