"""RidgeCV and the ridge classifiers against scikit-learn and against explicit refits."""

from __future__ import annotations

import inspect

import array_api_strict as strict
import numpy as np
import pytest
import sklearn.linear_model as reference
from scipy import sparse
from sklearn import config_context
from sklearn.metrics import get_scorer
from sklearn.model_selection import KFold, ShuffleSplit

from skopt_dl.linear_model import Ridge, RidgeClassifier, RidgeClassifierCV, RidgeCV

ALPHAS = np.logspace(-2, 3, 9)
CONVERSIONS = [np.asarray, sparse.csr_array, sparse.csc_matrix]


def make(n, p):
    """Columns of different scales and places, 3 targets, weights."""
    rng = np.random.default_rng(n)
    X = rng.standard_normal((n, p)) * rng.uniform(0.5, 2, p) + rng.standard_normal(p)
    Y = X[:, :3] @ rng.standard_normal((3, 3)) + rng.standard_normal((n, 3))
    return X, Y, rng.uniform(0.1, 2, n)


TALL, WIDE = make(50, 6), make(20, 40)
LABELS = {
    "three": np.array(["a", "b", "c"])[np.argmax(TALL[1], axis=1)],
    "two": np.where(TALL[1][:, 0] > 0, "yes", "no"),
    "several": (TALL[1] > 0).astype(int),
}


def same_choice(ours, theirs, rtol=1e-8):
    for name in ("alpha_", "best_score_", "coef_", "intercept_"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert np.shape(a) == np.shape(b), name
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.max(np.abs(b)), err_msg=name)


@pytest.mark.parametrize("name", ["RidgeCV", "RidgeClassifier", "RidgeClassifierCV"])
def test_signature_is_that_of_scikit_learn(name):
    ours = {"RidgeCV": RidgeCV, "RidgeClassifier": RidgeClassifier}.get(name, RidgeClassifierCV)
    expected = inspect.signature(getattr(reference, name)).parameters
    parameters = inspect.signature(ours).parameters
    assert list(parameters)[: len(expected)] == list(expected)
    for key, parameter in expected.items():
        assert (parameters[key].default, parameters[key].kind) == (
            parameter.default,
            parameter.kind,
        )


