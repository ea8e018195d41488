"""Newton's method with a factorised Hessian on networks and factors: matrices made of products."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.engine import Stopping, run
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.neural_network import MLPClassifier, MLPRegressor
from skopt_dl.problems import formed
from skopt_dl.solvers import NewtonCG, NewtonCholesky


def network(hidden: Any = (5,), **options: Any) -> Any:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    model = MLPClassifier(hidden, activation="tanh", alpha=1.0, random_state=0, **options)
    return model._build_problem(X, (X[:, 0] * X[:, 1] > 0) * 1)


def completion(**options: Any) -> Any:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(15, 2)) @ rng.normal(size=(2, 9))
    X[rng.random(X.shape) < 0.2] = np.nan
    model = MatrixCompletion(n_components=2, alpha=0.02, random_state=0, **options)
    return model._build_problem(X)


@pytest.mark.parametrize(
    "problem", [network(), network((3, 2)), completion()], ids=["one", "two", "factors"]
)
def test_the_matrix_is_that_of_the_differences_of_gradients(problem: Any) -> None:
    w = problem.start() + 0.1
    H = problem.hessian(problem.point(w))
    np.testing.assert_array_equal(H, H.T)
    h = 1e-5
    columns = [
        (problem.point(w + h * e).grad - problem.point(w - h * e).grad) / (2 * h)
        for e in np.eye(problem.size)
    ]
    np.testing.assert_allclose(H, np.stack(columns), rtol=0, atol=1e-8)


@pytest.mark.parametrize("make", [network, completion], ids=["network", "completion"])
def test_the_last_steps_square_the_gradient(make: Any) -> None:
    problem = make()
    solver, norms = NewtonCholesky(), []
    state = solver.init(problem, problem.start(), None)
    for _ in range(120):
        solver.advance(problem, state, 1)
        norms.append(np.linalg.norm(state.point.grad))
        if norms[-1] < 1e-12:
            break
    assert norms[-1] < 1e-12
    # Turns of the factors are flat directions of a matrix's objective, which damping slows down.
    bound = 1e3 if make is network else 1e5
    squares = [b / a**2 for a, b in pairwise(norms) if 1e-7 < a < 1e-3]
    assert squares and max(squares) < bound
    # A minimum, and no worse than that of truncated steps by far.
    assert np.linalg.eigvalsh(problem.hessian(state.point))[0] > -1e-8
    other = run(problem, NewtonCG(), stopping=Stopping(tol=1e-8, max_iter=300))
    first = float(problem.value(problem.start()))
    assert float(state.point.value) - other.certificate.objective < 0.2 * (
        first - other.certificate.objective
    )


def test_large_ones_say_why_not_and_who_can() -> None:
    rng = np.random.default_rng(0)
    model = MLPClassifier((50,), solver="newton_cholesky", random_state=0)
    X, y = rng.normal(size=(30, 30)), np.arange(30) % 2
    with pytest.raises(IncompatibleSolverError, match=r"1601 parameters is not formed .*newton_cg"):
        model.fit(X, y)
    assert formed.MOST_PARAMETERS == 1000


def test_a_network_without_hidden_layers_is_left_to_cheaper_steps() -> None:
    assert resolve("auto", network(()))[0] != NewtonCholesky()
    exact = run(network(()), NewtonCholesky(), stopping=Stopping(tol=1e-10, max_iter=50))
    auto = resolve("auto", network(()))[0]
    other = run(network(()), auto, stopping=Stopping(tol=1e-8, max_iter=1000))
    assert exact.success and exact.n_iter <= 10
    np.testing.assert_allclose(exact.certificate.objective, other.certificate.objective, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:MLP.* did not converge")
def test_estimators_take_it_by_name() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    y = np.sin(X[:, 0])
    model = MLPRegressor(
        hidden_layer_sizes=(6,),
        activation="tanh",
        solver="newton_cholesky",
        alpha=1e-3,
        max_iter=300,
        random_state=0,
    )
    assert model.fit(X, y).score(X, y) > 0.99
