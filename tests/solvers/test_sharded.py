"""Problems whose samples are shared out among threads and processes: the same sums and solves."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from skopt_dl import minimize
from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.losses import Logistic, Multinomial, Squared
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.neural_network import MLPClassifier
from skopt_dl.penalties import L1, L2
from skopt_dl.problems import LinearProblem, ShardedProblem


def rows(n: int = 61) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 4)) * [1.0, 5.0, 0.2, 1.0] + 0.5
    return X, np.arange(n) % 3


def logistic(**options: Any) -> LinearProblem:
    X, y = rows()
    return LinearProblem(X, (y > 0) * 1.0, Logistic(), L2(0.1), fit_intercept=True, **options)


def softmax() -> LinearProblem:
    X, y = rows()
    return LinearProblem(X, np.eye(3)[y], Multinomial(), L2(0.1), fit_intercept=True)


def least_squares() -> LinearProblem:
    X, y = rows()
    return LinearProblem(sp.csr_array(X), 1.0 * y, Squared(), L2(0.1), fit_intercept=True)


def network(weighted: bool = False) -> Any:
    X, y = rows()
    weights = None
    if weighted:
        weights = np.random.default_rng(1).uniform(0, 2, 61)
        weights[:10] = 0
    model = MLPClassifier((5,), activation="tanh", alpha=0.5, random_state=0)
    return model._build_problem(X, y, weights)


PROBLEMS = {
    "logistic": logistic,
    "weighted logistic": lambda: logistic(sample_weight=np.arange(61.0) % 4),
    "softmax": softmax,
    "sparse least squares": least_squares,
    "network": network,
    "weighted network": lambda: network(True),
}


def assert_same(whole: Any, problem: Any) -> None:
    w = whole.start() + 0.1
    ours, theirs = problem.point(w), whole.point(w)
    assert float(ours.value) == pytest.approx(float(theirs.value), rel=1e-13)
    assert float(problem.value(w)) == pytest.approx(float(theirs.value), rel=1e-13)
    np.testing.assert_allclose(ours.grad, theirs.grad, rtol=0, atol=1e-12)
    for d in np.random.default_rng(0).standard_normal((2, w.size)):
        for name in ("hvp", "ggn"):
            found, expected = (
                getattr(q, name)(p)(d) for q, p in ((problem, ours), (whole, theirs))
            )
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    again = problem.point(w)
    np.testing.assert_array_equal(again.grad, ours.grad)
    assert again.value == ours.value


@pytest.mark.parametrize("n_jobs", [1, 2, 3, 8])
@pytest.mark.parametrize("name", PROBLEMS)
def test_sums_over_threads_are_the_problem_s(name: str, n_jobs: int) -> None:
    whole = PROBLEMS[name]()
    with ShardedProblem(whole, n_jobs) as problem:
        assert_same(whole, problem)
        assert problem.traits <= whole.traits


@pytest.mark.parametrize("name", ["weighted logistic", "sparse least squares", "weighted network"])
def test_processes_map_the_data(name: str) -> None:
    whole = PROBLEMS[name]()
    with ShardedProblem(whole, 2, "loky") as problem:
        folder = problem._folder.name
        assert len(os.listdir(folder)) == 4
        assert_same(whole, problem)
        result = minimize(problem, "newton_cg", tol=1e-6, max_iter=300)
        assert result.success
    assert not os.path.exists(folder)
    direct = minimize(whole, "newton_cg", tol=1e-6, max_iter=300)
    assert result.certificate.objective == pytest.approx(direct.certificate.objective, rel=1e-6)


@pytest.mark.parametrize("solver", ["lbfgs", "bfgs", "trust_region", "newton_cholesky", "arc"])
@pytest.mark.parametrize("name", ["softmax", "network"])
def test_solvers_of_gradients_and_products_work_on_it(name: str, solver: str) -> None:
    whole = PROBLEMS[name]()
    with ShardedProblem(whole, 3) as problem:
        result = minimize(problem, solver, tol=1e-6, max_iter=1000)
        assert result.success
        direct = minimize(whole, solver, tol=1e-6, max_iter=1000)
    first = float(whole.value(whole.start()))
    assert result.certificate.objective <= direct.certificate.objective + 0.05 * (
        first - direct.certificate.objective
    )
    if name == "softmax":
        np.testing.assert_allclose(result.w[:12], direct.w[:12], atol=1e-3)


def test_fewer_samples_than_jobs() -> None:
    X = np.eye(3)
    whole = LinearProblem(X, np.array([0.0, 1.0, 1.0]), Logistic(), L2(0.1))
    with ShardedProblem(whole, 8) as problem:
        assert len(problem.shares) == 3
        assert_same(whole, problem)


def test_what_cannot_be_shared_out() -> None:
    M = np.where(np.eye(4) > 0, np.nan, 1.0)
    factors = MatrixCompletion(n_components=1, random_state=0)._build_problem(M)
    with pytest.raises(TypeError, match="linear problems and those of networks can"):
        ShardedProblem(factors)
    for options, words in (({"n_jobs": 0}, "n_jobs=0"), ({"backend": "mpi"}, "backend='mpi'")):
        with pytest.raises(ValueError, match=words):
            ShardedProblem(logistic(), **options)
    X, y = rows()
    kink = LinearProblem(X, 1.0 * y, Squared(), L1(0.1))
    reason = pytest.raises(IncompatibleSolverError, match="the L1 penalty has none")
    with ShardedProblem(kink, 2) as problem, reason:
        resolve("lbfgs", problem)
