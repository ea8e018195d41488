"""Each compiled kernel does what its generic form, the specification, says."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from skopt_dl.kernels import bind, cython, generic
from skopt_dl.linops import design
from skopt_dl.losses import Logistic, Multinomial, Squared
from skopt_dl.penalties import L1, L2, ElasticNet
from skopt_dl.problems import LinearProblem
from skopt_dl.problems.coordinates import CoordinateModel

N, P = 40, 12
LAYOUTS = ("dense C", "dense F", "csc int32", "csc int64", "csr int32", "csr int64")
DTYPES = (np.float32, np.float64)


def data(layout, dtype, seed=0):
    """A read-only matrix with an empty column and a constant one, and the generator behind it."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, P)).astype(dtype)
    X[rng.random((N, P)) < 0.5] = 0
    X[:, 3], X[:, 5] = 0, 1.5
    kind, detail = layout.split()
    if kind == "dense":
        X = np.array(X, order=detail)
        parts = (X,)
    else:
        X = sp.csc_array(X) if kind == "csc" else sp.csr_array(X)
        X.indices, X.indptr = X.indices.astype(detail), X.indptr.astype(detail)
        parts = (X.data, X.indices, X.indptr)
    for part in parts:
        part.flags.writeable = False
    return X, rng


def close(actual, expected, dtype, scale=1.0):
    """Equal to a few hundred roundings of the dtype."""
    tolerance = 500 * np.finfo(dtype).eps
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=scale * tolerance)


def weights(rng, dtype, uniform):
    h = np.ones(N) if uniform else rng.uniform(0.1, 2, N)
    h[2] = 1.0 if uniform else 0.0
    h = (h / h.sum()).astype(dtype)
    h.flags.writeable = False
    return h


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("uniform", "centre", "positive"), list(itertools.product((True, False), repeat=3))
)
def test_coordinate_descent(layout, dtype, uniform, centre, positive):
    X, rng = data(layout, dtype)
    h, y = weights(rng, dtype, uniform), rng.standard_normal(N).astype(dtype)
    if centre:
        y -= h @ y
    map_, penalty = design(X), ElasticNet(0.02, 0.03, positive)
    kernels = bind(np, dtype().dtype, map_.layout)
    assert kernels.name == "cython"
    w = np.zeros(P, dtype=dtype)
    w[[0, 3, 5]] = 0.5  # the empty and the constant column must be cleared by the penalty
    z = map_.matvec(w) - (h @ map_.matvec(w) if centre else 0)
    order = rng.permutation(P).astype(np.intp)
    order.flags.writeable = False

    def model():
        return CoordinateModel(
            map_, w.copy(), h * (y - z), h, centre=centre, penalty=penalty, kernels=kernels
        )

    ours, spec = model(), model()
    done = kernels.cd_epochs(ours, order, 4, 0.0)
    done_spec = generic.cd_epochs(spec, order, 4, 0.0)
    assert done[0] == done_spec[0] == 4
    close(done[1], done_spec[1], dtype)
    close(ours.w, spec.w, dtype)
    close(ours.u, spec.u, dtype)
    close(ours.c, spec.c, dtype)
    assert ours.active_left == spec.active_left
    assert ours.w[3] == 0
    np.testing.assert_array_equal(ours.w == 0, spec.w == 0)


@pytest.mark.parametrize("layout", ["dense F", "csc int32"])
def test_coordinate_descent_ends_at_the_target(layout):
    X, rng = data(layout, np.float64)
    problem = LinearProblem(X, rng.standard_normal(N), Squared(), L1(0.05), fit_intercept=True)
    order = generic.index_range(P)
    counts = []
    for kernel in (problem.kernels.cd_epochs, generic.cd_epochs):
        model = problem.coordinates(np.zeros(P))
        done, indicator = kernel(model, order, 1000, 1e-8)
        assert indicator <= 1e-8
        counts.append(done)
    assert counts[0] == counts[1] < 1000


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("uniform", [True, False])
def test_column_moments(layout, dtype, uniform):
    X, rng = data(layout, dtype)
    h, map_ = weights(rng, dtype, uniform), design(X)
    ours = bind(np, dtype().dtype, map_.layout).column_moments(map_, h)
    spec = generic.column_moments(map_, h)
    for a, b in zip(ours, spec, strict=True):
        assert a.dtype == dtype
        close(a, b, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name.startswith("cs")])
