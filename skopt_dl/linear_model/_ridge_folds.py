r"""Ridge regression on the training part of each fold, for all strengths at once.

Tall data: the products :math:`X'X, X'Y` of each held-out part are formed once, a training part has
the total less its own, and one decomposition of it serves all strengths. Wide data: the products
:math:`XX'` of all rows are formed once, and a training part has a block of them. Where products
would lose too many digits the training rows themselves are decomposed.

Everything is measured from the means of all rows, where sums of squares do not cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skopt_dl.kernels.namespace import device_of
from skopt_dl.linear_model._ridge_data import CentredRows, accurate
from skopt_dl.linops import (
    Centred,
    LinearMap,
    NotPositiveDefiniteError,
    PositiveFactor,
    design,
    solve_svd,
)
from skopt_dl.linops.aside import eigh

Split = tuple[np.ndarray, np.ndarray]


class PrimalModels:
    """The models of one training part for all strengths, by their coefficients.

    Parameters
    ----------
    data : CentredRows
        All rows.
    coef : array of shape (p, A, K)
        Coefficients of each strength and target.
    intercept : array of shape (A, K)
        Intercepts beside ``data.map``.
    """

    def __init__(self, data: CentredRows, coef: Any, intercept: Any) -> None:
        self.data, self.coef, self.intercept = data, coef, intercept

    def predict(self, rows: Any) -> Any:
        """Predictions for the rows of those indices, of shape (rows, A, K)."""
        data, (p, A, K) = self.data, self.coef.shape
        flat = data.map.take_rows(rows).matvec(data.xp.reshape(self.coef, (p, A * K)))
        return data.xp.reshape(flat, (-1, A, K)) + (self.intercept + data.y_mean)

    def fitted(self) -> tuple[Any, Any]:
        """Coefficients (A, K, p) and intercepts (A, K) beside the raw data."""
        data, xp, (p, A, K) = self.data, self.data.xp, self.coef.shape
        intercept = self.intercept + data.y_mean
        if data.fit_intercept:
            moved = data.x_mean @ xp.reshape(self.coef, (p, A * K))
            intercept = intercept - xp.reshape(moved, (A, K))
        return xp.permute_dims(self.coef, (1, 2, 0)), intercept


class DualModels:
    """The models of one training part for all strengths, by a combination of its rows.

    Parameters
    ----------
    data : CentredRows
        All rows.
    products : array of shape (n, n)
        ``A A'`` of ``data.map``.
    train : array of int
        Rows of the training part.
    c : array of shape (train, A, K)
        Coefficients of the rows; they sum to zero where there is an intercept.
    intercept : array of shape (A, K)
        Intercepts beside ``data.map``.
    """

    def __init__(
        self, data: CentredRows, products: Any, train: Any, c: Any, intercept: Any
    ) -> None:
        self.data, self.products, self.train = data, products, train
        self.c, self.intercept = c, intercept

    def predict(self, rows: Any) -> Any:
        """Predictions for the rows of those indices, of shape (rows, A, K)."""
        xp, (m, A, K) = self.data.xp, self.c.shape
        block = xp.take(xp.take(self.products, rows, axis=0), self.train, axis=1)
        flat = block @ xp.reshape(self.c, (m, A * K))
        return xp.reshape(flat, (-1, A, K)) + (self.intercept + self.data.y_mean)

    def fitted(self) -> tuple[Any, Any]:
        """Coefficients (A, K, p) and intercepts (A, K) beside the raw data."""
        data, xp, (m, A, K) = self.data, self.data.xp, self.c.shape
        coef = data.map.take_rows(self.train).rmatvec(xp.reshape(self.c, (m, A * K)))
        return PrimalModels(data, xp.reshape(coef, (-1, A, K)), self.intercept).fitted()


class TallFolds:
    """Training parts of data with at least as many rows as columns, by their moments.

    Parameters
    ----------
    data : CentredRows
        All rows.
    splits : sequence of (train, test)
        Indices on the host.
    """

    def __init__(self, data: CentredRows, splits: Sequence[Split]) -> None:
        self.data, self.splits = data, splits
        self.total: tuple[Any, ...] | None = None
        n = data.map.shape[0]
        if all(_is_partition(n, *split) for split in splits):
            self.held_out = [self._moments(test) for _, test in splits]
            if _is_partition(n, *(test for _, test in splits)):
                self.total = tuple(sum(parts) for parts in zip(*self.held_out, strict=True))
            else:
                self.total = self._moments(np.arange(n))

    def _moments(self, rows: np.ndarray) -> tuple[Any, ...]:
        """``X'sX, X'sY, X's, Y's, sum s`` of some rows."""
        data, xp = self.data, self.data.xp
        index = data.index(rows)
        part, s = data.map.take_rows(index), xp.take(data.s, index)
        weighed = s[:, None] * xp.take(data.Y, index, axis=0)
        # Side by side, for they may be read from a file.
        sums = part.rmatvec(xp.concat([weighed, s[:, None]], axis=1))
        moments = part.gram(s), sums[:, :-1], sums[:, -1]
        return (*moments, xp.sum(weighed, axis=0), xp.sum(s))

    def fit(self, fold: int, alphas: Any) -> PrimalModels | None:
        """The models of a training part; ``None`` where no way to them is accurate enough."""
        data, xp = self.data, self.data.xp
        if self.total is None:
            moments = whole = self._moments(self.splits[fold][0])
        else:
            whole, part = self.total, self.held_out[fold]
            moments = tuple(a - b for a, b in zip(whole, part, strict=True))
        G, R, sums, y_sums, weight = moments
        mean, level = (sums / weight, y_sums / weight) if data.fit_intercept else (0 * sums, 0)
        G, R = G - sums[:, None] * mean, R - sums[:, None] * level
        values, V = eigh(G)
        values = xp.clip(values, 0, None)
        # The difference has the rounding of what it was taken from.
        largest = xp.max(xp.sum(xp.abs(whole[0]), axis=0))
        if not accurate(values[0] + xp.min(alphas), largest):
            return _by_rows(data, data.index(self.splits[fold][0]), alphas)
        (p, K), A = R.shape, alphas.shape[0]
        inner = (V.T @ R)[:, None, :] / (values[:, None] + alphas)[:, :, None]
        coef = V @ xp.reshape(inner, (p, A * K))
        intercept = level - xp.reshape(mean @ coef, (A, K))
        return PrimalModels(data, xp.reshape(coef, (p, A, K)), intercept)

    def coef(self, alpha: float) -> Any:
        """Coefficients (p, K) of all rows with one strength; ``None`` if not at hand."""
        if self.total is None:
            return None
        data, (G, R) = self.data, self.total[:2]

        def normal(W: Any) -> Any:
            return data.map.rmatvec(data.s[:, None] * data.map.matvec(W)) + alpha * W

        return _refined(data.xp, G, R, alpha, normal)


class WideFolds:
    """Training parts of data with more columns than rows, by products of rows; see `TallFolds`."""

    def __init__(self, data: CentredRows, splits: Sequence[Split]) -> None:
        self.data, self.splits = data, splits
        self.products = data.map.row_gram()

    def fit(self, fold: int, alphas: Any) -> DualModels | PrimalModels | None:
        """The models of a training part; ``None`` where no way to them is accurate enough."""
        data, xp = self.data, self.data.xp
        train = data.index(self.splits[fold][0])
        P = xp.take(xp.take(self.products, train, axis=0), train, axis=1)
        s, Y, root = xp.take(data.s, train), xp.take(data.Y, train, axis=0), data.root
        root, scale = xp.take(root, train), xp.max(xp.linalg.diagonal(P)) * xp.max(s)
        omega, (m, K), A = s / xp.sum(s), Y.shape, alphas.shape[0]
        means = P @ omega
        level = omega @ Y
        if data.fit_intercept:
            P = P - means[:, None] - means + omega @ means
            Y = Y - level
        M = root[:, None] * P * root
        if data.fit_intercept:
            # Centred rows have no part along the roots; a number there keeps zero out of the way.
            lift = xp.mean(xp.linalg.diagonal(M)) / xp.sum(s)
            M = M + lift * root[:, None] * root
        values, U = eigh(M)
        values = xp.clip(values, 0, None)
        largest = xp.where(values[-1] > scale, values[-1], scale)
        if not accurate(values[0] + xp.min(alphas), largest):
            return _by_rows(data, train, alphas)
        q = U.T @ (root[:, None] * Y)
        inner = q[:, None, :] / (values[:, None] + alphas)[:, :, None]
        c = root[:, None] * (U @ xp.reshape(inner, (m, A * K)))
        intercept = xp.zeros((A, K), dtype=c.dtype, device=device_of(c))
        if data.fit_intercept:
            c = c - omega[:, None] * xp.sum(c, axis=0)
            intercept = level - xp.reshape(means @ c, (A, K))
        return DualModels(data, self.products, train, xp.reshape(c, (m, A, K)), intercept)

    def coef(self, alpha: float) -> Any:
        """Coefficients (p, K) of all rows with one strength; ``None`` if not at hand."""
        data, root = self.data, self.data.root[:, None]

        def normal(c: Any) -> Any:
            return root * data.map.matvec(data.map.rmatvec(root * c)) + alpha * c

        products = root * self.products * data.root
        c = _refined(data.xp, products, root * data.Y, alpha, normal)
        return None if c is None else data.map.rmatvec(root * c)


def _refined(xp: Any, G: Any, R: Any, alpha: float, product: Callable[[Any], Any]) -> Any:
    """``(G + alpha)^-1 R``, refined once by ``product``, the same matrix; ``None`` if singular."""
    try:
        factor = PositiveFactor(G + alpha * xp.eye(G.shape[0], dtype=G.dtype, device=device_of(G)))
    except NotPositiveDefiniteError:
        return None
    W = factor.solve(R)
    return W + factor.solve(R - product(W))


def _by_rows(data: CentredRows, train: Any, alphas: Any) -> PrimalModels | None:
    """The models by the decomposition of the training rows; ``None`` for sparse data."""
    if data.map.layout == "sparse":
        return None
    xp = data.xp
    X, s = data.map.take_rows(train).to_dense(), xp.take(data.s, train)
    Y, omega = xp.take(data.Y, train, axis=0), s / xp.sum(s)
    part: LinearMap = design(X)
    level = omega @ Y if data.fit_intercept else 0.0 * Y[0, :]
    mean = omega @ X if data.fit_intercept else 0.0 * X[0, :]
    part = Centred(part, mean) if data.fit_intercept else part
    (_, p), K, A = part.shape, Y.shape[1], alphas.shape[0]
    # Each strength with each target is a target of its own.
    targets = xp.tile(Y - level, (1, A))
    ridge = xp.zeros((p, 1), dtype=X.dtype, device=device_of(X)) + xp.repeat(alphas, K)
    coef = solve_svd(part, s, targets, ridge)
    intercept = level - xp.reshape(mean @ coef, (A, K))
    return PrimalModels(data, xp.reshape(coef, (p, A, K)), intercept)


def _is_partition(n: int, *parts: np.ndarray) -> bool:
    """Whether the parts hold each of ``0 .. n-1`` once."""
    every = np.concatenate(parts)
    return every.size == n and bool(np.all(np.bincount(every, minlength=n) == 1))


def fold_ridge(data: CentredRows, splits: Sequence[Split]) -> TallFolds | WideFolds:
    """Ridge regression on each training part, by the products of the smaller side."""
    n, p = data.map.shape
    return (WideFolds if n < p else TallFolds)(data, splits)
