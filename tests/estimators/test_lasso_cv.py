"""LassoCV and ElasticNetCV against scikit-learn's, and what they promise beyond."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
import sklearn
import sklearn.linear_model as reference
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    RepeatedKFold,
    ShuffleSplit,
    TimeSeriesSplit,
)

from skopt_dl.linear_model import ElasticNetCV, LassoCV, _moments as moments
from skopt_dl.solvers import FISTA, ActiveSet

SHAPES = {"tall": (90, 12), "wide": (40, 70)}
CVS = [
    None,
    3,
    KFold(4, shuffle=True, random_state=0),
    ShuffleSplit(3, test_size=0.3, random_state=0),
    RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
    TimeSeriesSplit(3),
]
OURS = {"LassoCV": LassoCV, "ElasticNetCV": ElasticNetCV}


def make(shape, seed=0):
    n, p = SHAPES[shape]
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * rng.uniform(0.5, 2, p) + 3 * rng.standard_normal(p)
    y = X[:, :5] @ rng.standard_normal(5) + rng.standard_normal(n)
    return X, y, rng.uniform(0.2, 2, n)


def both(name, X, y, weights=None, **params):
    """Our fit and scikit-learn's, both to rounding."""
    params = {"alphas": 15, "eps": 0.02, **params}
    theirs = getattr(reference, name)(tol=1e-13, max_iter=500_000, **params)
    ours = OURS[name](tol=1e-12, **params)
    return ours.fit(X, y, sample_weight=weights), theirs.fit(X, y, sample_weight=weights)


def same_choice(ours, theirs, rtol=1e-10, coef=1e-6):
    np.testing.assert_allclose(ours.alphas_, theirs.alphas_, rtol=1e-10)
    np.testing.assert_allclose(ours.mse_path_, theirs.mse_path_, rtol=rtol)
    np.testing.assert_allclose(ours.alpha_, theirs.alpha_, rtol=1e-10)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=coef)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=10 * coef)
    assert getattr(ours, "l1_ratio_", None) == getattr(theirs, "l1_ratio_", None)
    for attribute in ("mse_path_", "alphas_", "coef_", "intercept_", "dual_gap_", "n_iter_"):
        assert np.shape(getattr(ours, attribute)) == np.shape(getattr(theirs, attribute))


@pytest.mark.parametrize("name", OURS)
def test_signature_is_that_of_scikit_learn(name):
    theirs = inspect.signature(getattr(reference, name)).parameters
    ours = inspect.signature(OURS[name]).parameters
    assert list(ours) == [*theirs, "solver", "device", "max_time"]
    for key, parameter in theirs.items():
        assert (ours[key].default, ours[key].kind) == (parameter.default, parameter.kind)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("params", [{}, {"fit_intercept": False}, {"positive": True}], ids=str)
