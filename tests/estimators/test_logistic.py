"""LogisticRegression against scikit-learn: penalties, classes, weights, names, warnings."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
import sklearn.linear_model as reference
from scipy import sparse
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skopt_dl.dispatch import SOLVERS, IncompatibleSolverError, fitting
from skopt_dl.engine import Oracle
from skopt_dl.linear_model import LogisticRegression, LogisticRegressionCV
from skopt_dl.solvers import LBFGS

PENALTIES = [
    {"C": 0.7},
    {"C": 0.7, "l1_ratio": 1},
    {"C": 0.5, "l1_ratio": 0.4},
]


@pytest.fixture(scope="module")
def data():
    """Standardised iris; two classes that overlap, and all three; weights with zeros."""
    X, y = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    weights = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    return X, {2: (y == 1).astype(int), 3: y}, weights


def exact(X, y, w=None, **params):
    """scikit-learn's fit to more digits than are compared."""
    solver = "saga" if params.get("l1_ratio") else "newton-cholesky"
    model = reference.LogisticRegression(solver=solver, tol=1e-11, max_iter=100_000, **params)
    return model.fit(X, y, w)


def same_fit(ours, theirs, X, rtol=1e-6):
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    for name in ("coef_", "intercept_"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
    for method in ("predict_proba", "predict_log_proba", "decision_function"):
        a, b = getattr(ours, method)(X), getattr(theirs, method)(X)
        np.testing.assert_allclose(a, b, rtol=10 * rtol, atol=10 * rtol)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_signature_is_that_of_scikit_learn():
    theirs = inspect.signature(reference.LogisticRegression).parameters
    ours = inspect.signature(LogisticRegression).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    assert list(ours)[len(theirs) :] == ["device", "max_time"]
    for key, parameter in theirs.items():
        assert (ours[key].default, ours[key].kind) == (parameter.default, parameter.kind)


@pytest.mark.parametrize("params", PENALTIES, ids=str)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_every_solver_that_fits_finds_the_optimum(data, params, n_classes, fit_intercept):
    X, labels, w = data
    y, params = labels[n_classes], {**params, "fit_intercept": fit_intercept}
    theirs = exact(X, y, w, **params)
    names = fitting(LogisticRegression(solver="auto", **params)._build_problem(X, y, w))
    # Rules on batches and subgradients approach an optimum, no tight tolerance; ISTA is slow, and
    # so are agents where they need a prox: their steps are ISTA's, and shorter still.
    loose = {Oracle.SAMPLE_GRAD, Oracle.SUBGRADIENT}
    if params.get("l1_ratio"):
        loose.add(Oracle.AGENTS)
    slow = {n for n in names if loose & SOLVERS.get(n).needs.oracles} | {"ista"}
    names = sorted(set(names) - slow)
    assert {"fista", "admm"} <= set(names)
    assert ("extra" in names) == ("l1_ratio" not in params)
    for name in names:
        ours = LogisticRegression(
            solver=name, tol=1e-9, max_iter=20_000, random_state=0, **params
        ).fit(X, y, w)
        same_fit(ours, theirs, X, rtol=2e-5)
        assert ours.n_iter_.shape == (1,)
        assert ours.solver_ == name


@pytest.mark.parametrize(
    "solver", ["lbfgs", "newton-cg", "newton-cholesky", "sag", "saga", "liblinear"]
)
def test_scikit_learns_names(data, solver):
    X, labels, w = data
    ours = LogisticRegression(solver=solver, tol=1e-8, max_iter=5000, random_state=0)
    theirs = reference.LogisticRegression(
        solver=solver, tol=1e-10, max_iter=100_000, random_state=0
    )
    same_fit(ours.fit(X, labels[2], w), theirs.fit(X, labels[2], w), X, rtol=1e-5)
    assert ours.solver_ == solver


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize(
    "params",
    [
        {"C": 0.3},
        {"C": 0.3, "l1_ratio": 1},
        {"intercept_scaling": 10.0},
        {"fit_intercept": False},
        {"dual": True},
        {"class_weight": "balanced"},
    ],
    ids=str,
)
def test_liblinear_penalises_the_intercept(data, convert, params):
    X, labels, w = data
    ours = LogisticRegression(solver="liblinear", tol=1e-10, **params)
    theirs = reference.LogisticRegression(solver="liblinear", tol=1e-12, max_iter=100_000, **params)
    theirs.fit(X, labels[2], w)
    # Theirs is a bare 0.0 without an intercept.
    theirs.intercept_ = np.atleast_1d(theirs.intercept_)
    same_fit(ours.fit(convert(X), labels[2], w), theirs, X, rtol=1e-6)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0, 1: 0.5}])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_class_weights(data, class_weight, weighted, n_classes):
    X, labels, w = data
    y, w = labels[n_classes], w if weighted else None
    ours = LogisticRegression(class_weight=class_weight, tol=1e-9, max_iter=1000).fit(X, y, w)
    same_fit(ours, exact(X, y, w, class_weight=class_weight), X)