def test_inner_products_of_sparse_columns(layout, dtype):
    X, rng = data(layout, dtype)
    h, some = rng.standard_normal(N).astype(dtype), X[:, [4, 1, 1, 3]]
    ours = bind(np, X.dtype, "sparse").sparse_products(X.tocsc(), h, some.tocsr())
    assert ours.dtype == dtype and ours.shape == (P, 4)
    close(ours, generic.sparse_products(X.tocsc(), h, some.tocsr()), dtype)
    close(ours, X.toarray().T @ (h[:, None] * some.toarray()), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gram_matrix_of_sparse_rows(dtype):
    rng = np.random.default_rng(0)
    row, column = rng.integers(0, 30, 200), rng.integers(0, 6, 200)
    order = np.lexsort((column, row))
    first = np.searchsorted(row[order], np.arange(31))
    # Several entries in one place.
    parts = (rng.standard_normal(200).astype(dtype), column[order], first)
    X = sp.csr_array(parts, shape=(30, 6))
    assert not X.has_canonical_format
    h = rng.standard_normal(30).astype(dtype)
    dense = X.toarray()
    ours = bind(np, X.dtype, "sparse").sparse_gram(X, h)
    assert ours.dtype == dtype
    close(ours, dense.T @ (h[:, None] * dense), dtype)
    close(ours, generic.sparse_gram(X, h), dtype)


def test_inner_products_take_the_wider_dtype():
    X, _ = data("csc int32", np.float32)
    product = bind(np, X.dtype, "sparse").sparse_products(X, np.ones(N), X.tocsr())
    assert product.dtype == np.float64
    close(product, X.toarray().astype(float).T @ X.toarray().astype(float), np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name.startswith("csc")])
def test_products_of_sparse_columns_with_a_vector(layout, dtype):
    X, rng = data(layout, dtype)
    r, w = (rng.standard_normal(2 * size).astype(dtype)[::2] for size in X.shape)
    w[1] = 0
    kernels = bind(np, X.dtype, "sparse")
    for kernel, vector in (("column_dots", r), ("column_sum", w)):
        ours = getattr(kernels, kernel)(X, vector)
        assert ours.dtype == dtype
        close(ours, getattr(generic, kernel)(X, vector), dtype)
        assert getattr(kernels, kernel)(X, vector.astype(float)).dtype == np.float64


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (2500, 9), (40, 0), (0, 4)])
def test_the_sum_of_dense_columns_is_a_product(shape, dtype):
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal(shape).astype(dtype))
    w = rng.standard_normal(shape[1]).astype(dtype)
    w[1:3] = 0
    column_sum = bind(np, X.dtype, "dense").column_sum
    ours = column_sum(X, w)
    assert ours.dtype == dtype
    close(ours, X @ w, dtype)
    close(column_sum(np.ascontiguousarray(X), w), X @ w, dtype)
    with threadpool_limits(4):
        close(column_sum(X, w), X @ w, dtype)
    assert column_sum(X, w.astype(float)).dtype == np.float64


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (2500, 9), (40, 0), (0, 4)])
def test_products_of_dense_columns_do_not_depend_on_what_is_beside_them(shape, dtype):
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal(shape).astype(dtype))
    R = rng.standard_normal((shape[0], 3)).astype(dtype)
    column_dots = bind(np, X.dtype, "dense").column_dots
    close(column_dots(X, R), X.T @ R, dtype)
    for n_threads in (1, 4):
        with threadpool_limits(n_threads):
            close(column_dots(X, R), X.T @ R, dtype)
            for v in range(3):
                assert np.array_equal(column_dots(X, R[:, v]), column_dots(X, R)[:, v])
    if shape[1] > 2:
        assert np.array_equal(column_dots(X, R, np.array([2, 0])), column_dots(X, R)[[2, 0]])
        with pytest.raises(IndexError):
            column_dots(X, R, np.array([shape[1]]))
    part = slice(1, shape[0] - 1)
    close(column_dots(X[part], R[part]), X[part].T @ R[part], dtype)
    assert column_dots(X, R.astype(float)).dtype == np.float64


LOSSES = {"squared": Squared(), "logistic": Logistic(), "multinomial": Multinomial()}


def sample_models(layout, dtype, loss, penalty, *, uniform, intercept, uneven=False):
    """Two equal sample models at a point that is not zero; ``uneven`` (dense) has one long row."""
    X, rng = data(layout, dtype)
    if uneven:
        X = X.copy()
        X[0] *= 30
    s = None if uniform else rng.uniform(0.1, 2, N).astype(dtype)
    if loss == "multinomial":
        y = np.eye(3, dtype=dtype)[rng.integers(3, size=N)]
    elif loss == "logistic":
        y = rng.integers(2, size=N).astype(dtype)
    else:
        y = rng.standard_normal((N, 2)).astype(dtype)
    problem = LinearProblem(X, y, LOSSES[loss], penalty, sample_weight=s, fit_intercept=intercept)
    w = rng.standard_normal(problem.size).astype(dtype)
    ours, spec = problem.samples(w.copy()), problem.samples(w.copy())
    order = ours.draw(rng)
    order.flags.writeable = False
    for model in (ours, spec):
        model.set_step(1 / (3 * model.lipschitz + 1))
    return ours, spec, order


