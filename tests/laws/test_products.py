"""Compiled products of matrices against NumPy's in higher precision, whatever their shapes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from skopt_dl.kernels import bind
from skopt_dl.linops import Centred, products
from skopt_dl.linops.design import Dense, limit_of
from skopt_dl.problems.working_columns import columns_in_place

# One, below and above a vector and a tile, a packed panel's columns, and more than it sums at once.
SIZES = [1, 7, 8, 9, 33, 100]
LONG = [(9, 40, 700), (8, 257, 256), (130, 20, 513), (300, 1, 3)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("turn_a", "turn_b"), list(product([False, True], repeat=2)))
def test_products_of_all_shapes(dtype, turn_a, turn_b):
    rng, xp_product = np.random.default_rng(0), bind(np, dtype).matrix_product
    worst = 0.0
    for rows, columns, inner in [*product(SIZES, repeat=3), *LONG]:
        A = rng.standard_normal((inner, rows) if turn_a else (rows, inner)).astype(dtype)
        B = rng.standard_normal((columns, inner) if turn_b else (inner, columns)).astype(dtype)
        C = rng.standard_normal((rows, columns)).astype(dtype)
        left, right = (A.T if turn_a else A), (B.T if turn_b else B)
        exact = left.astype(np.float64) @ right.astype(np.float64)
        size = np.abs(left).astype(np.float64) @ np.abs(right).astype(np.float64)
        for share, keep in [(1.0, 0.0), (1.0, 1.0), (-0.5, 0.25)]:
            # What is not kept may be anything.
            out = C.copy() if keep else np.full_like(C, np.nan)
            xp_product(A, B, out, turn_a, turn_b, share, keep)
            wrong = np.abs(out - (share * exact + keep * C)) / (
                abs(share) * size + np.abs(keep * C)
            )
            worst = max(worst, wrong.max())
    # Errors of sums in any order are below their length in roundings; random ones far below.
    assert worst < 20 * np.finfo(dtype).eps


def test_nothing_beside_the_result_is_written():
    rng = np.random.default_rng(0)
    for rows, columns in [(5, 3), (12, 23), (9, 49)]:
        whole = np.full(rows * columns + 64, 7.0)
        out = whole[32 : 32 + rows * columns].reshape(rows, columns)
        A, B = rng.standard_normal((rows, 11)), rng.standard_normal((11, columns))
        bind(np, out.dtype).matrix_product(A, B, out)
        np.testing.assert_allclose(out, A @ B, atol=1e-13)
        assert (whole[:32] == 7).all() and (whole[32 + rows * columns :] == 7).all()


def test_infinite_numbers_and_nan_spread_as_they_should():
    A, B, out = np.ones((3, 4)), np.ones((4, 5)), np.empty((3, 5))
    A[0, 1], B[2, 3], B[1, 0] = np.inf, np.nan, -np.inf
    bind(np, A.dtype).matrix_product(A, B, out)
    assert np.array_equal(out, A @ B, equal_nan=True)


def test_large_products_with_many_threads_of_blas():
    rng = np.random.default_rng(0)
    A, B, out = (
        rng.standard_normal((160, 150)),
        rng.standard_normal((150, 140)),
        np.empty((160, 140)),
    )
    for n_threads in (1, 4):
        with threadpool_limits(n_threads):
            bind(np, A.dtype).matrix_product(A, B, out)
        np.testing.assert_allclose(out, A @ B, atol=1e-12)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n", [1, 39, 40, 41, 1000])
def test_a_gram_matrix_is_made_in_calls_of_bounded_work(monkeypatch, order, n):
    """Python sees an interrupt only after a call."""
    X = np.asarray(np.random.default_rng(0).standard_normal((n, 7)), order=order)
    monkeypatch.setattr(products, "ONE_CALL", 20 * 49)
    lengths = []
    square = products._square
    monkeypatch.setattr(products, "_square", lambda B: lengths.append(len(B)) or square(B))
    G = products.gram(X)
    assert sum(lengths) == n
    assert max(lengths) <= 40
    np.testing.assert_allclose(G, X.T @ X, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inner_products_of_all_shapes_and_orders(dtype):
    rng, inner_products = np.random.default_rng(0), bind(np, dtype).inner_products
    worst = 0.0
    for n, p in [(1, 460), (3000, 9), (255, 31), (256, 32), (257, 33), (700, 24), (513, 100)]:
        X = rng.standard_normal((n, p)).astype(dtype)
        apart = np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)
        in_line = (X, np.asfortranarray(X), apart[::2, :p], np.asfortranarray(apart)[:n, :p])
        for A in (*in_line, X[::-1], apart[:n, ::2]):
            exact = A.T.astype(np.float64) @ A
            size = np.abs(A.T).astype(np.float64) @ np.abs(A)
            G = inner_products(A)
            assert G.dtype == dtype
            if any(A is each for each in in_line):
                np.testing.assert_array_equal(G, G.T)
            worst = max(worst, np.max(np.abs(G - exact) / size))
    assert worst < 20 * np.finfo(dtype).eps
    assert inner_products(np.zeros((0, 3), dtype)).tolist() == [[0.0] * 3] * 3
    X = np.ones((3000, 20), dtype)
    X[5, 3], X[7, 4] = np.inf, np.nan
    np.testing.assert_array_equal(inner_products(X), X.T @ X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("n", "p", "k"), [(1, 1, 1), (40, 9, 2), (300, 25, 11), (7, 0, 3), (0, 4, 2)]
)
def test_products_with_several_vectors(dtype, n, p, k):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)).astype(dtype)
    W, R = rng.standard_normal((p, k)).astype(dtype), rng.standard_normal((n, k)).astype(dtype)
    tolerance = 100 * np.finfo(dtype).eps
    for A in (X, np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2]):
        for V, U in ((W, R), (np.asfortranarray(W), np.asfortranarray(R))):
            for found, exact in (
                (products.product(A, V), X.astype(float) @ W),
                (products.product_back(A, U), X.T.astype(float) @ R),
            ):
                assert found.dtype == dtype
                np.testing.assert_allclose(found, exact, atol=tolerance * max(n, p))
    # Vectors of another type have NumPy's product.
    other = np.float64 if dtype is np.float32 else np.float32
    assert products.product(X, W.astype(other)).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 12, 13, 40])
def test_products_of_data_in_both_orders(dtype, order, k):
    rng, tol = np.random.default_rng(0), 50 * np.finfo(dtype).eps
    for n, p in [(1, 5), (37, 1), (60, 130), (2100, 140)]:
        X = np.asarray(rng.standard_normal((n, p)), dtype=dtype, order=order)
        W, R = (rng.standard_normal((size, k)).astype(dtype) for size in (p, n))
        for ours, known, length in (
            (products.product(X, W), X.astype(float) @ W, p),
            (products.product_back(X, R), X.T.astype(float) @ R, n),
            (products.products_by_parts(X, R), X.T.astype(float) @ R, n),
            (Dense(X).rmatvec(R), X.T.astype(float) @ R, n),
        ):
            assert ours.dtype == dtype
            np.testing.assert_allclose(ours, known, rtol=0, atol=tol * length**0.5 * 4)


def test_columns_in_place_are_those_that_are_gathered():
    X = np.asfortranarray(np.random.default_rng(0).standard_normal((20, 9)))
    index, r = np.array([7, 0, 3]), np.ones((20, 2))
    there = columns_in_place(Dense(X), index)
    assert there.X is X
    np.testing.assert_allclose(there.rmatvec(r), X[:, index].T @ r, atol=1e-13)
    rows = columns_in_place(Dense(np.ascontiguousarray(X)), index)
    np.testing.assert_array_equal(rows.X, X[:, index])


@pytest.mark.parametrize(
    ("dtype", "distance", "copied"), [("d", 100, 0), ("d", 1000, 1), ("f", 100, 1)]
)
def test_centred_products_need_a_copy_of_data_only_for_their_digits(dtype, distance, copied):
    X = (np.random.default_rng(0).standard_normal((200, 4)) + distance).astype(dtype)
    weights = np.full(200, 1 / 200, dtype)
    limit = limit_of(X.dtype, np, centred=True)
    near, shift = Dense(X).near_zero(weights, limit)
    assert (shift is not None) == bool(copied) == (near.X is not X)
    assert Dense(X).near_zero(weights)[1] is not None


@pytest.mark.parametrize("shape", [(5, 0, 2), (5, 3, 0), (0, 3, 2), (5, 3, 2)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_centred_products_back_of_all_shapes(shape, order):
    n, p, k = shape
    rng = np.random.default_rng(0)
    X, R = np.asarray(rng.standard_normal((n, p)), order=order), rng.standard_normal((n, k))
    ours = Centred(Dense(X), np.ones(p)).rmatvec(R)
    np.testing.assert_allclose(ours, (X - 1).T @ R, atol=1e-12)