def test_no_penalty(data):
    X, labels, w = data
    y = np.where(np.arange(150) % 7 == 0, 1 - labels[2], labels[2])
    for params in ({"C": np.inf}, {"C": np.inf, "l1_ratio": 0.5}):
        ours = LogisticRegression(tol=1e-9, max_iter=1000, **params).fit(X, y, w)
        same_fit(ours, exact(X, y, w, C=np.inf), X, rtol=1e-5)


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "newton-cholesky"])
def test_no_penalty_on_several_classes_has_scores_that_sum_to_zero(data, solver):
    X, labels, _ = data
    y = (labels[3] + (np.arange(150) % 4 == 0)) % 3
    ours = LogisticRegression(C=np.inf, solver=solver, tol=1e-9, max_iter=1000).fit(X, y)
    same_fit(ours, exact(X, y, C=np.inf), X, rtol=1e-4)
    np.testing.assert_allclose(ours.decision_function(X).sum(axis=1), 0, atol=1e-10)


@pytest.mark.parametrize("convert", [sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize("params", PENALTIES, ids=str)
def test_sparse_is_dense(data, convert, params):
    X, labels, _ = data
    Z = convert(X * (np.abs(X) > 0.5))
    Z.indices, Z.indptr = Z.indices.astype(np.int64), Z.indptr.astype(np.int64)
    for y in labels.values():
        model = LogisticRegression(solver="auto", tol=1e-9, max_iter=20_000, **params)
        dense = model.fit(Z.toarray(), y).coef_
        np.testing.assert_allclose(model.fit(Z, y).coef_, dense, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cholesky", "prox_newton"])
def test_weights_are_repetitions(data, solver):
    X, labels, w = data
    rows = np.repeat(np.arange(150), w.astype(int))
    model = LogisticRegression(solver=solver, tol=1e-13, max_iter=1000)
    with warnings.catch_warnings():
        # So tight a tolerance may end in a stall: rounding is what is compared.
        warnings.simplefilter("ignore", ConvergenceWarning)
        weighted = model.fit(X, labels[2], w).coef_
        repeated = model.fit(X[rows], labels[2][rows]).coef_
    np.testing.assert_allclose(weighted, repeated, rtol=0, atol=1e-10)


@pytest.mark.parametrize("names", [["no", "yes", "maybe"], [-1, 5, 2], [0.0, 7.0, 2.0]], ids=str)
def test_labels_of_any_type(data, names):
    X, labels, _ = data
    for y in labels.values():
        named = np.array(names)[y]
        theirs = reference.LogisticRegression(tol=1e-8, max_iter=500).fit(X, named)
        ours = LogisticRegression(tol=1e-8, max_iter=500).fit(X, named)
        same_fit(ours, theirs, X, rtol=1e-4)
        assert ours.predict(X).dtype == ours.classes_.dtype == theirs.classes_.dtype


def test_booleans_are_labels(data):
    X, labels, _ = data
    assert LogisticRegression().fit(X, labels[2] == 1).predict(X).dtype == bool


def test_float32_stays(data):
    X, labels, w = data
    for y in labels.values():
        m = LogisticRegression().fit(X.astype(np.float32), y, w)
        Z = X.astype(np.float32)
        assert m.coef_.dtype == m.intercept_.dtype == m.predict_proba(Z).dtype == np.float32


def test_log_probabilities_of_what_is_nearly_impossible(data):
    X, labels, _ = data
    model = LogisticRegression(C=10, max_iter=1000).fit(X, labels[2])
    far = model.predict_log_proba(1e4 * X)
    assert np.all(np.isfinite(far))
    np.testing.assert_allclose(model.predict_proba(1e4 * X).sum(axis=1), 1)


def test_sparse_coefficients_and_back(data):
    X, labels, _ = data
    model = LogisticRegression(C=0.1, l1_ratio=1, solver="auto").fit(X, labels[2])
    before, coef = model.predict_proba(X), model.coef_
    assert sparse.issparse(model.sparsify().coef_)
    for Z in (X, sparse.csr_array(X)):
        np.testing.assert_allclose(model.predict_proba(Z), before)
    np.testing.assert_array_equal(model.densify().coef_, coef)


def test_warm_start_goes_on(data):
    X, labels, _ = data
    for y in labels.values():
        model = LogisticRegression(warm_start=True, tol=1e-6, max_iter=500).fit(X, y)
        cold = model.n_iter_[0]
        assert model.sparsify().fit(X, y).n_iter_[0] <= 2 < cold
    with pytest.raises(ValueError, match="warm_start=True"):
        model.fit(X[:, :2], y)


def test_warm_start_where_columns_are_far_from_zero(data):
    X, labels, _ = data
    model = LogisticRegression(warm_start=True, tol=1e-6, max_iter=500).fit(X + 1e3, labels[2])
    np.testing.assert_allclose(model.coef_, exact(X, labels[2]).coef_, rtol=1e-3)
    assert model.fit(X + 1e3, labels[2]).n_iter_[0] <= 2


# --- deprecated and invalid parameters ----------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"penalty": "l2"}, {"l1_ratio": 0.0}),
        ({"penalty": "l1", "l1_ratio": 1.0}, {"l1_ratio": 1.0}),
        ({"penalty": "elasticnet", "l1_ratio": 0.3}, {"l1_ratio": 0.3}),
        ({"penalty": None}, {"C": np.inf}),
        ({"l1_ratio": None}, {"l1_ratio": 0.0}),
    ],
    ids=str,
)
def test_deprecated_penalty_warns_and_works(data, old, new):
    X, labels, _ = data
    kwargs = {"solver": "auto", "tol": 1e-8, "max_iter": 10_000}
    y = np.where(np.arange(150) % 7 == 0, 1 - labels[2], labels[2])
    with pytest.warns(FutureWarning, match="deprecated in version 1.8") as caught:
        ours = LogisticRegression(**old, **kwargs).fit(X, y)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(ours.coef_, LogisticRegression(**new, **kwargs).fit(X, y).coef_)


def test_penalty_that_contradicts_l1_ratio_warns(data):
    X, labels, _ = data
    with pytest.warns(FutureWarning), pytest.warns(UserWarning, match="Inconsistent values"):
        LogisticRegression("l2", l1_ratio=1.0).fit(X, labels[2])
    with pytest.warns(FutureWarning), pytest.warns(UserWarning, match="ignore the C"):
        LogisticRegression(None, C=2.0, solver="newton-cholesky").fit(X, labels[2])
    with pytest.warns(FutureWarning, match="n_jobs"):
        LogisticRegression(n_jobs=2).fit(X, labels[2])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"C": 0}, "parameter C=0"),
        ({"C": -1.0}, "parameter C=-1.0"),
        ({"l1_ratio": 1.5}, "l1_ratio=1.5 .* >= 0 and <= 1"),
        ({"penalty": "l3"}, "penalty='l3'"),
        ({"penalty": "elasticnet", "l1_ratio": None}, "l1_ratio must be specified"),
        ({"class_weight": "even"}, "class_weight='even'"),
        ({"intercept_scaling": 0}, "intercept_scaling=0"),
        ({"dual": True}, "dual=True is the dual form of solver='liblinear'"),
        ({"dual": True, "solver": "liblinear", "l1_ratio": 1}, "dual=True"),
        ({"max_iter": -1}, "max_iter=-1"),
    ],
)
def test_bad_parameters_are_named(data, params, message):
    X, labels, _ = data
    with pytest.raises(ValueError, match=message):
        LogisticRegression(**params).fit(X, labels[2])