def equal_models(ours, spec, dtype):
    for name in ("W", "b", "table", "average", "average_b"):
        close(getattr(ours, name), getattr(spec, name), dtype, scale=4.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("uniform", "intercept", "positive"),
    [(True, True, False), (False, True, True), (False, False, False), (True, False, True)],
)
def test_saga(layout, dtype, loss, uniform, intercept, positive):
    penalty = ElasticNet(0.01, 0.02, positive)
    ours, spec, order = sample_models(
        layout, dtype, loss, penalty, uniform=uniform, intercept=intercept
    )
    assert ours.compiled
    ours.kernels.saga_steps(ours, order)
    generic.saga_steps(spec, order)
    equal_models(ours, spec, dtype)
    np.testing.assert_array_equal(ours.W == 0, spec.W == 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("loss", LOSSES)
def test_svrg(layout, dtype, loss):
    penalty = ElasticNet(0.01, 0.02)
    ours, spec, order = sample_models(layout, dtype, loss, penalty, uniform=False, intercept=True)
    kept = {name: getattr(ours, name).copy() for name in ("table", "average", "average_b")}
    ours.kernels.svrg_steps(ours, order)
    generic.svrg_steps(spec, order)
    equal_models(ours, spec, dtype)
    for name, before in kept.items():
        np.testing.assert_array_equal(getattr(ours, name), before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("uniform", "intercept", "alpha"), [(True, True, 0.1), (False, True, 0.0), (True, False, 1e-3)]
)
def test_sag(layout, dtype, loss, uniform, intercept, alpha):
    ours, spec, order = sample_models(
        layout, dtype, loss, L2(alpha), uniform=uniform, intercept=intercept
    )
    ours.kernels.sag_steps(ours, order)
    generic.sag_steps(spec, order)
    equal_models(ours, spec, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("positive", [False, True])
def test_dual_epoch(layout, dtype, loss, positive):
    X, rng = data(layout, dtype)
    y = rng.standard_normal((N, 2)) if loss == "squared" else rng.integers(2, size=N)
    problem = LinearProblem(
        X,
        np.asarray(y, dtype=dtype, order="F"),
        LOSSES[loss],
        ElasticNet(0.01, 0.02, positive),
        sample_weight=weights(rng, dtype, uniform=False),
        fit_intercept=loss == "squared" and layout.startswith("dense"),
    )
    start = rng.standard_normal(problem.size).astype(dtype)
    ours, spec = (problem.dual_coordinates(start) for _ in range(2))
    order = problem.kernels.index_range(N)
    assert ours.compiled
    for _ in range(2):
        moved = ours.kernels.dual_epoch(ours, order), generic.dual_epoch(spec, order)
        close(np.asarray(moved[0], dtype), np.asarray(moved[1], dtype), dtype, scale=4.0)
    close(ours.u, spec.u, dtype, scale=4.0)
    close(ours.v, spec.v, dtype, scale=4.0)


def test_saga_with_draws_by_length():
    ours, spec, order = sample_models(
        "dense C", np.float64, "logistic", L1(0.01), uniform=False, intercept=True, uneven=True
    )
    assert ours.cumulative is not None
    assert np.mean(order == 0) > 2 / N
    ours.kernels.saga_steps(ours, order)
    generic.saga_steps(spec, order)
    equal_models(ours, spec, np.float64)


def test_a_subclass_with_its_own_slope_runs_on_the_generic_kernel():
    class Steeper(Squared):
        smoothness = 2.0

        def value(self, y, z):
            return 2 * super().value(y, z)

        def slope(self, y, z):
            return 2 * (z - y)

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((N, P)), rng.standard_normal(N)
    model = LinearProblem(X, y, Steeper(), L2(0.1)).samples(np.zeros(P))
    assert not model.compiled
    model.set_step(0.01)
    before = copy.deepcopy(model.W)
    model.saga(generic.draw_indices(rng, N))
    assert not np.array_equal(before, model.W)


def test_draws_follow_their_probabilities():
    rng = np.random.default_rng(0)
    q = np.array([0.7, 0.0, 0.2, 0.1])
    drawn = np.concatenate([generic.draw_indices(rng, 4, np.cumsum(q)) for _ in range(5000)])
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / drawn.size, q, atol=0.01)
    even = np.concatenate([generic.draw_indices(rng, 4) for _ in range(5000)])
    np.testing.assert_allclose(np.bincount(even, minlength=4) / even.size, 0.25, atol=0.01)


def test_an_unknown_kernel_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_kernel"):
        bind(np, np.dtype(np.float64), "dense").no_such_kernel  # noqa: B018


def test_kernels_survive_a_copy():
    kernels = copy.copy(bind(np, np.dtype(np.float64), "sparse"))
    compiled = copy.deepcopy(cython.MODULES["sparse"][0])
    assert kernels.name == "cython"
    assert kernels.cd_epochs is compiled.cd_epochs


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [0, 1, 4])
def test_two_loop(dtype, m):
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(m):
        s = rng.standard_normal(P).astype(dtype)
        y = s + dtype(0.1) * rng.standard_normal(P).astype(dtype)
        pairs.append((s, y, 1 / (s @ y)))
    g = rng.standard_normal(P).astype(dtype)
    before = g.copy()
    product = bind(np, np.dtype(dtype)).two_loop(pairs, 0.7, g)
    assert product.dtype == dtype
    np.testing.assert_array_equal(g, before)
    close(product, generic.two_loop(pairs, 0.7, g), dtype, np.abs(g).max())
