"""Second-order methods against what is known of them: replays, limits and rates."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from rules import train
from scipy.optimize import minimize, rosen, rosen_der
from smooth import after, binary, classes, quadratic, rosenbrock, solve, with_eigenvalues

from skopt_dl.engine import Status, Stopping, run
from skopt_dl.losses import Logistic, Squared
from skopt_dl.neural_network import MLPClassifier, MLPRegressor
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem, SmoothProblem
from skopt_dl.search import cubic_step, trust_step
from skopt_dl.solvers import (
    ARC,
    BFGS,
    SGD,
    SQN,
    GradientDescent,
    HessianFree,
    LevenbergMarquardt,
    LineSearchSGD,
    NewtonCG,
    NewtonCholesky,
    PolyakStep,
    ProximalPoint,
    SaddleFreeNewton,
    SubsampledNewton,
    SubsampledTrustRegion,
    TrustRegion,
    trust_region,
)
from skopt_dl.solvers.nonlinear_cg import BETAS

# --- replays --------------------------------------------------------------------------------------


def test_directions_of_nonlinear_cg_replay_scipys():
    points = [np.full(5, -1.2)]
    minimize(
        rosen, points[0], jac=rosen_der, method="CG", callback=lambda w: points.append(w.copy())
    )
    assert len(points) > 30
    d = -rosen_der(points[0])
    for a, b in pairwise(points):
        s = b - a
        # Of a step that is long enough for its direction to have digits.
        if np.linalg.norm(s) > 1e-6:
            assert 1 - s @ d / np.linalg.norm(s) / np.linalg.norm(d) <= 7e-12
        g, g_after = rosen_der(a), rosen_der(b)
        above, below = BETAS["pr+"](g_after, g_after - g, g, d)
        d = max(0.0, above / below) * d - g_after


def test_bfgs_is_superlinear():
    problem = rosenbrock(5, start=0.5)
    errors = []
    for n in range(60):
        w = after(problem, BFGS(), n)
        errors.append(np.linalg.norm(w - 1))
        if errors[-1] < 1e-11:
            break
    ratios = np.array(errors[1:]) / np.array(errors[:-1])
    assert errors[-1] < 1e-7
    # Ever faster: the last ratios are far below those of the middle, and go down.
    last = [r for r, e in zip(ratios, errors[1:], strict=True) if e > 1e-11][-4:]
    assert np.exp(np.mean(np.log(last))) < 0.1


# --- closed forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("eta", [1e-3, 1.0, 1e6])
def test_an_implicit_step_is_its_closed_form_to_rounding(eta):
    A, b = with_eigenvalues(np.linspace(1, 5, 6)), np.linspace(-1, 1, 6)
    start = np.ones(6)
    w = after(quadratic(A, b, start), ProximalPoint(step=eta, growth=1.0, inner_tol=1e-15), 1)
    expected = np.linalg.solve(np.eye(6) + eta * A, start + eta * b)
    np.testing.assert_allclose(w, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shift", [-2.0, 4.0], ids=["indefinite", "definite"])
def test_a_cubic_step_meets_its_conditions_to_rounding(seed, shift):
    rng = np.random.default_rng(seed)
    values, c, sigma = np.sort(rng.standard_normal(6) + shift), rng.standard_normal(6), 1.0
    a, mu = cubic_step(values, c, sigma)
    assert mu == pytest.approx(sigma * np.linalg.norm(a), rel=1e-13)
    assert np.abs((values + mu) * a + c).max() <= 3e-14 * max(1.0, mu)
    assert values[0] + mu >= 0

    def model(a):
        return c @ a + 0.5 * values @ a**2 + sigma / 3 * np.linalg.norm(a) ** 3

    def slope(a):
        return c + values * a + sigma * np.linalg.norm(a) * a

    starts = 3 * rng.standard_normal((40, 6))
    best = min(minimize(model, s, jac=slope, method="BFGS", tol=1e-12).fun for s in starts)
    assert model(a) <= best + 1e-10 * abs(best)


@pytest.mark.parametrize("output", ["classes", "targets"])
def test_gauss_newton_products_are_exact(output):
    """``J' H_L J d`` with J by imaginary steps, which have no rounding of differences."""
    rng = np.random.default_rng(0)
    X, alpha = rng.standard_normal((20, 4)), 0.1
    if output == "classes":
        model = MLPClassifier((5,), activation="tanh", alpha=alpha, random_state=0)
        problem = model._build_problem(X, np.arange(20) % 3)
    else:
        model = MLPRegressor(
            hidden_layer_sizes=(5,), activation="tanh", alpha=alpha, random_state=0
        )
        problem = model._build_problem(X, rng.standard_normal((20, 2)))
    w, net = problem.start(), problem.net

    def raw(w):
        coefs, intercepts = net.unpack(w)
        return np.tanh(X @ coefs[0] + intercepts[0]) @ coefs[1] + intercepts[1]

    step = 1e-30
    J = np.stack([raw(w + 1j * step * e).imag / step for e in np.eye(w.size)], axis=2)
    G = np.diag(np.where(np.arange(w.size) < net.n_coef, alpha / 20, 0.0))
    for Ji, p in zip(J, net.predict(w, X), strict=True):
        H = np.diag(p) - np.outer(p, p) if output == "classes" else np.eye(len(p))
        G = G + Ji.T @ H @ Ji / 20
    product = problem.ggn(problem.point(w))
    for d in rng.standard_normal((5, w.size)):
        np.testing.assert_allclose(product(d), G @ d, rtol=0, atol=1e-14 * np.abs(G @ d).max() * 10)


