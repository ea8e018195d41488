"""LogisticRegressionCV against scikit-learn, in both forms of its attributes."""

from __future__ import annotations

import inspect
import warnings

import array_api_strict as strict
import numpy as np
import pytest
import sklearn.linear_model as reference
from scipy import sparse
from sklearn import config_context
from sklearn.metrics import get_scorer
from sklearn.model_selection import StratifiedKFold

from skopt_dl.dispatch import IncompatibleSolverError
from skopt_dl.linear_model import LogisticRegression, LogisticRegressionCV

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 4))
THREE = np.array(["a", "b", "c"])[np.argmax(X[:, :3] + RNG.gumbel(size=(90, 3)), axis=1)]
TWO = np.where(THREE == "a", "x", "y")
WEIGHTS = RNG.uniform(0.2, 2, 90)
CS = [0.01, 1.0, 20.0]
QUIET = {"l1_ratios": (0,), "scoring": None, "use_legacy_attributes": False}
ATTRIBUTES = (
    "Cs_",
    "l1_ratios_",
    "C_",
    "l1_ratio_",
    "scores_",
    "coefs_paths_",
    "coef_",
    "intercept_",
    "classes_",
)


def same(a, b, name):
    if isinstance(b, dict):
        assert list(a) == list(b), name
        for key in b:
            same(a[key], b[key], name)
        return
    assert np.shape(a) == np.shape(b), name
    if np.asarray(b).dtype.kind in "OU":
        np.testing.assert_array_equal(a, b, err_msg=name)
    else:
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7, err_msg=name)


def test_signature_is_that_of_scikit_learn():
    theirs = inspect.signature(reference.LogisticRegressionCV).parameters
    ours = inspect.signature(LogisticRegressionCV).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    assert list(ours)[len(theirs) :] == ["device", "max_time"]
    for key, parameter in theirs.items():
        assert (ours[key].default, ours[key].kind) == (parameter.default, parameter.kind)


@pytest.mark.filterwarnings("ignore:'l1_ratios=None'")
@pytest.mark.parametrize("y", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("l1_ratios", [None, (0,)])
@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
@pytest.mark.parametrize(("class_weight", "weighted"), [(None, False), ("balanced", True)])
def test_attributes_are_those_of_scikit_learn(
    y, legacy, l1_ratios, refit, scoring, class_weight, weighted
):
    params = {
        "Cs": CS,
        "l1_ratios": l1_ratios,
        "cv": 3,
        "refit": refit,
        "scoring": scoring,
        "class_weight": class_weight,
        "use_legacy_attributes": legacy,
        "solver": "newton-cholesky",
        "tol": 1e-12,
    }
    w = WEIGHTS if weighted else None
    theirs = reference.LogisticRegressionCV(**params).fit(X, y, w)
    ours = LogisticRegressionCV(**params).fit(X, y, w)
    for name in ATTRIBUTES:
        same(getattr(ours, name), getattr(theirs, name), name)
    assert ours.n_iter_.shape == theirs.n_iter_.shape
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), abs=1e-6)
    assert ours.solver_ == "newton-cholesky"


@pytest.mark.parametrize("y", [TWO, THREE], ids=["two", "three"])
def test_paths_hold_what_single_fits_find(y):
    ratios, cv = (0.0, 0.5, 0.9), StratifiedKFold(3)
    model = LogisticRegressionCV(
        Cs=CS, cv=cv, solver="fista", tol=1e-11, max_iter=50_000, **{**QUIET, "l1_ratios": ratios}
    ).fit(X, y)
    assert model.coefs_paths_.shape == (3, 3, 3, 1 if y is TWO else 3, 5)
    for f, (train, test) in enumerate(cv.split(X, y)):
        for r, ratio in enumerate(ratios):
            for k, C in enumerate(CS):
                single = LogisticRegression(
                    C=C, l1_ratio=ratio, solver="fista", tol=1e-11, max_iter=50_000
                ).fit(X[train], y[train])
                path = model.coefs_paths_[f, r, k]
                np.testing.assert_allclose(path[:, :4], single.coef_, atol=1e-6)
                np.testing.assert_allclose(path[:, 4], single.intercept_, atol=1e-6)
                assert model.scores_[f, r, k] == pytest.approx(single.score(X[test], y[test]))
    mean = model.scores_.mean(axis=0)
    assert mean.max() == mean[ratios.index(model.l1_ratio_), CS.index(model.C_)]
    best = LogisticRegression(
        C=model.C_, l1_ratio=model.l1_ratio_, solver="fista", tol=1e-11, max_iter=50_000
    ).fit(X, y)
    np.testing.assert_allclose(model.coef_, best.coef_, atol=1e-6)


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "liblinear", "prox_newton", "auto"])
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_solvers_and_layouts_agree(solver, convert):
    params = {"Cs": CS, "cv": 3, "tol": 1e-10, "max_iter": 1000, **QUIET}
    best = reference.LogisticRegressionCV(
        **{**params, "solver": solver if solver == "liblinear" else "newton-cholesky"}
    ).fit(X, TWO)
    ours = LogisticRegressionCV(solver=solver, **params).fit(convert(X), TWO)
    # liblinear's own tolerance is the loosest here.
    rtol = 1e-3 if solver == "liblinear" else 1e-6
    np.testing.assert_allclose(ours.coef_, best.coef_, rtol=rtol, atol=1e-6)
    np.testing.assert_allclose(ours.scores_, best.scores_)


def test_folds_in_parallel_are_those_in_order():
    params = {"Cs": CS, "cv": 3, "solver": "newton-cholesky", **QUIET}
    one, two = (LogisticRegressionCV(n_jobs=n, **params).fit(X, THREE) for n in (1, 2))
    np.testing.assert_array_equal(one.coefs_paths_, two.coefs_paths_)
    np.testing.assert_array_equal(one.coef_, two.coef_)


