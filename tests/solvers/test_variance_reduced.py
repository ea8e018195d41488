"""SAGA and SAG: their textbook iterates, and the certified optimum on real data."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris

from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.engine import Status, Stopping, run
from skopt_dl.losses import Logistic, Multinomial, Squared
from skopt_dl.penalties import L1, L2, ElasticNet, L1Ball
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import SAPPHIRE
from skopt_dl.solvers.proximal_gradient import FISTA
from skopt_dl.solvers.variance_reduced import SAG, SAGA

TOL = 1e-6


def standardised(load):
    X, y = load(return_X_y=True)
    spread = X.std(axis=0)
    return (X - X.mean(axis=0))[:, spread > 0] / spread[spread > 0], y


def case(name, penalty, to_matrix=np.asarray, **options):
    """A named problem on real data."""
    if name == "cancer":
        X, y = standardised(load_breast_cancer)
        y, loss = y.astype(float), Logistic()
    elif name == "diabetes":
        X, y = standardised(load_diabetes)
        loss = Squared()
    else:
        X, y = standardised({"iris": load_iris, "digits": load_digits}[name])
        X, y = X[:500], np.eye(y.max() + 1)[y[:500]]
        loss = Multinomial()
    options = {"fit_intercept": True, **options}
    return LinearProblem(to_matrix(X), y, loss, penalty, **options)


def solve(problem, solver, seed=0, **options):
    stopping = Stopping(tol=TOL, max_iter=options.pop("max_iter", 1000))
    return run(problem, solver, stopping=stopping, rng=np.random.default_rng(seed), **options)


CASES = {
    "cancer l1": ("cancer", L1(0.01)),
    "cancer l2": ("cancer", L2(1 / 569)),
    "cancer elastic net": ("cancer", ElasticNet(0.005, 0.005)),
    "diabetes lasso": ("diabetes", L1(1.0)),
    "diabetes ridge": ("diabetes", L2(0.1)),
    "iris l2": ("iris", L2(0.02)),
    "digits l2": ("digits", L2(0.05)),
    "digits l1": ("digits", ElasticNet(0.005, 0.02)),
}


@pytest.mark.parametrize("solver", [SAGA(), SAG()], ids=repr)
@pytest.mark.parametrize("matrix", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("name", CASES)
def test_reaches_the_certificate(name, matrix, solver):
    problem = case(*CASES[name], matrix)
    if solver.needs.missing(problem):
        return  # declined with an error, see the last test
    result = solve(problem, solver)
    assert result.status is Status.CONVERGED
    assert result.certificate.kind == "duality gap"
    assert result.certificate.value <= TOL
    assert result.kernel == "cython"


@pytest.mark.parametrize("solver", [SAGA(), SAG()], ids=repr)
def test_rows_of_very_different_length(solver):
    X, y = load_diabetes(return_X_y=True)
    X = X / X.std(axis=0)
    X[::40] *= 15
    problem = LinearProblem(X, y, Squared(), L2(1.0), fit_intercept=True)
    model = problem.samples(problem.start())
    assert model.cumulative is not None, "draws must follow the Lipschitz constants here"
    assert model.lipschitz < 0.3 * float(np.max(problem.n_samples * problem.omega) * 225 * 10)
    assert solve(problem, solver).success


def test_saga_follows_its_definition():
    """Full gradients in a table, as the paper writes it, on centred rows drawn alike."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 4)) + 1, rng.standard_normal(20)
    penalty, solver = L1(0.05), SAGA()
    problem = LinearProblem(X, y, Squared(), penalty, fit_intercept=True)
    Xc, yc = X - X.mean(axis=0), y - y.mean()
    step = 1 / (3 * np.max(np.sum(Xc**2, axis=1)))
    order = problem.samples(problem.start()).draw(np.random.default_rng(7))
    w, table = np.zeros(4), -yc[:, None] * Xc
    for i in order:
        new = (Xc[i] @ w - yc[i]) * Xc[i]
        v = w - step * (new - table[i] + table.mean(axis=0))
        table[i] = new
        w = penalty.prox(v, step)
    state = solver.init(problem, problem.start(), np.random.default_rng(7))
    solver.advance(problem, state, 1)
    np.testing.assert_allclose(state.w, w, rtol=1e-12)