def test_errors_and_choice_are_those_of_scikit_learn(shape, weighted, params):
    X, y, w = make(shape)
    # scikit-learn's own answers are good to its tolerance where columns are many.
    rtol = 1e-10 if shape == "tall" else 1e-6
    same_choice(*both("LassoCV", X, y, w if weighted else None, **params), rtol=rtol, coef=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("l1_ratio", [0.7, [0.3], [0.2, 0.6, 1.0]], ids=str)
@pytest.mark.parametrize("alphas", [15, [0.02, 1.0, 0.1, 0.1]], ids=["grid", "given"])
def test_elastic_net_is_that_of_scikit_learn(shape, l1_ratio, alphas):
    X, y, _ = make(shape)
    rtol = 1e-10 if shape == "tall" else 1e-6
    found = both("ElasticNetCV", X, y, l1_ratio=l1_ratio, alphas=alphas)
    same_choice(*found, rtol=rtol, coef=1e-4)


@pytest.mark.parametrize("cv", CVS, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_splitter(shape, cv):
    X, y, _ = make(shape)
    # A few training samples and many columns: scikit-learn stops at its own rounding.
    rtol = 1e-8 if shape == "tall" else 1e-4
    found = both("LassoCV", X, y, cv=cv, alphas=8, eps=0.1)
    same_choice(*found, rtol=rtol, coef=1e-4)


def test_splits_as_lists_with_repetitions_and_masks():
    X, y, _ = make("tall")
    rows = np.arange(90)
    splits = [(np.repeat(rows[:50], 2), rows[50:]), (rows[40:], rows[:30])]
    ours, theirs = both("LassoCV", X, y, cv=splits)
    same_choice(ours, theirs, rtol=1e-8)
    masks = [(rows >= 40, rows < 30)]
    ours, theirs = both("LassoCV", X, y, cv=masks)
    same_choice(ours, theirs, rtol=1e-8)


@pytest.mark.parametrize("kind", [sparse.csc_array, sparse.csr_matrix])
@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_is_that_of_scikit_learn(kind, weighted):
    X, y, w = make("tall")
    X = kind(X * (np.abs(X) > 2))
    same_choice(*both("LassoCV", X, y, w if weighted else None), rtol=1e-8)


@pytest.mark.parametrize("precompute", [True, False, "gram"])
@pytest.mark.parametrize("shape", SHAPES)
def test_precompute_changes_no_answer(shape, precompute):
    X, y, _ = make(shape)
    plain = LassoCV(alphas=10, tol=1e-12).fit(X, y)
    if precompute == "gram":
        precompute = (X - X.mean(axis=0)).T @ (X - X.mean(axis=0))
    other = LassoCV(alphas=10, tol=1e-12, precompute=precompute).fit(X, y)
    np.testing.assert_allclose(other.mse_path_, plain.mse_path_, rtol=1e-6)
    np.testing.assert_allclose(other.coef_, plain.coef_, atol=1e-6)


@pytest.mark.parametrize("solver", ["cd", "fista", "active_set", FISTA(), ActiveSet()], ids=str)
def test_every_solver_finds_the_same_errors(solver):
    X, y, w = make("wide")
    best = LassoCV(alphas=8, eps=0.1, tol=1e-12).fit(X, y, w)
    other = clone(best).set_params(solver=solver, tol=1e-9, max_iter=50_000).fit(X, y, w)
    np.testing.assert_allclose(other.mse_path_, best.mse_path_, rtol=1e-2)
    assert other.alpha_ == best.alpha_
    assert other.solver_ == (solver if isinstance(solver, str) else other.solver_)


def test_a_random_order_is_coordinate_descent():
    X, y, _ = make("tall")
    model = LassoCV(selection="random", random_state=0, alphas=5).fit(X, y)
    assert model.solver_ == "cd"
    assert "random" in model.solve_report_.solver
    np.testing.assert_array_equal(model.coef_, clone(model).fit(X, y).coef_)


def test_jobs_give_the_same_numbers():
    for shape in SHAPES:
        X, y, w = make(shape)
        one = ElasticNetCV(l1_ratio=[0.3, 0.9], alphas=10).fit(X, y, w)
        two = clone(one).set_params(n_jobs=2).fit(X, y, w)
        np.testing.assert_array_equal(one.mse_path_, two.mse_path_)


def test_errors_without_noise_keep_their_digits():
    """Moments lose the digits of small errors; they are then computed from the rows."""
    X, _, _ = make("tall")
    y = X @ np.arange(12.0)
    ours, theirs = both("LassoCV", X, y, eps=1e-6)
    assert np.min(theirs.mse_path_) < moments.CANCELLED * np.var(y)
    np.testing.assert_allclose(ours.mse_path_, theirs.mse_path_, rtol=1e-6)


def test_one_huge_row_does_not_spoil_the_other_folds():
    X, y, _ = make("tall")
    X[0] *= 1e8
    alphas = [1.0, 0.1, 0.01]
    ours = LassoCV(fit_intercept=False, alphas=alphas, tol=1e-12).fit(X, y)
    # The first of five folds trains without that row.
    for alpha, found in zip(alphas, ours.mse_path_[:, 0], strict=True):
        theirs = reference.Lasso(alpha, fit_intercept=False, tol=1e-13, max_iter=100_000)
        errors = y[:18] - theirs.fit(X[18:], y[18:]).predict(X[:18])
        np.testing.assert_allclose(found, np.mean(errors**2), rtol=1e-7)


@pytest.mark.parametrize("offset", [1e6, 1e8])
@pytest.mark.parametrize("convert", [np.asarray, sparse.csc_array])
@pytest.mark.parametrize("shape", SHAPES)
def test_columns_far_from_zero(shape, convert, offset):
    X, y, _ = make(shape)
    near = LassoCV(alphas=10, tol=1e-10).fit(X, y)
    far = LassoCV(alphas=10, tol=1e-10).fit(convert(X + offset), y)
    np.testing.assert_allclose(far.mse_path_, near.mse_path_, rtol=1e-4)
    np.testing.assert_allclose(far.coef_, near.coef_, atol=1e-4)


def test_float32_stays():
    for shape in SHAPES:
        X, y, w = (a.astype(np.float32) for a in make(shape))
        model = LassoCV(alphas=10).fit(X, y, w)
        double = LassoCV(alphas=10).fit(*make(shape)[:2], make(shape)[2])
        assert model.coef_.dtype == model.predict(X).dtype == np.float32
        np.testing.assert_allclose(model.mse_path_, double.mse_path_, rtol=1e-3)


def test_leave_one_out_and_weights_as_repetitions():
    X, y, _ = make("tall")
    X, y = X[:20], y[:20]
    same_choice(*both("LassoCV", X, y, cv=LeaveOneOut(), alphas=5, eps=0.1), rtol=1e-7)
    w = np.arange(20) % 3
    rows = np.repeat(np.arange(20), w)
    half = np.arange(20) < 10
    splits = [(np.flatnonzero(half), np.flatnonzero(~half))]
    again = [(np.flatnonzero(half[rows]), np.flatnonzero(~half[rows]))]
    a = LassoCV(alphas=6, tol=1e-12, cv=splits).fit(X, y, w)
    b = LassoCV(alphas=6, tol=1e-12, cv=again).fit(X[rows], y[rows])
    np.testing.assert_allclose(a.mse_path_, b.mse_path_, rtol=1e-8)
    np.testing.assert_allclose(a.coef_, b.coef_, atol=1e-8)


def test_groups_reach_the_splitter_by_metadata_routing():
    X, y, _ = make("tall")
    groups = np.arange(90) % 7
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        LassoCV(cv=GroupKFold(3)).fit(X, y, groups=groups)
    with sklearn.config_context(enable_metadata_routing=True):
        ours = LassoCV(cv=GroupKFold(3), alphas=5, tol=1e-12)
        theirs = reference.LassoCV(cv=GroupKFold(3), alphas=5, tol=1e-13, max_iter=100_000)
        ours.fit(X, y, groups=groups)
        theirs.fit(X, y, groups=groups)
    np.testing.assert_allclose(ours.mse_path_, theirs.mse_path_, rtol=1e-9)


# --- limits and errors --------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["auto", "cd"])
@pytest.mark.parametrize("shape", SHAPES)
def test_time_that_runs_out_leaves_gaps_and_warns(shape, solver):
    X, y, _ = make(shape)
    with pytest.warns(ConvergenceWarning, match="max_time") as caught:
        model = LassoCV(max_time=1e-9, solver=solver).fit(X, y)
    assert caught[0].filename == __file__
    assert np.any(np.isnan(model.mse_path_))
    assert np.all(np.isfinite(model.mse_path_[0]))
    assert np.all(np.isfinite(model.coef_))


def test_a_budget_too_small_warns_with_the_way_out():
    X, y, _ = make("wide")
    with pytest.warns(ConvergenceWarning, match="Increase max_iter"):
        LassoCV(solver="cd", max_iter=1, tol=1e-10, alphas=5).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LassoCV(tol=1e-10).fit(X, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"eps": 0}, "eps=0"),
        ({"alphas": 0}, "alphas=0"),
        ({"alphas": []}, r"alphas=\[\] is not valid"),
        ({"alphas": [1.0, -1.0]}, r"alphas=\[1.0, -1.0\] is not valid"),
        ({"precompute": "yes"}, "precompute='yes'"),
        ({"selection": "greedy"}, "selection='greedy'"),
        ({"device": "cuda:9x"}, "device='cuda:9x'"),
        ({"l1_ratio": 1.5}, "l1_ratio=1.5"),
        ({"l1_ratio": 0}, "l1_ratio=0 no strength"),
        ({"max_iter": 0}, "max_iter=0"),
        ({"cv": [([0, 1], [])]}, "fold 0 without validation samples"),
    ],
)
def test_bad_parameters_are_named(params, message):
    X, y, _ = make("tall")
    with pytest.raises(ValueError, match=message):
        ElasticNetCV(**params).fit(X, y)


def test_data_it_cannot_take_are_refused():
    X, y, w = make("tall")
    with pytest.raises(ValueError, match="one target only"):
        LassoCV().fit(X, np.stack([y, y], axis=1))
    w[:20] = 0
    with pytest.raises(ValueError, match="validation samples of fold 0 have no weight"):
        LassoCV().fit(X, y, w)


def test_the_data_are_never_written():
    for shape in SHAPES:
        X, y, w = make(shape)
        for array in (X, y, w):
            array.flags.writeable = False
        LassoCV(alphas=5, copy_X=False).fit(X, y, w)


@pytest.mark.parametrize("far", [1e4, 1e8, 1e12])
def test_rows_without_weight_say_nothing(far):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 10))
    y = 2 * X[:, 0] - X[:, 3] + 0.1 * rng.standard_normal(2000)
    weights, Z = np.ones(2000), X.copy()
    weights[::31], Z[::31] = 0, far
    without, ours = (LassoCV(alphas=20).fit(data, y, sample_weight=weights) for data in (X, Z))
    np.testing.assert_allclose(ours.mse_path_, without.mse_path_, rtol=1e-10)
    np.testing.assert_allclose(ours.coef_, without.coef_, rtol=1e-9, atol=1e-9)
