"""Second-order methods against closed forms, other programs and each other: the limits that tie
them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize, rosen_der
from smooth import after, binary, quadratic, rosenbrock, solve, with_eigenvalues

from skopt_dl.engine import Status, Stopping, run
from skopt_dl.linops.lanczos import Lanczos
from skopt_dl.linops.truncated import ModelProgress, residual_below, truncated_cg
from skopt_dl.neural_network import MLPClassifier, MLPRegressor
from skopt_dl.problems import SmoothProblem
from skopt_dl.search import cubic_step, trust_step
from skopt_dl.solvers import (
    ARC,
    GaussNewtonCG,
    HessianFree,
    LevenbergMarquardt,
    NewtonCholesky,
    NonlinearCG,
    ProximalPoint,
    SaddleFreeNewton,
    SubsampledARC,
    SubsampledNewton,
    SubsampledTrustRegion,
    TrustRegion,
)


def classifier(hidden=(5,), n=60, activation="tanh", outputs=3, alpha=1e-2):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 4))
    y = rng.integers(0, outputs, n)
    model = MLPClassifier(hidden, activation=activation, alpha=alpha, random_state=0)
    return model._build_problem(X, y)


def regressor(hidden=(4, 3), n=50, outputs=2, alpha=1e-3):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((n, 5))
    y = np.tanh(X[:, :outputs]) + 0.1 * rng.standard_normal((n, outputs))
    model = MLPRegressor(hidden_layer_sizes=hidden, activation="tanh", alpha=alpha, random_state=0)
    return model._build_problem(X, y)


# --- oracles of a network -----------------------------------------------------------------------

NETWORKS = [
    classifier(),
    classifier((4, 3), activation="logistic"),
    classifier((), outputs=2),
    regressor(),
]


@pytest.mark.parametrize("problem", NETWORKS, ids=lambda q: q.description)
def test_gauss_newton_is_the_jacobian_form(problem):
    """J' H_L J from differences of the raw outputs, and the loss's Hessian by its formula."""
    w, net, h = problem.start(), problem.net, 1e-6

    def raw(w):
        a = problem.X
        for k, (W, b) in enumerate(zip(*net.unpack(w), strict=True)):
            a = a @ W + b
            if k < len(net.shapes) - 1:
                a = np.tanh(a) if net.activation == "tanh" else 1 / (1 + np.exp(-a))
        return a

    unit = np.eye(problem.size)
    J = np.stack([(raw(w + h * e) - raw(w - h * e)) / (2 * h) for e in unit], axis=2)
    mean = net.predict(w, problem.X)
    G = np.zeros((problem.size, problem.size))
    for Ji, m in zip(J, mean, strict=True):
        if net.output == "softmax":
            H = np.diag(m) - np.outer(m, m)
        else:
            H = np.diag(m * (1 - m)) if net.output == "logistic" else np.eye(len(m))
        G += Ji.T @ H @ Ji / problem.n_samples
    ridge = np.where(np.arange(problem.size) < net.n_coef, problem.alpha / problem.n_samples, 0.0)
    G += np.diag(ridge)
    point = problem.point(w)
    product = problem.ggn(point)
    ours = np.stack([product(e) for e in unit], axis=1)
    np.testing.assert_allclose(ours, G, atol=1e-8)
    R, diagonal = problem.ggn_root(point)
    np.testing.assert_allclose(R.T @ R + np.diag(diagonal), ours, atol=1e-12)


@pytest.mark.parametrize("problem", NETWORKS, ids=lambda q: q.description)
def test_batch_products_are_differences_of_batch_gradients(problem):
    w, d = problem.start(), np.random.default_rng(0).standard_normal(problem.size)
    index, h = np.array([3, 1, 8, 20, 5]), 1e-5
    grads = [np.array(problem.sample_grad(w + t * d, index)[1]) for t in (h, -h)]
    difference = (grads[0] - grads[1]) / (2 * h)
    np.testing.assert_allclose(problem.sample_hvp(w, index)(d), difference, atol=1e-7)
    every = np.arange(problem.n_samples)
    point = problem.point(w)
    np.testing.assert_allclose(problem.sample_ggn(w, every)(d), problem.ggn(point)(d), rtol=1e-10)
    # The mean over repeated draws with weights 1/(n p) is the whole: here each sample once.
    p = np.linspace(1, 2, problem.n_samples)
    p /= p.sum()
    parts = [
        problem.sample_hvp(w, np.array([i]), np.array([1.0]))(d) for i in range(problem.n_samples)
    ]
    single = problem.alpha * np.where(np.arange(problem.size) < problem.net.n_coef, d, 0.0)
    mean = np.mean([part - single for part in parts], axis=0) + single / problem.n_samples
    np.testing.assert_allclose(mean, problem.hvp(point)(d), atol=1e-10)


def test_gauss_newton_of_a_network_without_hidden_layers_is_the_hessian():
    problem = classifier(())
    point = problem.point(np.linspace(-1, 1, problem.size))
    d = np.sin(np.arange(problem.size) + 1.0)
    np.testing.assert_allclose(problem.ggn(point)(d), problem.hvp(point)(d), rtol=1e-10)


# --- parts --------------------------------------------------------------------------------------


def test_conjugate_gradients_are_scipys():
    from scipy.sparse.linalg import cg

    A, b = with_eigenvalues(np.logspace(-2, 2, 20)), np.linspace(-1, 1, 20)
    for m in (1, 5, 12):
        ours = truncated_cg(lambda d: A @ d, -b, stop=residual_below(0.0), max_iter=m)
        theirs, _ = cg(A, b, maxiter=m, rtol=0.0, atol=0.0)
        assert ours.end == "budget"
        np.testing.assert_allclose(ours.s, theirs, rtol=1e-8, atol=1e-10)
    # From a start, with a preconditioner that is exact: one step.
    exact = truncated_cg(
        lambda d: A @ d,
        -b,
        stop=residual_below(1e-9),
        max_iter=50,
        start=np.ones(20),
        precondition=lambda r: np.linalg.solve(A, r),
    )
    assert exact.n == 1
    np.testing.assert_allclose(exact.s, np.linalg.solve(A, b), rtol=1e-8)


def test_the_models_progress_is_its_value():
    A, g = with_eigenvalues(np.logspace(-1, 1, 30)), np.ones(30)
    rule = ModelProgress(g, 1e-3)
    found = truncated_cg(lambda d: A @ d, g, stop=rule, max_iter=100)
    value = g @ found.s + 0.5 * found.s @ A @ found.s
    assert rule.values[-1] == pytest.approx(value, rel=1e-12)
    assert found.end == "stop"
    assert found.n == len(rule.values) > 10
    k = max(10, found.n // 10)
    assert (rule.values[-1] - rule.values[-1 - k]) / rule.values[-1] < k * 1e-3


def test_lanczos_finds_the_ends_of_a_spectrum_and_stops_where_the_space_does():
    values = np.concatenate([[-3.0], np.linspace(0, 1, 40), [10.0]])
    A, v = with_eigenvalues(values), np.random.default_rng(0).standard_normal(42)
    lanczos = Lanczos(lambda d: A @ d, v)
    lanczos.extend(25)
    Q = np.array(lanczos.basis)
    np.testing.assert_allclose(Q @ Q.T, np.eye(len(Q)), atol=1e-12)
    ritz, _ = lanczos.ritz()
    np.testing.assert_allclose(ritz[[0, -1]], [-3.0, 10.0], atol=1e-6)
    few = Lanczos(lambda d: np.diag([1.0, 1.0, 2.0, 2.0]) @ d, np.ones(4))
    few.extend(4)
    assert few.exhausted
    np.testing.assert_allclose(few.ritz()[0], [1.0, 2.0], atol=1e-12)


RANDOM = [(seed, kind) for seed in range(6) for kind in ("definite", "indefinite", "hard")]


def spectrum(seed, kind):
    rng = np.random.default_rng(seed)
    values = np.sort(rng.standard_normal(7) * 3 + (8 if kind == "definite" else 0))
    c = rng.standard_normal(7)
    if kind == "hard":
        c[0] = 0.0
    return values, c


@pytest.mark.parametrize(("seed", "kind"), RANDOM)
@pytest.mark.parametrize("radius", [0.1, 1.0, 50.0])
def test_trust_step_is_the_global_minimiser(seed, kind, radius):
    values, c = spectrum(seed, kind)
    a, mu = trust_step(values, c, radius)
    length = np.linalg.norm(a)
    assert mu >= 0
    assert values[0] + mu >= -1e-9
    assert length <= radius * (1 + 1e-10)
    np.testing.assert_allclose((values + mu) * a, -c, atol=1e-8)
    assert mu * (radius - length) == pytest.approx(0.0, abs=1e-7 * (1 + mu))


@pytest.mark.parametrize(("seed", "kind"), RANDOM)
@pytest.mark.parametrize("sigma", [1e-3, 1.0, 100.0])
def test_cubic_step_is_the_global_minimiser(seed, kind, sigma):
    values, c = spectrum(seed, kind)
    a, mu = cubic_step(values, c, sigma)
    length = np.linalg.norm(a)
    assert mu == pytest.approx(sigma * length, rel=1e-10)
    assert values[0] + mu >= -1e-9
    np.testing.assert_allclose((values + mu) * a, -c, atol=1e-8 * max(1.0, mu))

    def model(a):
        return c @ a + 0.5 * values @ a**2 + sigma / 3 * np.linalg.norm(a) ** 3

    rng = np.random.default_rng(seed)
    starts = [rng.standard_normal(7) * length for _ in range(10)]
    best = min(scipy_minimize(model, start, method="BFGS").fun for start in starts)
    assert model(a) <= best + 1e-8 * (1 + abs(best))


# --- limits that tie the methods -----------------------------------------------------------------

NEWTONS = [
    ARC(initial_weight=1e-300, subproblem="exact"),
    TrustRegion(initial_radius=1e8, max_radius=1e9, subproblem="exact"),
    TrustRegion(initial_radius=1e8, max_radius=1e9, subproblem="krylov"),
    SaddleFreeNewton(subproblem="exact"),
    LevenbergMarquardt(initial_damping=1e-13, linear_solver="samples"),
    HessianFree(initial_damping=1e-13, tol=1e-16, warm=0.0),
    NewtonCholesky(),
]


@pytest.mark.parametrize("solver", NEWTONS, ids=repr)
def test_without_restraint_all_are_newton(solver):
    """One step on a convex quadratic of samples: the ridge."""
    from skopt_dl.losses import Squared
    from skopt_dl.penalties import L2
    from skopt_dl.problems import LinearProblem

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 5)), rng.standard_normal(30)
    problem = LinearProblem(X, y, Squared(), L2(0.1))
    optimum = np.linalg.solve(X.T @ X / 30 + 0.1 * np.eye(5), X.T @ y / 30)
    # The Krylov step is as exact as its residual asks for.
    close = 2e-2 if getattr(solver, "subproblem", "") == "krylov" else 1e-7
    np.testing.assert_allclose(after(problem, solver, 1), optimum, atol=close)


def test_affine_maps_of_the_parameters_do_not_change_newtons_path():
    A = np.random.default_rng(0).standard_normal((3, 3)) + 2 * np.eye(3)
    start = np.array([1.0, -2.0, 0.5])

    def convex(B, start):
        return SmoothProblem(
            lambda w: np.sum((B @ w) ** 4 + (B @ w) ** 2 + B @ w),
            lambda w: B.T @ (4 * (B @ w) ** 3 + 2 * (B @ w) + 1),
            hessian=lambda w: B.T @ np.diag(12 * (B @ w) ** 2 + 2) @ B,
            start=start,
        )

    plain, mapped = convex(np.eye(3), start), convex(A, np.linalg.solve(A, start))
    for n in (1, 2, 4):
        ours, there = after(plain, NewtonCholesky(), n), after(mapped, NewtonCholesky(), n)
        np.testing.assert_allclose(A @ there, ours, rtol=1e-9, atol=1e-14)


def test_a_sample_is_unbiased_and_scores_lower_its_variance():
    from skopt_dl.losses import Squared
    from skopt_dl.penalties import L2
    from skopt_dl.problems import LinearProblem
    from skopt_dl.solvers.curvature import sampled_product

    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 3)) * np.exp(1.5 * rng.standard_normal((4000, 1)))
    problem = LinearProblem(X, X[:, 0], Squared(), L2(0.0))
    point, d = problem.point(problem.start()), np.array([1.0, -1.0, 0.5])
    whole = problem.hvp(point)(d)
    errors = {}
    for sampling in ("uniform", "scores"):
        draws = np.array(
            [
                sampled_product(problem, point, rng, 0.07, sampling, gauss_newton=False)(d)
                for _ in range(200)
            ]
        )
        spread = draws.std(axis=0)
        assert np.all(np.abs(draws.mean(axis=0) - whole) <= 4 * spread / math.sqrt(200))
        errors[sampling] = np.linalg.norm(spread)
    assert errors["scores"] < 0.3 * errors["uniform"]


def test_the_space_of_samples_gives_the_step_of_the_space_of_parameters():
    problem = regressor()
    exact = LevenbergMarquardt(initial_damping=0.1, linear_solver="samples")
    point = problem.point(problem.start())
    product = problem.ggn(point)
    G = np.stack([product(e) for e in np.eye(problem.size)], axis=1)
    s = -np.linalg.solve(G + 0.1 * np.eye(problem.size), point.grad)
    moved = after(problem, exact, 1) - problem.start()
    np.testing.assert_allclose(moved, s, rtol=1e-9, atol=1e-12)


def test_gauss_newton_is_quadratic_where_residuals_vanish():
    """A network that can fit its data: the last steps square the error."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((6, 3))
    model = MLPRegressor(hidden_layer_sizes=(8,), activation="tanh", alpha=0.0, random_state=0)
    problem = model._build_problem(X, np.sin(X[:, 0]))
    result = run(
        problem,
        LevenbergMarquardt(linear_solver="samples", initial_damping=1e-6),
        stopping=Stopping(tol=1e-14, max_iter=30),
    )
    assert result.certificate.objective < 1e-24
    assert result.n_iter <= 15