def test_a_solver_that_cannot_says_why_and_who_can(data):
    X, labels, _ = data
    with pytest.raises(IncompatibleSolverError, match=r"L1 penalty has none.*'prox_newton' \(what"):
        LogisticRegression(l1_ratio=1).fit(X, labels[2])
    with pytest.raises(IncompatibleSolverError, match=r"Only binary.*several outputs.*'lbfgs'"):
        LogisticRegression(solver="liblinear").fit(X, labels[3])
    with pytest.raises(ValueError, match=r"Did you mean 'lbfgs'\?"):
        LogisticRegression(solver="lbfgz").fit(X, labels[3])


def test_one_class_is_refused(data):
    X, _, _ = data
    with pytest.raises(ValueError, match="only one class"):
        LogisticRegression().fit(X, np.zeros(150))


def test_a_fit_that_fails_leaves_nothing_behind(data):
    X, labels, _ = data
    model = LogisticRegression(l1_ratio=1)
    with pytest.raises(IncompatibleSolverError):
        model.fit(X, labels[2])
    assert not hasattr(model, "classes_")
    assert not hasattr(model, "coef_")


def test_grid_search_over_solvers_and_their_parameters(data):
    X, labels, _ = data
    grid = [
        {"solver": ["lbfgs", "newton-cg", "newton-cholesky", "fista"], "max_iter": [5000]},
        {"solver": [LBFGS()], "solver__memory": [3, 20]},
    ]
    search = GridSearchCV(LogisticRegression(tol=1e-7), grid, cv=3, scoring="neg_log_loss").fit(
        X, labels[3]
    )
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_auto_solves_several_classes_with_an_l1_penalty(dtype, layout, fit_intercept):
    X, y = load_digits(n_class=4, return_X_y=True)
    X = layout((X[:300] / 16).astype(dtype))
    settings = {"C": 0.5, "l1_ratio": 1.0, "tol": 1e-4, "fit_intercept": fit_intercept}
    model = LogisticRegression(solver="auto", max_iter=3000, **settings).fit(X, y[:300])
    assert model.solve_report_.status == "converged"
    assert model.solver_ == "prox_newton"
    assert model.coef_.dtype == dtype
    known = LogisticRegression(solver="fista", max_iter=3000, **settings).fit(X, y[:300])
    assert model.solve_report_.objective == pytest.approx(known.solve_report_.objective, rel=1e-3)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint16, bool, float, np.float32, str])
