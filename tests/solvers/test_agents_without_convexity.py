"""Decentralised methods on networks and factors of matrices: parts, sums and stationary points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.engine import Stopping, run
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.neural_network import MLPClassifier, MLPRegressor
from skopt_dl.solvers import EXTRA, GradientDescent, GradientTracking, NewtonConsensus

EXACT = [
    EXTRA(),
    EXTRA(adapt_first=True),
    GradientTracking(),
    GradientTracking(adapt_first=False),
]


def network(weighted: bool = False) -> Any:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(43, 4))
    model = MLPClassifier((5,), activation="tanh", alpha=0.5, random_state=0)
    weights = None
    if weighted:
        weights = rng.uniform(0, 3, 43)
        # All that the first of five agents has.
        weights[::5] = 0
    return model._build_problem(X, np.arange(43) % 3, weights)


def completion(**options: Any) -> Any:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(15, 2)) @ rng.normal(size=(2, 9))
    X[rng.random(X.shape) < 0.2] = np.nan
    model = MatrixCompletion(n_components=2, alpha=0.05, random_state=0, **options)
    return model._build_problem(X)


PROBLEMS = {
    "network": network,
    "weighted network": lambda: network(True),
    "completion": completion,
    "nuclear norm": lambda: completion(penalty="nuclear"),
    "biases": lambda: completion(fit_bias="both"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_mean_of_the_agents_gradients_is_the_gradient(name: str) -> None:
    problem = PROBLEMS[name]()
    w, n = problem.start(), problem.n_samples
    for n_agents in (1, 2, 5, 8):
        parts = [np.arange(i, n, n_agents) for i in range(n_agents)]
        agents = problem.agents(parts, w)
        G = agents.gradients(np.tile(w, (n_agents, 1)))
        np.testing.assert_allclose(G.mean(axis=0), problem.point(w).grad, rtol=0, atol=1e-14)
        assert agents.lipschitz > 0
    # An agent with all samples knows as much of the curvature as there is at the start.
    whole = problem.agents([np.arange(n)], w).lipschitz / 2
    top = np.linalg.eigvalsh(
        np.stack([problem.hvp(problem.point(w))(e) for e in np.eye(problem.size)])
    )
    assert whole <= np.abs(top).max() * (1 + 1e-6)
    assert whole >= 0.8 * np.abs(top).max()


@pytest.mark.parametrize("solver", EXACT, ids=repr)
@pytest.mark.parametrize("name", ["weighted network", "completion", "nuclear norm"])
def test_they_agree_on_a_stationary_point(solver: Any, name: str) -> None:
    problem = PROBLEMS[name]()
    solver.set_params(n_agents=5, graph="ring")
    tol = 1e-3 if "network" in name else 1e-5
    result = run(problem, solver, stopping=Stopping(tol=tol, max_iter=20_000))
    assert result.success
    assert np.abs(problem.point(result.w).grad).max() < 1e-3
    assert result.history["consensus_error"][-1] < 1e-4
    assert result.certificate.objective < float(problem.value(problem.start()))


@pytest.mark.parametrize("solver", EXACT, ids=repr)
@pytest.mark.parametrize("name", ["network", "completion"])
def test_one_agent_is_gradient_descent(solver: Any, name: str) -> None:
    problem = PROBLEMS[name]()
    solver.set_params(n_agents=1, step=0.1)
    found = run(problem, solver, stopping=Stopping(tol=None, max_iter=20)).w
    plain = run(problem, GradientDescent(step=0.1), stopping=Stopping(tol=None, max_iter=20)).w
    np.testing.assert_allclose(found, plain, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:MLP.* did not converge")
def test_estimators_take_them_by_name() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    y = np.tanh(X[:, 0] - X[:, 1])
    for name in ("extra", "gradient_tracking"):
        model = MLPRegressor(
            hidden_layer_sizes=(8,), activation="tanh", solver=name, max_iter=1500, random_state=0
        ).fit(X, y)
        assert model.score(X, y) > 0.9
        assert model.solve_report_.history["rounds"][-1] > 0
    M = rng.normal(size=(20, 2)) @ rng.normal(size=(2, 10))
    holes = np.where(rng.random(M.shape) < 0.2, np.nan, M)
    for name in ("extra", "gradient_tracking"):
        model = MatrixCompletion(
            n_components=2, alpha=1e-4, solver=name, max_iter=5000, random_state=0
        )
        filled = model.fit_transform(holes)
        assert np.abs(filled - M)[np.isnan(holes)].max() < 0.1 * np.abs(M).max()


def test_newtons_models_want_convexity_and_dropped_units_no_agents() -> None:
    with pytest.raises(IncompatibleSolverError, match="a convex objective"):
        resolve(NewtonConsensus(), network())
    model = MLPClassifier((5,), dropout=0.5, random_state=0)
    problem = model._build_problem(np.eye(6), np.arange(6) % 2)
    with pytest.raises(IncompatibleSolverError, match="dropout makes it another one"):
        resolve(GradientTracking(), problem)