# --- proximal point ------------------------------------------------------------------------------


@pytest.mark.parametrize("eta", [1e-3, 1.0, 1e6])
def test_an_implicit_step_has_its_closed_form(eta):
    A, b = with_eigenvalues(np.linspace(1, 5, 6)), np.linspace(-1, 1, 6)
    start = np.ones(6)
    problem = quadratic(A, b, start)
    w = after(problem, ProximalPoint(step=eta, growth=1.0), 1)
    expected = np.linalg.solve(np.eye(6) + eta * A, start + eta * b)
    np.testing.assert_allclose(w, expected, atol=1e-8)


def test_implicit_steps_follow_the_gradient_flow_to_first_order():
    from scipy.integrate import solve_ivp

    problem = rosenbrock(2, 0.5)
    flow = solve_ivp(lambda t, w: -rosen_der(w), (0, 0.02), problem.start(), rtol=1e-10, atol=1e-12)
    errors = []
    for n in (40, 80, 160):
        w = after(problem, ProximalPoint(step=0.02 / n, growth=1.0), n)
        errors.append(np.linalg.norm(w - flow.y[:, -1]))
    assert 1.8 < errors[0] / errors[1] < 2.2
    assert 1.8 < errors[1] / errors[2] < 2.2


@pytest.mark.parametrize("eta", [1e-3, 1.0, 1e6])
def test_implicit_steps_never_raise_the_objective(eta):
    problem = rosenbrock(4)
    values = [
        problem.value(after(problem, ProximalPoint(step=eta, growth=1.0), n)) for n in range(1, 8)
    ]
    assert np.all(np.diff([problem.value(problem.start()), *values]) <= 0)


