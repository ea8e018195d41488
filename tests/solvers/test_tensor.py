"""Partly observed tensors: derivatives, block solves, recovery, and two modes as a matrix."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold

from skopt_dl.matrix_completion import MatrixCompletion, TensorCompletion
from skopt_dl.solvers import Adam


def low_rank(shape, rank=2, share=0.4, seed=0):
    """``(positions, values, full)``: some entries of a tensor of this rank."""
    rng = np.random.default_rng(seed)
    factors = [rng.standard_normal((n, rank)) for n in shape]
    full = np.ones((1, rank))
    for u in factors:
        full = (full[:, None, :] * u).reshape(-1, rank)
    full = full.sum(axis=1).reshape(shape)
    index = np.argwhere(rng.random(shape) < share)
    return index, full[tuple(index.T)], full


def everywhere(full):
    return np.argwhere(np.ones(full.shape, dtype=bool))


def posed(alpha=0.1, seed=0, shape=(6, 5, 4), n_components=3, **more):
    index, values, _ = low_rank(shape, seed=seed)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, len(values))
    model = TensorCompletion(n_components, alpha=alpha, **more)
    return model._posed(index, values, weights)[0]


def multilinear(shape, ranks, share=0.5, seed=0):
    """``(positions, values, full)``: some entries of a tensor of these multilinear ranks."""
    rng = np.random.default_rng(seed)
    full = rng.standard_normal(ranks)
    for d, n in enumerate(shape):
        factor = rng.standard_normal((n, ranks[d]))
        full = np.moveaxis(np.tensordot(factor, full, axes=(1, d)), 0, d)
    index = np.argwhere(rng.random(shape) < share)
    return index, full[tuple(index.T)], full


# --- the problem --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 4), (4, 3, 4, 3)], ids=str)
def test_the_objective_is_the_formula_and_its_slopes_are_differences(shape):
    p, rng = posed(shape=shape), np.random.default_rng(2)
    w, d = rng.standard_normal(p.size), rng.standard_normal(p.size)
    expected = 0.0
    for at, x, weight in zip(zip(*p.at, strict=True), p.values, p.weights, strict=True):
        rows = [u[i] for u, i in zip(p.unpack(w), at, strict=True)]
        squares = sum(np.sum(r * r) for r in rows)
        expected += weight * (0.5 * (np.sum(np.prod(rows, axis=0)) - x) ** 2 + 0.05 * squares)
    point = p.point(w)
    np.testing.assert_allclose(p.value(w), expected / p.weights.sum(), rtol=1e-12)
    np.testing.assert_allclose(point.value, p.value(w), rtol=1e-12)
    slope = (p.value(w + 1e-5 * d) - p.value(w - 1e-5 * d)) / 2e-5
    np.testing.assert_allclose(point.grad @ d, slope, rtol=1e-6)
    # Gauss-Newton products: the change of the residuals, twice.
    change = (p.residual(w + 1e-5 * d) - p.residual(w - 1e-5 * d)) / 2e-5
    curved = np.sum(p.weights * change**2) / p.total + 0.1 * np.sum(p._shares * d * d)
    np.testing.assert_allclose(d @ p.ggn(point)(d), curved, rtol=1e-6)


def test_batches_average_to_the_whole():
    p, w = posed(), np.random.default_rng(2).standard_normal(posed().size)
    parts = np.array_split(np.random.default_rng(3).permutation(p.n_samples), 4)
    value, grad = 0.0, 0.0
    for index in parts:
        share = len(index) / p.n_samples
        one = p.sample_grad(w, index)
        value, grad = value + share * one[0], grad + share * one[1]
    np.testing.assert_allclose(value, p.value(w), rtol=1e-12)
    np.testing.assert_allclose(grad, p.point(w).grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("block", [0, 1, 2])
def test_a_block_is_solved_exactly_and_alone(block):
    p = posed()
    w = np.random.default_rng(2).standard_normal(p.size)
    before, name = w.copy(), list(p.blocks)[block]
    p.block_solve(w, name)
    np.testing.assert_allclose(p.point(w).grad[p.blocks[name]], 0.0, atol=1e-13)
    kept = np.ones(p.size, dtype=bool)
    kept[p.blocks[name]] = False
    np.testing.assert_array_equal(w[kept], before[kept])
    threads = before.copy()
    p.n_threads = 3
    p.block_solve(threads, name)
    np.testing.assert_array_equal(threads, w)


def test_balance_keeps_the_model_and_has_the_least_penalty():
    p = posed()
    w = np.random.default_rng(2).standard_normal(p.size)
    residual, value = p.residual(w), p.value(w)
    p.balance(w)
    np.testing.assert_allclose(p.residual(w), residual, atol=1e-12)
    assert p.value(w) < value
    best = p.value(w)
    for d, e in [(0, 1), (1, 2), (2, 0)]:
        moved = w.copy()
        U = p.unpack(moved)
        U[d][:, 0] *= 1.01
        U[e][:, 0] /= 1.01
        assert p.value(moved) > best


# --- Tucker's form ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "ranks"), [((6, 5), (2, 3)), ((6, 5, 4), (3, 2, 2)), ((4, 3, 4, 3), (2, 2, 3, 1))]
)
def test_tucker_s_objective_is_the_formula_and_its_slopes_are_differences(shape, ranks):
    p, rng = posed(shape=shape, n_components=ranks, form="tucker"), np.random.default_rng(2)
    w, d = rng.standard_normal(p.size), rng.standard_normal(p.size)
    core, expected = p.core(w), 0.0
    for at, x, weight in zip(zip(*p.at, strict=True), p.values, p.weights, strict=True):
        rows = [u[i] for u, i in zip(p.unpack(w), at, strict=True)]
        entry = core
        for row in reversed(rows):
            entry = entry @ row
        squares = sum(np.sum(r * r) for r in rows) + np.sum(core**2)
        expected += weight * (0.5 * (entry - x) ** 2 + 0.05 * squares)
    point = p.point(w)
    np.testing.assert_allclose(p.value(w), expected / p.weights.sum(), rtol=1e-12)
    slope = (p.value(w + 1e-5 * d) - p.value(w - 1e-5 * d)) / 2e-5
    np.testing.assert_allclose(point.grad @ d, slope, rtol=1e-6)
    change = (p.residual(w + 1e-5 * d) - p.residual(w - 1e-5 * d)) / 2e-5
    curved = np.sum(p.weights * change**2) / p.total + 0.1 * np.sum(p._shares * d * d)
    np.testing.assert_allclose(d @ p.ggn(point)(d), curved, rtol=1e-6)
    value, grad = 0.0, 0.0
    for index in np.array_split(rng.permutation(p.n_samples), 3):
        one, share = p.sample_grad(w, index), len(index) / p.n_samples
        value, grad = value + share * one[0], grad + share * one[1]
    np.testing.assert_allclose(value, p.value(w), rtol=1e-12)
    np.testing.assert_allclose(grad, point.grad, rtol=1e-10, atol=1e-12)


def test_tucker_s_balance_keeps_the_model_and_lowers_the_penalty():
    p = posed(n_components=(3, 2, 2), form="tucker")
    w = np.random.default_rng(2).standard_normal(p.size)
    residual, values = p.residual(w), [p.value(w)]
    for _ in range(30):
        p.balance(w)
        values.append(p.value(w))
    np.testing.assert_allclose(p.residual(w), residual, atol=1e-11)
    assert values[1] < values[0] and np.all(np.diff(values) <= 1e-12)
    # No matrix between a factor and the core does better.
    for d in range(3):
        moved = w.copy()
        u, core = p.unpack(moved)[d], p.core(moved)
        A = np.eye(u.shape[1]) + 0.01 * np.random.default_rng(3).standard_normal((u.shape[1],) * 2)
        u[:, :] = u @ A
        core[...] = np.moveaxis(np.tensordot(np.linalg.inv(A), core, axes=(1, d)), 0, d)
        np.testing.assert_allclose(p.residual(moved), residual, atol=1e-11)
        assert p.value(moved) > values[-1]


@pytest.mark.parametrize("block", ["mode 0", "mode 1", "mode 2", "core"])
def test_a_block_of_tucker_s_form_is_solved_exactly_and_alone(block):
    p = posed(n_components=(3, 2, 2), form="tucker")
    w = np.random.default_rng(2).standard_normal(p.size)
    before = w.copy()
    p.block_solve(w, block)
    np.testing.assert_allclose(p.point(w).grad[p.blocks[block]], 0.0, atol=1e-12)
    kept = np.ones(p.size, dtype=bool)
    kept[p.blocks[block]] = False
    np.testing.assert_array_equal(w[kept], before[kept])


@pytest.mark.parametrize(
    ("shape", "ranks"), [((15, 12, 10), (2, 3, 2)), ((8, 7, 6, 5), (2, 2, 2, 2))], ids=str
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_tensor_of_small_multilinear_ranks_is_recovered(shape, ranks):
    index, values, full = multilinear(shape, ranks)
    model = TensorCompletion(ranks, form="tucker", alpha=0.0, tol=1e-12, random_state=0)
    model.fit(index, values)
    error = model.predict(everywhere(full)) - full.ravel()
    assert np.linalg.norm(error) < 1e-7 * np.linalg.norm(full)
    assert model.core_.shape == ranks
    for u, k in zip(model.factors_, ranks, strict=True):
        np.testing.assert_allclose(u.T @ u, np.eye(k), atol=1e-12)


def test_a_full_tensor_is_approximated_as_well_as_by_truncation():
    # The truncated singular vectors of the unfoldings are within sqrt(D) of the best.
    _, _, full = multilinear((9, 8, 7), (3, 3, 3))
    full = full + 0.5 * np.random.default_rng(1).standard_normal(full.shape)
    at, ranks = everywhere(full), (2, 2, 2)
    projected = full
    for d, k in enumerate(ranks):
        unfolded = np.moveaxis(full, d, 0).reshape(full.shape[d], -1)
        U = np.linalg.svd(unfolded)[0][:, :k]
        projected = np.moveaxis(np.tensordot(U @ U.T, projected, axes=(1, d)), 0, d)
    model = TensorCompletion(ranks, form="tucker", alpha=0.0, tol=1e-8, random_state=0)
    found = model.fit(at, full.ravel()).predict(at)
    errors = [np.linalg.norm(x.ravel() - full.ravel()) for x in (found, projected)]
    assert 0.3 * errors[1] < errors[0] <= (1 + 1e-9) * errors[1]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_with_two_modes_tucker_s_form_reaches_the_matrix_of_that_rank():
    index, values, full = low_rank((20, 15), rank=2, share=0.6)
    at = everywhere(full)
    fits = [
        TensorCompletion(2, form=form, alpha=0.0, tol=1e-12, random_state=0).fit(index, values)
        for form in ("cp", "tucker")
    ]
    np.testing.assert_allclose(*(model.predict(at) for model in fits), atol=1e-6)


@pytest.mark.parametrize("solver", ["lbfgs", "levenberg_marquardt"])
def test_solvers_of_smooth_sums_work_with_a_core(solver):
    index, values, full = multilinear((10, 8, 6), (2, 2, 2))
    model = TensorCompletion(2, form="tucker", alpha=1e-3, solver=solver, tol=1e-6, random_state=0)
    model.fit(index, values)
    assert model.solve_report_.status == "converged"
    reference = clone(model).set_params(solver="als").fit(index, values)
    at = everywhere(full)
    off = np.linalg.norm(model.predict(at) - reference.predict(at))
    assert off < 1e-3 * np.linalg.norm(full)


@pytest.mark.parametrize(
    ("n_components", "message"),
    [((2, 2), "has 2 numbers, but X has 3 modes"), ((2, 9, 2), r"n_components=\(2, 9, 2\)")],
)
def test_ranks_that_do_not_fit_are_named(n_components, message):
    index, values, _ = low_rank((6, 5, 4))
    with pytest.raises(ValueError, match=message):
        TensorCompletion(n_components, form="tucker").fit(index, values)


# --- recovery -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(15, 12, 10), (8, 7, 6, 5)], ids=str)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_tensor_of_rank_two_is_recovered(shape):
    index, values, full = low_rank(shape)
    model = TensorCompletion(2, alpha=0.0, tol=1e-13, random_state=0)
    model.fit(index, values)
    assert model.solver_ == "als" and model.solve_report_.status == "converged"
    error = model.predict(everywhere(full)) - full.ravel()
    assert np.linalg.norm(error) < 1e-8 * np.linalg.norm(full)
    assert [u.shape for u in model.factors_] == [(n, 2) for n in shape]


@pytest.mark.parametrize("solver", ["lbfgs", "levenberg_marquardt"])
def test_solvers_of_smooth_sums_work_too(solver):
    index, values, full = low_rank((10, 8, 6))
    model = TensorCompletion(2, alpha=1e-4, solver=solver, tol=1e-6, random_state=0)
    model.fit(index, values)
    assert model.solve_report_.status == "converged"
    reference = clone(model).set_params(solver="als").fit(index, values)
    at = everywhere(full)
    off = np.linalg.norm(model.predict(at) - reference.predict(at))
    assert off < 1e-3 * np.linalg.norm(full)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rules_of_batches_lower_the_objective():
    index, values, _ = low_rank((10, 8, 6))
    model = TensorCompletion(2, alpha=1e-4, solver=Adam(learning_rate=0.02), random_state=0)
    model.fit(index, values)
    assert model.solve_report_.objective < 0.05 * 0.5 * np.mean(values**2)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_two_modes_are_a_matrix(alpha):
    index, values, full = low_rank((30, 20), rank=2, share=0.6)
    values = values + 0.3 * np.random.default_rng(1).standard_normal(len(values))
    weights = 1.0 + np.arange(len(values)) % 2
    tensor, matrix = (
        kind(2, alpha=alpha, solver="als", tol=1e-12, random_state=0).fit(index, values, weights)
        for kind in (TensorCompletion, MatrixCompletion)
    )
    objectives = [m.solve_report_.objective for m in (tensor, matrix)]
    np.testing.assert_allclose(objectives[0], objectives[1], rtol=1e-10)
    at = everywhere(full)
    np.testing.assert_allclose(tensor.predict(at), matrix.predict(at), atol=1e-6)


def test_weights_repeat_entries():
    index, values, _ = low_rank((8, 7, 6))
    weights = np.arange(len(values)) % 3
    model = TensorCompletion(2, alpha=0.01, tol=1e-11, random_state=0)
    one = clone(model).fit(index, values, weights)
    other = clone(model).fit(np.repeat(index, weights, axis=0), np.repeat(values, weights))
    at = index[weights > 0]
    np.testing.assert_allclose(one.predict(at), other.predict(at), atol=1e-6)


# --- the contract -------------------------------------------------------------------------------


def test_ids_are_any_integers_and_unseen_ones_get_the_mean():
    index, values, _ = low_rank((8, 7, 6), share=0.6)
    model = TensorCompletion(2, alpha=0.01, random_state=0)
    plain = clone(model).fit(index, values).predict(index)
    spread = 1000 - 7 * index
    model.fit(spread, values)
    assert [list(i) for i in model.ids_][1] == sorted(1000 - 7 * np.arange(7))
    assert np.corrcoef(model.predict(spread), plain)[0, 1] > 0.99
    assert model.predict([[-1, spread[0, 1], spread[0, 2]]])[0] == pytest.approx(values.mean())


def test_it_is_searched_by_scikit_learn():
    index, values, _ = low_rank((10, 9, 8), share=0.6)
    model = TensorCompletion(alpha=1e-3, random_state=0)
    folds = KFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(model, {"n_components": [1, 2]}, cv=folds).fit(index, values)
    assert search.best_params_ == {"n_components": 2} and search.best_score_ > 0.99


def test_single_precision():
    index, values, _ = low_rank((8, 7, 6))
    model = TensorCompletion(2, random_state=0).fit(index, values.astype(np.float32))
    assert model.factors_[0].dtype == np.float32
    assert model.predict(index).dtype == np.float32


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[0], [1]], r"two modes or more.*\(2, 1\)"),
        ([[0.5, 1, 2], [1, 2, 3]], "positions must be integers"),
        ([[1.0, np.inf, 2], [1, 2, 3]], "positions contain NaN or infinity"),
        (np.zeros((0, 3), dtype=int), r"two modes or more.*\(0, 3\)"),
    ],
)
def test_bad_positions(X, message):
    with pytest.raises(ValueError, match=message):
        TensorCompletion().fit(X, np.ones(len(X)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_components", 0), ("alpha", -1.0), ("tol", -1.0), ("n_init", 0), ("max_iter", 0)],
)
def test_bad_parameters_are_named_with_their_value(name, value):
    with pytest.raises(ValueError, match=f"{name}={value}"):
        TensorCompletion(**{name: value}).fit([[0, 0, 0], [1, 1, 1]], [1.0, 2.0])


def test_another_number_of_modes_is_an_error():
    index, values, _ = low_rank((8, 7, 6))
    model = TensorCompletion(2, random_state=0).fit(index, values)
    with pytest.raises(ValueError, match="2 features, but TensorCompletion is expecting 3"):
        model.predict(index[:, :2])


def test_zeros_are_fitted_by_zeros():
    model = TensorCompletion(2, random_state=0).fit([[0, 0, 0], [1, 1, 0]], [0.0, 0.0])
    np.testing.assert_allclose(model.predict([[0, 1, 0]]), 0.0, atol=1e-8)


def test_of_several_starts_the_kept_one_alone_warns():
    index, values, _ = low_rank((8, 7, 6))
    model = TensorCompletion(2, alpha=0.1, n_init=4, max_iter=1, tol=1e-12, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(index, values)
    assert [w.category for w in caught] == [ConvergenceWarning]
