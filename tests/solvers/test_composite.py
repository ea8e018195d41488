"""ADMM, proximal Newton, direct and Krylov least squares: identities, references, hard data."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression

from skopt_dl.engine import Stopping, run
from skopt_dl.losses import Logistic, Multinomial, Squared
from skopt_dl.penalties import L1, L2, ElasticNet, L1Ball, Penalty
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers.admm import ADMM
from skopt_dl.solvers.conjugate_gradient import LSQR, ConjugateGradient
from skopt_dl.solvers.coordinate_descent import CoordinateDescent
from skopt_dl.solvers.direct import SVD, Cholesky
from skopt_dl.solvers.prox_newton import ProxNewton
from skopt_dl.solvers.proximal_gradient import FISTA, ISTA, ProjectedGradient

DIABETES = load_diabetes(return_X_y=True)
CANCER = load_breast_cancer(return_X_y=True)
IRIS = load_iris(return_X_y=True)


def standardised(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


def small(penalty, loss=None, **options):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 6))
    y = X[:, 0] - X[:, 1] + 0.1 * rng.standard_normal(30)
    if isinstance(loss, Logistic):
        y = (y > 0).astype(float)
    return LinearProblem(X, y, loss or Squared(), penalty, fit_intercept=True, **options)


def path(problem, solver, n):
    """The first ``n`` iterates, one by one."""
    state = solver.init(problem, problem.start(), np.random.default_rng(0))
    iterates = []
    for _ in range(n):
        solver.advance(problem, state, 1)
        iterates.append(np.copy(state.w))
    return np.asarray(iterates)


# --- what lies below rounding ------------------------------------------------------------------


@pytest.mark.parametrize("n_targets", [1, 3])
@pytest.mark.parametrize(("dtype", "scale"), [("float32", 1.0), ("float64", 1e-100)])
def test_conjugate_gradients_stay_where_only_rounding_is_left(dtype, scale, n_targets):
    rng = np.random.RandomState(0)
    X = rng.randn(40, 6) @ np.diag([1, 2, 0.5, 1, 3, 1]) + rng.randn(6)
    Y = X @ rng.randn(6, 3) + 0.3 * rng.randn(40, 3)
    X, Y = (scale * X).astype(dtype), Y.astype(dtype)[:, :n_targets]
    y = Y[:, 0] if n_targets == 1 else Y
    problem = LinearProblem(X, y, Squared(), L2(1 / 40), fit_intercept=True)
    A = X - X.mean(axis=0, dtype=float)
    expected = np.linalg.solve(A.T @ A + np.eye(6), A.T @ (Y - Y.mean(axis=0, dtype=float)))
    state = ConjugateGradient().init(problem, problem.start(), np.random.default_rng(0))
    for _ in range(40):
        ConjugateGradient().advance(problem, state, 10)
        coef, _ = problem.unpack(state.w)
        if state.n_iter >= 10:
            error = np.abs(coef.reshape(6, -1) - expected).max() / np.abs(expected).max()
            assert error < 100 * np.finfo(dtype).eps


# --- the same path by two names -------------------------------------------------------------------


def test_fista_without_momentum_is_ista():
    problem = small(L1(0.1))
    plain = path(problem, FISTA(momentum=False, restart=False), 30)
    np.testing.assert_array_equal(plain, path(problem, ISTA(), 30))


def test_projected_gradient_is_fista_on_a_set():
    problem = small(L1Ball(1.0))
    np.testing.assert_array_equal(
        path(problem, ProjectedGradient(), 30), path(problem, FISTA(), 30)
    )
    plain = path(problem, ProjectedGradient(acceleration=False), 30)
    np.testing.assert_array_equal(plain, path(problem, ISTA(), 30))


def test_lsqr_and_conjugate_gradients_walk_together():
    problem = small(L2(0.1))
    np.testing.assert_allclose(
        path(problem, LSQR(), 6), path(problem, ConjugateGradient(), 6), rtol=1e-9, atol=1e-12
    )


def test_conjugate_gradients_follow_the_textbook():
    problem = small(L2(0.1))
    A, omega, Y, ridge = problem.least_squares()
    M = A.to_dense()
    H, b = M.T @ (omega[:, None] * M) + np.diag(ridge[:, 0]), M.T @ (omega * Y[:, 0])
    w, r = np.zeros(6), b.copy()
    d = r.copy()
    for iterate in path(problem, ConjugateGradient(), 6):
        a = r @ r / (d @ H @ d)
        w, after = w + a * d, r - a * (H @ d)
        d, r = after + (after @ after) / (r @ r) * d, after
        np.testing.assert_allclose(iterate, w, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(w, np.linalg.solve(H, b), rtol=1e-9)


def test_admm_follows_its_formulas():
    problem = small(L1(0.1))
    rho, alpha = 0.7, 1.5
    M, omega, y = problem.map.to_dense(), problem.omega, problem.y
    sigma = np.mean(omega @ M**2)
    inverse = np.linalg.inv(M.T @ (omega[:, None] * M) + sigma * np.eye(6))
    u, v = np.zeros(6), np.zeros(30)
    b = (v - y) / rho
    a = -M.T @ (omega * (v - y)) / (rho * sigma)
    for iterate in path(problem, ADMM(rho=rho, relaxation=alpha, adaptive=False), 20):
        w = inverse @ (M.T @ (omega * (v - b)) + sigma * (u - a))
        hat_w, hat_z = alpha * w + (1 - alpha) * u, alpha * M @ w + (1 - alpha) * v
        t = 0.1 / (rho * sigma)
        u = np.sign(hat_w + a) * np.maximum(np.abs(hat_w + a) - t, 0)
        v = (hat_z + b + y / rho) / (1 + 1 / rho)
        a, b = a + hat_w - u, b + hat_z - v
        np.testing.assert_allclose(iterate, u, rtol=1e-9, atol=1e-12)


def test_admm_adapts_without_changing_its_multipliers():
    # rho times the scaled multipliers is the gradient at the optimum, whatever rho has become.
    problem = small(L1(0.1))
    result = run(problem, ADMM(rho=100.0), stopping=Stopping(tol=1e-12, max_iter=5000))
    state = result.state
    assert float(state.rho) < 100.0
    np.testing.assert_allclose(
        state.rho * state.b, problem.loss_slope(problem.predict_raw(result.w)), atol=1e-5
    )


def test_prox_newton_on_a_quadratic_is_one_step():
    problem = small(ElasticNet(0.1, 0.1))
    newton = run(problem, ProxNewton(), stopping=Stopping(tol=1e-10, max_iter=6))
    descent = run(problem, CoordinateDescent(), stopping=Stopping(tol=1e-10))
    np.testing.assert_allclose(newton.w, descent.w, atol=1e-6)


# --- direct solvers -------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", [Cholesky(), SVD()])
@pytest.mark.parametrize("shape", [(40, 8), (8, 40)])
@pytest.mark.parametrize("alpha", [10.0, 1e-6])
def test_direct_solvers_agree_with_the_normal_equations(solver, shape, alpha):
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal(shape), rng.standard_normal((shape[0], 3))
    problem = LinearProblem(X, Y, Squared(), L2(alpha))
    result = run(problem, solver, stopping=Stopping(tol=1e-10))
    assert (result.status, result.n_iter) == ("converged", 1)
    n = shape[0]
    expected = X.T @ np.linalg.solve(X @ X.T + n * alpha * np.eye(n), Y)
    np.testing.assert_allclose(problem.unpack(result.w)[0], expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("solver", [Cholesky(), SVD(), ConjugateGradient(), LSQR()])
@pytest.mark.parametrize("make", [np.asarray, sp.csc_array, sp.csr_array])
@pytest.mark.parametrize("shape", [(30, 6), (6, 30)])
def test_without_a_ridge_the_answer_has_least_norm(solver, make, shape):
    rng = np.random.default_rng(2)
    X = rng.standard_normal(shape)
    X[:, 2] = X[:, 0] - X[:, 1]
    y = rng.standard_normal(shape[0])
    options = {"criterion": "stationarity", "scale": "null"}
    problem = LinearProblem(make(X), y, Squared(), L2(0.0), fit_intercept=True, **options)
    if solver.needs.missing(problem):
        assert isinstance(solver, SVD)
        assert hasattr(problem.base.X, "tocsc")
        return
    result = run(problem, solver, stopping=Stopping(tol=1e-9, max_iter=1000))
    assert result.success
    expected = np.linalg.pinv(X - X.mean(axis=0)) @ (y - y.mean())
    np.testing.assert_allclose(result.w, expected, atol=1e-6)


@pytest.mark.parametrize("solver", [Cholesky(), SVD(), ConjugateGradient(), LSQR()])
def test_a_ridge_for_each_target_and_coefficient(solver):
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((20, 4)), rng.standard_normal((20, 2))
    ridge = rng.random((4, 2)) + 0.01
    problem = LinearProblem(X, Y, Squared(), L2(ridge.reshape(-1)))
    result = run(problem, solver, stopping=Stopping(tol=1e-12, max_iter=200))
    for k in range(2):
        H = X.T @ X / 20 + np.diag(ridge[:, k])
        expected = np.linalg.solve(H, X.T @ Y[:, k] / 20)
        np.testing.assert_allclose(problem.unpack(result.w)[0][:, k], expected, atol=1e-6)


def test_cholesky_keeps_accuracy_on_columns_of_wild_units_and_offsets():
    rng = np.random.default_rng(4)
    Z, y = rng.standard_normal((50, 5)), rng.standard_normal(50)
    units = 10.0 ** np.arange(-4, 6, 2)
    problem = LinearProblem(
        (Z + 1e3) * units,
        y,
        Squared(),
        L2(0.0),
        fit_intercept=True,
        criterion="stationarity",
        scale="null",
    )
    result = run(problem, Cholesky(), stopping=Stopping(tol=1e-8))
    centred = Z - Z.mean(axis=0)
    expected = np.linalg.lstsq(centred, y - y.mean(), rcond=None)[0]
    np.testing.assert_allclose(result.w * units, expected, rtol=1e-8)


# --- real data ------------------------------------------------------------------------------------

ADMM_CASES = {
    "lasso": lambda: LinearProblem(*DIABETES, Squared(), L1(0.1), fit_intercept=True),
    "l1 ball": lambda: LinearProblem(*DIABETES, Squared(), L1Ball(1000.0), fit_intercept=True),
    "l1 logistic": lambda: LinearProblem(
        standardised(CANCER[0]), CANCER[1].astype(float), Logistic(), L1(0.01), fit_intercept=True
    ),
    "l2 logistic": lambda: LinearProblem(
        standardised(CANCER[0]), CANCER[1].astype(float), Logistic(), L2(0.01), fit_intercept=True
    ),
    "multinomial l1": lambda: LinearProblem(
        standardised(IRIS[0]), np.eye(3)[IRIS[1]], Multinomial(), L1(0.01), fit_intercept=True
    ),
    "multinomial l2": lambda: LinearProblem(
        IRIS[0], np.eye(3)[IRIS[1]], Multinomial(), L2(0.01), fit_intercept=True
    ),
}


@pytest.mark.parametrize("name", ADMM_CASES)
def test_admm_certifies_real_data(name):
    result = run(ADMM_CASES[name](), ADMM(), stopping=Stopping(tol=1e-6, max_iter=2000))
    assert result.success, result.certificate


def test_admm_gives_exact_zeros():
    problem = ADMM_CASES["lasso"]()
    exact = run(problem, CoordinateDescent(), stopping=Stopping(tol=1e-10))
    result = run(problem, ADMM(), stopping=Stopping(tol=1e-8, max_iter=2000))
    np.testing.assert_array_equal(result.w == 0, exact.w == 0)


@pytest.mark.parametrize("make", [np.asarray, sp.csc_array])
@pytest.mark.parametrize("scale", [standardised, lambda X: X], ids=["standardised", "raw"])
@pytest.mark.parametrize("alpha", [0.05, 1 / 569])
@pytest.mark.parametrize("intercept", [True, False])
def test_prox_newton_certifies_breast_cancer(make, scale, alpha, intercept):
    X, y = scale(CANCER[0]), CANCER[1].astype(float)
    problem = LinearProblem(make(X), y, Logistic(), L1(alpha), fit_intercept=intercept)
    result = run(problem, ProxNewton(), stopping=Stopping(tol=1e-8, max_iter=40))
    assert result.success, result.certificate


def test_prox_newton_beats_liblinear_at_its_own_objective():
    X, y = standardised(CANCER[0]), CANCER[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = LogisticRegression(
            C=1.0, l1_ratio=1.0, solver="liblinear", fit_intercept=False, tol=1e-10, max_iter=10**5
        ).fit(X, y)
    problem = LinearProblem(X, y.astype(float), Logistic(), L1(1 / 569))
    result = run(problem, ProxNewton(), stopping=Stopping(tol=1e-10, max_iter=40))
    assert result.certificate.objective <= float(problem.value(peer.coef_[0])) + 1e-12
    np.testing.assert_allclose(result.w, peer.coef_[0], atol=1e-4)


def test_prox_newton_with_all_the_curvature_gone():
    # A start so far out that every probability is rounding: the line search brings it back.
    problem = small(L1(0.05), Logistic())
    start = 1e4 * np.ones(problem.size)
    result = run(problem, ProxNewton(), start=start, stopping=Stopping(tol=1e-8, max_iter=200))
    assert result.success, result.certificate


@pytest.mark.parametrize("make", [np.asarray, sp.csc_array])
def test_newton_finishes_what_coordinate_descent_begins(make):
    # Columns that are nearly parallel, where sweeps alone crawl.
    X = np.cumsum(np.random.default_rng(0).standard_normal((60, 20)), axis=1)
    y = X @ np.linspace(-1, 1, 20) + 3
    problem = LinearProblem(make(X), y, Squared(), L1(0.01), fit_intercept=True)
    stopping = Stopping(tol=1e-10, max_iter=10**4)
    plain = run(problem, CoordinateDescent(newton=False), stopping=stopping)
    ours = run(problem, CoordinateDescent(), stopping=stopping)
    assert plain.success and ours.success
    assert ours.n_iter < plain.n_iter / 4
    np.testing.assert_allclose(ours.w, plain.w, atol=1e-4)


# --- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solver", "text"),
    [
        (ADMM(rho=0.0), "rho=0.0"),
        (ADMM(relaxation=2.0), "relaxation=2.0"),
        (ProxNewton(max_inner=0), "max_inner=0"),
    ],
)
def test_bad_parameters_are_named(solver, text):
    with pytest.raises(ValueError, match=text):
        run(small(L1(0.1)), solver)


# --- what the report says of the kernels ----------------------------------------------------------


class Mine(Penalty):
    """An L1 penalty that no compiled kernel can read."""

    def value(self, w):
        return 0.1 * np.sum(np.abs(w))

    def prox(self, v, step):
        return np.sign(v) * np.maximum(np.abs(v) - 0.1 * step, 0)

    def prox_coordinate(self, v, step, j):
        return self.prox(v, step)


def test_the_report_names_the_kernel_that_ran():
    ours, own = small(L1(0.1)), small(Mine())
    assert run(ours, CoordinateDescent()).kernel == "cython"
    result = run(own, CoordinateDescent())
    assert result.kernel == "generic"
    np.testing.assert_allclose(result.w, run(ours, CoordinateDescent()).w, atol=1e-4)
    # Each solve for itself: the next one on the same problem may be served by compiled kernels.
    assert run(own, FISTA()).kernel == "cython"