# --- saddles -------------------------------------------------------------------------------------

SADDLE = SmoothProblem(
    lambda w: w[0] ** 2 - w[1] ** 2 + 0.25 * w[1] ** 4,
    lambda w: np.array([2 * w[0], -2 * w[1] + w[1] ** 3]),
    hessian=lambda w: np.diag([2.0, -2 + 3 * w[1] ** 2]),
    start=np.array([1.0, 1e-3]),
)


def test_absolute_curvature_leaves_a_saddle_in_its_first_step():
    w = after(SADDLE, SaddleFreeNewton(subproblem="exact"), 1)
    assert abs(w[0]) < 1e-10
    assert w[1] > 1.9e-3


@pytest.mark.parametrize(
    "solver",
    [
        SaddleFreeNewton(),
        ARC(),
        ARC(subproblem="exact"),
        TrustRegion(subproblem="krylov"),
        TrustRegion(subproblem="exact"),
        TrustRegion(),
    ],
    ids=repr,
)
def test_saddles_are_left(solver):
    result = solve(SADDLE, solver, tol=1e-8)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(np.abs(result.w), [0.0, math.sqrt(2)], atol=1e-6)


@pytest.mark.parametrize("kind", [ARC, TrustRegion])
def test_the_hard_case_is_solved(kind):
    """No gradient along the direction of negative curvature, but a step along it."""
    start = np.array([1.0, 0.0])
    problem = SmoothProblem(SADDLE.fun, SADDLE.grad, hessian=SADDLE._hessian, start=start)
    result = solve(problem, kind(subproblem="exact"), tol=1e-8)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(np.abs(result.w), [0.0, math.sqrt(2)], atol=1e-6)


