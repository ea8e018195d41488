"""How other libraries are asked to fill a matrix: ``fill(X, rank, strength)`` gives all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import lsqr, svds


@dataclass(frozen=True)
class Rival:
    """A peer; ``tuned`` says whether it has a strength to choose."""

    library: str
    fill: Callable[[Any, int, float], np.ndarray]
    tuned: bool = False


def _triplets(X: Any) -> Any:
    """The observed entries in COO form."""
    if sparse.issparse(X):
        return sparse.coo_matrix(X)
    rows, cols = np.nonzero(~np.isnan(X))
    return sparse.coo_matrix((X[rows, cols], (rows, cols)), shape=X.shape)


def _with_gaps(X: Any) -> np.ndarray:
    """A dense array with NaN where nothing is observed."""
    if not sparse.issparse(X):
        return np.asarray(X)
    dense, entries = np.full(X.shape, np.nan), _triplets(X)
    dense[entries.row, entries.col] = entries.data
    return dense


def _in_units(fill: Callable[[np.ndarray], Any]) -> Callable[[Any], np.ndarray]:
    """``fill`` on standardised columns, and back: what an analyst does with a table."""

    def scaled(X: Any) -> np.ndarray:
        dense = _with_gaps(X)
        if sparse.issparse(X):
            return np.asarray(fill(dense))
        centre, spread = np.nanmean(dense, axis=0), np.nanstd(dense, axis=0)
        return np.asarray(fill((dense - centre) / spread)) * spread + centre

    return scaled


def _cmfrec(X: Any, rank: int, strength: float, nonneg: bool = False) -> np.ndarray:
    from cmfrec import CMF

    def fill(X: Any) -> np.ndarray:
        model = CMF(
            k=rank,
            lambda_=strength,
            method="als",
            use_cg=False,
            user_bias=False,
            item_bias=False,
            center=False,
            niter=15 if strength > 1e-6 else 300,
            nonneg=nonneg,
            nthreads=1,
            verbose=False,
            random_state=1,
            use_float=strength > 1e-6,
        ).fit(_triplets(X))
        return np.asarray(model.A_ @ model.B_.T, dtype=float)

    return fill(X) if sparse.issparse(X) else _in_units(fill)(X)


def _pymanopt(X: Any, rank: int, strength: float) -> np.ndarray:
    import pymanopt
    from pymanopt.manifolds import FixedRankEmbedded
    from pymanopt.optimizers import ConjugateGradient

    entries = _triplets(X)
    manifold = FixedRankEmbedded(*X.shape, rank)

    def left(u: Any, s: Any, vt: Any) -> Any:
        scaled = u * s
        return np.sum(scaled[entries.row] * vt.T[entries.col], axis=1) - entries.data

    @pymanopt.function.numpy(manifold)
    def cost(u: Any, s: Any, vt: Any) -> Any:
        return 0.5 * np.sum(left(u, s, vt) ** 2)

    @pymanopt.function.numpy(manifold)
    def gradient(u: Any, s: Any, vt: Any) -> Any:
        E = sparse.csr_array((left(u, s, vt), (entries.row, entries.col)), shape=X.shape)
        along = E @ vt.T
        return along * s, np.sum(u * along, axis=0), s[:, None] * (E.T @ u).T

    problem = pymanopt.Problem(manifold, cost, euclidean_gradient=gradient)
    optimizer = ConjugateGradient(
        max_iterations=1000, min_gradient_norm=1e-10, min_step_size=1e-14, verbosity=0
    )
    u, s, vt = svds(entries.tocsr() * (X.shape[0] * X.shape[1] / entries.nnz), k=rank, rng=0)
    point = optimizer.run(problem, initial_point=type(manifold.random_point())(u, s, vt)).point
    return np.asarray((point.u * point.s) @ point.vt)


def _r2rils(X: Any, rank: int, strength: float) -> np.ndarray:
    """J. Bauch, B. Nadler, P. Zilber, "Rank 2r iterative least squares: efficient recovery of
    ill-conditioned low rank matrices from few entries", SIAM J. Math. Data Sci. 3 (2021),
    algorithm 1, from its formulas: the least-squares fit of least norm by ``U B' + A V'``, of rank
    2r, after which the columns of U and A, of length one, are averaged, and those of V and B."""
    entries, (m, n) = _triplets(X), X.shape
    i, j, x = entries.row, entries.col, entries.data
    each, within = np.repeat(np.arange(len(x)), rank), np.arange(rank)

    def design(features: np.ndarray, at: np.ndarray, size: int) -> Any:
        where = (each, (at[:, None] * rank + within).ravel())
        return sparse.csr_array((features.ravel(), where), shape=(len(x), size * rank))

    def unit(a: np.ndarray) -> np.ndarray:
        return np.asarray(a / np.linalg.norm(a, axis=0))

    U, _, Vt = svds(entries.tocsr(), k=rank, rng=0)
    V, best, filled = Vt.T, np.inf, np.zeros((m, n))
    for _ in range(100):
        system = sparse.hstack([design(V[j], i, m), design(U[i], j, n)], format="csr")
        solved = lsqr(system, x, atol=1e-15, btol=1e-15, iter_lim=1500)[0]
        A, B = np.split(solved, [m * rank])
        A, B = A.reshape(m, rank), B.reshape(n, rank)
        # The best matrix of rank r to it, by the small factors of its own.
        left, small = np.linalg.qr(np.hstack([U, A]))
        right, other = np.linalg.qr(np.hstack([B, V]))
        u, s, vt = np.linalg.svd(small @ other.T)
        L, R = (left @ u[:, :rank]) * s[:rank], right @ vt[:rank].T
        miss = np.linalg.norm(np.sum(L[i] * R[j], axis=1) - x) / np.linalg.norm(x)
        if miss < best:
            best, filled = miss, L @ R.T
        if miss <= 1e-12:
            break
        U, V = unit(U + unit(A)), unit(V + unit(B))
    return filled


def _iterative_svd(X: Any, rank: int, strength: float) -> np.ndarray:
    from fancyimpute import IterativeSVD

    return _in_units(IterativeSVD(rank=rank, max_iters=200, verbose=False).fit_transform)(X)


def _soft_impute(X: Any, rank: int, strength: float) -> np.ndarray:
    from fancyimpute import SoftImpute

    return _in_units(SoftImpute(max_rank=rank, verbose=False).fit_transform)(X)


def _iterative_imputer(X: Any, rank: int, strength: float) -> np.ndarray:
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    return _in_units(IterativeImputer(random_state=0).fit_transform)(X)


def _knn_imputer(X: Any, rank: int, strength: float) -> np.ndarray:
    from sklearn.impute import KNNImputer

    return _in_units(KNNImputer().fit_transform)(X)


RIVALS = {
    "cmfrec": Rival("cmfrec", _cmfrec, tuned=True),
    "cmfrec non-negative": Rival(
        "cmfrec", lambda X, rank, strength: _cmfrec(X, rank, strength, nonneg=True), tuned=True
    ),
    "pymanopt": Rival("pymanopt", _pymanopt),
    "R2RILS": Rival("scipy", _r2rils),
    "IterativeSVD": Rival("fancyimpute", _iterative_svd),
    "SoftImpute": Rival("fancyimpute", _soft_impute),
    "IterativeImputer": Rival("sklearn", _iterative_imputer),
    "KNNImputer": Rival("sklearn", _knn_imputer),
}
