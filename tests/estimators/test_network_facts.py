"""What is known of networks without training them far: symmetries, chains, stability, bias."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from skopt_dl.engine import Stopping, run
from skopt_dl.inspection import Landscape, input_jacobians, log_gains
from skopt_dl.neural_network import MLPRegressor
from skopt_dl.neural_network.network import Network
from skopt_dl.neural_network.problem import NetworkProblem
from skopt_dl.problems import SmoothProblem
from skopt_dl.solvers import LBFGS, GradientDescent


def regression(hidden: Any = (4,), activation: str = "tanh", alpha: float = 0.1) -> Any:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3))
    model = MLPRegressor(
        hidden_layer_sizes=hidden, activation=activation, alpha=alpha, random_state=0
    )
    return model._build_problem(X, np.sin(X[:, 0]) + X[:, 1] ** 2)


# --- gradients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "logistic", "softplus"])
def test_a_batch_has_the_mean_of_its_samples_gradients(activation: str) -> None:
    problem = regression(activation=activation, alpha=0.0)
    w = problem.start()
    index = np.array([3, 8, 8, 21, 30])
    single = [problem.sample_grad(w, np.array([i]))[1].copy() for i in index]
    np.testing.assert_allclose(problem.sample_grad(w, index)[1], np.mean(single, 0), atol=1e-12)
    whole, h = problem.point(w).grad, 1e-6
    differences = [
        (float(problem.value(w + h * e)) - float(problem.value(w - h * e))) / (2 * h)
        for e in np.eye(w.size)
    ]
    np.testing.assert_allclose(whole, differences, atol=1e-7)


# --- symmetries -----------------------------------------------------------------------------------


def arranged(problem: Any, w: Any, order: Any) -> Any:
    """``w`` with the hidden units in another order."""
    coefs, intercepts = problem.net.unpack(w)
    order = list(order)
    return np.concatenate(
        [coefs[0][:, order].ravel(), coefs[1][order].ravel(), intercepts[0][order], intercepts[1]]
    )


def test_units_in_another_order_are_as_many_equal_minima() -> None:
    problem = regression((3,))
    w = run(problem, LBFGS(), stopping=Stopping(tol=1e-8, max_iter=2000)).w
    points = [arranged(problem, w, order) for order in permutations(range(3))]
    assert len({tuple(np.round(p, 9)) for p in points}) == 6
    for p in points:
        assert float(problem.value(p)) == pytest.approx(float(problem.value(w)), rel=1e-12)
        assert np.abs(problem.point(p).grad).max() < 1e-6


def test_units_that_begin_alike_stay_alike() -> None:
    problem = regression((4,))
    w = problem.start()
    coefs, intercepts = problem.net.unpack(w)
    for a in (coefs[0].T, coefs[1], intercepts[0]):
        a[1] = a[0]
    found = run(
        problem, GradientDescent(step=0.1), start=w, stopping=Stopping(tol=None, max_iter=300)
    )
    coefs, intercepts = problem.net.unpack(found.w)
    np.testing.assert_allclose(coefs[0][:, 1], coefs[0][:, 0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(coefs[1][1], coefs[1][0], rtol=0, atol=1e-12)
    # A little noise, and they part.
    noisy = w + 1e-3 * np.random.default_rng(1).standard_normal(w.size)
    other = run(
        problem, GradientDescent(step=0.1), start=noisy, stopping=Stopping(tol=None, max_iter=3000)
    )
    coefs, _ = problem.net.unpack(other.w)
    assert np.abs(coefs[0][:, 1] - coefs[0][:, 0]).max() > 1e-2


# --- depth ----------------------------------------------------------------------------------------


def of_layers(sizes: Any, w: Any = None, activation: str = "identity", seed: int = 0) -> Any:
    net = Network(sizes, activation, "identity")
    X = np.random.default_rng(seed).standard_normal((3, sizes[0]))
    return NetworkProblem(net, X, np.zeros((3, sizes[-1])), initial=w)


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
def test_jacobians_are_differences_of_outputs(activation: str) -> None:
    problem = of_layers((4, 5, 3, 2), activation=activation)
    w, h = np.random.default_rng(1).standard_normal(problem.size), 1e-6
    J = input_jacobians(problem, w)
    for j, e in enumerate(np.eye(4)):
        up, down = (problem.net.predict(w, problem.X + t * e) for t in (h, -h))
        np.testing.assert_allclose(J[:, j, :], (up - down) / (2 * h), atol=1e-7)
    one = input_jacobians(problem, w, np.array([2]))
    np.testing.assert_allclose(one[0], J[2], rtol=0, atol=1e-14)
    expected = np.log(np.linalg.svd(J, compute_uv=False))
    np.testing.assert_allclose(log_gains(problem, w), expected)
    with pytest.raises(TypeError, match="is not the problem of a network"):
        input_jacobians(SmoothProblem(lambda w: 0.0, lambda w: w, start=np.ones(1)))


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
def test_a_chain_of_scalars_multiplies_its_derivative(factor: float) -> None:
    problem = of_layers((1,) * 13)
    w = np.zeros(problem.size)
    w[: problem.net.n_coef] = factor
    np.testing.assert_allclose(input_jacobians(problem, w), factor**12, rtol=1e-14)


def test_lengths_through_random_layers_spread_with_the_root_of_the_depth() -> None:
    """The logarithm of a gain is a sum over layers, each of a variance inverse to its width: of one
    over all layers and widths, as Hanin has it."""

    def spread(depth: int, width: int) -> float:
        logs = []
        for seed in range(200):
            problem = of_layers((width,) * depth + (1,))
            rng = np.random.default_rng(seed)
            w = np.zeros(problem.size)
            for W in problem.net.unpack(w)[0]:
                W[...] = rng.standard_normal(W.shape) / np.sqrt(W.shape[0])
            logs.append(log_gains(problem, w, np.array([0]))[0, 0])
        return float(np.std(logs))

    shallow, deep, wide = spread(5, 15), spread(20, 15), spread(20, 60)
    assert deep / shallow == pytest.approx(2, rel=0.2)
    assert deep / wide == pytest.approx(2, rel=0.2)
    # A layer adds half the logarithm of a chi square: a variance of about 1/(2 width).
    assert deep == pytest.approx(np.sqrt(20 / (2 * 15)), rel=0.2)


def test_a_small_determinant_does_not_make_a_chain_shrink() -> None:
    problem = of_layers((2, 2, 2, 2, 2))
    w = np.zeros(problem.size)
    for W in problem.net.unpack(w)[0]:
        W[...] = np.diag([2.0, 0.1])
    assert np.linalg.det(input_jacobians(problem, w)[0]) < 0.01
    np.testing.assert_allclose(log_gains(problem, w)[0], np.log([16.0, 1e-4]), rtol=1e-12)


# --- stability ------------------------------------------------------------------------------------


def test_gradient_descent_on_a_bowl_diverges_beyond_two_over_the_curvature() -> None:
    h = np.array([0.5, 2.0, 7.0])
    problem = SmoothProblem(lambda w: 0.5 * h @ w**2, lambda w: h * w, start=np.ones(3))
    for share, stable in ((0.99, True), (1.01, False)):
        solver = GradientDescent(step=share * 2 / 7)
        w = run(problem, solver, stopping=Stopping(tol=None, max_iter=1000)).w
        assert bool(np.abs(w[2]) < 1) is stable


def test_gradient_descent_on_a_network_ends_at_the_edge_of_stability() -> None:
    """The steepest curvature rises to two over the step and stays there."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 5))
    y = np.stack([np.sin(2 * X[:, 0]) * X[:, 1], X[:, 2] ** 2 - X[:, 3]], axis=1)
    model = MLPRegressor(hidden_layer_sizes=(30,), activation="tanh", alpha=0.0, random_state=0)
    problem = model._build_problem(X, y)
    w, stopping = problem.start(), Stopping(tol=None, max_iter=400)
    for step, edge in ((0.2, True), (0.05, False)):
        w, seen = problem.start(), []
        for _ in range(10):
            seen.append(step * float(Landscape(problem, w).top(1)[0][0]))
            w = run(problem, GradientDescent(step=step), start=w, stopping=stopping).w
        assert seen[0] < 1
        if edge:
            np.testing.assert_allclose(seen[-6:], 2, atol=0.2)
        else:
            # A short step never meets it.
            assert max(seen) < 1