def test_the_empirical_fisher_matrix_is_another_one():
    """Gradients at the targets seen, not at targets of the model: other steps, also in scale."""
    X, y = classes()
    problem = LinearProblem(X, y.astype(float), Logistic(), L2(0.0))
    w = 0.05 * np.ones(6)
    p = 1 / (1 + np.exp(-X @ w))
    true = X.T @ (X * (p * (1 - p))[:, None]) / len(y)
    empirical = X.T @ (X * ((p - y) ** 2)[:, None]) / len(y)
    product = problem.ggn(problem.point(w))
    np.testing.assert_allclose(np.stack([product(e) for e in np.eye(6)]), true, atol=1e-13)
    assert np.linalg.norm(empirical - true) > 0.3 * np.linalg.norm(true)
    # Drawn from the model itself, the mean over many targets is the true one.
    rng, n_draws = np.random.default_rng(0), 2000
    drawn = rng.random((n_draws, len(y))) < p
    mean = X.T @ (X * np.mean((p - drawn) ** 2, axis=0)[:, None]) / len(y)
    few = X.T @ (X * np.mean((p - drawn[:20]) ** 2, axis=0)[:, None]) / len(y)
    errors = [np.linalg.norm(m - true) for m in (few, mean)]
    assert errors[1] < errors[0] / 4 and errors[1] < 0.02 * np.linalg.norm(true)


# --- damping --------------------------------------------------------------------------------------


def test_much_damping_turns_to_the_gradient_and_none_to_newton():
    problem = binary(alpha=0.1)
    point = problem.point(problem.start())
    for damping in (1e6, 1e9):
        s = after(problem, LevenbergMarquardt(initial_damping=damping), 1) - point.w
        cosine = -s @ point.grad / np.linalg.norm(s) / np.linalg.norm(point.grad)
        assert math.acos(min(1.0, cosine)) < 1e-4
        np.testing.assert_allclose(s, -point.grad / damping, rtol=1e-3)
    newton = -np.linalg.solve(problem.hessian(point), point.grad)
    few = LevenbergMarquardt(initial_damping=1e-9, linear_solver="samples")
    np.testing.assert_allclose(after(problem, few, 1) - point.w, newton, rtol=1e-5)


@pytest.mark.parametrize(
    "solver",
    [
        LevenbergMarquardt(),
        LevenbergMarquardt(linear_solver="samples"),
        HessianFree(),
        NewtonCholesky(),
        NewtonCG(),
        TrustRegion(),
        ARC(),
        SaddleFreeNewton(),
        ProximalPoint(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("seed", range(3))
def test_convex_problems_are_solved_from_afar(solver, seed):
    problem = binary()
    start = 100 * np.random.default_rng(seed).standard_normal(problem.size)
    result = solve(problem, solver, start=start, tol=1e-8, max_iter=300)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.w, solve(problem, NewtonCholesky()).w, atol=1e-5)


def test_the_damping_of_hessian_free_follows_the_ratio():
    """Times 2/3 after a step of more than 3/4 of what was promised, times 3/2 below 1/4."""
    A, b = with_eigenvalues(np.linspace(1, 3, 5)), np.ones(5)

    def problem(bend):
        """The model is the quadratic; the objective has ``bend`` times a quartic besides."""
        made = SmoothProblem(
            lambda w: 0.5 * w @ A @ w - b @ w + bend * np.sum(w**4),
            lambda w: A @ w - b + 4 * bend * w**3,
            start=np.zeros(5),
        )
        made.ggn, made.n_samples = lambda point: lambda d: A @ d, 1
        return made

    for bend, factor in ((0.0, 2 / 3), (1e4, 3 / 2)):
        solver = HessianFree(initial_damping=0.5)
        state = solver.init(problem(bend), np.zeros(5), np.random.default_rng(0))
        solver._iterate(problem(bend), state)
        assert state.damping == pytest.approx(0.5 * factor)


# --- samples --------------------------------------------------------------------------------------


def test_more_samples_of_curvature_make_the_linear_rate_better():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 10)) * np.logspace(0, 1, 10)
    y = (X[:, 0] + rng.standard_normal(20_000) > 0) * 1.0
    problem = LinearProblem(X, y, Logistic(), L2(1e-3))
    best = solve(problem, NewtonCholesky()).certificate.objective
    rates = []
    for share in (0.015, 0.06, 0.24):
        gaps = []
        for seed in range(3):
            state = SubsampledNewton(share=share, sampling="uniform").init(
                problem, problem.start(), np.random.default_rng(seed)
            )
            solver = SubsampledNewton(share=share, sampling="uniform")
            first = float(state.point.value) - best
            for _ in range(40):
                solver.advance(problem, state, 1)
                gap = float(state.point.value) - best
                if gap < 1e-11 * first:
                    break
            gaps.append(math.log(max(gap, 1e-16) / first) / state.n_iter)
        rates.append(math.exp(np.median(gaps)))
    assert rates[2] < rates[1] < rates[0] < 0.6


