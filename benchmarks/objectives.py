"""Objectives: the error of an answer, computed here from the data and nothing else.

Each class holds the data and the strength of one problem; ``error(answer)`` is dimensionless and 0
at the optimum. Products run in float64 whatever the data are.
"""

from __future__ import annotations

from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.model_selection import KFold, StratifiedKFold

import skopt_dl.linear_model as own


def centred_product(X: Any, R: Any) -> Any:
    """``X' R`` of residuals that sum to zero, so that the columns need no centring."""
    return X.T @ (R - R.mean(axis=0))


def relative_gaps(X: Any, y: Any, alphas: Any, l1_ratio: float, W: Any) -> Any:
    """Duality gap of ``|y - Xw - b|^2 / 2n + alpha (rho |w|_1 + (1 - rho) |w|^2 / 2)`` over the
    objective of the null model, for each column w of ``W`` with its best intercept."""
    n, y = len(y), np.asarray(y, dtype=np.float64)
    l1, l2 = np.asarray(alphas) * l1_ratio, np.asarray(alphas) * (1 - l1_ratio)
    yc = y - y.mean()
    R = y[:, None] - X @ W
    R -= R.mean(axis=0)
    squares, cross = np.sum(R**2, axis=0) / n, yc @ R / n
    ridge = l2 * np.sum(W**2, axis=0)
    primal = squares / 2 + l1 * np.abs(W).sum(axis=0) + ridge / 2
    # The quadratic penalty as further rows sqrt(n l2) I with target 0.
    largest = np.abs(centred_product(X, R) / n - l2 * W).max(axis=0)
    norm = squares + ridge
    scale = np.minimum(l1 / np.maximum(largest, 1e-300), cross / np.maximum(norm, 1e-300))
    dual = scale * cross - scale**2 * norm / 2
    return np.maximum(primal - dual, 0) / (yc @ yc / (2 * n))


class _Regression:
    """Data of a regression; ``X64`` serves the products of the error."""

    def __init__(self, X: Any, y: Any) -> None:
        self.X, self.y = X, y

    @cached_property
    def X64(self) -> Any:  # noqa: N802
        return self.X if self.X.dtype == np.float64 else self.X.astype(np.float64)


class Lasso(_Regression):
    """One strength of a lasso or elastic net; the error is the relative duality gap."""

    def __init__(self, X: Any, y: Any, divisor: float, l1_ratio: float = 1.0) -> None:
        super().__init__(X, y)
        self.l1_ratio = l1_ratio
        self.alpha = largest_alpha(X, y) / l1_ratio / divisor

    def error(self, answer: Any) -> float:
        w = np.ravel(np.asarray(answer.coef_, dtype=np.float64))[:, None]
        gap = relative_gaps(self.X64, self.y, [self.alpha], self.l1_ratio, w)[0]
        # The intercept of the answer itself, where it is not the best one.
        y = np.asarray(self.y, dtype=np.float64)
        off = float(np.mean(y - self.X64 @ w[:, 0])) - float(answer.intercept_)
        return float(gap + off**2 / np.var(y))


class LassoPath(_Regression):
    """A hundred strengths of centred data; the largest of their relative duality gaps."""

    def __init__(self, X: Any, y: Any, eps: float, n_alphas: int = 100) -> None:
        X = np.asfortranarray(X - X.mean(axis=0)) if not hasattr(X, "tocsc") else X
        super().__init__(X, y - y.mean())
        self.alphas = np.geomspace(1, eps, n_alphas) * largest_alpha(X, self.y)

    def error(self, coefs: Any) -> float:
        if coefs.shape[1] != len(self.alphas):
            return np.inf
        return float(relative_gaps(self.X, self.y, self.alphas, 1.0, coefs).max())


class LassoSelection(_Regression):
    """Five folds of a hundred strengths and the refit: the larger of the refit's relative gap and
    the squared error of ``mse_path_`` over the variance of y. The exact errors are those of paths
    whose gaps are certified here."""

    def __init__(self, X: Any, y: Any, eps: float = 1e-3, n_alphas: int = 100) -> None:
        super().__init__(X, y)
        self.alphas = np.geomspace(1, eps, n_alphas) * largest_alpha(X, y)
        self.folds = list(KFold(5).split(X))

    def mse_of(self, path: Any) -> Any:
        """``mse_path_`` from a function of (X, y) to coefficients, on centred training data."""
        mse = np.empty((len(self.alphas), len(self.folds)))
        for k, (train, test) in enumerate(self.folds):
            mean, centre = self.X[train].mean(axis=0), self.y[train].mean()
            W = path(np.asfortranarray(self.X[train] - mean), self.y[train] - centre)
            residuals = (self.y[test] - centre)[:, None] - (self.X[test] - mean) @ W
            mse[:, k] = np.mean(residuals**2, axis=0)
        return mse

    @cached_property
    def exact(self) -> Any:
        def certified(X: Any, y: Any) -> Any:
            W = own.lasso_path(X, y, alphas=self.alphas, tol=1e-13, max_iter=10**6)[1]
            worst = relative_gaps(X, y, self.alphas, 1.0, W).max()
            if worst > 1e-10:
                raise RuntimeError(f"the reference path has a relative gap of {worst:.1e}")
            return W

        return self.mse_of(certified)

    def error(self, answer: Any) -> float:
        refit = Lasso.__new__(Lasso)
        _Regression.__init__(refit, self.X, self.y)
        refit.alpha, refit.l1_ratio = answer.alpha_, 1.0
        off = np.abs(answer.mse_path_ - self.exact).max() / np.var(self.y)
        return max(refit.error(answer), float(off**2))


