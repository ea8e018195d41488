"""Candidates of a lasso or an elastic net fitted along one path are those of one by one."""

from collections import Counter

import numpy as np
import pytest
import sklearn.model_selection as plain
from scipy import sparse
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning

import skopt_dl.model_selection as ours
from skopt_dl import ElasticNet, Lasso, Ridge
from skopt_dl.linear_model import _together
from skopt_dl.linops import Centred, Dense

TIGHT = {"tol": 1e-12, "max_iter": 100_000}
ALPHAS = np.geomspace(0.5, 0.005, 7)
rng = np.random.default_rng(0)
X = rng.standard_normal((90, 12)) + rng.standard_normal(12)
Y = X[:, :3] @ rng.standard_normal((3, 2)) + rng.standard_normal((90, 2)) + 4
WIDE = rng.standard_normal((40, 70))


@pytest.fixture
def paths(monkeypatch):
    """How many strengths each path has that is followed."""
    seen, solve = [], _together.solve_path

    def spy(problem, strengths, settings):
        seen.append(len(strengths))
        return solve(problem, strengths, settings)

    monkeypatch.setattr(_together, "solve_path", spy)
    return seen


def assert_same(found, expected):
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-8)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, atol=1e-8)
    assert found.solver_ == expected.solver_
    assert np.shape(found.dual_gap_) == np.shape(expected.dual_gap_)
    assert np.max(found.dual_gap_) <= 1e-10
    assert found.n_features_in_ == expected.n_features_in_
    assert vars(found).keys() == vars(expected).keys()


