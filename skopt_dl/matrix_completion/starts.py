"""Starting points of a factorisation: spectral, random, and the best rows for given columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels.namespace import to_float

# Subspace iterations of the spectral start: it only has to point the right way.
START_ITERATIONS = 3
# Components that the start does not see get this share of the largest: at zero they are a saddle.
START_FLOOR = 0.05


def spectral_start(problem: Any) -> Any:
    """Q from the leading right singular vectors of the zero-filled matrix, then the best P.

    A few subspace iterations from random vectors, scaled so that both factors carry equal parts of
    the root mean square of the entries. Only sums over rows with their weights enter: a row of
    weight two starts as that row given twice.
    """
    xp, obs = problem.xp, problem.observed
    # What biases explain is no component's to explain: a factor in a bias's place stays there.
    a, c = _first_biases(problem)
    left = obs.values
    if problem.row_bias or problem.col_bias:
        left = left - _additive(problem, a, c)
    left = _within_reach(problem, left)
    plain, weighted = obs.unweighted(left), obs.matrix(left).T
    V = random_columns(problem)
    for _ in range(START_ITERATIONS):
        V = xp.linalg.qr(weighted @ (plain @ V)).Q
    # Rayleigh-Ritz: the directions in order of their size.
    size, turn = xp.linalg.eigh(V.T @ (weighted @ (plain @ V)))
    size = xp.sqrt(xp.clip(size, 0.0, None))
    norm = xp.linalg.vector_norm(size)
    share = xp.where(norm > 0, size / xp.where(norm > 0, norm, 1.0), xp.ones_like(size))
    share = xp.clip(share, START_FLOOR * to_float(xp.max(share)), None)
    return _from_cols(problem, V @ turn * xp.sqrt(share * obs.shape[1]), c)


def random_start(problem: Any) -> Any:
    """Q random of the same size, then the best P."""
    V = random_columns(problem) / problem.k**0.5
    return _from_cols(problem, V, _first_biases(problem)[1])


def _within_reach(problem: Any, values: Any) -> Any:
    """The values; where the loss is robust, far ones are pulled in."""
    if problem.robust is None:
        return values
    return problem.robust.within_reach(values, problem.observed.weights)


def _means(xp: Any, sums: Any, weights: Any) -> Any:
    return xp.where(weights > 0, sums / xp.where(weights > 0, weights, 1.0), xp.zeros_like(sums))


def _first_biases(problem: Any) -> tuple[Any, Any]:
    """Row and column biases alone, by a few turns of means; zeros where they are not fitted."""
    xp, obs = problem.xp, problem.observed
    values = _within_reach(problem, obs.values)
    a, c = xp.zeros_like(obs.row_weight), xp.zeros_like(obs.col_weight)
    for _ in range(START_ITERATIONS):
        if problem.col_bias:
            E = obs.matrix_t(values - _additive(problem, a, xp.zeros_like(c)))
            c = _means(xp, E @ xp.ones_like(a), obs.col_weight)
        if problem.row_bias:
            E = obs.matrix(values - _additive(problem, xp.zeros_like(a), c))
            a = _means(xp, E @ xp.ones_like(c), obs.row_weight)
    return a, c


def _additive(problem: Any, a: Any, c: Any) -> Any:
    """Entry values of ``a_i + c_j``."""
    xp = problem.xp
    stack, one = xp.stack, xp.ones_like
    return problem.observed.products(stack([a, one(a)], axis=1), stack([one(c), c], axis=1))


def random_columns(problem: Any) -> Any:
    """A seeded Gaussian array of shape ``(n, k)``; drawn on the host, equal on every device."""
    shape = problem.observed.shape[1], problem.k
    host = np.random.default_rng(problem.seed).standard_normal(shape)
    return problem.xp.asarray(host, dtype=problem.dtype, device=problem.device)


def _from_cols(problem: Any, V: Any, c: Any) -> Any:
    """Start from ``V``, in units of the square root of the values' size."""
    xp, obs = problem.xp, problem.observed
    values = _within_reach(problem, obs.values)
    size = xp.sqrt(obs.dot(values, values) / obs.total)
    seen = xp.astype(obs.col_weight > 0, problem.dtype)[:, None]
    V = xp.abs(V) if problem.positive else V
    Q = V * xp.sqrt(size) * seen
    if problem.col_bias:
        Q = xp.concat([Q, c[:, None]], axis=1)
    return problem.from_cols(Q)