# --- other programs ------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [2, 5, 10])
@pytest.mark.parametrize(
    "solver",
    [
        ARC(),
        ARC(subproblem="exact"),
        TrustRegion(subproblem="krylov"),
        TrustRegion(subproblem="exact"),
        SaddleFreeNewton(),
        ProximalPoint(),
        *(NonlinearCG(beta=beta) for beta in ("pr+", "fr", "hs", "dy")),
    ],
    ids=repr,
)
def test_rosenbrock(solver, p):
    result = solve(rosenbrock(p), solver, max_iter=2000, tol=1e-9)
    assert result.status is Status.CONVERGED
    # From -1.2 there is a second minimum for p >= 4; both are stationary.
    assert np.linalg.norm(rosen_der(result.w)) < 1e-7


def test_betas_agree_on_a_quadratic_with_exact_steps():
    A, b = with_eigenvalues(np.linspace(1, 3, 6)), np.linspace(-1, 1, 6)
    problem = quadratic(A, b, np.zeros(6))
    ends = [
        after(problem, NonlinearCG(beta=beta, curvature=1e-3, sufficient_decrease=1e-4), 3)
        for beta in ("pr+", "fr", "hs", "dy")
    ]
    for end in ends[1:]:
        np.testing.assert_allclose(end, ends[0], atol=2e-2)