@pytest.mark.parametrize("data", ["tall", "wide", "several targets", "weights", "rows"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_answers_are_those_of_one_by_one(data, fit_intercept, paths):
    Z, y, weights = X, Y[:, 0], None
    if data == "wide":
        Z, y = WIDE, WIDE[:, :3].sum(axis=1)
    if data == "several targets":
        y = Y
    if data == "weights":
        weights = rng.integers(0, 3, len(X)).astype(float)
    shared = {"fit_intercept": fit_intercept, **TIGHT}
    models = [
        ElasticNet(alpha=a, l1_ratio=r, positive=p, **shared)
        for a in ALPHAS
        for r in (0.3, 1.0)
        for p in (False, True)
    ]
    rows = [np.arange(len(Z) - 5)] * len(models) if data == "rows" else None
    together = ours.fit_together([clone(m) for m in models], Z, y, rows=rows, sample_weight=weights)
    for found, model in zip(together, models, strict=True):
        if rows is None:
            assert_same(found, model.fit(Z, y, weights))
        else:
            assert_same(found, model.fit(Z[:-5], y[:-5]))
    assert paths == [len(ALPHAS)] * 4 * (2 if data == "several targets" else 1)


def test_single_precision_stays(paths):
    small = X.astype(np.float32)
    models = ours.fit_together([Lasso(alpha=a) for a in ALPHAS], small, Y[:, 0].astype(np.float32))
    assert paths == [len(ALPHAS)]
    for model in models:
        assert model.coef_.dtype == np.float32
        alone = clone(model).fit(small, Y[:, 0].astype(np.float32))
        np.testing.assert_allclose(model.coef_, alone.coef_, atol=2e-2)


def test_those_that_a_path_does_not_serve_are_fitted_alone(paths):
    y, thin = Y[:, 0], sparse.csr_array(X)
    alone = [
        Lasso(alpha=0.0, solver="cd"),
        Lasso(alpha=0.1, solver="fista"),
        Lasso(alpha=0.1, selection="random", random_state=0),
        Lasso(alpha=0.1, precompute=True),
        Lasso(alpha=0.1, warm_start=True),
        Lasso(alpha=0.1, max_time=100.0),
        Lasso(alpha=0.2, tol=1e-3),
        ElasticNet(alpha=0.1, l1_ratio=0.0),
        Lasso(alpha=0.1),
    ]
    for found, model in zip(ours.fit_together([clone(m) for m in alone], X, y), alone, strict=True):
        np.testing.assert_array_equal(found.coef_, model.fit(X, y).coef_)
    ours.fit_together([Lasso(alpha=a) for a in ALPHAS], thin, y)
    assert paths == []


def test_names_are_seen_and_a_fit_that_fails_leaves_all_as_they_were():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=[f"x{k}" for k in range(12)])
    models = [Lasso(alpha=a) for a in ALPHAS]
    ours.fit_together(models, frame, Y[:, 0])
    assert all(list(m.feature_names_in_) == list(frame.columns) for m in models)
    ours.fit_together(models, X, Y[:, 0])
    assert not any(hasattr(m, "feature_names_in_") for m in models)
    before = [dict(vars(m)) for m in models]
    with pytest.raises(ValueError, match="NaN"):
        ours.fit_together(models, np.full_like(X, np.nan), Y[:, 0])
    for m, old in zip(models, before, strict=True):
        assert vars(m).keys() == old.keys()
        assert all(vars(m)[name] is old[name] for name in old)


@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error"])
def test_scores_of_a_grid_are_those_of_scikit_learn(scoring, paths):
    grid = [{"alpha": ALPHAS, "l1_ratio": [0.4, 1.0]}, {"alpha": [0.1], "fit_intercept": [False]}]
    given = {"scoring": scoring, "cv": 4, "return_train_score": True}
    found = ours.GridSearchCV(ElasticNet(**TIGHT), grid, **given).fit(X, Y[:, 0])
    assert paths == [len(ALPHAS)] * 2 * 4
    expected = plain.GridSearchCV(ElasticNet(**TIGHT), grid, **given).fit(X, Y[:, 0])
    assert found.cv_results_.keys() == expected.cv_results_.keys()
    for name, column in expected.cv_results_.items():
        if "score" in name and "time" not in name and "rank" not in name:
            np.testing.assert_allclose(found.cv_results_[name], column, atol=1e-8)
    assert found.best_params_ == expected.best_params_
    assert_same(found.best_estimator_, expected.best_estimator_)


def test_a_random_search_shares_paths_too(paths):
    given = {"n_iter": 5, "random_state": 0, "cv": 3}
    found = ours.RandomizedSearchCV(Lasso(), {"alpha": loguniform(0.01, 1)}, **given)
    assert found.fit(X, Y[:, 0]).best_score_ > 0.3
    assert paths == [5] * 3


def test_a_parameter_that_is_not_valid_is_left_to_error_score(paths):
    search = ours.GridSearchCV(Lasso(), {"alpha": [0.1, -1.0]}, cv=3)
    with pytest.warns(FitFailedWarning):
        search.fit(X, Y[:, 0])
    assert np.isnan(search.cv_results_["mean_test_score"][1])
    assert search.best_params_ == {"alpha": 0.1}


# --- ridge regressions ----------------------------------------------------------------------------


@pytest.fixture
def grams(monkeypatch):
    """How often each map forms its inner products."""
    seen = Counter()
    for kind in (Dense, Centred):
        for name in ("gram", "row_gram"):
            form = getattr(kind, name)

            def spy(self, *args, form=form, of=(kind, name)):
                seen[of] += 1
                return form(self, *args)

            monkeypatch.setattr(kind, name, spy)
    return seen


@pytest.mark.parametrize("data", ["tall", "wide", "several targets", "weights"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_ridges_are_those_of_one_by_one(data, fit_intercept, grams):
    Z, y = (
        (WIDE, WIDE[:, 0]) if data == "wide" else (X, Y if data == "several targets" else Y[:, 0])
    )
    weights = rng.uniform(0.5, 2, len(Z)) if data == "weights" else None
    models = [Ridge(alpha=a, fit_intercept=fit_intercept) for a in 10 * ALPHAS]
    together = ours.fit_together([clone(m) for m in models], Z, y, sample_weight=weights)
    assert set(grams.values()) == {1}
    for found, model in zip(together, models, strict=True):
        model.fit(Z, y, weights)
        np.testing.assert_allclose(found.coef_, model.coef_, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found.intercept_, model.intercept_, rtol=1e-10, atol=1e-12)
        assert found.solver_ == model.solver_
        np.testing.assert_array_equal(found.n_iter_, model.n_iter_)
        assert vars(found).keys() == vars(model).keys()


def test_a_grid_of_ridges_is_that_of_scikit_learn():
    grid = {"alpha": np.logspace(-3, 3, 9), "solver": ["auto", "svd", "lbfgs"]}
    found = ours.GridSearchCV(Ridge(), grid, cv=4).fit(X, Y)
    expected = plain.GridSearchCV(Ridge(), grid, cv=4).fit(X, Y)
    scores = "mean_test_score"
    np.testing.assert_allclose(found.cv_results_[scores], expected.cv_results_[scores], rtol=1e-12)
    assert found.best_params_ == expected.best_params_


def test_ridges_with_a_strength_for_each_target_or_a_sign_are_fitted_alone():
    models = [Ridge(alpha=[1.0, 2.0]), Ridge(positive=True), Ridge(positive=True, alpha=3.0)]
    for found, model in zip(
        ours.fit_together([clone(m) for m in models], X, Y), models, strict=True
    ):
        np.testing.assert_array_equal(found.coef_, model.fit(X, Y).coef_)
