"""MultiTaskLasso and MultiTaskElasticNet against scikit-learn; coordinate descent over rows."""

from __future__ import annotations

import inspect

import array_api_strict as strict
import numpy as np
import pytest
import sklearn.linear_model as reference
from scipy import sparse

from skopt_dl.dispatch import SOLVERS, fitting
from skopt_dl.engine import Oracle
from skopt_dl.kernels import bind, generic_rows
from skopt_dl.kernels.namespace import to_numpy
from skopt_dl.linear_model import MultiTaskElasticNet, MultiTaskLasso, alpha_max
from skopt_dl.linops import design
from skopt_dl.penalties import RowElasticNet
from skopt_dl.problems.rows import RowModel
from skopt_dl.testing import check_penalty

OURS = {"MultiTaskLasso": MultiTaskLasso, "MultiTaskElasticNet": MultiTaskElasticNet}
TIGHT = {"tol": 1e-13, "max_iter": 50_000}


@pytest.fixture(scope="module")
def data():
    """50 samples, 12 features of which 4 matter to all of 3 targets, weights."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 12)) * rng.uniform(0.5, 2, 12) + rng.standard_normal(12)
    Y = X[:, :4] @ rng.standard_normal((4, 3)) + 0.3 * rng.standard_normal((50, 3)) + 5
    return X, Y, rng.integers(0, 3, 50).astype(float)


@pytest.mark.parametrize("name", OURS)
def test_signature_is_that_of_scikit_learn(name):
    theirs = inspect.signature(getattr(reference, name)).parameters
    ours = inspect.signature(OURS[name]).parameters
    assert list(ours) == [*theirs, "solver", "device", "max_time"]
    for key, parameter in theirs.items():
        assert (ours[key].default, ours[key].kind) == (parameter.default, parameter.kind)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("convert", [np.asarray, np.asfortranarray, sparse.csr_array])
def test_optimum_is_that_of_scikit_learn(data, name, fit_intercept, weighted, convert):
    X, Y, w = data
    X = convert(X if convert is not sparse.csr_array else X * (np.abs(X) > 1))
    w = w if weighted else None
    params = {"alpha": 0.2, "fit_intercept": fit_intercept, **TIGHT}
    ours = OURS[name](**params).fit(X, Y, w)
    theirs = getattr(reference, name)(**params).fit(X, Y, w)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=2e-5)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=2e-5)
    for attribute in ("coef_", "intercept_", "dual_gap_", "n_iter_"):
        assert np.shape(getattr(ours, attribute)) == np.shape(getattr(theirs, attribute))
    assert ours.solver_ == "cd"
    rows = ours.coef_ != 0
    np.testing.assert_array_equal(rows.any(axis=0), rows.all(axis=0))


@pytest.mark.parametrize("model", [MultiTaskLasso(0.2), MultiTaskElasticNet(0.2)], ids=repr)
def test_every_solver_that_fits_finds_the_same_optimum(data, model):
    X, Y, w = data
    best = type(model)(0.2, **TIGHT).fit(X, Y, w)
    names = fitting(model._build_problem(X, Y, w))
    assert {"cd", "fista", "admm", "saga"} <= set(names)
    for name in names:
        if Oracle.SAMPLE_GRAD in SOLVERS.get(name).needs.oracles:
            continue  # Rules on batches of samples approach an optimum, no tight tolerance.
        other = type(model)(0.2, solver=name, tol=1e-8, max_iter=20_000, random_state=0)
        np.testing.assert_allclose(other.fit(X, Y, w).coef_, best.coef_, atol=1e-3, err_msg=name)
        assert other.solve_report_.status == "converged"


def test_one_target_is_a_lasso(data):
    X, Y, w = data
    joint = MultiTaskLasso(0.2, **TIGHT).fit(X, Y[:, :1], w)
    alone = reference.Lasso(0.2, **TIGHT).fit(X, Y[:, 0], w)
    np.testing.assert_allclose(joint.coef_[0], alone.coef_, atol=1e-6)
    assert joint.intercept_.shape == (1,)


def test_alpha_max_ends_the_path(data):
    X, Y, w = data
    top = alpha_max(X, Y, sample_weight=w)
    assert not np.any(MultiTaskLasso(top).fit(X, Y, w).coef_)
    assert np.any(MultiTaskLasso(0.999 * top, tol=1e-10).fit(X, Y, w).coef_)


def test_float32_random_order_warm_start_and_columns_far_from_zero(data):
    X, Y, w = data
    best = MultiTaskLasso(0.2, **TIGHT).fit(X, Y, w)
    single = MultiTaskLasso(0.2).fit(X.astype(np.float32), Y.astype(np.float32))
    assert single.coef_.dtype == np.float32
    random = MultiTaskLasso(0.2, selection="random", random_state=0, **TIGHT).fit(X, Y, w)
    assert "random" in random.solve_report_.solver
    np.testing.assert_allclose(random.coef_, best.coef_, atol=1e-6)
    far = MultiTaskLasso(0.2, **{**TIGHT, "tol": 1e-10}).fit(X + 1e6, Y, w)
    np.testing.assert_allclose(far.coef_, best.coef_, atol=1e-4)
    again = MultiTaskLasso(0.2, warm_start=True, tol=1e-10).fit(X, Y, w)
    assert again.n_iter_ > 1
    assert again.fit(X, Y, w).n_iter_ == 1


def test_it_fits_where_the_data_live(data):
    X, Y, w = data
    best = MultiTaskLasso(0.2, **TIGHT).fit(X, Y, w)
    model = MultiTaskLasso(0.2, tol=1e-10).fit(strict.asarray(X), strict.asarray(Y), w)
    np.testing.assert_allclose(to_numpy(model.coef_), best.coef_, atol=1e-5)


def test_one_dimensional_targets_are_refused(data):
    X, Y, _ = data
    with pytest.raises(ValueError, match="For mono-task outputs, use ElasticNet"):
        MultiTaskElasticNet().fit(X, Y[:, 0])
    with pytest.raises(ValueError, match="l1_ratio=2"):
        MultiTaskElasticNet(l1_ratio=2).fit(X, Y)


# --- the parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("l2", [0.0, 0.7])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_penalty_obeys_the_laws(n_outputs, l2):
    penalty = RowElasticNet(n_outputs, 0.4, l2)
    check_penalty(penalty, size=9)
    v = np.random.default_rng(0).standard_normal(9)
    rows = [penalty.prox_row(r, 0.5, j) for j, r in enumerate(v.reshape(-1, n_outputs))]
    np.testing.assert_allclose(penalty.prox(v, 0.5), np.ravel(rows))


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_compiled_kernel_is_the_generic_one(layout, centre, weighted, dtype):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((20, 8)) * (rng.random((20, 8)) < 0.6)).astype(dtype)
    X[:, 3] = 0
    R = rng.standard_normal((20, 4)).astype(dtype)
    R -= R.mean(axis=0)
    h = np.full(20, 0.05) if not weighted else rng.random(20)
    h = (h / h.sum()).astype(dtype)
    kernels = bind(np, np.dtype(dtype), layout)
    answers = []
    for kernel in (kernels.row_epochs, generic_rows.row_epochs):
        w = np.zeros(32, dtype)
        map_ = design(X if layout == "dense" else sparse.csc_array(X))
        penalty = RowElasticNet(4, 0.02, 0.1)
        U = h[:, None] * (R - h @ R)
        model = RowModel(map_, w, U, h, centre=centre, penalty=penalty, kernels=kernels)
        done, indicator = kernel(model, np.arange(8), 7, 0.0)
        answers.append((w, model.U, model.c, done, indicator))
    assert kernels.row_epochs is not generic_rows.row_epochs
    rtol = 1e-10 if dtype is np.float64 else 1e-3
    for compiled, generic in zip(*answers, strict=True):
        np.testing.assert_allclose(compiled, generic, rtol=rtol, atol=rtol)