class Ridge(_Regression):
    """``|Y - XW - b|^2 + alpha |W|^2``: the largest gradient over the largest at zero."""

    def __init__(self, X: Any, y: Any, alpha: float) -> None:
        super().__init__(X, y)
        self.alpha = alpha

    def error(self, answer: Any) -> float:
        Y = self.y.reshape(len(self.y), -1)
        W = np.asarray(answer.coef_).reshape(Y.shape[1], -1).T
        R = Y - self.X @ W - answer.intercept_
        grad = centred_product(self.X, R) - self.alpha * W
        null = centred_product(self.X, Y)
        off = np.abs(R.mean(axis=0)).max() / Y.std()
        return float(max(np.abs(grad).max() / np.abs(null).max(), off))


class RidgeSelection(Ridge):
    """A choice among strengths, leave-one-out or by folds: the error of the refit at the strength
    chosen, 1 if it is another than the most common among the candidates' (`consensus`)."""

    def __init__(self, X: Any, y: Any, alphas: Any, cv: int | None) -> None:
        super().__init__(X, y, 0.0)
        self.alphas, self.cv = alphas, cv

    @cached_property
    def consensus(self) -> float:
        """The strength of scikit-learn's decomposition-free definition: explicit refits."""
        near = own.RidgeCV(self.alphas, cv=self.cv).fit(self.X, self.y).alpha_
        at = int(np.argmin(np.abs(self.alphas - near)))
        near = self.alphas[max(0, at - 1) : at + 2]
        folds = KFold(self.cv).split(self.X) if self.cv else None
        if folds is None:
            return float(own.RidgeCV(near, gcv_mode="svd").fit(self.X, self.y).alpha_)
        scores = np.zeros(len(near))
        for train, test in folds:
            for k, alpha in enumerate(near):
                model = own.Ridge(alpha, solver="svd").fit(self.X[train], self.y[train])
                scores[k] += model.score(self.X[test], self.y[test])
        return float(near[int(np.argmax(scores))])

    def error(self, answer: Any) -> float:
        self.alpha = float(np.ravel(answer.alpha_)[0])
        return super().error(answer) if np.isclose(self.alpha, self.consensus) else 1.0


class RidgeGrid(RidgeSelection):
    """The same of a grid search."""

    def error(self, answer: Any) -> float:
        best = answer.best_estimator_
        return super().error(
            SimpleNamespace(alpha_=best.alpha, coef_=best.coef_, intercept_=best.intercept_)
        )


class Logistic(_Regression):
    """The mean log-loss of classes 0, 1, ... ``+ |W|^2 / (2 C n)``: the gradient over that at the
    null model's intercept."""

    def __init__(self, X: Any, y: Any, C: float) -> None:
        super().__init__(X, y)
        self.C = C

    def error(self, answer: Any) -> float:
        n, W = len(self.y), answer.coef_
        one_hot = (self.y[:, None] == np.arange(len(answer.classes_))).astype(float)
        Z = self.X @ W.T + answer.intercept_
        if Z.shape[1] == 1:
            one_hot, P = one_hot[:, 1:], expit(Z)
        else:
            P = softmax(Z, axis=1)
        slope = P - one_hot
        grad = self.X.T @ slope / n + W.T / (self.C * n)
        null = self.X.T @ (one_hot.mean(axis=0) - one_hot) / n
        return float(max(np.abs(grad).max(), np.abs(slope.mean(axis=0)).max()) / np.abs(null).max())


class LogisticSelection(_Regression):
    """Ten strengths by five folds: the largest error, as that of `Logistic`, of any fold's path."""

    def error(self, answer: Any) -> float:
        worst = 0.0
        splits = StratifiedKFold(5).split(np.zeros(len(self.y)), self.y)
        for (train, _), paths in zip(splits, answer.coefs_paths_[:, 0], strict=True):
            X, y = self.X[train], self.y[train]
            for C, path in zip(answer.Cs_, paths, strict=True):
                found = SimpleNamespace(
                    coef_=path[:, :-1], intercept_=path[:, -1], classes_=answer.classes_
                )
                worst = max(worst, Logistic(X, y, float(C)).error(found))
        return worst


class Grid(Lasso):
    """A grid search: the relative gap of its best estimator."""

    def error(self, answer: Any) -> float:
        self.alpha = float(answer.best_params_["alpha"])
        return super().error(answer.best_estimator_)


def largest_alpha(X: Any, y: Any) -> float:
    """The alpha above which every coefficient of a lasso is zero."""
    y = np.asarray(y, dtype=np.float64)
    X = X if X.dtype == np.float64 else X.astype(np.float64)
    return float(np.abs(centred_product(X, y)).max() / len(y))
