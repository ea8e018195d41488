"""Each compiled update of the stochastic rules is the generic one, for both precisions."""

import inspect

import numpy as np
import pytest

from skopt_dl.kernels import bind, generic, generic_updates
from skopt_dl.kernels.cython import STEPS, UPDATES
from skopt_dl.kernels.memory import Memory

ARRAYS = {
    "w",
    "g",
    "r",
    "m",
    "v",
    "u",
    "s",
    "top",
    "slow",
    "mean",
    "new",
    "last",
    "d",
    "n",
    "z",
    "y",
    "origin",
    "out",
    "a",
    "b",
}
SCALARS = {
    "beta_1": 0.9,
    "beta_2": 0.99,
    "beta_3": 0.999,
    "decay": 0.9,
    "momentum": 0.8,
    "epsilon": 1e-6,
    "correction": 1.3,
    "weight_decay": 0.1,
    "distance": 0.7,
    "beta": 0.9,
    "scale": 0.8,
}
# Those of matrices are tested below.
OF_MATRICES = (
    "damped_inverse",
    "factored_scale",
    "matrix_product",
    "matrix_workspace",
    "orthogonalised",
    "row_products",
    "two_sided",
)
NAMES = [*UPDATES._modules, *STEPS._modules]
COMPILED = [n for n in NAMES if hasattr(generic_updates, n) and n not in OF_MATRICES]


def arguments(name, dtype, centred, epsilon, seed=0):
    """Random moments (those of squares not negative), coordinates that never saw a slope among
    them."""
    rng, given = np.random.default_rng(seed), {}
    for key in inspect.signature(getattr(generic_updates, name)).parameters:
        if key in ARRAYS:
            a = rng.standard_normal(1003)
            a = np.abs(a) if key in ("r", "v", "u", "s", "top", "n") else a
            if key != "w":
                a[:5] = 0
            given[key] = a.astype(dtype)
        else:
            given[key] = SCALARS.get(key, 0.03)
    if name == "adagrad_norm_update":
        given["r"] = given["r"][-1:]
    if name == "schedule_free_update" and not centred:
        given["v"] = None
    if name == "rmsprop_nesterov_update":
        given["v"] = rng.standard_normal(1003).astype(dtype)
    if name == "rmsprop_update":
        # A variance that is not all rounding: the mean is half the root of the mean square.
        given["m"] = (0.5 * np.sqrt(given["r"])).astype(dtype) if centred else None
    if epsilon is not None and "epsilon" in given:
        given["epsilon"] = epsilon
    return given


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_update_is_the_generic_one(name, dtype):
    compiled = getattr(bind(np, np.dtype(dtype)), name)
    generic = getattr(generic_updates, name)
    assert compiled is not generic
    for centred in (False, True):
        for epsilon in (None, 0.0):
            one, two = (arguments(name, dtype, centred, epsilon) for _ in range(2))
            for _ in range(3):
                ours = compiled(**one)
                with np.errstate(all="ignore"):
                    theirs = generic(**two)
            tol = 1e-13 if dtype is np.float64 else 2e-5
            if theirs is not None:
                size = 1 + max(np.max(np.abs(a)) for a in theirs)
                np.testing.assert_allclose(ours, theirs, rtol=10 * tol, atol=100 * tol * size)
                assert all(a.dtype == dtype for a in ours)
            for key, a in one.items():
                if isinstance(a, np.ndarray):
                    assert a.dtype == dtype
                    np.testing.assert_allclose(a, two[key], rtol=tol, atol=tol, err_msg=key)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 7), (5, 12), (12, 5), (1, 9), (9, 1), (3, 0)])
