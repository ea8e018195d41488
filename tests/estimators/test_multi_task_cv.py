"""MultiTaskLassoCV, MultiTaskElasticNetCV and paths of several targets against scikit-learn's."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import sklearn.linear_model as reference
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, ShuffleSplit

from skopt_dl.kernels import bind, generic_rows
from skopt_dl.linear_model import (
    MultiTaskElasticNetCV,
    MultiTaskLassoCV,
    enet_path,
    lasso_path,
)
from skopt_dl.linear_model._exact_path import dual_along, dual_of_one

OURS = {"MultiTaskLassoCV": MultiTaskLassoCV, "MultiTaskElasticNetCV": MultiTaskElasticNetCV}
TIGHT = {"tol": 1e-12, "max_iter": 100_000}
SHAPES = {"tall": (60, 8), "wide": (30, 40)}


def make(shape):
    n, p = SHAPES[shape]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) * rng.uniform(0.5, 2, p) + rng.standard_normal(p)
    Y = X[:, :3] @ rng.standard_normal((3, 2)) + rng.standard_normal((n, 2)) + 5
    return X, Y, rng.uniform(0.2, 2, n)


def both(name, X, Y, weights=None, **params):
    params = {"alphas": 8, "eps": 0.05, **TIGHT, **params}
    theirs = getattr(reference, name)(**params)
    return OURS[name](**params).fit(X, Y, weights), theirs.fit(X, Y, weights)


def same_choice(ours, theirs):
    np.testing.assert_allclose(ours.alphas_, theirs.alphas_, rtol=1e-10)
    np.testing.assert_allclose(ours.mse_path_, theirs.mse_path_, rtol=1e-6)
    np.testing.assert_allclose(ours.alpha_, theirs.alpha_, rtol=1e-10)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-4)
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
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_errors_and_choice_are_those_of_scikit_learn(shape, weighted, fit_intercept):
    X, Y, w = make(shape)
    w = w if weighted else None
    same_choice(*both("MultiTaskLassoCV", X, Y, w, fit_intercept=fit_intercept))


@pytest.mark.parametrize("l1_ratio", [0.7, [0.2, 0.6, 1.0]], ids=str)
@pytest.mark.parametrize("alphas", [6, [0.02, 1.0, 0.1]], ids=["grid", "given"])
def test_elastic_net_is_that_of_scikit_learn(l1_ratio, alphas):
    X, Y, _ = make("tall")
    same_choice(*both("MultiTaskElasticNetCV", X, Y, l1_ratio=l1_ratio, alphas=alphas))


@pytest.mark.parametrize(
    "cv", [3, KFold(4, shuffle=True, random_state=0), ShuffleSplit(3, random_state=0)], ids=str
)
def test_every_splitter(cv):
    X, Y, _ = make("tall")
    same_choice(*both("MultiTaskLassoCV", X, Y, cv=cv))


@pytest.mark.parametrize("kind", [sparse.csc_array, sparse.csr_matrix])
def test_sparse_data_give_the_errors_of_dense_ones(kind):
    X, Y, w = make("wide")
    X = X * (np.abs(X) > 1)
    dense = MultiTaskLassoCV(alphas=6, eps=0.05, **TIGHT).fit(X, Y, w)
    thin = clone(dense).fit(kind(X), Y, w)
    np.testing.assert_allclose(thin.mse_path_, dense.mse_path_, rtol=1e-6)
    np.testing.assert_allclose(thin.coef_, dense.coef_, atol=1e-5)


@pytest.mark.parametrize("solver", ["cd", "anderson_cd", "fista", "admm"])
def test_every_solver_finds_the_same_errors(solver):
    X, Y, _ = make("tall")
    best = MultiTaskLassoCV(alphas=5, eps=0.1, **TIGHT).fit(X, Y)
    other = clone(best).set_params(solver=solver, tol=1e-9).fit(X, Y)
    np.testing.assert_allclose(other.mse_path_, best.mse_path_, rtol=1e-3)
    assert other.alpha_ == best.alpha_
    assert other.solver_ == solver


def test_float32_jobs_and_read_only_data():
    X, Y, w = make("tall")
    for array in (X, Y, w):
        array.flags.writeable = False
    one = MultiTaskElasticNetCV(alphas=5, l1_ratio=[0.3, 0.9]).fit(X, Y, w)
    two = clone(one).set_params(n_jobs=2).fit(X, Y, w)
    np.testing.assert_array_equal(one.mse_path_, two.mse_path_)
    single = clone(one).fit(X.astype(np.float32), Y.astype(np.float32), w)
    assert single.coef_.dtype == single.predict(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(single.mse_path_, one.mse_path_, rtol=1e-2)


def test_what_it_cannot_take_is_refused():
    X, Y, _ = make("tall")
    with pytest.raises(ValueError, match="For mono-task outputs, use ElasticNetCV"):
        MultiTaskElasticNetCV().fit(X, Y[:, 0])
    with pytest.raises(ValueError, match=r"l1_ratio=1\.5"):
        MultiTaskElasticNetCV(l1_ratio=1.5).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="Increase max_iter"):
        MultiTaskLassoCV(max_iter=1, tol=1e-12, alphas=3).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="max_time"):
        model = MultiTaskLassoCV(max_time=1e-9).fit(X, Y)
    assert np.any(np.isnan(model.mse_path_))
    assert np.all(np.isfinite(model.mse_path_[0]))


# --- paths of several targets -------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("l1_ratio", [0.4, 1.0])
def test_paths_are_those_of_scikit_learn(shape, l1_ratio):
    X, Y, _ = make(shape)
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    params = {"l1_ratio": l1_ratio, "alphas": 8, "eps": 0.05, "return_n_iter": True, **TIGHT}
    ours, theirs = enet_path(X, Y, **params), reference.enet_path(X, Y, **params)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-10)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-5)
    assert np.all(ours[2] <= 1e-12 * np.mean(np.sum(Y**2, axis=1)) / 2)
    assert [np.shape(part) for part in ours] == [np.shape(part) for part in theirs]


def test_a_path_starts_where_it_is_told_and_names_what_it_cannot_do():
    X, Y, _ = make("tall")
    _, coefs, _, n_iters = lasso_path(X, Y, alphas=[0.3], return_n_iter=True, **TIGHT)
    *_, again = lasso_path(X, Y, alphas=[0.3], coef_init=coefs[..., 0], return_n_iter=True)
    assert again == [1]
    assert n_iters[0] > 1
    with pytest.raises(ValueError, match="positive=True is for one target"):
        lasso_path(X, Y, positive=True)
    with pytest.raises(ValueError, match="of one target without sample_weight"):
        lasso_path(X, Y, precompute=X.T @ X)


# --- paths on a Gram matrix -----------------------------------------------------------------------


def test_the_compiled_sweeps_are_the_specification() -> None:
    rng = np.random.default_rng(0)
    B, T = rng.standard_normal((30, 8)), rng.standard_normal((30, 3))
    B[:, 5] = 0
    ends = []
    for kernel in (bind(np, np.dtype(np.float64)).gram_row_epochs, generic_rows.gram_row_epochs):
        W = np.zeros((8, 3))
        C = np.ascontiguousarray((B.T @ T).T)
        done = kernel(B.T @ B, C, W, 3.0, 0.5, 7, 0.0)
        np.testing.assert_allclose(C, (B.T @ (T - B @ W)).T, atol=1e-10)
        ends.append((W, *done))
    np.testing.assert_allclose(ends[0][0], ends[1][0], atol=1e-13)
    assert ends[0][1] == ends[1][1] == 7
    assert ends[0][2] == pytest.approx(ends[1][2], abs=1e-12)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_path_on_the_gram_matrix_is_that_on_the_data(l1_ratio: float, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 12)) + 5
    Y = X[:, :3] @ rng.standard_normal((3, 4)) + rng.standard_normal((60, 4))
    weights = rng.integers(0, 3, 60).astype(float) if weighted else None
    settings = {"l1_ratio": l1_ratio, "alphas": 30, "tol": 1e-9, "cv": 3, "max_iter": 10_000}
    on_gram = MultiTaskElasticNetCV(**settings).fit(X, Y, weights)
    on_data = MultiTaskElasticNetCV(solver="fista", **settings).fit(X, Y, weights)
    np.testing.assert_allclose(on_gram.mse_path_, on_data.mse_path_, rtol=1e-4)
    np.testing.assert_allclose(on_gram.coef_, on_data.coef_, atol=1e-4)
    assert on_gram.alpha_ == on_data.alpha_


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("shape", [(60, 40), (40, 70), (15, 200)], ids=str)
def test_gaps_along_a_path_bound_what_is_lost(shape: tuple[int, int], l1_ratio: float) -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal(shape)
    Y = X[:, :6] @ rng.standard_normal((6, 3)) + rng.standard_normal((shape[0], 3))
    given = {"l1_ratio": l1_ratio, "alphas": 60, "eps": 1e-3}
    alphas, coefs, gaps = enet_path(X, Y, **given)
    _, exact, left = enet_path(X, Y, **{**given, "tol": 1e-10, "max_iter": 100_000})

    def objective(W: np.ndarray) -> np.ndarray:
        R = Y.T[..., None] - np.einsum("np,kpa->kna", X, W)
        sizes = np.sqrt(np.sum(W**2, axis=0))
        penalty = l1_ratio * np.sum(sizes, axis=0) + (1 - l1_ratio) / 2 * np.sum(sizes**2, axis=0)
        return np.sum(R**2, axis=(0, 1)) / (2 * len(Y)) + alphas * penalty

    unit = np.sum(Y**2) / (2 * len(Y))
    lost = objective(coefs) - objective(exact)
    assert np.max(gaps) <= 1e-4 * unit
    assert np.max(left) <= 1e-10 * unit
    assert np.all(lost <= gaps + 1e-12 * unit)
    assert np.all(lost >= -left - 1e-12 * unit)


def test_the_compiled_sweeps_take_a_part_of_a_larger_matrix() -> None:
    rng = np.random.default_rng(0)
    B, T = rng.standard_normal((20, 5)), rng.standard_normal((20, 2))
    G, room = B.T @ B, np.full((9, 9), np.nan)
    room[:5, :5] = G
    ends = []
    for matrix in (G, room[:5, :5]):
        W, C = np.zeros((5, 2)), np.ascontiguousarray((B.T @ T).T)
        bind(np, np.dtype(np.float64)).gram_row_epochs(matrix, C, W, 2.0, 0.0, 5, 0.0)
        ends.append(W)
    np.testing.assert_array_equal(*ends)
    with pytest.raises(ValueError, match="contiguous"):
        bind(np, np.dtype(np.float64)).gram_row_epochs(room.T[:5, :5], C, W, 2.0, 0.0, 5, 0.0)


def test_the_dual_of_one_residual_is_that_of_many() -> None:
    rng = np.random.default_rng(0)
    cross, norm, largest, limit = rng.standard_normal((4, 50)) ** 2
    cross[::2] *= -1
    norm[:5], largest[3:8] = 0, 0
    many = dual_along(cross, norm, largest, limit)
    numbers = np.stack([cross, norm, largest, limit], axis=1).tolist()
    np.testing.assert_array_equal(many, [dual_of_one(*each) for each in numbers])


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_rows_that_all_come_in_stand_in_their_order(l1_ratio: float) -> None:
    """At small strengths all rows are swept, which came one by one and out of order."""
    X, Y, _ = make("tall")
    path = enet_path if l1_ratio < 1 else lasso_path
    mix = {"l1_ratio": l1_ratio} if l1_ratio < 1 else {}
    alphas, coefs, _ = path(X, Y, eps=1e-4, alphas=20, tol=1e-10, **mix)
    assert np.all(coefs[:, :, -1] != 0)
    for alpha, coef in zip(alphas[::4], np.moveaxis(coefs, 2, 0)[::4], strict=True):
        model = reference.MultiTaskElasticNet(
            alpha, l1_ratio=l1_ratio, fit_intercept=False, tol=1e-12, max_iter=100_000
        )
        np.testing.assert_allclose(coef, model.fit(X, Y).coef_, atol=1e-5)