# --- what descent prefers -------------------------------------------------------------------------


def diagonal(X: Any, y: Any, scale: float) -> SmoothProblem:
    """Least squares in ``b = u^2 - v^2``."""
    n, p = X.shape

    def both(w: Any) -> Any:
        u, v = w[:p], w[p:]
        r = X @ (u**2 - v**2) - y
        g = X.T @ r / n
        return 0.5 * np.mean(r**2), np.concatenate([2 * u * g, -2 * v * g])

    return SmoothProblem(value_and_grad=both, start=np.full(2 * p, scale))


def test_a_small_start_of_a_diagonal_network_ends_near_the_least_absolute_sum() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((15, 40))
    truth = np.zeros(40)
    truth[:3] = [1.0, -2.0, 1.5]
    y = X @ truth
    program = linprog(np.ones(80), A_eq=np.hstack([X, -X]), b_eq=y)
    sums = []
    for scale in (1.0, 0.1, 1e-3):
        problem = diagonal(X, y, scale)
        result = run(
            problem, GradientDescent(step=0.02), stopping=Stopping(tol=1e-9, max_iter=60_000)
        )
        b = result.w[:40] ** 2 - result.w[40:] ** 2
        np.testing.assert_allclose(X @ b, y, atol=5e-3)
        sums.append(float(np.abs(b).sum()))
    assert sums[0] > sums[1] > sums[2] >= program.fun - 1e-6
    assert sums[0] > 1.3 * program.fun
    assert sums[2] == pytest.approx(program.fun, rel=0.01)