def test_a_compiled_factor_of_a_matrix_is_the_generic_one(shape, dtype):
    kernels, rng = bind(np, np.dtype(dtype)), np.random.default_rng(0)
    tol = 1e-12 if dtype is np.float64 else 2e-4
    given = rng.standard_normal(shape).astype(dtype)
    work = kernels.matrix_workspace(given, [shape, (2, 2)])
    for G in (given, 0 * given):
        ours = G.copy()
        assert kernels.orthogonalised(ours, 5, work) is ours
        expected = generic_updates.polar_factor(G, 5)
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, expected, atol=tol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_compiled_factored_scale_is_the_generic_one(dtype):
    kernels, rng = bind(np, np.dtype(dtype)), np.random.default_rng(0)
    tol = 1e-12 if dtype is np.float64 else 2e-5
    G = rng.standard_normal((6, 11)).astype(dtype)
    found = []
    for module in (kernels, generic_updates):
        rows, columns, out = np.ones((6, 1), dtype), np.ones((1, 11), dtype), np.empty_like(G)
        for decay in (0.0, 0.7):
            assert module.factored_scale(G, rows, columns, decay, 1e-20, out) is out
        found.append((rows, columns, out))
    for one, two in zip(*found, strict=True):
        assert one.dtype == dtype
        np.testing.assert_allclose(one, two, rtol=tol, atol=tol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("turns", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize(("share", "keep"), [(1.0, 0.0), (0.1, 0.9), (1.0, 1.0)])
@pytest.mark.parametrize("inner", [5, 0])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_compiled_product_of_matrices_is_the_generic_one(dtype, turns, share, keep, inner, order):
    kernels, rng = bind(np, np.dtype(dtype)), np.random.default_rng(0)
    A, B = rng.standard_normal((4, inner)), rng.standard_normal((inner, 7))
    A, B = (
        np.array(M.T if turn else M, dtype, order=order)
        for M, turn in zip((A, B), turns, strict=True)
    )
    found = []
    for module in (kernels, generic_updates):
        # What is not kept may be anything.
        out = np.full((4, 7), 0.5 if keep else np.nan, dtype)
        assert module.matrix_product(A, B, out, *turns, share, keep) is out
        found.append(out)
    assert found[0].dtype == dtype
    tol = 1e-14 if dtype is np.float64 else 1e-6
    np.testing.assert_allclose(*found, rtol=tol, atol=tol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F", "strided"])
@pytest.mark.parametrize("n", [0, 1, 5, 40])
def test_a_lower_factor_is_cholesky_s(dtype, order, n):
    X = np.random.default_rng(0).standard_normal((60, n)).astype(dtype)
    G = X.T @ X + np.eye(n, dtype=dtype)
    spec = generic.lower_factor(G)
    given = np.repeat(G, 2, axis=0)[::2] if order == "strided" else np.array(G, order=order)
    found = bind(np, np.dtype(dtype)).lower_factor(given)
    assert found.dtype == dtype and not np.triu(found, 1).any()
    eps = 100 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(found, spec, rtol=eps, atol=10 * eps)


def test_no_factor_is_an_error():
    for module in (bind(np, np.dtype(float)), generic):
        with pytest.raises(np.linalg.LinAlgError):
            module.lower_factor(np.diag([1.0, -1.0]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 5, 40])
def test_a_damped_inverse_is_the_inverse(dtype, n):
    X = np.random.default_rng(0).standard_normal((20, n)).astype(dtype)
    M, gamma = X.T @ X, np.asarray(0.3, dtype)
    given = M.copy()
    eps = float(np.finfo(dtype).eps)
    for module in (bind(np, np.dtype(dtype)), generic_updates):
        found = module.damped_inverse(M, gamma)
        assert found.dtype == dtype
        np.testing.assert_array_equal(M, given)
        condition = np.linalg.norm(M, 2) / 0.3 + 1
        left = (M + 0.3 * np.eye(n, dtype=dtype)) @ found - np.eye(n)
        assert np.abs(left).max() <= 100 * eps * condition


def test_what_rounding_made_indefinite_has_a_damped_inverse_too():
    M = np.diag([1.0, -1e-9])
    for module in (bind(np, np.dtype(float)), generic_updates):
        found = module.damped_inverse(M, 1e-12)
        np.testing.assert_allclose(found, np.diag(1 / (np.diag(M) + 1e-12)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matrices_of_layers_are_multiplied_on_both_sides_as_they_lie(dtype):
    # A layer of 3 x 4 with an intercept, and one of 4 x 2 without.
    blocks = [(slice(0, 12), slice(20, 24), 4), (slice(12, 20), slice(24, 24), 2)]
    rng = np.random.default_rng(0)

    def drawn(*shape):
        return rng.standard_normal(shape).astype(dtype)

    v, pairs = drawn(24), [(drawn(4, 4), drawn(4, 4)), (drawn(4, 4), drawn(2, 2))]
    V = np.vstack([v[:12].reshape(3, 4), v[20:]])
    first = -0.5 * pairs[0][0] @ V @ pairs[0][1]
    second = -0.5 * pairs[1][0] @ v[12:20].reshape(4, 2) @ pairs[1][1]
    expected = np.concatenate([first[:3].ravel(), second.ravel(), first[3]])
    for module in (bind(np, np.dtype(dtype)), generic_updates):
        out = np.full_like(v, np.nan)
        assert module.two_sided(v, blocks, pairs, -0.5, out, Memory()) is out
        np.testing.assert_allclose(out, expected, rtol=1e-12 if dtype is np.float64 else 1e-5)


def test_a_rate_may_be_an_array_of_one_entry():
    kernels, w = bind(np, np.dtype(float)), np.ones(3)
    kernels.gradient_update(w, np.arange(3.0), np.full(1, 0.5))
    np.testing.assert_array_equal(w, [1, 0.5, 0])
    kernels.shifted(w, np.arange(3.0), np.full(1, 0.5), w)
    np.testing.assert_array_equal(w, 1)


def test_a_sum_over_many_entries_keeps_its_digits():
    # 4096 entries at a time are added in single precision, the rest in double.
    a = np.full(3_000_000, 0.1, np.float32)
    d = bind(np, np.dtype(np.float32)).distance(a, np.zeros_like(a))
    assert d[0] == pytest.approx(np.sqrt(3e4), rel=1e-6)


def test_most_updates_are_compiled():
    assert len(COMPILED) >= 20


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compiled_products_of_rows_are_the_generic_ones(dtype):
    kernels, tol = bind(np, np.dtype(dtype)), 1e-12 if dtype is np.float64 else 1e-4
    assert kernels.row_products is not generic_updates.row_products
    for m, size in ((3, 1000), (1, 7), (2, 0), (0, 5)):
        V = np.random.default_rng(0).standard_normal((m, size)).astype(dtype)
        for count in (size, size // 3, 0):
            found = kernels.row_products(V, count)
            assert found.dtype == dtype
            expected = generic_updates.row_products(V, count)
            np.testing.assert_allclose(found, expected, rtol=tol, atol=tol * max(count, 1))
