"""Curves between optima, aligned units and deep linear networks, against closed forms."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from sklearn.datasets import load_digits
from smooth import quadratic, with_eigenvalues

from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.engine import Stopping, run
from skopt_dl.inspection import (
    DeepLinear,
    DeepLinearDisplay,
    DeepLinearTrace,
    ModeCurve,
    ModeCurveDisplay,
    align_units,
    connect,
)
from skopt_dl.solvers import LBFGS, SGD

# --- curves ---------------------------------------------------------------------------------------


def bowl(p=4):
    A = with_eigenvalues(np.geomspace(1, 5, p))
    c = np.arange(1.0, p + 1)
    return quadratic(A, A @ c, np.zeros(p)), c


# The bend that minimises the integral of |b_0 a + b_1 w + b_2 b|^2 is -(a + b) times the integral
# of b_0 b_1 over that of b_1^2: 1/10 over 2/15 for Bernstein's polynomials, 1/12 over 1/3 for hats.
@pytest.mark.parametrize(("kind", "share"), [("bezier", 0.75), ("polyline", 0.25)])
def test_the_bend_over_a_bowl_is_the_closed_form(kind, share):
    problem, c = bowl()
    rng = np.random.default_rng(0)
    a, b = c + rng.standard_normal((2, 4))
    curve = connect(problem, a, b, kind=kind, tol=1e-10)
    np.testing.assert_allclose(curve.points[1], c - share * (a + b - 2 * c), atol=1e-8)


def test_the_bases_are_de_casteljaus_and_straight_pieces():
    problem, _ = bowl(2)
    points = [np.array(p) for p in ([0.0, 0.0], [1.0, 2.0], [3.0, 2.0], [4.0, 0.0])]
    for t in (0.0, 0.2, 0.5, 1.0):
        level = points
        while len(level) > 1:
            level = [(1 - t) * p + t * q for p, q in pairwise(level)]
        np.testing.assert_allclose(ModeCurve(problem, points, "bezier").point(t), level[0])
    line = ModeCurve(problem, points)
    np.testing.assert_allclose(line.point(0.5), [2.0, 2.0])
    np.testing.assert_allclose(line.point(1 / 6), [0.5, 1.0])
    np.testing.assert_allclose(line.straight().point(0.5), [2.0, 0.0])


def test_a_barrier_is_the_height_over_the_higher_end():
    problem = quadratic(-np.eye(1), np.zeros(1), np.zeros(1))
    curve = ModeCurve(problem, [np.array([-1.0]), np.array([2.0])])
    # -w^2 / 2 from -1/2 over 0 to -2; the time of the top is one of those looked at.
    assert curve.barrier(61) == pytest.approx(0.5)


def test_what_makes_no_curve_is_named():
    problem, c = bowl()
    for points, words in (([c], "1 points"), ([c, c[:2]], r"point 1 has shape \(2,\)")):
        with pytest.raises(ValueError, match=words):
            ModeCurve(problem, points)
    with pytest.raises(ValueError, match="kind='arc'"):
        ModeCurve(problem, [c, c], "arc")
    with pytest.raises(ValueError, match="bends=0"):
        connect(problem, c, c, bends=0)


# --- networks -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    """The problem of a small classifier and two of its optima, from different starts."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:300] / 16.0, y[:300]
    found = []
    for seed in (0, 1):
        model = MLPClassifier((16,), activation="tanh", alpha=1.0, random_state=seed)
        problem = model._build_problem(X, y)
        found.append(run(problem, LBFGS(), stopping=Stopping(tol=1e-3, max_iter=300)).w)
    return problem, *found


def test_aligned_units_are_the_same_network_nearer_to_the_other(digits):
    problem, a, b = digits
    aligned = align_units(problem, b, a)
    assert problem.value(aligned) == pytest.approx(float(problem.value(b)), rel=1e-12)
    np.testing.assert_array_equal(np.sort(aligned), np.sort(b))
    assert np.linalg.norm(a - aligned) < np.linalg.norm(a - b)
    assert ModeCurve(problem, [a, aligned]).barrier() < ModeCurve(problem, [a, b]).barrier()


