"""Searches, pipelines and column transformers around the estimators."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_score,
    learning_curve,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from zoo import BY_NAME, KINDS, Kind, regression, solvers_of

from skopt_dl import Lasso

SUPERVISED = [k for k in KINDS if k.name != "MatrixCompletion"]
pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
)


@pytest.mark.parametrize("kind", SUPERVISED, ids=str)
def test_a_grid_over_solvers_finds_the_same_optimum(kind: Kind) -> None:
    """Deterministic solvers of a convex problem score alike; a grid only ranks them by time."""
    X, y = kind.make_data(0)
    solvers = list(solvers_of(kind.name))
    search = GridSearchCV(kind.make(max_iter=30), {"solver": solvers}, cv=2, error_score="raise")
    search.fit(X, y)
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
    assert search.best_estimator_.solver in solvers


def test_nested_solver_settings_are_tuned() -> None:
    from skopt_dl.solvers.proximal_gradient import FISTA

    X, y = regression(0)
    search = GridSearchCV(
        Lasso(alpha=0.01, solver=FISTA()), {"solver__restart": [True, False]}, cv=2
    ).fit(X, y)
    assert search.best_estimator_.solver == FISTA(restart=search.best_params_["solver__restart"])


def test_an_impossible_pair_fails_alone() -> None:
    X, y = regression(0)
    search = GridSearchCV(Lasso(), {"solver": ["cd", "cholesky"], "alpha": [0.1, 0.01]}, cv=2)
    with pytest.warns(FitFailedWarning, match="cannot fit"):
        search.fit(X, y)
    failed = np.isnan(search.cv_results_["mean_test_score"])
    assert [p["solver"] for p in np.array(search.cv_results_["params"])[failed]] == ["cholesky"] * 2
    assert search.best_params_["solver"] == "cd"


@pytest.mark.parametrize("kind", [BY_NAME[n] for n in ("Lasso", "LogisticRegression")], ids=str)
def test_jobs_agree_with_one_process(kind: Kind) -> None:
    X, y = kind.make_data(0)
    name = "C" if kind.name == "LogisticRegression" else "alpha"
    grid = {name: [0.01, 0.1, 1.0]}
    one = GridSearchCV(kind.make(), grid, cv=3).fit(X, y)
    two = GridSearchCV(kind.make(), grid, cv=3, n_jobs=2).fit(X, y)
    np.testing.assert_allclose(
        one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"], rtol=1e-10
    )


def test_halving_over_iterations() -> None:
    X, y = regression(0)
    search = HalvingGridSearchCV(
        Lasso(tol=1e-8, solver="ista"),
        {"alpha": [0.001, 0.01, 0.1, 1.0]},
        resource="max_iter",
        min_resources=5,
        max_resources=80,
        factor=2,
        cv=2,
        random_state=0,
    ).fit(X, y)
    assert search.best_estimator_.max_iter >= 20
    assert search.best_params_["alpha"] < 1.0


def test_randomized_search_over_a_pipeline() -> None:
    X, y = regression(0)
    pipeline = Pipeline([("scale", StandardScaler()), ("fit", Lasso())])
    search = RandomizedSearchCV(
        pipeline, {"fit__alpha": np.logspace(-3, 0, 20)}, n_iter=5, cv=2, random_state=0
    ).fit(X, y)
    assert search.best_score_ > 0.9


@pytest.mark.parametrize("kind", SUPERVISED, ids=str)
def test_columns_of_different_kinds(kind: Kind) -> None:
    pd = pytest.importorskip("pandas")
    X, y = kind.make_data(0)
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    frame["colour"] = np.where(X[:, 0] > 0, "red", "blue")
    columns = make_column_transformer(
        (StandardScaler(), [c for c in frame if c != "colour"]), (OneHotEncoder(), ["colour"])
    )
    assert isinstance(columns, ColumnTransformer)
    model = make_pipeline(columns, kind.make()).fit(frame, y)
    assert model.score(frame, y) > 0.4


def test_sparse_output_of_an_encoder_stays_sparse() -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 8, (60, 3)).astype(str)
    effects = dict(zip("01234567", rng.standard_normal(8), strict=True))
    y = np.array([sum(effects[v] for v in row) for row in X])
    encoded = OneHotEncoder().fit_transform(X)
    assert sparse.issparse(encoded)
    model = make_pipeline(OneHotEncoder(), Lasso(alpha=1e-4)).fit(X, y)
    assert model.score(X, y) > 0.99


def test_selection_targets_and_curves() -> None:
    X, y = regression(0)
    selected = SelectFromModel(Lasso(alpha=0.1)).fit(X, y)
    assert 1 <= selected.get_support().sum() < X.shape[1]
    model = make_pipeline(SelectFromModel(Lasso(alpha=0.1)), LinearRegression()).fit(X, y)
    assert model.score(X, y) > 0.8
    wrapped = TransformedTargetRegressor(Lasso(alpha=0.01), transformer=StandardScaler())
    assert wrapped.fit(X, y).score(X, y) > 0.9
    _, train, test = learning_curve(Lasso(alpha=0.01), X, y, cv=3, train_sizes=[0.5, 1.0])
    assert np.all(np.isfinite(train))
    assert test.shape == (2, 3)
    assert cross_val_score(Lasso(alpha=0.01), X, y, cv=3).mean() > 0.9


def test_a_pipeline_with_memory_fits_from_its_cache(tmp_path: Any) -> None:
    X, y = regression(0)
    calls = []

    class Counting(StandardScaler):
        def fit(self, X, y=None):
            calls.append(1)
            return super().fit(X, y)

    selection = SelectFromModel(Lasso(alpha=0.05))
    pipeline = Pipeline(
        [("scale", StandardScaler()), ("select", selection), ("fit", Lasso(alpha=0.01))],
        memory=str(tmp_path),
    )
    first = pipeline.fit(X, y).predict(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        np.testing.assert_array_equal(pipeline.fit(X, y).predict(X), first)
