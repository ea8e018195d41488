"""Every estimator, with small data it fits and the solvers it can use on them.

Nothing here lists solvers: they are asked for at the problem that the estimator builds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.datasets import make_classification, make_regression

import skopt_dl
from skopt_dl.dispatch import SOLVERS, auto, fitting
from skopt_dl.engine import Solver


@dataclass(frozen=True)
class Kind:
    """One estimator class.

    Attributes
    ----------
    name : str
        Its name in `skopt_dl`.
    make_data : callable
        ``random_state -> (X, y)``; ``y`` is None where there is none.
    params : dict
        A small, well-posed setting that every test starts from.
    fitted : str
        The fitted attribute (or list of arrays) that tells two fits apart.
    brief : bool
        Whether one solver stands for all where time is short: its fit is that of other estimators.
    """

    name: str
    make_data: Callable[[int], tuple[Any, Any]]
    params: dict[str, Any] = field(default_factory=dict)
    fitted: str = "coef_"
    brief: bool = False

    def __str__(self) -> str:
        return self.name

    def make(self, **params: Any) -> BaseEstimator:
        """An unfitted instance."""
        return getattr(skopt_dl, self.name)(**{**self.params, **params})

    def answer(self, estimator: Any) -> list[np.ndarray]:
        """What the fit found, as NumPy arrays."""
        value = getattr(estimator, self.fitted)
        return list(value) if isinstance(value, (list, tuple)) else [value]

    @property
    def is_classifier(self) -> bool:
        return is_classifier(self.make())


def regression(seed: int) -> tuple[Any, Any]:
    """40 samples, 6 features, 3 of them informative."""
    X, y = make_regression(40, 6, n_informative=3, noise=1.0, random_state=seed)
    return X, y / np.std(y)


def classification(seed: int) -> tuple[Any, Any]:
    """60 samples of 3 classes that overlap."""
    return make_classification(
        60, 6, n_informative=4, n_redundant=0, n_classes=3, flip_y=0.1, random_state=seed
    )


def ratings(seed: int) -> tuple[Any, Any]:
    """A 30 x 12 matrix of rank 2 with a third of its entries missing."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((30, 2)) @ rng.standard_normal((2, 12))
    X[rng.random(X.shape) < 0.33] = np.nan
    X[:, 0] = 1.0
    X[0, :] = 1.0
    return X, None


NETWORK = {
    "hidden_layer_sizes": (8,),
    "learning_rate_init": 0.02,
    "max_iter": 60,
    "random_state": 0,
}
TABULAR = {
    "hidden_layer_sizes": (8,),
    "learning_rate_init": 0.03,
    "max_iter": 30,
    "n_ensemble": 2,
    "random_state": 0,
}