# --- networks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "solver",
    [
        GaussNewtonCG(),
        LevenbergMarquardt(),
        LevenbergMarquardt(linear_solver="samples"),
        HessianFree(),
        HessianFree(preconditioner="gradients"),
        SubsampledNewton(),
        SubsampledTrustRegion(),
        ARC(),
        SubsampledARC(),
        SaddleFreeNewton(max_inner=50),
    ],
    ids=repr,
)
def test_a_network_is_trained_to_a_stationary_point(solver):
    problem = classifier(alpha=0.5)
    result = run(
        problem, solver, stopping=Stopping(tol=1e-4, max_iter=150), rng=np.random.default_rng(0)
    )
    assert result.status is Status.CONVERGED


# --- bad settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (ARC(initial_weight=0.0), "initial_weight=0.0, but it must be positive"),
        (ARC(acceptance=1.0), "acceptance=1.0, but it must be at least 0"),
        (ARC(subproblem="steihaug"), "must be one of 'krylov', 'exact'"),
        (TrustRegion(subproblem="none"), "'steihaug', 'krylov', 'exact'"),
        (SubsampledNewton(share=0.0), "share=0.0, but it must be above 0 and at most 1"),
        (SubsampledTrustRegion(sampling="all"), "'auto', 'uniform' or 'scores'"),
        (LevenbergMarquardt(initial_damping=-1), "initial_damping=-1, but it must be positive"),
        (LevenbergMarquardt(linear_solver="qr"), "must be 'cg' or 'samples'"),
        (HessianFree(warm=2.0), "warm=2.0"),
        (HessianFree(preconditioner="full"), "must be 'none' or 'gradients'"),
        (ProximalPoint(step=0.0), "step=0.0, but it must be positive"),
        (ProximalPoint(growth=0.5), "growth=0.5, but it must be at least 1"),
        (ProximalPoint(inner_tol=0.0), "inner_tol=0.0, but it must be 'auto' or a number"),
        (SaddleFreeNewton(floor=0.0), "floor=0.0"),
        (NonlinearCG(beta="pr"), "must be one of 'fr', 'pr"),
    ],
    ids=lambda x: type(x).__name__ if not isinstance(x, str) else x[:20],
)
def test_settings_that_make_no_sense_are_named(solver, words):
    problem = binary()
    with pytest.raises(ValueError, match=words.replace("+", r"\+")):
        solver.init(problem, problem.start(), np.random.default_rng(0))


def test_what_a_network_cannot_draw_by_is_said():
    problem = classifier()
    with pytest.raises(ValueError, match="take sampling='uniform'"):
        SubsampledNewton(sampling="scores").init(problem, problem.start(), np.random.default_rng(0))
