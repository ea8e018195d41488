"""Small problems with known optima, for every solver.

A case makes its problem in any array namespace. Its optimum is found by other means than this
package, by scikit-learn's estimators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import (
    ElasticNet as SkElasticNet,
    Lasso as SkLasso,
    LogisticRegression as SkLogisticRegression,
    Ridge as SkRidge,
)

from skopt_dl.losses import Logistic, Multinomial, Squared
from skopt_dl.penalties import L1, L2, ElasticNet, L1Ball
from skopt_dl.problems import LinearProblem
from skopt_dl.problems.block_sum import BlockSum


def _design(n: int, p: int) -> np.ndarray:
    """Correlated columns of different units; a fifth of the entries are zeros."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1)) + 0.2
    X[rng.random((n, p)) < 0.2] = 0.0
    return X * np.linspace(0.5, 2.0, p)


def _signal(X: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(8)
    w = np.zeros(X.shape[1])
    w[:3] = (1.5, -2.0, 1.0)
    return X @ w + 0.3 * rng.standard_normal(X.shape[0])


def _classes(signal: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(9)
    noisy = signal + np.std(signal) * rng.standard_normal(signal.shape[0])
    return np.digitize(noisy, np.quantile(noisy, [0.3, 0.7]))


@dataclass(frozen=True)
class Case:
    """A linear problem.

    Attributes
    ----------
    name : str
    loss, penalty : Loss, Penalty
    reference : callable
        ``(X, y, sample_weight, fit_intercept) -> coef`` of shape (p,) or (p, K), by other means.
    shape : tuple of int
    layout : {"C", "F", "csc", "csr"}
    dtype : str
    weighted, intercept : bool
    outputs : int
        Targets of a regression.
    """

    name: str
    loss: Any
    penalty: Any
    reference: Callable[..., np.ndarray]
    shape: tuple[int, int] = (40, 6)
    layout: str = "C"
    dtype: str = "float64"
    weighted: bool = False
    intercept: bool = True
    outputs: int = 1

    def __str__(self) -> str:
        return self.name

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """X, the target in the loss's form and the weights, in double precision."""
        X = _design(*self.shape)
        signal = _signal(X)
        weights = None
        if self.weighted:
            weights = np.random.default_rng(3).integers(0, 4, X.shape[0]).astype(float)
        if isinstance(self.loss, Squared):
            y = signal + 3.0
            if self.outputs > 1:
                y = np.stack([y * (k + 1) + X[:, k] for k in range(self.outputs)], axis=1)
        elif isinstance(self.loss, Logistic):
            y = (_classes(signal) > 0).astype(float)
        else:
            y = np.eye(3)[_classes(signal)]
        return X, y, weights

    def problem(self, xp: Any = np, device: Any = None) -> LinearProblem:
        """The problem in namespace ``xp``, on ``device``."""
        X, y, weights = (None if a is None else a.astype(self.dtype) for a in self.data)
        if self.layout in ("csc", "csr"):
            X = sp.csc_array(X) if self.layout == "csc" else sp.csr_array(X)
        else:
            X = np.asarray(X, order=self.layout)
        if xp is not np:
            X, y, weights = (
                None if a is None else xp.asarray(a, device=device) for a in (X, y, weights)
            )
        return LinearProblem(
            X,
            y,
            self.loss,
            self.penalty,
            sample_weight=weights,
            fit_intercept=self.intercept,
            description=f"the case {self.name}",
        )

    @property
    def portable(self) -> bool:
        """Whether it exists outside NumPy: dense and in double precision."""
        return self.layout in ("C", "F") and self.dtype == "float64"

    @cached_property
    def optimum(self) -> np.ndarray:
        """The coefficients at the optimum."""
        X, y, weights = self.data
        return np.asarray(self.reference(X, y, weights, self.intercept))


def _lasso(alpha: float, positive: bool = False) -> Callable[..., np.ndarray]:
    def solve(X: Any, y: Any, weights: Any, intercept: bool) -> np.ndarray:
        model = SkLasso(
            alpha, fit_intercept=intercept, tol=1e-12, max_iter=10**6, positive=positive
        )
        return model.fit(X, y, sample_weight=weights).coef_

    return solve


def _enet(l1: float, l2: float) -> Callable[..., np.ndarray]:
    def solve(X: Any, y: Any, weights: Any, intercept: bool) -> np.ndarray:
        model = SkElasticNet(
            l1 + l2, l1_ratio=l1 / (l1 + l2), fit_intercept=intercept, tol=1e-12, max_iter=10**6
        )
        return model.fit(X, y, sample_weight=weights).coef_

    return solve


def _ridge(alpha: float) -> Callable[..., np.ndarray]:
    def solve(X: Any, y: Any, weights: Any, intercept: bool) -> np.ndarray:
        total = X.shape[0] if weights is None else np.sum(weights)
        model = SkRidge(alpha * total, fit_intercept=intercept, solver="svd")
        return model.fit(X, y, sample_weight=weights).coef_.T

    return solve


def _logistic(alpha: float, l1_ratio: float = 0.0) -> Callable[..., np.ndarray]:
    def solve(X: Any, y: Any, weights: Any, intercept: bool) -> np.ndarray:
        labels = y if y.ndim == 1 else np.argmax(y, axis=1)
        total = X.shape[0] if weights is None else np.sum(weights)
        model = SkLogisticRegression(
            C=1 / (alpha * total),
            l1_ratio=l1_ratio,
            solver="saga" if l1_ratio else "newton-cg",
            fit_intercept=intercept,
            tol=1e-10,
            max_iter=10**6,
            random_state=0,
        )
        coef = model.fit(X, labels, sample_weight=weights).coef_
        return coef[0] if y.ndim == 1 else coef.T

    return solve


_LASSO = (Squared(), L1(0.3), _lasso(0.3))
_RIDGE = (Squared(), L2(0.2), _ridge(0.2))
_L1_LOGISTIC = (Logistic(), L1(0.03), _logistic(0.03, 1.0))
_L2_LOGISTIC = (Logistic(), L2(0.05), _logistic(0.05))
# The ball whose radius is the norm of the lasso's answer has the same answer.
_BALL_RADIUS = float(np.sum(np.abs(Case("lasso", *_LASSO).optimum)))

CASES: tuple[Case, ...] = (
    Case("lasso", *_LASSO),
    Case("lasso, no intercept", *_LASSO, intercept=False),
    Case("lasso, weights", *_LASSO, weighted=True),
    Case("lasso, Fortran order", *_LASSO, layout="F"),
    Case("lasso, CSC", *_LASSO, layout="csc"),
    Case("lasso, CSR, weights", *_LASSO, layout="csr", weighted=True),
    Case("lasso, float32", *_LASSO, dtype="float32"),
    Case("lasso, n < p", *_LASSO, shape=(12, 20)),
    Case("positive lasso", Squared(), L1(0.3, positive=True), _lasso(0.3, positive=True)),
    Case("elastic net", Squared(), ElasticNet(0.2, 0.3), _enet(0.2, 0.3)),
    Case("elastic net, CSC", Squared(), ElasticNet(0.2, 0.3), _enet(0.2, 0.3), layout="csc"),
    Case("ridge", *_RIDGE),
    Case("ridge, no intercept", *_RIDGE, intercept=False),
    Case("ridge, weights", *_RIDGE, weighted=True),
    Case("ridge, CSC", *_RIDGE, layout="csc"),
    Case("ridge, float32", *_RIDGE, dtype="float32"),
    Case("ridge, n < p", *_RIDGE, shape=(12, 20)),
    Case("ridge, n < p, CSR", *_RIDGE, shape=(12, 20), layout="csr"),
    Case("ridge, two targets", *_RIDGE, outputs=2),
    Case("l1 ball", Squared(), L1Ball(_BALL_RADIUS), _lasso(0.3)),
    Case("l1 logistic", *_L1_LOGISTIC),
    Case("l1 logistic, no intercept", *_L1_LOGISTIC, intercept=False),
    Case("l1 logistic, CSC, weights", *_L1_LOGISTIC, layout="csc", weighted=True),
    Case("l1 logistic, float32", *_L1_LOGISTIC, dtype="float32"),
    Case("l2 logistic", *_L2_LOGISTIC),
    Case("l2 logistic, weights", *_L2_LOGISTIC, weighted=True),
    Case("l2 logistic, CSR", *_L2_LOGISTIC, layout="csr"),
    Case("l2 logistic, n < p", *_L2_LOGISTIC, shape=(12, 20)),
    Case("multinomial l1", Multinomial(), L1(0.03), _logistic(0.03, 1.0)),
    Case("multinomial l2", Multinomial(), L2(0.05), _logistic(0.05)),
    Case("multinomial l2, CSC", Multinomial(), L2(0.05), _logistic(0.05), layout="csc"),
)


def _matrix_completion(alpha: Any = 0.05, **params: Any) -> Any:
    from skopt_dl.matrix_completion import MatrixCompletion

    rng = np.random.default_rng(0)
    X = rng.standard_normal((15, 2)) @ rng.standard_normal((2, 8))
    X[rng.random(X.shape) < 0.2] = np.nan
    model = MatrixCompletion(n_components=2, alpha=alpha, random_state=0, **params)
    return model._build_problem(X)


def _network() -> Any:
    from skopt_dl.neural_network import MLPRegressor

    X = _design(40, 6)
    model = MLPRegressor(hidden_layer_sizes=(5,), activation="tanh", random_state=0)
    return model._build_problem(X, _signal(X))


# Problems without convexity: what can be asked there is a long way down.
NONCONVEX: dict[str, Callable[[], Any]] = {
    "matrix completion": _matrix_completion,
    "learned matrix completion": lambda: _matrix_completion(alpha="auto"),
    "nuclear norm": lambda: _matrix_completion(penalty="nuclear"),
    "exact matrix completion": lambda: _matrix_completion(alpha=0.0),
    "network": _network,
}


class Blocks:
    """Blocks of rows in memory, as a sum over blocks asks for them."""

    def __init__(self, blocks: list[tuple[Any, ...]]) -> None:
        self.blocks, self.n_parts = blocks, len(blocks)

    def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        return sum(function(block, *args) for block in self.blocks)

    def step(self, function: Callable[..., Any], states: list[Any], *args: Any) -> tuple[Any, Any]:
        pairs = [function(b, s, *args) for b, s in zip(self.blocks, states, strict=True)]
        return [state for state, _ in pairs], sum(part for _, part in pairs)


def sum_over_blocks(penalty: Any) -> BlockSum:
    """A logistic regression on three blocks of rows."""
    X = _design(40, 6)
    y = (_classes(_signal(X)) > 0).astype(float)
    blocks = [(X[i::3], y[i::3], np.full(len(y[i::3]), 1 / 40)) for i in range(3)]
    origin = X.mean(axis=0)
    return BlockSum(
        Blocks(blocks), Logistic(), penalty, (6, 1), origin=origin, description="three blocks"
    )