def test_sag_follows_its_definition():
    """Also on sparse rows, where the missed steps of a column are made up in closed form."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 6)) * (rng.random((30, 6)) < 0.2)
    X[:, 0] += 0.01
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    y, alpha = rng.integers(2, size=30).astype(float), 0.3
    step = 1 / (0.25 + alpha)
    for matrix in (X, sp.csr_array(X)):
        problem = LinearProblem(matrix, y, Logistic(), L2(alpha))
        order = problem.samples(problem.start()).draw(np.random.default_rng(7))
        w, table = np.zeros(6), (0.5 - y)[:, None] * X
        for i in order:
            table[i] = (1 / (1 + np.exp(-X[i] @ w)) - y[i]) * X[i]
            w = w - step * (table.mean(axis=0) + alpha * w)
        state = SAG().init(problem, problem.start(), np.random.default_rng(7))
        SAG().advance(problem, state, 1)
        np.testing.assert_allclose(state.w, w, rtol=1e-10)


@pytest.mark.parametrize("solver", [SAGA(), SAG()], ids=repr)
def test_the_answer_is_a_fixed_point(solver):
    problem = case("cancer", L2(0.01))
    first = solve(problem, solver)
    again = solve(problem, solver, seed=1, start=first.w)
    assert again.success
    assert again.n_iter <= solver.chunk
    assert again.certificate.value <= 10 * TOL


def test_a_seed_repeats_the_solve():
    problem = case("cancer", L1(0.05))
    w = [solve(problem, SAGA(), seed=s).w for s in (3, 3, 4)]
    np.testing.assert_array_equal(w[0], w[1])
    assert not np.array_equal(w[0], w[2])


def test_a_legacy_random_state_will_do():
    problem = case("iris", L2(0.1))
    result = run(problem, SAGA(), stopping=Stopping(tol=TOL), rng=np.random.RandomState(0))
    assert result.success


def test_sample_weights_count_as_repetitions():
    X, y = standardised(load_diabetes)
    counts = np.random.default_rng(0).integers(0, 4, size=len(y))
    weighted = LinearProblem(
        X, y, Squared(), L1(1.0), sample_weight=counts.astype(float), fit_intercept=True
    )
    repeated = LinearProblem(
        np.repeat(X, counts, axis=0), np.repeat(y, counts), Squared(), L1(1.0), fit_intercept=True
    )
    a, b = solve(weighted, SAGA()), solve(repeated, SAGA())
    assert a.certificate.objective == pytest.approx(b.certificate.objective, rel=3 * TOL)


def test_columns_far_from_zero_do_not_slow_dense_rows():
    X, y = standardised(load_breast_cancer)
    near = LinearProblem(X, y.astype(float), Logistic(), L2(0.01), fit_intercept=True)
    far = LinearProblem(X + 50, y.astype(float), Logistic(), L2(0.01), fit_intercept=True)
    a, b = solve(near, SAGA()), solve(far, SAGA())
    assert b.success
    assert b.n_iter == a.n_iter


def test_float32_stays_float32():
    X, y = standardised(load_breast_cancer)
    problem = LinearProblem(
        X.astype(np.float32), y.astype(np.float32), Logistic(), L2(0.1), fit_intercept=True
    )
    result = run(problem, SAGA(), stopping=Stopping(tol=1e-5), rng=np.random.default_rng(0))
    assert result.success
    assert result.w.dtype == np.float32


@pytest.mark.parametrize("solver", [SAGA(), SAG()], ids=repr)
def test_another_namespace(solver):
    xp = array_api_strict
    X, y = standardised(load_iris)
    X, y = X[::3], np.eye(3)[y[::3]]
    problem = LinearProblem(
        xp.asarray(X), xp.asarray(y), Multinomial(), L2(0.5), fit_intercept=True
    )
    result = solve(problem, solver, max_iter=40)
    assert result.success
    assert result.kernel == "generic"
    on_numpy = solve(
        LinearProblem(X, y, Multinomial(), L2(0.5), fit_intercept=True), solver, max_iter=40
    )
    np.testing.assert_allclose(np.asarray(result.w), on_numpy.w, atol=1e-10)


@pytest.mark.parametrize("matrix", [np.asarray, sp.csr_array])
def test_a_penalty_that_is_not_separable(matrix):
    X, y = standardised(load_diabetes)
    problem = LinearProblem(matrix(X[:60]), y[:60], Squared(), L1Ball(20.0), fit_intercept=True)
    result = solve(problem, SAGA(), max_iter=300)
    assert result.success
    exact = run(problem, FISTA(), stopping=Stopping(tol=1e-9, max_iter=100_000))
    assert result.certificate.objective == pytest.approx(exact.certificate.objective, rel=2 * TOL)


def test_an_intercept_alone():
    y = np.array([0.0, 1.0, 1.0, 1.0])
    problem = LinearProblem(np.zeros((4, 2)), y, Logistic(), L2(1.0), fit_intercept=True)
    result = solve(problem, SAGA())
    assert result.success
    coef, intercept = problem.unpack(result.w)
    np.testing.assert_array_equal(coef, 0)
    assert intercept == pytest.approx(np.log(3), abs=1e-2)


@pytest.mark.parametrize("name", ["cancer l1", "diabetes lasso", "iris l2", "digits l1"])
def test_a_sketched_metric_reaches_the_certificate(name):
    result = solve(case(*CASES[name]), SAPPHIRE(), max_iter=300)
    assert result.status is Status.CONVERGED
    assert result.certificate.value <= TOL


def test_a_sketched_metric_does_not_mind_columns_that_bend_differently():
    """Rotated columns of scales 1 to 1e-2, L1 penalty: passes over the data to the certificate."""
    rng = np.random.default_rng(0)
    n, p = 2000, 40
    Q, _ = np.linalg.qr(rng.standard_normal((p, p)))
    X = (rng.standard_normal((n, p)) * np.geomspace(1, 1e-2, p)) @ Q
    y = (rng.random(n) < 1 / (1 + np.exp(-3 * X @ rng.standard_normal(p)))).astype(float)
    problem = LinearProblem(X, y, Logistic(), L1(1e-4))
    ours = solve(problem, SAPPHIRE(rank=20, batch_size=100), max_iter=100)
    assert ours.success
    plain = solve(problem, SAGA(), max_iter=2 * int(ours.n_epochs))
    assert not plain.success


def test_sag_declines_a_penalty_without_gradient():
    with pytest.raises(IncompatibleSolverError, match="a smooth objective"):
        resolve(SAG(), case("cancer", L1(0.1)))
