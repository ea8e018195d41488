"""Newton's method by workers who average directions, and damped by the root of the gradient."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array
from smooth import after, binary, rosenbrock, solve, with_eigenvalues

from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.engine import Status, Stopping, run
from skopt_dl.linear_model import LogisticRegression
from skopt_dl.losses import Logistic, Multinomial, Quantile, Squared
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import GIANT, NewtonCholesky, RegularizedNewton


def many(n: int = 4000, p: int = 6, intercept: bool = True) -> LinearProblem:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) * np.logspace(0, 1, p)
    y = (X[:, 0] + rng.standard_normal(n) > 0) * 1.0
    return LinearProblem(X, y, Logistic(), L2(0.01), fit_intercept=intercept)


# --- workers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 4])
def test_one_worker_is_newton(n: int) -> None:
    problem = binary(alpha=0.1)
    ours, theirs = (after(problem, s, n) for s in (GIANT(n_agents=1), NewtonCholesky()))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_a_direction_is_the_mean_of_the_workers() -> None:
    problem = many(200)
    point = problem.point(problem.start())
    parts = [np.arange(i, 200, 3) for i in range(3)]
    agents = problem.agents(parts, point.w)
    H = agents.hessians(np.tile(point.w, (3, 1)))
    d = -np.mean([np.linalg.solve(h, point.grad) for h in H], axis=0)
    found = after(problem, GIANT(n_agents=3), 1)
    # The first trial is the whole direction.
    np.testing.assert_allclose(found, point.w + d, rtol=1e-9)


@pytest.mark.parametrize("n_agents", [2, 8, 20])
def test_workers_with_many_samples_alike_need_hardly_more_iterations(n_agents: int) -> None:
    problem, stopping = many(), Stopping(tol=1e-9, max_iter=60)
    newton = run(problem, NewtonCholesky(), stopping=stopping)
    giant = run(problem, GIANT(n_agents=n_agents), stopping=stopping)
    assert giant.success
    assert giant.n_iter <= newton.n_iter + 3
    np.testing.assert_allclose(giant.w, newton.w, atol=1e-4)
    history = giant.history
    assert history["rounds"][-1] == 3 * giant.n_iter
    assert history["bytes_sent"][-1] == giant.n_iter * n_agents * (5 * 7 + 10) * 8


def test_several_classes_sparse_data_and_few_samples() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 4)) * (rng.random((90, 4)) < 0.5)
    Y = np.eye(3)[np.arange(90) % 3]
    problem = LinearProblem(csr_array(X), Y, Multinomial(), L2(0.1), fit_intercept=True)
    found = run(problem, GIANT(n_agents=30), stopping=Stopping(tol=1e-7, max_iter=200))
    assert found.success
    best = run(problem, NewtonCholesky(), stopping=Stopping(tol=1e-10, max_iter=50))
    np.testing.assert_allclose(found.w[:12], best.w[:12], atol=1e-3)


def test_an_estimator_takes_it_by_name() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 4))
    y = (X[:, 0] + rng.standard_normal(300) > 0) * 1
    ours, theirs = (
        LogisticRegression(solver=name, tol=1e-8).fit(X, y) for name in ("giant", "newton_cholesky")
    )
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    jumping = LinearProblem(X, y * 1.0, Quantile(), L2(0.1), fit_intercept=True)
    with pytest.raises(IncompatibleSolverError, match="curvature has no jumps"):
        resolve("giant", jumping)
    for options, words in (({"n_agents": 0}, "n_agents=0"), ({"split": "rows"}, "split='rows'")):
        with pytest.raises(ValueError, match=words):
            LogisticRegression(solver=GIANT(**options)).fit(X, y)


# --- the gradient's root --------------------------------------------------------------------------


def test_the_damping_is_the_root_of_the_weighted_gradient() -> None:
    A = with_eigenvalues(np.linspace(1, 5, 6))
    problem = LinearProblem(np.linalg.cholesky(A).T, np.zeros(6), Squared(), L2(0.1))
    start = np.ones(6)
    point, weight = problem.point(start), 0.3
    H = problem.hessian(point)
    damping = np.sqrt(weight * np.linalg.norm(point.grad))
    expected = start - np.linalg.solve(H + damping * np.eye(6), point.grad)
    solver = RegularizedNewton(initial_weight=weight)
    state = solver.init(problem, start, None)
    solver.advance(problem, state, 1)
    # The system's residual is half of the damping times the step at most.
    size = np.linalg.norm(expected - start)
    assert np.linalg.norm(state.w - expected) <= 0.6 * size
    assert state.weight == pytest.approx(weight / 4)


def test_it_is_newton_at_last() -> None:
    problem = binary()
    norms = []
    solver = RegularizedNewton()
    state = solver.init(problem, problem.start(), None)
    for _ in range(60):
        solver.advance(problem, state, 1)
        norms.append(np.linalg.norm(state.point.grad))
        if norms[-1] < 1e-13:
            break
    assert norms[-1] < 1e-13
    # Superlinear: a gradient below 1e-4 is at most 1/20 of the one before.
    steps = [b / a for a, b in pairwise(norms) if 1e-11 < a < 1e-4]
    assert steps and max(steps) < 0.05


@pytest.mark.parametrize("weight", [1e-9, 1e-3, 1e6])
@pytest.mark.parametrize("seed", range(3))
def test_it_arrives_from_afar_whatever_the_weight(seed: int, weight: float) -> None:
    problem = binary()
    start = 100 * np.random.default_rng(seed).standard_normal(problem.size)
    solver = RegularizedNewton(initial_weight=weight)
    result = solve(problem, solver, start=start, tol=1e-8, max_iter=400)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.w, solve(problem, NewtonCholesky()).w, atol=1e-5)


def test_values_never_rise_and_convexity_is_asked_for() -> None:
    problem = many(300)
    values = [float(problem.value(after(problem, RegularizedNewton(), n))) for n in range(8)]
    assert np.all(np.diff(values) <= 1e-15)
    with pytest.raises(IncompatibleSolverError, match="a convex objective"):
        resolve("regularized_newton", rosenbrock(3))
    for options in ({"initial_weight": 0.0}, {"max_inner": 0}):
        words = f"{next(iter(options))}="
        with pytest.raises(ValueError, match=words):
            run(problem, RegularizedNewton(**options), stopping=Stopping(max_iter=1))