# --- flatness -------------------------------------------------------------------------------------


def test_curvatures_of_a_network_are_those_of_its_dense_hessian() -> None:
    problem = regression((12, 8))
    assert 150 < problem.size < 250
    w = problem.start()
    dense = np.linalg.eigvalsh(problem.hessian(problem.point(w)))
    landscape = Landscape(problem, w)
    top = landscape.top(3)[0]
    np.testing.assert_allclose(top, dense[::-1][:3], rtol=1e-6)
    saddle = landscape.saddle()
    assert saddle.lowest == pytest.approx(dense[0], rel=1e-4)
    assert landscape.trace(products=4 * problem.size) == pytest.approx(dense.sum(), rel=1e-6)


def test_flatness_is_not_a_property_of_the_function() -> None:
    """Layers scaled against each other: the same outputs, another box and another trace."""
    problem = regression((4,), "relu", alpha=0.0)
    w = problem.start()
    scaled = w.copy()
    coefs, intercepts = problem.net.unpack(scaled)
    coefs[0][...] *= 10
    intercepts[0][...] *= 10
    coefs[1][...] /= 10
    assert float(problem.value(scaled)) == pytest.approx(float(problem.value(w)), rel=1e-12)
    one, two = (
        Landscape(problem, v, curvature="gauss_newton").trace(products=200) for v in (w, scaled)
    )
    assert two > 3 * one


# --- several starts -------------------------------------------------------------------------------


def test_restarts_find_the_deep_well_as_often_as_chance_says() -> None:
    """``(w^2 - 1)^2 + w / 4``: the left well is the deep one, and half of the starts are in it."""
    problem = SmoothProblem(
        lambda w: np.sum((w**2 - 1) ** 2 + w / 4),
        lambda w: 4 * w * (w**2 - 1) + 0.25,
        start=np.zeros(1),
    )
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(400):
        start = rng.uniform(-1.5, 1.5, 1)
        hits.append(run(problem, LBFGS(), start=start, stopping=Stopping(tol=1e-8)).w[0] < 0)
    p = np.mean(hits)
    for R in (2, 4):
        found = np.mean(np.reshape(hits, (-1, R)).any(axis=1))
        expected = 1 - (1 - p) ** R
        assert abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / (400 / R))