def test_labels_of_any_type_give_one_model(dtype):
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = (X[:, 0] > 0).astype(int)
    expected = LogisticRegression().fit(X, y.tolist())
    model = LogisticRegression().fit(X, y.astype(dtype))
    assert model.classes_.dtype == np.unique(y.astype(dtype)).dtype
    np.testing.assert_array_equal(model.coef_, expected.coef_)


def test_labels_that_are_mostly_distinct_warn():
    X = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.warns(UserWarning, match="unique classes is greater than 50%"):
        LogisticRegression().fit(X, np.arange(30) // 2 + np.arange(30) // 3)


@pytest.mark.parametrize("bad", [0.5, np.nan, np.inf])
def test_numbers_that_are_no_labels_are_refused(bad):
    X = np.random.default_rng(0).normal(size=(30, 2))
    y = np.arange(30) % 2.0
    y[4] = bad
    with pytest.raises(ValueError, match=r"Unknown label type|contains"):
        LogisticRegression().fit(X, y)


@pytest.mark.parametrize("shift", [np.nan, np.inf])
def test_integer_labels_do_not_hide_bad_features(shift):
    X = np.random.default_rng(0).normal(size=(30, 2))
    X[3, 1] = shift
    with pytest.raises(ValueError, match="contains"):
        LogisticRegression().fit(X, np.arange(30) % 2)


@pytest.mark.parametrize("kind", [LogisticRegression, LogisticRegressionCV])
def test_balancing_a_class_without_weight_is_refused_by_its_name(kind):
    X, y = load_iris(return_X_y=True)
    labels = np.array(["a", "b", "c"])[y]
    options = {"scoring": "accuracy", "l1_ratios": (0,), "use_legacy_attributes": False}
    model = kind(class_weight="balanced", **(options if kind is LogisticRegressionCV else {}))
    with pytest.raises(ValueError, match=r"samples of class .*'b'.* have none"):
        model.fit(X, labels, sample_weight=(y != 1).astype(float))


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "saga", "newton-cg"])
def test_no_iterations_leave_the_start(solver):
    X, y = load_iris(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="after 0 iterations"):
        model = LogisticRegression(solver=solver, max_iter=0).fit(X, y)
    np.testing.assert_array_equal(model.n_iter_, [0])
    np.testing.assert_array_equal(model.coef_, 0.0)
