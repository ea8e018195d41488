"""Small completion problems: exact ones, and the nuclear norm with its optimum by dense algebra."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from skopt_dl.matrix_completion import MatrixCompletion


def exact(m, n, rank, oversampling, condition=1.0, seed=0):
    """A matrix of this rank with ``oversampling * rank (m + n - rank)`` entries, NaN elsewhere.

    Every row and column keeps more entries than the rank, without which nothing is determined.
    """
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((size, rank)))[0] for size in (m, n))
    full = (U * np.geomspace(1, 1 / condition, rank)) @ V.T * np.sqrt(m * n)
    wanted = int(oversampling * rank * (m + n - rank))
    seen = np.zeros((m, n), dtype=bool)
    for i in range(m):
        seen[i, rng.permutation(n)[: rank + 1]] = True
    for j in range(n):
        seen[rng.permutation(m)[: max(0, rank + 1 - seen[:, j].sum())], j] = True
    free = rng.permutation(np.flatnonzero(~seen))[: max(0, wanted - seen.sum())]
    seen.flat[free] = True
    return np.where(seen, full, np.nan), full


def distance(problem, w, full):
    L, R = problem.factors(w)
    return np.linalg.norm(L @ R.T - full) / np.linalg.norm(full)


def data(m=40, n=30, seed=0, missing=0.6):
    """A noisy matrix of rank 3, NaN in 60 % of its cells."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, 3)) @ rng.standard_normal((3, n))
    X += 0.3 * rng.standard_normal((m, n))
    return np.where(rng.random((m, n)) < missing, np.nan, X)


X = data()
SEEN = ~np.isnan(X)


def dense(alpha, steps=1500):
    """Soft-impute on full matrices: ``(Z, objective)``."""
    m, n = X.shape
    threshold = alpha * SEEN.sum() / np.sqrt(m * n)
    Z = np.zeros_like(X)
    for _ in range(steps):
        U, s, Vt = np.linalg.svd(np.where(SEEN, X, Z), full_matrices=False)
        s = np.maximum(s - threshold, 0)
        Z = (U * s) @ Vt
    loss = 0.5 * np.mean((Z - X)[SEEN] ** 2)
    return Z, loss + alpha * s.sum() / np.sqrt(m * n)


def nuclear(alpha=0.4, rank=12, layout="dense"):
    entries = X
    if layout == "sparse":
        entries = sparse.coo_array((X[SEEN], np.nonzero(SEEN)), shape=X.shape).tocsr()
    model = MatrixCompletion(rank, alpha=alpha, penalty="nuclear", random_state=0)
    return model._build_problem(entries)