def test_a_class_may_be_missing_in_a_fold():
    y = THREE.copy()
    rare = np.flatnonzero(y == "c")[2:]
    y[rare] = "b"
    order = np.argsort(y, kind="stable")
    splits = [(order[:60], order[60:]), (order[30:], order[:30])]
    params = {"Cs": CS, "cv": splits, "solver": "newton-cholesky", "tol": 1e-12}
    params |= {**QUIET, "scoring": "neg_log_loss"}
    theirs = reference.LogisticRegressionCV(**params).fit(X, y)
    ours = LogisticRegressionCV(**params).fit(X, y)
    assert ours.scores_.shape == (2, 1, 3)
    assert ours.C_ == theirs.C_
    np.testing.assert_allclose(ours.scores_[1], theirs.scores_[1], rtol=1e-6)


def test_defaults_warn_as_in_scikit_learn():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        LogisticRegressionCV(Cs=2, cv=2).fit(X, TWO)
    texts = [str(w.message) for w in seen if issubclass(w.category, FutureWarning)]
    for word in ("l1_ratios will change", "'scoring' will change", "use_legacy_attributes=False"):
        assert any(word in text for text in texts), word
    with pytest.warns(FutureWarning, match="'penalty' was deprecated"):
        LogisticRegressionCV(Cs=2, cv=2, penalty="elasticnet", solver="saga", **QUIET).fit(X, TWO)
    with pytest.warns(UserWarning, match="only used when penalty is 'elasticnet'"):
        LogisticRegressionCV(Cs=2, cv=2, penalty="l2", **QUIET).fit(X, TWO)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LogisticRegressionCV(Cs=2, cv=2, **QUIET).fit(X, TWO)


def test_metadata_are_routed():
    with config_context(enable_metadata_routing=True):
        for request in (True, False):
            scorer = get_scorer("neg_log_loss").set_score_request(sample_weight=request)
            params = {"Cs": CS, "cv": 3, "solver": "newton-cholesky", "tol": 1e-12}
            params |= {**QUIET, "scoring": scorer}
            theirs = reference.LogisticRegressionCV(**params)
            theirs.set_fit_request(sample_weight=True).fit(X, TWO, sample_weight=WEIGHTS)
            ours = LogisticRegressionCV(**params)
            ours.set_fit_request(sample_weight=True).fit(X, TWO, sample_weight=WEIGHTS)
            np.testing.assert_allclose(ours.scores_, theirs.scores_, rtol=1e-6)
            assert ours.C_ == theirs.C_


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"Cs": 0}, "Cs=0"),
        ({"Cs": [1.0, -1.0]}, "Cs="),
        ({"Cs": "many"}, "Cs='many'"),
        ({"l1_ratios": (2.0,)}, "l1_ratios must be an array-like"),
        ({"l1_ratios": "all"}, "l1_ratios='all'"),
        ({"scoring": "nothing"}, "scoring='nothing'"),
        ({"refit": "yes"}, "refit='yes'"),
        ({"use_legacy_attributes": "no"}, "use_legacy_attributes='no'"),
        ({"dual": True}, "dual=True"),
        ({"class_weight": {"z": 1.0}}, "class labels as keys"),
    ],
)
def test_bad_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        LogisticRegressionCV(**{**QUIET, **params}).fit(X, TWO)


def test_a_solver_of_one_output_says_so():
    with pytest.raises(IncompatibleSolverError, match="Only binary classification"):
        LogisticRegressionCV(solver="liblinear", cv=3, **QUIET).fit(X, THREE)


def test_arrays_of_another_namespace_stay_there():
    params = {"Cs": CS, "cv": 3, "solver": "newton-cholesky", **QUIET}
    foreign = LogisticRegressionCV(**params)
    foreign.fit(strict.asarray(X), THREE, strict.asarray(WEIGHTS))
    host = LogisticRegressionCV(**params).fit(X, THREE, WEIGHTS)
    assert foreign.coef_.__array_namespace__() is strict
    np.testing.assert_allclose(np.asarray(foreign.coef_), host.coef_, rtol=1e-9)
    np.testing.assert_allclose(foreign.scores_, host.scores_)
    assert foreign.score(strict.asarray(X), THREE) == host.score(X, THREE)


@pytest.mark.parametrize("scoring", [None, "accuracy", "neg_log_loss", "f1_macro", "callable"])
@pytest.mark.parametrize("labels", [TWO, THREE])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_scores_are_those_of_a_model_with_these_coefficients(scoring, labels, weights):
    """At strengths where probabilities round to 0 and 1 as well, from rows that are sparse."""
    splits = list(StratifiedKFold(3).split(X, labels))

    def held_out(model, X, y, sample_weight=None):
        return -np.average(np.min(model.predict_log_proba(X), axis=1), weights=sample_weight)

    asked = held_out if scoring == "callable" else scoring
    ours = LogisticRegressionCV(Cs=[1e-2, 1e8], cv=splits, **{**QUIET, "scoring": asked}).fit(
        sparse.csr_array(1e3 * X), labels, sample_weight=weights
    )
    model = LogisticRegression(max_iter=1, tol=1e9).fit(X, labels)
    score = held_out if scoring == "callable" else get_scorer(scoring or "accuracy")
    for k, (_, test) in enumerate(splits):
        for c in range(2):
            path = ours.coefs_paths_[k, 0, c]
            model.coef_, model.intercept_ = path[:, :-1], path[:, -1]
            chosen = {} if weights is None else {"sample_weight": weights[test]}
            expected = score(model, 1e3 * X[test], labels[test], **chosen)
            np.testing.assert_allclose(ours.scores_[k, 0, c], expected, rtol=1e-12)