def test_a_permutation_of_the_units_is_undone():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    problem = MLPRegressor(hidden_layer_sizes=(6, 5), random_state=0)._build_problem(X, Y)
    w = problem.start()
    coefs, intercepts = problem.net.unpack(w)
    first, second = rng.permutation(6), rng.permutation(5)
    mixed = np.concatenate(
        [
            coefs[0][:, first].ravel(),
            coefs[1][first][:, second].ravel(),
            coefs[2][second].ravel(),
            intercepts[0][first],
            intercepts[1][second],
            intercepts[2],
        ]
    )
    np.testing.assert_array_equal(align_units(problem, mixed, w), w)
    with pytest.raises(TypeError, match="not the problem of a network"):
        align_units(bowl()[0], w, w)


def test_a_curve_joins_two_optima_without_the_barrier_of_the_straight_line(digits):
    problem, a, b = digits
    curve = connect(problem, a, b, nodes=6, max_iter=80)
    assert curve.barrier() < 0.3 * curve.straight().barrier()
    shown = ModeCurveDisplay.from_curve(curve, ts=np.linspace(0, 1, 11))
    line, bent = (drawn.get_ydata() for drawn in shown.ax_.lines)
    np.testing.assert_allclose(bent, curve.values(np.linspace(0, 1, 11)))
    np.testing.assert_allclose(line[[0, -1]], bent[[0, -1]])


# --- deep linear networks -------------------------------------------------------------------------


def linear_network(hidden=(3,), n=40, inputs=4, outputs=3, scale=1.0):
    """Inputs that are white, so that the loss is the distance of the product from a matrix."""
    rng = np.random.default_rng(0)
    X = np.linalg.qr(rng.standard_normal((n, inputs)))[0] * n**0.5
    X = X - X.mean(axis=0)
    X = np.linalg.qr(X)[0] * n**0.5
    M = np.linalg.qr(rng.standard_normal((inputs, outputs)))[0] * [3.0, 1.5, 0.5]
    model = MLPRegressor(
        hidden_layer_sizes=hidden, activation="identity", alpha=0.0, random_state=0
    )
    return model._build_problem(X, X @ M), M


def test_measures_of_a_diagonal_product():
    net = DeepLinear([np.diag([2.0, 1.0, 0.0]), np.diag([4.0, 2.0, 1.0])])
    np.testing.assert_allclose(net.singular_values, [8.0, 2.0, 0.0])
    assert net.rank() == 2
    assert net.nuclear_norm == pytest.approx(10.0)
    assert net.stable_rank == pytest.approx(1 + 1 / 16)
    entropy = -(0.8 * np.log(0.8) + 0.2 * np.log(0.2))
    assert net.effective_rank == pytest.approx(np.exp(entropy))
    np.testing.assert_allclose(net.imbalances[0], np.diag([-12.0, -3.0, -1.0]))
    assert net.imbalance == pytest.approx(12 / 16)
    nothing = DeepLinear([np.zeros((2, 2))])
    assert nothing.rank() == nothing.stable_rank == nothing.effective_rank == 0
    assert nothing.imbalance == 0


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_balanced_network_is_the_same_map_with_equal_layers(depth):
    rng = np.random.default_rng(0)
    sizes = [5, *[6] * (depth - 1), 3]
    coefs = [rng.standard_normal((m, n)) for m, n in pairwise(sizes)]
    intercepts = [rng.standard_normal(W.shape[1]) for W in coefs]
    net = DeepLinear(coefs, intercepts)
    balanced = net.balanced()
    np.testing.assert_allclose(balanced.product, net.product, atol=1e-12)
    x = rng.standard_normal(5)
    ours = theirs = x
    for k in range(depth):
        ours = ours @ balanced.coefs[k] + balanced.intercepts[k]
        theirs = theirs @ coefs[k] + intercepts[k]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    for W in balanced.coefs:
        s = np.linalg.svd(W, compute_uv=False)
        np.testing.assert_allclose(s[:3], net.singular_values ** (1 / depth), rtol=1e-10)
    if depth > 1:
        inner = balanced.imbalances
        assert max(np.abs(D).max() for D in inner[:-1] or [np.zeros(1)]) < 1e-10


