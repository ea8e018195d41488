"""Every case keeps what it declares, and its optimum is where scikit-learn's is."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
from cases import CASES, NONCONVEX, sum_over_blocks
from completion import data
from scipy import sparse

from skopt_dl.dispatch import resolve
from skopt_dl.engine import Certificate, Oracle, Stopping, offers, run
from skopt_dl.losses import Multinomial
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.penalties import L2, ElasticNet
from skopt_dl.problems import LinearProblem
from skopt_dl.problems.intercept import best_intercept
from skopt_dl.testing import check_problem

DOUBLE = [case for case in CASES if case.dtype == "float64"]
PORTABLE = [case for case in CASES if case.portable and not case.weighted]


@pytest.mark.parametrize("case", DOUBLE, ids=str)
def test_declared_oracles_work(case):
    check_problem(case.problem())


@pytest.mark.parametrize("penalty", [L2(0.05), ElasticNet(0.02, 0.05)], ids=repr)
def test_declared_oracles_work_on_blocks_of_rows(penalty):
    check_problem(sum_over_blocks(penalty))


@pytest.mark.parametrize("name", ["matrix completion", "exact matrix completion"])
def test_declared_oracles_work_on_factors(name):
    check_problem(NONCONVEX[name]())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("options", [{}, {"penalty": "nuclear"}, {"loss": "huber"}], ids=str)
def test_batches_of_entries_are_those_of_the_objective(options, layout, weighted):
    X = data(15, 8)
    if layout == "sparse":
        seen = ~np.isnan(X)
        X = sparse.csr_array((X[seen], np.nonzero(seen)), shape=X.shape)
    weights = np.linspace(0.5, 2, 15) if weighted else None
    model = MatrixCompletion(2, alpha=0.1, random_state=0, **options)
    problem = model._build_problem(X, sample_weight=weights)
    if not problem.nuclear:  # there the certificate is that of a problem of matrices
        check_problem(problem)
    rng, n = np.random.default_rng(0), problem.n_samples
    w, d = rng.standard_normal((2, problem.size))
    point, halves = problem.point(w), np.array_split(rng.permutation(n), 2)
    share = [len(half) / n for half in halves]
    for of_batch, whole in (
        (lambda half: problem.sample_value(w, half), point.value),
        (lambda half: problem.sample_grad(w, half)[1], point.grad),
        (lambda half: problem.sample_hvp(w, half)(d), problem.hvp(point)(d)),
        (lambda half: problem.sample_ggn(w, half)(d), problem.ggn(point)(d)),
    ):
        mean = sum(s * of_batch(half) for s, half in zip(share, halves, strict=True))
        np.testing.assert_allclose(mean, whole, rtol=1e-10, atol=1e-12)
    eye, half = np.eye(problem.size), halves[0]
    diagonal = [problem.sample_hvp(w, half)(unit) @ unit for unit in eye]
    np.testing.assert_allclose(problem.sample_curvature(w, half), diagonal, atol=1e-12)


@pytest.mark.parametrize("case", PORTABLE, ids=str)
def test_declared_oracles_work_on_another_device(case):
    check_problem(case.problem(array_api_strict, array_api_strict.Device("device1")))


@pytest.mark.parametrize("case", DOUBLE, ids=str)
def test_optimum_is_that_of_other_libraries(case):
    problem = case.problem()
    solver, reason = resolve("auto", problem)
    assert reason != "given"
    result = run(problem, solver, stopping=Stopping(tol=1e-11, max_iter=10**5))
    coef, _ = problem.unpack(result.w)
    np.testing.assert_allclose(coef, case.optimum.reshape(coef.shape), rtol=0, atol=2e-5)


def test_weights_are_repetitions():
    case = next(c for c in CASES if c.name == "lasso, weights")
    X, y, weights = case.data
    index = np.repeat(np.arange(X.shape[0]), weights.astype(int))
    repeated = LinearProblem(X[index], y[index], case.loss, case.penalty, fit_intercept=True)
    weighted, w = case.problem(), np.linspace(-1, 1, X.shape[1])
    np.testing.assert_allclose(weighted.value(w), repeated.value(w), rtol=1e-12)
    np.testing.assert_allclose(weighted.lipschitz(), repeated.lipschitz(), rtol=1e-12)
    gaps = weighted.certificate(w).gap, repeated.certificate(w).gap
    np.testing.assert_allclose(*gaps, rtol=1e-12)


class Flattering(LinearProblem):
    """Its certificate claims half of the gap."""

    def certificate(self, w):
        c = super().certificate(w)
        return Certificate(c.kind, 0.01 * c.value, c.objective, 0.01 * c.gap)


class WrongGradient(LinearProblem):
    @offers(Oracle.SMOOTH_GRAD)
    def smooth_value_grad(self, w):
        z = self.predict_raw(w)
        return self.loss_value(z), 1.001 * self.loss_grad(z)


class ShortLipschitz(LinearProblem):
    @offers(Oracle.LIPSCHITZ)
    def lipschitz(self):
        return 0.1 * super().lipschitz()


class Misnamed(LinearProblem):
    @offers(Oracle.PROX)
    def shrink(self, v, step):
        return self.penalty.prox(v, step)


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (Flattering, "a gap bounds"),
        (WrongGradient, "smooth gradient"),
        (ShortLipschitz, "L times the way"),
        (Misnamed, "method that solvers call"),
    ],
)
def test_a_broken_problem_is_caught(broken, law):
    case = CASES[0]
    X, y, _ = case.data
    with pytest.raises(AssertionError, match=law):
        check_problem(broken(X, y, case.loss, case.penalty))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_best_intercepts_where_a_class_is_out_of_reach(dtype):
    """The curvature is then singular, and what is left of it may be rounding."""
    far = 200 if dtype is np.float32 else 800
    Y = np.eye(3, dtype=dtype)[np.arange(40) % 2]
    problem = LinearProblem(np.zeros((40, 1), dtype), Y, Multinomial(), L2(1.0), fit_intercept=True)
    for offset in np.geomspace(2e-5, 1, 30):
        Z = np.zeros((40, 3), dtype)
        Z[:, 1], Z[:, 2] = offset, -far
        slopes = problem.loss.slope(problem.y, best_intercept(problem, Z))
        assert np.max(np.abs(problem.omega @ slopes)) <= 64 * np.finfo(dtype).eps