KINDS: tuple[Kind, ...] = (
    Kind("Lasso", regression, {"alpha": 0.05, "random_state": 0}),
    Kind("ElasticNet", regression, {"alpha": 0.05, "random_state": 0}),
    Kind("ConstrainedLasso", regression, {"radius": 1.0, "random_state": 0}),
    Kind("Ridge", regression, {"alpha": 0.5, "random_state": 0}),
    Kind("LogisticRegression", classification, {"C": 0.5, "random_state": 0}),
    Kind(
        "PenalizedRegressor",
        regression,
        {"loss": "huber", "alpha": 0.05, "random_state": 0},
        brief=True,
    ),
    Kind(
        "PenalizedClassifier",
        classification,
        {"penalty": "group_lasso", "alpha": 0.02, "random_state": 0},
        brief=True,
    ),
    Kind("MLPClassifier", classification, NETWORK, fitted="coefs_"),
    Kind("MLPRegressor", regression, NETWORK, fitted="coefs_"),
    Kind(
        "MatrixCompletion",
        ratings,
        {"n_components": 2, "alpha": 0.05, "random_state": 0},
        fitted="components_",
    ),
)
# Tested on their own: they choose a parameter themselves, need several targets, or do as others do.
APART: tuple[Kind, ...] = (
    Kind("LassoCV", regression, {"alphas": 10, "cv": 3}),
    Kind("ElasticNetCV", regression, {"alphas": 10, "cv": 3, "l1_ratio": [0.4, 1.0]}),
    Kind("RidgeCV", regression, {"alphas": [0.1, 1.0, 10.0]}),
    Kind("RidgeClassifier", classification),
    Kind("RidgeClassifierCV", classification, {"alphas": [0.1, 1.0, 10.0], "cv": 3}),
    Kind(
        "LogisticRegressionCV",
        classification,
        {
            "Cs": [0.1, 1.0],
            "cv": 3,
            "l1_ratios": (0,),
            "scoring": "neg_log_loss",
            "solver": "newton-cholesky",
            "use_legacy_attributes": False,
        },
    ),
    Kind("MultiTaskLasso", regression, {"alpha": 0.05, "max_iter": 2000}),
    Kind("MultiTaskElasticNet", regression, {"alpha": 0.05, "max_iter": 2000}),
    Kind("MultiTaskLassoCV", regression, {"alphas": 5, "cv": 3, "eps": 0.1, "max_iter": 2000}),
    Kind("MultiTaskElasticNetCV", regression, {"alphas": 5, "cv": 3, "max_iter": 2000}),
    Kind("TabularMLPClassifier", classification, TABULAR, fitted="members_"),
    Kind("TabularMLPRegressor", regression, TABULAR, fitted="members_"),
)
BY_NAME = {kind.name: kind for kind in KINDS}
LINEAR = KINDS[:7]


def build_problem(estimator: BaseEstimator, X: Any, y: Any) -> Any:
    """The problem that ``estimator.fit(X, y)`` would solve."""
    fresh = clone(estimator)
    return fresh._build_problem(X) if y is None else fresh._build_problem(X, y)


@cache
def solvers_of(name: str) -> tuple[str, ...]:
    """Names of the registered solvers that the estimator's default setting can use."""
    kind = BY_NAME[name]
    X, y = kind.make_data(0)
    return tuple(fitting(build_problem(kind.make(), X, y)))


@cache
def sparse_solvers_of(name: str) -> tuple[str, ...]:
    """The same for data in a CSR matrix."""
    kind = BY_NAME[name]
    X, y = kind.make_data(0)
    return tuple(fitting(build_problem(kind.make(), csr_matrix(np.nan_to_num(X)), y)))


def is_stochastic(solver: str) -> bool:
    """Whether the solver samples rows, so that its end point depends on their order."""
    from skopt_dl.engine import Oracle

    sampling = {Oracle.SAMPLE_GRAD, Oracle.SAMPLE_SLOPES}
    return bool(sampling & SOLVERS.get(solver).needs.oracles)


@cache
def taken_by_auto(name: str) -> str:
    """The solver that "auto" takes for the estimator's data."""
    kind = BY_NAME[name]
    choice = auto.choose(build_problem(kind.make(), *kind.make_data(0)))
    assert choice is not None
    return choice[0]


def is_variant(kind: Kind, solver: str) -> bool:
    """Whether another solver of this estimator, of the same abstract base, stands for this one.

    Rules of one family (the stochastic ones, say) share their loop and differ by an update. Where
    time is short one of them is enough: the one that "auto" takes, or else the first.
    """
    if kind.brief:
        return solver != taken_by_auto(kind.name)
    family = SOLVERS.get(solver).__mro__[1]
    if family is Solver:
        return False
    members = [s for s in solvers_of(kind.name) if SOLVERS.get(s).__mro__[1] is family]
    best = taken_by_auto(kind.name)
    return solver != (best if best in members else members[0])


def pairs(kinds: tuple[Kind, ...] = KINDS) -> list[Any]:
    """Every estimator with every solver it can use, as parameters; variants are marked slow."""
    return [
        pytest.param(kind, solver, marks=[pytest.mark.slow] if is_variant(kind, solver) else [])
        for kind in kinds
        for solver in solvers_of(kind.name)
    ]