def test_gradient_steps_conserve_the_imbalance_to_first_order():
    problem, _ = linear_network((3, 3))
    before = DeepLinear.at(problem, problem.start()).imbalances
    drift = []
    for rate, epochs in ((0.02, 100), (0.002, 1000)):
        solver = SGD(learning_rate=rate, schedule="constant", batch_size=40)
        after = run(problem, solver, stopping=Stopping(tol=None, max_iter=epochs)).w
        now = DeepLinear.at(problem, after).imbalances
        drift.append(max(np.abs(x - y).max() for x, y in zip(before, now, strict=True)))
    assert 0 < drift[1] < drift[0]
    assert drift[0] / drift[1] == pytest.approx(10, rel=0.2)


def test_modes_of_white_data_grow_by_the_logistic_curve():
    """Saxe et al.: da/dt = 2 a (s - a) of a balanced start in the directions of the answer."""
    problem, M = linear_network()
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    a0, rate, steps = 0.01, 2e-4, 12_000
    start = DeepLinear([U * a0**0.5, a0**0.5 * Vt]).flat()
    assert problem.value(start) == pytest.approx(0.5 * np.sum((M - a0 * U @ Vt) ** 2))
    trace = DeepLinearTrace(problem)
    solver = SGD(learning_rate=rate, schedule="constant", batch_size=40)
    stopping = Stopping(tol=None, max_iter=steps)
    run(problem, solver, start=start, stopping=stopping, observers=[trace])
    times = rate * np.array(trace.epochs)[:, None]
    growth = np.exp(2 * s * times)
    expected = s * growth / (growth - 1 + s / a0)
    np.testing.assert_allclose(trace.singular_values, expected, atol=1e-3)
    # The largest mode first: the product is of low rank on the way.
    halfway = [np.argmax(np.array(trace.singular_values)[:, i] > s[i] / 2) for i in range(2)]
    assert 0 < halfway[0] < halfway[1]
    assert min(trace.effective_rank) < 1.6 < trace.effective_rank[0]
    assert max(trace.imbalance) < 1e-3
    shown = DeepLinearDisplay.from_trace(trace)
    np.testing.assert_allclose(
        shown.ax_.lines[0].get_ydata(), [v[0] for v in trace.singular_values]
    )


@pytest.mark.parametrize("hidden", [(6,), (7, 6)])
def test_wide_deep_linear_networks_are_joined_without_a_rise(hidden):
    problem, _ = linear_network(hidden)
    stopping = Stopping(tol=1e-6, max_iter=3000)
    starts = [sign * problem.start() for sign in (1.0, -2.0)]
    best, other = (run(problem, LBFGS(), start=w, stopping=stopping).w for w in starts)
    corners = DeepLinear.at(problem, best).path_to(DeepLinear.at(problem, other))
    ends = [DeepLinear.at(problem, w).balanced().flat() for w in (best, other)]
    assert problem.value(ends[0]) == pytest.approx(float(problem.value(best)), abs=1e-12)
    curve = ModeCurve(problem, [corner.flat() for corner in corners])
    assert curve.barrier() <= 1e-8
    assert curve.values([1.0])[0] == pytest.approx(float(problem.value(other)), abs=1e-12)
    assert curve.straight().barrier() > 1e-3


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_networks_that_are_not_linear_or_too_narrow_are_refused():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    model = MLPRegressor(hidden_layer_sizes=(4,), activation="tanh", max_iter=1)
    model.fit(X, Y)
    with pytest.raises(ValueError, match="hidden layer 0 has the activation Tanh"):
        DeepLinear.of(model)
    model.set_params(activation="identity")
    model.fit(X, Y)
    net = DeepLinear.of(model)
    np.testing.assert_allclose(net.product, model.coefs_[0] @ model.coefs_[1])
    narrow = DeepLinear([rng.standard_normal((3, 3)), rng.standard_normal((3, 2))])
    with pytest.raises(ValueError, match="add up to 4, but a hidden layer has 3 units"):
        narrow.path_to(narrow)
    with pytest.raises(ValueError, match="do not make a product"):
        DeepLinear([np.zeros((2, 3)), np.zeros((2, 2))])
