"""The compiled kernels on observed entries equal the array form, which is their specification."""

from __future__ import annotations

from types import SimpleNamespace

import array_api_strict
import numpy as np
import pytest
from scipy import sparse

from skopt_dl.kernels import bind, generic_nonnegative, generic_observed
from skopt_dl.matrix_completion.groups import Groups

DTYPES = ["float64", "float32"]


def tolerance(dtype):
    return {"float64": 1e-10, "float32": 2e-4}[dtype]


def entries(dtype, seed=0, m=23, n=90, k=5, density=0.8):
    """Weights, targets and factors; row 3 and column 4 are empty, rows exceed the buffer depth."""
    rng = np.random.default_rng(seed)
    W = rng.random((m, n)) * (rng.random((m, n)) < density)
    W[3], W[:, 4] = 0, 0
    T = W * rng.standard_normal((m, n))
    L, R = rng.standard_normal((m, k)), rng.standard_normal((n, k))
    return [a.astype(dtype) for a in (W, T, L, R)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index", ["int32", "int64"])
def test_entry_products(dtype, index):
    W, _, L, R = entries(dtype)
    rows, cols = (a.astype(index) for a in np.nonzero(W))
    compiled = bind(np, dtype, "sparse").entry_products(rows, cols, L, R)
    assert compiled.dtype == dtype
    np.testing.assert_allclose(compiled, (L @ R.T)[rows, cols], rtol=0, atol=tolerance(dtype))
    spec = generic_observed.entry_products(rows, cols, L, R)
    np.testing.assert_allclose(compiled, spec, rtol=0, atol=tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("threads", [1, 3])
def test_stored_products_and_their_order_by_columns(dtype, index, threads):
    W, _, L, R = entries(dtype)
    stored = sparse.csr_array(W)
    ptr, cols = (a.astype(index) for a in (stored.indptr, stored.indices))
    rows = np.repeat(np.arange(len(W)), np.diff(ptr)).astype(index)
    positions = SimpleNamespace(ptr=ptr, cols=cols, rows=rows)
    kernels = bind(np, dtype, "sparse")
    spec = generic_observed.stored_products(positions, L, R)
    compiled = kernels.stored_products(positions, L, R, threads)
    assert compiled.dtype == dtype
    np.testing.assert_allclose(compiled, spec, rtol=0, atol=tolerance(dtype))
    order = np.lexsort((rows, cols)).astype(index)
    np.testing.assert_array_equal(kernels.taken(spec, order), generic_observed.taken(spec, order))


@pytest.mark.parametrize("dtype", DTYPES)
def test_segment_sum(dtype, monkeypatch):
    rng = np.random.default_rng(1)
    A, index = rng.standard_normal((50, 3)).astype(dtype), rng.integers(0, 7, 50)
    compiled = bind(np, dtype, "dense").segment_sum(A, index, 9)
    # Several blocks in the array form, too.
    monkeypatch.setattr(generic_observed, "BLOCK", 100)
    spec = generic_observed.segment_sum(A, index, 9)
    np.testing.assert_allclose(compiled, spec, rtol=0, atol=tolerance(dtype))
    assert not compiled[7:].any() and compiled.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["dense", "transposed", "csr"])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_ridge_rows(dtype, layout, ridge, monkeypatch):
    W, T, _, R = entries(dtype)
    monkeypatch.setattr(generic_observed, "BLOCK", 100)
    rho = (ridge * W.sum(axis=1)).astype(dtype)
    spec = generic_observed.ridge_rows(W, T, R, rho)
    if layout == "transposed":
        W, T = np.asfortranarray(W), np.asfortranarray(T)
    if layout == "csr":
        W, T = sparse.csr_array(W), sparse.csr_array(T)
        by_sparse = generic_observed.ridge_rows(W, T, R, rho)
        np.testing.assert_allclose(by_sparse, spec, rtol=0, atol=tolerance(dtype))
    compiled = bind(np, dtype, "sparse").ridge_rows(W, T, R, rho)
    assert compiled.dtype == dtype
    np.testing.assert_allclose(compiled, spec, rtol=0, atol=tolerance(dtype))
    assert not compiled[3].any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("threads", [1, 3])
def test_ridge_groups_are_ridge_rows_of_the_entries(dtype, index, threads, monkeypatch):
    rng, q, m, k = np.random.default_rng(2), 300, 9, 5
    at, F = rng.integers(0, m - 1, q).astype(index), rng.standard_normal((q, k)).astype(dtype)
    weights, values = rng.random(q).astype(dtype), rng.standard_normal(q).astype(dtype)
    rho = np.where(np.arange(m) == 2, 0.0, 0.3).astype(dtype)
    W = (weights * (at == np.arange(m)[:, None])).astype(dtype)
    known = generic_observed.ridge_rows(W, W * values, F, rho)
    groups = Groups(at, weights, values, m)
    monkeypatch.setattr(generic_observed, "BLOCK", 100)
    spec = generic_observed.ridge_groups(groups, F, rho)
    compiled = bind(np, dtype, "sparse").ridge_groups(groups, F, rho, threads)
    for found in (spec, compiled):
        assert found.dtype == dtype and not found[m - 1].any()
        np.testing.assert_allclose(found, known, rtol=0, atol=tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_gram_rows(dtype, layout, monkeypatch):
    W, _, _, R = entries(dtype)
    monkeypatch.setattr(generic_observed, "BLOCK", 100)
    spec = generic_observed.gram_rows(W, R)
    np.testing.assert_allclose(spec[7], (R.T * W[7]) @ R, rtol=0, atol=tolerance(dtype))
    compiled = bind(np, dtype, "sparse").gram_rows(sparse.csr_array(W) if layout == "csr" else W, R)
    assert compiled.dtype == dtype
    np.testing.assert_allclose(compiled, spec, rtol=0, atol=tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_masked_product(dtype, layout):
    W, _, L, R = entries(dtype)
    F = entries(dtype, seed=1, k=3)[3]
    expected = (W * (L @ R.T)) @ F
    W = sparse.csr_array(W) if layout == "csr" else W
    spec = generic_observed.masked_product(W, L, R, F)
    compiled = bind(np, dtype, "sparse").masked_product(W, L, R, F)
    assert compiled.dtype == dtype
    for product in (spec, compiled):
        np.testing.assert_allclose(product, expected, rtol=0, atol=10 * tolerance(dtype))


def test_ridge_rows_solve_their_normal_equations():
    W, T, _, R = entries("float64")
    rho = 0.1 * W.sum(axis=1)
    U = bind(np, "float64", "dense").ridge_rows(W, T, R, rho)
    residual = T @ R - (W * (U @ R.T)) @ R - rho[:, None] * U
    assert abs(residual).max() < 1e-10


def test_fewer_entries_than_features_without_a_ridge_stay_finite():
    W, T, _, R = entries("float64", density=0.03)
    rho = np.zeros(W.shape[0])
    compiled = bind(np, "float64", "dense").ridge_rows(W, T, R, rho)
    spec = generic_observed.ridge_rows(W, T, R, rho)
    fitted = W > 0
    # The solutions are not unique to rounding, but what they fit is.
    np.testing.assert_allclose((compiled @ R.T)[fitted], (spec @ R.T)[fitted], atol=1e-6)


def test_array_form_runs_on_the_array_standard():
    W, T, L, R = entries("float64")
    strict = [array_api_strict.asarray(a) for a in (W, T, R, 0.1 * W.sum(axis=1))]
    spec = generic_observed.ridge_rows(*strict)
    compiled = bind(np, "float64", "dense").ridge_rows(W, T, R, 0.1 * W.sum(axis=1))
    np.testing.assert_allclose(np.asarray(spec), compiled, atol=1e-10)
    rows, cols = np.nonzero(W)
    strict = [array_api_strict.asarray(a) for a in (rows, cols, L, R)]
    products = generic_observed.entry_products(*strict)
    np.testing.assert_allclose(np.asarray(products), (L @ R.T)[rows, cols], atol=1e-12)


def test_values_that_are_not_finite_stay_with_the_rows_that_see_them():
    W, T, _, R = entries("float64")
    R[0, 0] = np.nan
    U = bind(np, "float64", "dense").ridge_rows(W, T, R, W.sum(axis=1))
    np.testing.assert_array_equal(np.isnan(U).any(axis=1), W[:, 0] > 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_nonnegative_rows(dtype, layout, ridge):
    W, T, L, R = entries(dtype)
    rho = (ridge * W.sum(axis=1)).astype(dtype)
    spec = generic_nonnegative.nonnegative_rows(W, T, np.abs(R), rho, L)
    if layout == "csr":
        W, T = sparse.csr_array(W), sparse.csr_array(T)
    solve = bind(np, dtype, "sparse").nonnegative_rows
    compiled = solve(W, T, np.abs(R), rho, L)
    assert compiled.dtype == dtype and compiled.min() == 0 and (compiled > 0).any()
    assert not compiled[3].any()
    np.testing.assert_allclose(compiled, spec, rtol=0, atol=tolerance(dtype))
    np.testing.assert_array_equal(solve(W, T, np.abs(R), rho, L, n_threads=3), compiled)
