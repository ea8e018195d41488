"""Kronecker-factored natural gradients: closed forms, invariances and the limits that tie them."""

from __future__ import annotations

import numpy as np
import pytest
from rules import train

from skopt_dl.engine import Status, Stopping, run
from skopt_dl.linops.kronecker import (
    BrandRandomizedSide,
    BrandSide,
    DenseSide,
    EigenSide,
    RandomizedSide,
)
from skopt_dl.neural_network import MLPClassifier, MLPRegressor
from skopt_dl.neural_network.kronecker import drawn
from skopt_dl.solvers import BKFAC, BRKFAC, EKFAC, KFAC, KLDWRM, RSKFAC

FAMILY = [KFAC, EKFAC, RSKFAC, BKFAC, BRKFAC, KLDWRM]


def classifier(X=None, hidden=(5, 4), n=80, alpha=1e-3, output_bias=True):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 4)) if X is None else X
    y = rng.integers(0, 3, len(X))
    model = MLPClassifier(hidden, activation="tanh", alpha=alpha, random_state=0)
    return model._build_problem(X, y)


def linear(n=60, alpha=0.0):
    """One layer and a squared error: the Fisher matrix is a Kronecker product exactly."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 4)) * np.array([1.0, 10.0, 0.1, 3.0])
    Y = X @ rng.standard_normal((4, 2)) + 1.0 + 0.1 * rng.standard_normal((n, 2))
    model = MLPRegressor(hidden_layer_sizes=(), alpha=alpha, random_state=0)
    return model._build_problem(X, Y)


def steps(problem, solver, epochs, seed=0, **kwargs):
    return train(problem, solver, epochs, seed, **kwargs).w


# --- factors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["identity", "logistic", "softmax", "exp"])
def test_drawn_targets_have_the_models_mean_and_variance(name):
    rng = np.random.default_rng(0)
    mean = np.tile(np.array([[0.2, 0.5, 0.3]]), (40_000, 1))
    y = drawn(name, mean, rng)
    variance = {
        "identity": np.ones(3),
        "logistic": mean[0] * (1 - mean[0]),
        "softmax": mean[0] * (1 - mean[0]),
        "exp": mean[0],
    }[name]
    error = 4 * np.sqrt(variance / len(y))
    assert np.all(np.abs(y.mean(axis=0) - mean[0]) <= error)
    np.testing.assert_allclose(y.var(axis=0), variance, rtol=0.05)
    if name == "softmax":
        np.testing.assert_array_equal(y.sum(axis=1), 1.0)


@pytest.mark.parametrize("problem", [classifier(), linear()], ids=["softmax", "squared"])
def test_sampled_factors_tend_to_the_exact_ones(problem):
    index = np.arange(problem.n_samples)
    model = problem.kronecker(problem.start(), index)
    exact = model.layers()
    rng = np.random.default_rng(0)
    draws = [model.layers(rng) for _ in range(400)]
    for k, layer in enumerate(exact):
        G = sum(d.T @ d for d in layer.d)
        sampled = np.mean([d[k].d[0].T @ d[k].d[0] for d in draws], axis=0)
        np.testing.assert_allclose(sampled, G, atol=0.15 * np.abs(G).max())
        np.testing.assert_array_equal(layer.a[:, -1], 1.0)


def test_a_part_of_a_batch_is_a_batch():
    problem = classifier()
    problem.sample_weight = np.random.default_rng(0).integers(0, 3, 80).astype(float)
    index = np.arange(40)
    part = problem.kronecker(problem.start(), index).first(15).layers()
    alone = problem.kronecker(problem.start(), index[:15]).layers()
    for ours, theirs in zip(part, alone, strict=True):
        np.testing.assert_allclose(ours.a, theirs.a, rtol=1e-14)
        np.testing.assert_allclose(ours.d, theirs.d, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(ours.root, theirs.root, rtol=1e-14)


def test_the_factors_of_one_layer_are_its_gauss_newton_matrix():
    """One layer and a squared error: A x G is F itself."""
    problem = linear()
    index, w = np.arange(problem.n_samples), problem.start()
    (layer,) = problem.kronecker(w, index).layers()
    A = layer.a.T @ (layer.root**2 * layer.a)
    G = sum(d.T @ d for d in layer.d)
    product = problem.ggn(problem.point(w))
    V = np.arange(10.0).reshape(5, 2)
    d = np.concatenate([V[:-1].ravel(), V[-1]])
    expected = A @ V @ G
    expected = np.concatenate([expected[:-1].ravel(), expected[-1]])
    np.testing.assert_allclose(product(d), expected, rtol=1e-10)


def test_inner_products_are_those_of_the_gauss_newton_matrix():
    problem = classifier()
    w, index = problem.start(), np.arange(0, 60, 3)
    rng = np.random.default_rng(0)
    u, v = rng.standard_normal((2, problem.size))
    product = problem.sample_ggn(w, index)
    model = problem.kronecker(w, index)
    inner = model.products(np.stack([u, v]))
    expected = [[u @ product(u), u @ product(v)], [v @ product(u), v @ product(v)]]
    np.testing.assert_allclose(inner, expected, rtol=1e-10)


@pytest.mark.parametrize("make", [classifier, linear])
def test_a_model_has_the_value_and_gradient_of_its_batch(make):
    problem = make()
    w, index = problem.start(), np.arange(0, 60, 3)
    value, grad = problem.sample_grad(w, index)
    model = problem.kronecker(w, index)
    found = model.value_grad()
    assert float(found[0]) == pytest.approx(float(value), rel=1e-12)
    np.testing.assert_allclose(found[1], grad, rtol=1e-10, atol=1e-14)
    assert float(model.value()) == pytest.approx(float(problem.sample_value(w, index)), rel=1e-12)
    there = float(problem.sample_value(w + 0.1, index))
    assert float(model.value_at(w + 0.1)) == pytest.approx(there, rel=1e-12)


def test_the_answer_is_a_mean_where_the_rate_is_automatic():
    from skopt_dl.solvers.stochastic.averaging import EMA

    problem = classifier()
    automatic = steps(problem, KFAC(batch_size=20), 5)
    np.testing.assert_array_equal(
        automatic, steps(problem, KFAC(batch_size=20, average=EMA(0.9)), 5)
    )
    fixed = {"batch_size": 20, "learning_rate": 0.1}
    plain = steps(problem, KFAC(**fixed, average=None), 5)
    np.testing.assert_array_equal(steps(problem, KFAC(**fixed), 5), plain)


# --- stores ---------------------------------------------------------------------------------------


def decaying(m=40, n=25, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, m)) * 0.7 ** np.arange(m)


@pytest.mark.parametrize(
    "side",
    [EigenSide(), RandomizedSide(40), BrandSide(40), BrandRandomizedSide(40)],
    ids=lambda side: type(side).__name__,
)
def test_with_the_whole_rank_every_store_is_the_dense_one(side):
    dense, rng = DenseSide(), np.random.default_rng(0)
    V = rng.standard_normal((40, 3))
    for k in range(3):
        X = decaying(seed=k)
        for store in (dense, side):
            store.add(X, 0.0 if k == 0 else 0.9)
    for store in (dense, side):
        store.refresh(rng)
        store.damp(0.1)
    assert side.trace == pytest.approx(dense.trace, rel=1e-12)
    np.testing.assert_allclose(side.solve(V), dense.solve(V), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(side.apply(V), dense.apply(V), atol=1e-9)


@pytest.mark.parametrize("rank", [5, 10, 20])
def test_the_error_of_a_rank_is_the_first_eigenvalue_left_out(rank):
    dense, side, rng = EigenSide(), RandomizedSide(rank), np.random.default_rng(0)
    gamma = 1e-3
    for store in (dense, side):
        store.add(decaying(n=200), 0.0)
        store.refresh(rng)
        store.damp(gamma)
    error = np.linalg.norm(side.solve(np.eye(40)) - dense.solve(np.eye(40)), 2)
    first = dense.D[::-1][rank]
    assert error * gamma == pytest.approx(first / (first + gamma), rel=0.05)


@pytest.mark.parametrize("side", [RandomizedSide, BrandRandomizedSide])
def test_as_many_eigenvectors_are_looked_for_as_the_damping_leaves_of_use(side):
    dense, store, rng = EigenSide(), side(40, error=0.05), np.random.default_rng(0)
    for each in (dense, store):
        each.add(decaying(n=200), 0.0)
        each.refresh(rng)
    assert store.D.shape == (40,)
    for gamma, most in ((1.0, 20), (0.01, 30)):
        # What a refresh finds is decided by the damping before it.
        for _ in range(3):
            store.damp(gamma)
            store.refresh(rng)
        assert store.D.shape[0] <= most
        for each in (dense, store):
            each.damp(gamma)
        error = np.linalg.norm(store.solve(np.eye(40)) - dense.solve(np.eye(40)), 2)
        assert error * gamma <= 0.05
    store.damp(1e9)
    store.refresh(rng)
    assert store.D.shape == (8,)


# --- the methods ----------------------------------------------------------------------------------


def test_one_layer_and_a_squared_error_are_solved_in_one_step():
    problem = linear()
    solver = KFAC(damping=1e-20, fisher="exact", batch_size=problem.n_samples)
    w = steps(problem, solver, 1)
    X = np.column_stack([problem.X, np.ones(problem.n_samples)])
    best = np.linalg.lstsq(X, problem.y, rcond=None)[0]
    coefs, intercepts = problem.net.unpack(w)
    np.testing.assert_allclose(coefs[0], best[:-1], rtol=1e-5)
    np.testing.assert_allclose(intercepts[0], best[-1], rtol=1e-5)


def test_the_undamped_step_does_not_depend_on_the_units_of_the_data():
    """An affine map of the inputs, undone by the first layer: the same function, the same step."""
    rng = np.random.default_rng(1)
    X, B, c = rng.standard_normal((80, 4)), rng.standard_normal((4, 4)) + 2 * np.eye(4), 0.3
    plain, mapped = classifier(X, alpha=0.0), classifier(X @ B + c, alpha=0.0)
    w = plain.start()
    coefs, intercepts = plain.net.unpack(w)
    there = w.copy()
    other_coefs, other_intercepts = mapped.net.unpack(there)
    other_coefs[0][...] = np.linalg.solve(B, coefs[0])
    other_intercepts[0][...] = intercepts[0] - c * np.ones(4) @ other_coefs[0]
    np.testing.assert_allclose(mapped.value(there), plain.value(w), rtol=1e-12)
    solver = KFAC(learning_rate=0.5, damping=1e-16, fisher="exact", batch_size=80)
    ours, theirs = steps(plain, solver, 1, start=w), steps(mapped, solver, 1, start=there)
    np.testing.assert_allclose(
        plain.net.predict(ours, plain.X), mapped.net.predict(theirs, mapped.X), atol=1e-5
    )
    assert np.abs(plain.net.predict(ours, plain.X) - plain.net.predict(w, plain.X)).max() > 0.05


@pytest.mark.parametrize(
    "solver",
    [RSKFAC(rank=50, error=0), BKFAC(rank=50), BRKFAC(rank=50, error=0)],
    ids=lambda s: type(s).__name__,
)
def test_with_the_whole_rank_the_path_is_k_facs(solver):
    """B-KFAC's factors are always fresh: so are K-FAC's with a refresh at each update."""
    problem = classifier()
    reference = KFAC(fisher="exact", refresh=1)
    params = {"fisher": "exact", "refresh": 1}
    known = solver.get_params()
    solver.set_params(**{k: v for k, v in params.items() if k in known})
    ours, theirs = steps(problem, solver, 2), steps(problem, reference, 2)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_what_was_cut_off_is_found_again():
    """Directions that come one after another: each is small when it comes, none stays so."""
    rng = np.random.default_rng(0)
    dense, online, both = EigenSide(), BrandSide(4), BrandRandomizedSide(4)
    for _ in range(60):
        X = rng.standard_normal((3, 30)) * 0.9 ** np.arange(30)
        for store in (dense, online, both):
            store.add(X, 0.95)
    for store in (dense, online, both):
        store.refresh(np.random.default_rng(1))
    top = dense.D[-4:]
    np.testing.assert_allclose(np.sort(both.D), top, rtol=1e-4)
    assert np.abs(np.sort(online.D) / top - 1).max() > 0.05


def test_decompositions_at_every_update_are_those_of_rs_kfac():
    problem, shared = classifier(), {"rank": 3, "refresh": 1, "fisher": "exact", "batch_size": 20}
    ours, theirs = steps(problem, BRKFAC(**shared), 2), steps(problem, RSKFAC(**shared), 2)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_without_a_wake_it_is_k_fac():
    problem = classifier()
    shared = {"learning_rate": 0.3, "fisher": "exact", "batch_size": 20}
    np.testing.assert_allclose(
        steps(problem, KLDWRM(wake=0.0, **shared), 2),
        steps(problem, KFAC(decay=0.0, **shared), 2),
        rtol=1e-10,
    )


def test_the_wake_is_the_pull_of_the_past_models():
    """One layer and a squared error, one batch: every F is the same, and the sum is at hand."""
    problem = linear()
    n, rho, eta = problem.n_samples, 0.5, 0.4
    solver = KLDWRM(
        learning_rate=eta, wake=rho, damping=1e-20, fisher="exact", batch_size=n, refresh=1
    )
    product = problem.ggn(problem.point(problem.start()))
    F = np.stack([product(e) for e in np.eye(problem.size)], axis=1)
    path = [problem.start()]
    for k in range(3):
        g = problem.point(path[-1]).grad
        # A running mean weighs its first term by one, the later ones by 1 - rho.
        weights = [(1 - rho if j else 1.0) * rho ** (k - j) for j in range(k)]
        pull = sum(q * F @ (path[k] - w) for q, w in zip(weights, path, strict=False))
        path.append(path[-1] - np.linalg.solve(F, eta * g + pull))
    np.testing.assert_allclose(steps(problem, solver, 3), path[-1], rtol=1e-5, atol=1e-6)


def test_second_moments_along_the_eigenvectors_are_those_of_the_samples():
    from skopt_dl.solvers.stochastic.kronecker import EigenFactored

    problem = classifier()
    model = problem.kronecker(problem.start(), np.arange(problem.n_samples))
    layer = model.layers()[0]
    metric = EigenFactored(EigenSide(), EigenSide())
    metric.add(np, layer, 0.0)
    metric.refresh(None)
    metric.S = None
    metric.add(np, layer, 0.9)
    U, W = metric.A.U, metric.G.U
    expected = 0.0
    for i in range(problem.n_samples):
        for d in layer.d:
            expected = expected + (U.T @ np.outer(layer.a[i], d[i]) @ W) ** 2
    np.testing.assert_allclose(metric.S, expected, rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("kind", FAMILY)
def test_a_network_is_trained(kind):
    problem = classifier(alpha=0.0)
    first = float(problem.value(problem.start()))
    w = steps(problem, kind(batch_size=20), 30)
    assert float(problem.value(w)) < 0.7 * first
    again = steps(problem, kind(batch_size=20), 30)
    np.testing.assert_array_equal(w, again)


def test_a_step_off_a_cliff_is_taken_back():
    problem, solver = classifier(), KFAC(batch_size=20)
    state = solver.init(problem, problem.start(), np.random.RandomState(0))
    solver.advance(problem, state, 5)
    kept, damping = state.w.copy(), state.damping
    state.before = kept
    # What is averaged has fallen off with it.
    state.w = state.iterate = state.mean = 1e3 * kept
    assert float(problem.value(state.w)) > 10 * state.first
    solver.advance(problem, state, 1)
    assert float(problem.value(state.w)) < state.first
    assert state.damping > damping


def test_a_rate_that_is_far_too_long_ends_as_not_finite():
    problem = classifier()
    stopping = Stopping(tol=None, max_iter=50)
    rng = np.random.RandomState(0)
    with np.errstate(all="ignore"):
        result = run(problem, KFAC(learning_rate=1e200), stopping=stopping, rng=rng)
    assert result.status is Status.NONFINITE


@pytest.mark.parametrize(
    ("solver", "expected"),
    [
        (KFAC(batch_size=80), [1, 2, 3, 4, 4, 5, 5, 6, 6]),
        (KFAC(batch_size=80, refresh=9), [1, 2, 3, 4, 4, 5, 5, 6, 7]),
        (EKFAC(batch_size=80), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
    ids=repr,
)
def test_factors_learn_from_every_other_batch_and_when_they_are_inverted(solver, expected):
    problem, learnt = classifier(), []
    state = solver.init(problem, problem.start(), np.random.RandomState(0))
    for _ in expected:
        solver.advance(problem, state, 1)
        learnt.append(state.n_learnt)
    assert learnt == expected


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (KFAC(damping=0.0), "damping=0.0, but it must be 'auto' or a number > 0"),
        (KFAC(fisher="empirical"), "must be 'sampled' or 'exact'"),
        (KFAC(decay=1.0), "decay=1.0"),
        (KFAC(refresh=0), "refresh=0"),
        (RSKFAC(rank=0), "rank=0"),
        (RSKFAC(error=1.0), "error=1.0"),
        (KLDWRM(wake=1.0), "wake=1.0"),
    ],
    ids=lambda x: repr(x)[:24],
)
def test_settings_that_make_no_sense_are_named(solver, words):
    problem = classifier()
    with pytest.raises(ValueError, match=words):
        solver.init(problem, problem.start(), np.random.RandomState(0))