@pytest.mark.parametrize("data", [TALL, WIDE], ids=["tall", "wide"])
@pytest.mark.parametrize("convert", CONVERSIONS)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(
    "params",
    [
        {"store_cv_results": True},
        {"alpha_per_target": True},
        {"scoring": "neg_mean_absolute_error", "store_cv_results": True},
        {"cv": 4},
        {"cv": 3, "scoring": "neg_root_mean_squared_error"},
        {"cv": ShuffleSplit(3, random_state=0), "scoring": "neg_mean_squared_error"},
        {"cv": KFold(3), "scoring": "neg_median_absolute_error"},
    ],
    ids=str,
)
def test_choice_is_that_of_scikit_learn(data, convert, fit_intercept, weighted, params):
    X, Y, w = data
    w = w if weighted else None
    for y in (Y[:, 0], Y[:, :1], Y):
        theirs = reference.RidgeCV(ALPHAS, fit_intercept=fit_intercept, **params).fit(X, y, w)
        ours = RidgeCV(ALPHAS, fit_intercept=fit_intercept, tol=1e-10, **params)
        ours.fit(convert(X), y, w)
        same_choice(ours, theirs)
        if "store_cv_results" in params:
            np.testing.assert_allclose(ours.cv_results_, theirs.cv_results_, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("gcv_mode", ["svd", "eigen", "auto"])
def test_modes_agree(gcv_mode):
    for X, Y, w in (TALL, WIDE):
        same_choice(RidgeCV(ALPHAS, gcv_mode=gcv_mode).fit(X, Y, w), RidgeCV(ALPHAS).fit(X, Y, w))


def left_out(X, y, alpha, w):
    """Errors of explicit refits without each sample."""
    errors = []
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        model = Ridge(alpha, solver="svd").fit(X[rest], y[rest], w[rest])
        errors.append(y[i] - model.predict(X[i : i + 1])[0])
    return np.asarray(errors)


@pytest.mark.parametrize("data", [TALL, WIDE], ids=["tall", "wide"])
@pytest.mark.parametrize("zeros", [True, False])
def test_errors_are_those_of_refits_where_strengths_are_small_and_columns_raw(data, zeros):
    X, Y, w = data
    X, y, w = X * np.logspace(0, 3, X.shape[1]) + 50, Y[:, 0], w.copy()
    w[3] = 0.0 if zeros else w[3]
    alphas = [1e-7, 1e-3, 10.0]
    model = RidgeCV(alphas, store_cv_results=True).fit(X, y, w)
    predictions = RidgeCV(alphas, scoring="r2", store_cv_results=True).fit(X, y, w).cv_results_
    for k, alpha in enumerate(alphas):
        errors = left_out(X, y, alpha, w)
        np.testing.assert_allclose(model.cv_results_[:, k], w * errors**2, rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(y - predictions[:, k], errors, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("data", [TALL, WIDE], ids=["tall", "wide"])
def test_scores_of_folds_are_those_of_refits_where_strengths_are_small_and_columns_raw(data):
    X, Y, w = data
    X, y = X * np.logspace(0, 3, X.shape[1]) + 50, Y[:, 0]
    for alpha in (1e-7, 1e-3):
        scores = []
        for train, test in KFold(4).split(X):
            part = Ridge(alpha, solver="svd").fit(X[train], y[train], w[train])
            scores.append(part.score(X[test], y[test], w[test]))
        model = RidgeCV([alpha], cv=4).fit(X, y, w)
        np.testing.assert_allclose(model.best_score_, np.mean(scores), rtol=1e-6)


def test_least_squares_is_a_choice_with_folds_only():
    X, Y, _ = TALL
    same_choice(RidgeCV([0.0, 1.0], cv=3).fit(X, Y), reference.RidgeCV([0.0, 1.0], cv=3).fit(X, Y))
    with pytest.raises(ValueError, match=r"alphas=\[0.0, 1.0\].*> 0 for leave-one-out"):
        RidgeCV([0.0, 1.0]).fit(X, Y)


def test_folds_too_large_to_decompose_are_solved_by_the_solver(monkeypatch):
    X, Y, w = TALL
    monkeypatch.setattr("skopt_dl.linear_model._ridge_search.DIRECT_BELOW", 2)
    ours = RidgeCV(ALPHAS, cv=3, solver="lsqr", tol=1e-12, max_iter=500).fit(X, Y, w)
    same_choice(ours, reference.RidgeCV(ALPHAS, cv=3).fit(X, Y, w), rtol=1e-7)
    assert ours.solver_ == "lsqr"


def test_callable_scorers_get_a_fitted_model():
    X, Y, _ = TALL

    def worst(model, X, y):
        assert model.n_features_in_ == X.shape[1]
        return -np.max(np.abs(model.predict(X) - y))

    theirs = reference.RidgeCV(ALPHAS, cv=3, scoring=worst).fit(X, Y)
    same_choice(RidgeCV(ALPHAS, cv=3, scoring=worst).fit(X, Y), theirs)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(
    ("labels", "class_weight"),
    [(labels, None) for labels in LABELS] + [("three", "balanced"), ("two", "balanced")],
)
@pytest.mark.parametrize("convert", CONVERSIONS[:2])
def test_classifiers_are_those_of_scikit_learn(labels, weighted, class_weight, convert):
    X, y, w = TALL[0], LABELS[labels], TALL[2] if weighted else None
    theirs = reference.RidgeClassifier(class_weight=class_weight).fit(X, y, w)
    ours = RidgeClassifier(class_weight=class_weight, tol=1e-12).fit(convert(X), y, w)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    for params in ({}, {"cv": 3}, {"cv": 3, "scoring": "f1_macro"}, {"store_cv_results": True}):
        params = {"alphas": ALPHAS, "class_weight": class_weight, **params}
        theirs = reference.RidgeClassifierCV(**params).fit(X, y, w)
        ours = RidgeClassifierCV(tol=1e-12, **params).fit(convert(X), y, w)
        same_choice(ours, theirs)
        np.testing.assert_array_equal(ours.predict(convert(X)), theirs.predict(X))
        assert ours.score(X, y) == pytest.approx(theirs.score(X, y))


def test_leave_one_out_accuracy_of_two_classes_is_that_of_refits():
    X, y, w = TALL[0], LABELS["two"], np.ones(50)
    signs = np.where(y == "yes", 1.0, -1.0)
    right = [np.mean(np.sign(signs - left_out(X, signs, a, w)) == signs) for a in ALPHAS]
    model = RidgeClassifierCV(ALPHAS, scoring="accuracy").fit(X, y)
    assert model.best_score_ == pytest.approx(max(right))
    assert model.alpha_ == pytest.approx(ALPHAS[int(np.argmax(right))])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_ties_of_accuracies_are_those_of_scikit_learn(seed, weighted):
    # Of a dozen folds of a few samples: many strengths are right as often, in other folds.
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((60, 5))
    y = X[:, :3].sum(axis=1) + rng.standard_normal(60) > 0
    weights = rng.integers(1, 4, 60).astype(float) if weighted else None
    given = {"alphas": np.logspace(-3, 4, 30), "cv": 12}
    ours = RidgeClassifierCV(**given).fit(X, y, weights)
    theirs = reference.RidgeClassifierCV(**given).fit(X, y, weights)
    assert ours.alpha_ == theirs.alpha_
    assert ours.best_score_ == theirs.best_score_


def test_metadata_are_routed():
    X, Y, w = TALL
    y = Y[:, 0]
    with config_context(enable_metadata_routing=True):
        for request in (True, False):
            scorer = get_scorer("r2").set_score_request(sample_weight=request)
            theirs = reference.RidgeCV(ALPHAS, cv=3, scoring=scorer).fit(X, y, sample_weight=w)
            ours = RidgeCV(ALPHAS, cv=3, scoring=scorer).fit(X, y, sample_weight=w)
            same_choice(ours, theirs)
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        RidgeCV(cv=3).fit(X, y, groups=np.arange(50))


def test_a_single_sample_has_no_r2():
    X, Y, _ = TALL
    with pytest.warns(UserWarning, match="less than two samples"):
        model = RidgeCV(ALPHAS, cv=50).fit(X, Y)
    assert np.isnan(model.best_score_)
    assert model.alpha_ == ALPHAS[0]


def test_float32_stays():
    X, Y, w = (a.astype(np.float32) for a in TALL)
    for params in ({"store_cv_results": True}, {"cv": 3}):
        model = RidgeCV(ALPHAS, tol=1e-4, **params).fit(X, Y, w)
        assert model.coef_.dtype == model.predict(X).dtype == np.float32
        theirs = RidgeCV(ALPHAS, **params).fit(*TALL)
        assert model.best_score_ == pytest.approx(theirs.best_score_, rel=1e-4)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alphas": []}, "alphas="),
        ({"alphas": [1.0, np.nan]}, "alphas="),
        ({"alphas": "many"}, "alphas='many'"),
        ({"scoring": "nothing"}, "scoring='nothing'"),
        ({"gcv_mode": "qr"}, "gcv_mode='qr'"),
        ({"cv": 3, "store_cv_results": True}, "cv!=None and store_cv_results=True"),
        ({"cv": 3, "alpha_per_target": True}, "cv!=None and alpha_per_target=True"),
    ],
)
def test_bad_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        RidgeCV(**params).fit(*TALL[:2])


@pytest.mark.parametrize("data", [TALL, WIDE], ids=["tall", "wide"])
@pytest.mark.parametrize(
    "params",
    [
        {"store_cv_results": True},
        {"alpha_per_target": True},
        {"cv": 3},
        {"cv": 3, "scoring": "neg_median_absolute_error"},
    ],
    ids=str,
)
def test_arrays_of_another_namespace_stay_there(data, params):
    X, Y, w = data
    foreign = RidgeCV(ALPHAS, **params).fit(*(strict.asarray(a) for a in data))
    host = RidgeCV(ALPHAS, **params).fit(X, Y, w)
    assert foreign.coef_.__array_namespace__() is strict
    np.testing.assert_allclose(np.asarray(foreign.coef_), host.coef_, rtol=1e-9)
    np.testing.assert_array_equal(foreign.alpha_, host.alpha_)
    np.testing.assert_allclose(foreign.best_score_, host.best_score_, rtol=1e-9)


@pytest.mark.parametrize("place", [np.asarray, strict.asarray])
@pytest.mark.parametrize("data", [TALL, WIDE], ids=["tall", "wide"])
@pytest.mark.parametrize("params", [{}, {"cv": 3}, {"gcv_mode": "svd"}, {"fit_intercept": False}])
def test_single_precision_is_searched_in_double(data, params, place):
    """Also far from zero, where single precision would lose what is left of the columns."""
    X, Y, w = (a.astype(np.float32) for a in data)
    X += 100
    ours = RidgeCV(ALPHAS, **params).fit(place(X), place(Y), sample_weight=place(w))
    double = RidgeCV(ALPHAS, **params).fit(*(a.astype(float) for a in (X, Y, w)))
    assert ours.alpha_ == double.alpha_
    np.testing.assert_allclose(ours.best_score_, double.best_score_, rtol=1e-8)
    assert ours.coef_.dtype == place(X).dtype


def test_a_fold_that_trains_on_no_weight_is_named():
    X, Y, _ = TALL
    weights = np.zeros(len(X))
    weights[:3] = 1.0
    with pytest.raises(ValueError, match="fold 0 trains on have a sample_weight of zero"):
        RidgeCV(ALPHAS, cv=KFold(3)).fit(X, Y, sample_weight=weights)
