"""Hogwild: threads without locks do what a serial pass does, up to their races."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from skopt_dl import LogisticRegression
from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.engine import Stopping, run
from skopt_dl.kernels import generic
from skopt_dl.losses import Logistic, Squared
from skopt_dl.penalties import L1, L2
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers.hogwild import Hogwild


def texts(n: int = 800, p: int = 400, seed: int = 0, dtype: Any = float) -> tuple[Any, Any]:
    """Sparse rows and labels that a few columns decide."""
    rng = np.random.default_rng(seed)
    X = sp.random_array((n, p), density=0.02, format="csr", rng=rng, dtype=dtype)
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    w = rng.normal(size=p) * (rng.random(p) < 0.3)
    return X, (X @ w + 0.3 * rng.normal(size=n) > 0).astype(dtype)


def problem_of(loss: Any = None, alpha: float = 1e-3, **kwargs: Any) -> LinearProblem:
    X, y = texts(**kwargs)
    return LinearProblem(X, y, Logistic() if loss is None else loss, L2(alpha), fit_intercept=True)


def train(problem: Any, solver: Any, epochs: int, seed: int = 0) -> Any:
    stopping = Stopping(tol=None, max_iter=epochs)
    return run(problem, solver, stopping=stopping, rng=np.random.RandomState(seed))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", [Logistic(), Squared()], ids=["logistic", "squared"])
def test_the_compiled_pass_is_the_generic_one(loss: Any, dtype: Any) -> None:
    problem = problem_of(loss, dtype=dtype, n=60, p=30)
    one, two = (problem.samples(problem.start()) for _ in range(2))
    order = one.draw(np.random.default_rng(0))
    problem.kernels.hogwild_steps(one, order, 0.3, bytearray(1))
    generic.hogwild_steps(two, order, 0.3, bytearray(1))
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(one.W, two.W, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(one.b, two.b, rtol=tolerance, atol=tolerance)
    assert np.abs(one.W).max() > 0


def test_a_step_is_the_gradient_of_its_sample() -> None:
    problem = problem_of(n=40, p=20, alpha=0.0)
    model = problem.samples(problem.start())
    generic.hogwild_steps(model, np.array([7]), 0.5, bytearray(1))
    x = problem.base.rows[[7], :].toarray()[0]
    slope = 0.5 - float(problem.y[7])
    np.testing.assert_allclose(model.W[:, 0], -0.5 * slope * x, atol=1e-14)


def test_threads_reach_the_loss_of_a_serial_run() -> None:
    losses: dict[int, list[float]] = {1: [], 2: [], 4: []}
    for seed in range(10):
        problem = problem_of(seed=seed, n=400, p=300)
        for n_threads, found in losses.items():
            result = train(problem, Hogwild(n_threads=n_threads), 15, seed)
            found.append(float(problem.value(result.w)))
    serial = np.mean(losses[1])
    assert serial < 0.6
    assert np.mean(losses[2]) == pytest.approx(serial, rel=0.01)
    assert np.mean(losses[4]) == pytest.approx(serial, rel=0.01)


def test_one_thread_is_repeatable_and_nears_the_optimum() -> None:
    problem = problem_of(alpha=0.01)
    first = train(problem, Hogwild(n_threads=1), 200)
    np.testing.assert_array_equal(first.w, train(problem, Hogwild(n_threads=1), 200).w)
    X, y = texts()
    exact = LogisticRegression(C=1 / (800 * 0.01), tol=1e-8).fit(X, y)
    best = float(problem.value(problem.pack(exact.coef_[0], exact.intercept_[0])))
    assert float(problem.value(first.w)) < best + 2e-3


def test_an_estimator_takes_it_and_a_kink_does_not() -> None:
    X, y = texts()
    with pytest.warns(UserWarning, match="did not converge"):
        model = LogisticRegression(solver=Hogwild(), max_iter=15, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.75
    kink = LinearProblem(X, y, Logistic(), L1(0.1), fit_intercept=True)
    with pytest.raises(IncompatibleSolverError, match="smooth"):
        resolve(Hogwild(), kink)


def test_what_a_thread_raises_is_raised() -> None:
    problem = problem_of(n=40, p=20)
    solver = Hogwild()
    state = solver.init(problem, problem.start(), np.random.RandomState(0))
    state.model.draw = lambda rng: np.array(["a", "b"])
    with pytest.raises((ValueError, TypeError)):
        solver.advance(problem, state, 1)


@pytest.mark.parametrize("change", [{"n_threads": 0}, {"learning_rate": -1.0}], ids=str)
def test_bad_settings_are_named(change: Any) -> None:
    with pytest.raises(ValueError, match=f"Hogwild: {next(iter(change))}="):
        train(problem_of(n=40, p=20), Hogwild(**change), 1)
