"""What a block of rows of a partly observed matrix answers: pure functions, sums over blocks.

A block is an array with NaN for what is missing, a CSR matrix of the entries, or a `Group` of
entries. ``mean`` is what the model has as a constant, ``bias`` which biases it has.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.dask._collections import refuse_elsewhere
from skopt_dl.dask._pairs import Group
from skopt_dl.matrix_completion.columns import biases
from skopt_dl.matrix_completion.observe import observe
from skopt_dl.matrix_completion.posterior import PosteriorProblem
from skopt_dl.matrix_completion.problem import FactorProblem

Sums = tuple[Any, ...]


def _observed(X: Any, mean: float) -> Any:
    """The entries less the constant; ``None`` where there are none."""
    if isinstance(X, Group):
        observed: Any = X.entries
    else:
        given = X.data if hasattr(X, "tocsr") else X
        if not given.size or np.all(np.isnan(given)):
            return None
        observed = observe(X.astype(np.float64, copy=False), np.nan)
    if not observed.shape[0]:
        return None
    return observed.shifted(mean) if mean else observed


def checked(i: int, X: Any, dtype: str) -> Any:
    """One block as an array or a CSR matrix, checked where it lives."""
    refuse_elsewhere("MatrixCompletion", i, X)
    sparse = hasattr(X, "tocsr")
    if sparse:
        X = X.tocsr().astype(dtype, copy=False)
    else:
        X = np.ascontiguousarray(np.asarray(X), dtype=dtype)
    if np.any(np.isinf(X.data if sparse else X)):
        raise ValueError(
            f"skopt_dl.dask.MatrixCompletion: X contains infinity in block {i}; NaN marks what is "
            "missing"
        )
    return X


def extent(X: Any) -> tuple[int, int]:
    """Rows of a block, and the entries that it holds or could hold."""
    n, p = X.shape
    return n, int(X.entries.values.shape[0]) if isinstance(X, Group) else n * p


def sizes(X: Any, n_columns: int) -> Sums:
    """Weight, squares, sum, rows, rows with entries; then the weight of each column."""
    observed = _observed(X, 0.0)
    rows = float(X.shape[0])
    if observed is None:
        return np.asarray([0.0, 0.0, 0.0, rows, 0.0]), np.zeros(n_columns)
    values, ones = observed.values, observed.weights > 0
    seen = float(np.sum(observed.row_weight > 0))
    total = [np.sum(ones), np.sum(values**2), np.sum(values), rows, seen]
    return np.asarray(total, np.float64), observed.col_weight


def centred_squares(X: Any, mean: float) -> Sums:
    """The sum of squares about the constant."""
    observed = _observed(X, mean)
    return (np.zeros(1) if observed is None else np.asarray([np.sum(observed.values**2)]),)


def _row_means(observed: Any, c: Any, bias: Any) -> Any:
    """Row biases beside the columns' ``c``."""
    a = np.zeros(observed.shape[0])
    if bias in ("rows", "both"):
        sums = observed.matrix(observed.values - _additive(observed, a, c)) @ np.ones(len(c))
        a = sums / np.maximum(observed.row_weight, 1.0)
    return a


def _additive(observed: Any, a: Any, c: Any) -> Any:
    """Entry values of ``a_i + c_j``."""
    left, right = np.stack([a, np.ones_like(a)], 1), np.stack([np.ones_like(c), c], 1)
    return observed.products(left, right)


def column_sums(X: Any, mean: float, bias: Any, c: Any) -> Sums:
    """What is left of each column's sum, the row biases beside ``c`` (``None``: zero) taken out."""
    observed = _observed(X, mean)
    if observed is None:
        return (np.zeros(X.shape[1]),)
    n = X.shape[1]
    a = np.zeros(X.shape[0]) if c is None else _row_means(observed, c, bias)
    left = observed.values - _additive(observed, a, np.zeros(n))
    return (observed.matrix_t(left) @ np.ones(len(a)),)


def turned(X: Any, V: Any, mean: float, bias: Any, c: Any) -> Sums:
    """``E'E V`` of the entries less the biases, with zeros where there are none."""
    observed = _observed(X, mean)
    if observed is None:
        return (np.zeros_like(V),)
    left = observed.values
    if bias:
        left = left - _additive(observed, _row_means(observed, c, bias), c)
    return (observed.matrix_t(left) @ (observed.matrix(left) @ V),)


def with_ones(P: Any, bias: Any) -> Any:
    """``[P | 1]``, in whose columns everything about biases is linear; P without biases."""
    return np.concatenate([P, np.ones((len(P), 1))], axis=1) if bias else P


def columns(X: Any, Q: Any, k: int, alpha: float, mean: float, bias: Any) -> Sums:
    """Of the best rows for ``Q``: each column's Gram matrix and right side in `with_ones`, their
    weighted Gram matrix, and the squared residual."""
    n, width = len(Q), k + (bias in ("rows", "both")) + bool(bias)
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
    return observed.gram_cols(Z), sides, gram, np.asarray([observed.dot(E, E)])


def beliefs(X: Any, Q: Any, T: Any, tau: float, gamma: Any, k: int, mean: float, bias: Any) -> Sums:
    """Of the posteriors of rows for columns ``Q`` with variances ``T``: each column's Gram matrix,
    right side and sum of the rows' variances; the expected squared error; the sums of squares and
    of logarithms of the variances of the rows' parameters; the squares of the components' means.

    Without a precision ``tau`` the rows are the best for ``Q``, without variances.
    """
    n, kp, kq = len(Q), len(gamma), Q.shape[1]
    observed = _observed(X, mean)
    if observed is None:
        zeros = np.zeros((n, kq, kq)), np.zeros((n, kq)), np.zeros((n, kq))
        return *zeros, np.zeros(1), np.zeros(kp), np.zeros(kp), np.zeros(k)
    problem = PosteriorProblem(observed, k, **biases(bias))
    f = problem.factor
    if tau > 0:
        P, S, L, R, left, right = problem.rows_given(Q, T, np.asarray([tau]), gamma)
    else:
        P = f.unpack(f.from_cols(Q))[0]
        S = np.zeros_like(P)
        L, R, left, right = f._left(P, 1.0), f._right(Q, 1.0), f._left(S, 0.0), f._right(T, 0.0)
    F, G = f.of_cols(L), f.of_cols(left)
    fixed = slice(k, kp)
    target = observed.values - observed.products(L[:, fixed], R[:, fixed])
    E, W = observed.products(L, R) - observed.values, observed.pattern
    error = observed.dot(E, E) + np.sum(L * L * (W @ right)) + np.sum(left * (W @ (R * R + right)))
    seen = observed.row_weight > 0
    power = np.sum((P * P + S)[seen], axis=0)
    logs = np.sum(np.log(np.maximum(S[seen], np.finfo(np.float64).smallest_normal)), axis=0)
    sides = observed.matrix_t(target) @ F
    spreads, means = observed.pattern_t @ G, np.sum(P[:, :k] ** 2, axis=0)
    return observed.gram_cols(F), sides, spreads, np.asarray([error]), power, logs, means