def test_the_error_of_sqn_falls_like_one_over_the_updates():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 5))
    y = (X @ np.ones(5) + rng.standard_normal(2000) > 0) * 1.0
    problem = LinearProblem(X, y, Logistic(), L2(0.1))
    best = solve(problem, NewtonCholesky()).certificate.objective
    gaps = {4: [], 32: []}
    for seed in range(6):
        for epochs, found in gaps.items():
            solver = SQN(batch_size=20, hessian_size=300)
            found.append(train(problem, solver, epochs, seed).certificate.objective - best)
    slope = math.log(np.mean(gaps[32]) / np.mean(gaps[4])) / math.log(8)
    assert -1.5 < slope < -0.6


def test_steps_chosen_on_the_batch_on_an_interpolation_of_400_columns():
    """Vaswani 2019 and Loizou 2021 without tuning: below 1e-7 and 1e-5 after 100 passes, where a
    constant rate is not."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 400)) * np.geomspace(1, 0.1, 400)
    problem = LinearProblem(X, X @ rng.standard_normal(400), Squared(), L2(0.0))
    first = float(problem.value(problem.start()))
    largest = np.max(np.sum(X**2, axis=1))

    def left(solver):
        return float(problem.value(train(problem, solver, 100).w)) / first

    shared = {"batch_size": 1, "schedule": "constant"}
    plain = left(SGD(learning_rate=1 / largest, **shared))
    search, polyak = left(LineSearchSGD(**shared)), left(PolyakStep(max_step=1.0, **shared))
    assert search <= 1e-7
    assert polyak <= 1e-5
    assert plain > 3 * search


# --- saddles --------------------------------------------------------------------------------------


def test_the_saddle_of_a_deep_linear_network_is_left_by_absolute_curvature_alone():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((60, 4)), rng.standard_normal((60, 2))
    Y = X @ rng.standard_normal((4, 2)) + 0.1 * Y
    model = MLPRegressor(hidden_layer_sizes=(4, 4), activation="identity", alpha=0.0)
    model.set_params(random_state=0)
    problem = model._build_problem(X, Y)
    start = 1e-2 * problem.start()
    first = float(problem.value(start))
    rest = Y - X @ (np.linalg.pinv(X) @ Y)
    best = 0.5 * np.mean(np.sum(rest**2, axis=1))
    free = run(problem, SaddleFreeNewton(), start=start, stopping=Stopping(tol=None, max_iter=50))
    assert float(problem.value(free.w)) - best < 0.05 * (first - best)
    step = 1 / np.linalg.eigvalsh(X.T @ X / 60)[-1]
    slow = run(
        problem, GradientDescent(step=step), start=start, stopping=Stopping(tol=None, max_iter=50)
    )
    assert float(problem.value(slow.w)) - best > 0.9 * (first - best)


@pytest.mark.parametrize("p", [2, 6])
def test_the_hard_case_of_a_trust_step(p):
    """No gradient in the lowest eigenvector: the step takes as much of it as the radius leaves."""
    values, c = np.linspace(-1, 2, p), np.ones(p)
    c[0] = 0.0
    a, mu = trust_step(values, c, 10.0)
    assert mu == pytest.approx(1.0, rel=1e-8)
    assert np.linalg.norm(a) == pytest.approx(10.0, rel=1e-10)
    np.testing.assert_allclose(a[1:], -1 / (values[1:] + 1), rtol=1e-7)


@pytest.mark.parametrize(
    ("ratio", "factor"), [(0.9, 2.0), (0.5, 1.2), (0.1, 0.25), (1e-3, 0.25), (-1.0, 0.25)]
)
def test_the_radius_of_a_sampled_model_follows_what_a_step_brings(ratio, factor, monkeypatch):
    """A radius far beyond what the model knows would bring next to nothing again and again."""
    monkeypatch.setattr(trust_region, "try_step", lambda *args: (ratio, None))
    problem = binary()
    solver = SubsampledTrustRegion(initial_radius=0.01, preconditioner="none")
    state = solver.init(problem, problem.start(), np.random.default_rng(0))
    solver._iterate(problem, state)
    # The step ends at the radius.
    assert state.radius == pytest.approx(0.01 * factor)
    # One that ends long before it shrinks the radius to a part of itself.
    state = solver.init(problem, problem.start(), np.random.default_rng(0))
    state.radius = 1e6
    solver._iterate(problem, state)
    assert (state.radius < 1e3) is (ratio < 0.25)
