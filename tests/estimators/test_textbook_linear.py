"""Linear models against the identities that textbooks state of them."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import sklearn.linear_model as reference
from scipy.optimize import linprog, nnls
from sklearn.datasets import load_diabetes
from sklearn.linear_model import _cd_fast

from skopt_dl.engine import Stopping, run
from skopt_dl.linear_model import (
    ElasticNet,
    Lasso,
    LogisticRegression,
    Ridge,
    alpha_max,
    lasso_path,
)
from skopt_dl.losses import Squared
from skopt_dl.penalties import L1, L2, L1Ball
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import FISTA, ISTA, AndersonCD, Cholesky, CoordinateDescent, ProjectedGradient


def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X, y - y.mean()


# --- objectives and their scales ------------------------------------------------------------------


def test_sums_of_squares_are_means_with_their_strengths_scaled():
    """``|X a - y|^2 + lam |a|_1`` is the lasso of ``lam / 2n``; with ``|a|^2`` the ridge."""
    X, y = diabetes()
    lam, n = 300.0, len(y)
    a = Lasso(lam / (2 * n), fit_intercept=False, tol=1e-14).fit(X, y).coef_
    slope = 2 * X.T @ (X @ a - y)
    np.testing.assert_allclose(slope[a != 0], -lam * np.sign(a[a != 0]), rtol=1e-9)
    assert np.all(np.abs(slope[a == 0]) <= lam)
    theirs = reference.Lasso(lam / (2 * n), fit_intercept=False, tol=1e-15, max_iter=10**6)
    np.testing.assert_allclose(a, theirs.fit(X, y).coef_, rtol=0, atol=1e-10 * np.abs(a).max())
    b = Ridge(lam, fit_intercept=False).fit(X, y).coef_
    np.testing.assert_allclose(b, np.linalg.solve(X.T @ X + lam * np.eye(10), X.T @ y), rtol=1e-10)


def test_the_logistic_minimiser_decides_as_the_best_rule_does():
    """Two points, of each of which the odds are known: the surrogate has their logits."""
    X = np.repeat([[-1.0], [1.0]], 100, axis=0)
    for shares in ((0.8, 0.3), (0.4, 0.45), (0.1, 0.9)):
        y = np.concatenate([np.arange(100) < 100 * share for share in shares]).astype(int)
        model = LogisticRegression(C=np.inf, tol=1e-10).fit(X, y)
        np.testing.assert_allclose(model.predict_proba([[-1.0], [1.0]])[:, 1], shares, atol=1e-7)
        np.testing.assert_array_equal(model.predict([[-1.0], [1.0]]), np.array(shares) > 0.5)


# --- ridge ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["cholesky", "svd", "lsqr"])
@pytest.mark.parametrize("shape", [(30, 6), (6, 30)])
def test_ridge_has_a_primal_a_dual_and_a_spectral_form(shape, solver):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal(shape), rng.standard_normal(shape[0])
    (n, p), alpha = shape, 0.7
    primal = np.linalg.solve(X.T @ X + alpha * np.eye(p), X.T @ y)
    dual = X.T @ np.linalg.solve(X @ X.T + alpha * np.eye(n), y)
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    filtered = Vt.T @ (s / (s**2 + alpha) * (U.T @ y))
    found = Ridge(alpha, fit_intercept=False, solver=solver, tol=1e-14).fit(X, y).coef_
    theirs = reference.Ridge(alpha, fit_intercept=False, solver="svd").fit(X, y).coef_
    for expected in (primal, dual, filtered, theirs):
        np.testing.assert_allclose(found, expected, rtol=0, atol=5e-12)


# --- coordinate descent ---------------------------------------------------------------------------


@pytest.mark.parametrize("epochs", [1, 3, 10, 50])
@pytest.mark.parametrize("alpha", [0.01, 0.1, 1.0])
def test_epochs_of_coordinate_descent_are_scikit_learns(alpha, epochs):
    """One full sweep after the other: without extrapolation, screening and sweeps over a set."""
    X, y = diabetes()
    problem = LinearProblem(X, y, Squared(), L1(alpha))
    model = problem.coordinates(problem.start())
    order = problem.kernels.index_range(10)
    for _ in range(epochs):
        # All columns, where sweeps over the nonzero ones would follow.
        model.active_left = 0
        model.epochs(order, 1, 0.0)
    w, n = np.zeros(10), len(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        w, gap, *_ = _cd_fast.enet_coordinate_descent(
            w,
            alpha * n,
            0.0,
            np.asfortranarray(X),
            y,
            epochs,
            0.0,
            np.random.RandomState(0),
            False,
            False,
            do_screening=False,
        )
    np.testing.assert_allclose(model.w, w, rtol=0, atol=1e-14 * np.abs(w).max() * epochs)
    ours = problem.certificate(model.w)
    # One gap, where there is one above the rounding of the objective.
    assert ours.gap == pytest.approx(gap / n, rel=1e-7, abs=1e-12 * ours.objective)


def test_orthonormal_columns_are_thresholded():
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((40, 8)))[0]
    y = rng.standard_normal(40)
    alpha = 0.3 * np.abs(Q.T @ y).max() / 40
    b = Q.T @ y
    expected = np.sign(b) * np.maximum(np.abs(b) - 40 * alpha, 0)
    found = Lasso(alpha, fit_intercept=False, tol=1e-15).fit(Q, y).coef_
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-14)


def test_nothing_is_chosen_from_the_largest_strength_on():
    X, y = diabetes()
    top = alpha_max(X, y)
    for factor, some in ((1.0, False), (2.0, False), (0.999, True)):
        assert np.any(Lasso(factor * top).fit(X, y).coef_ != 0) is np.bool_(some)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 3.0])
def test_two_coordinates_that_pull_each_other_shrink_by_a_known_factor(alpha):
    """``(w1 - w2)^2 + alpha |w|^2``: each sweep multiplies by ``(1 + alpha)^-2`` exactly."""
    problem = LinearProblem(np.array([[1.0, -1.0]]), np.zeros(1), Squared(), L2(alpha))
    model, last = problem.coordinates(np.array([5.0, 1.0])), 1.0
    for _ in range(4):
        model.epochs(problem.kernels.index_range(2), 1, 0.0)
        assert model.w[1] == pytest.approx(last / (1 + alpha) ** 2, rel=1e-14)
        last = model.w[1]


@pytest.mark.parametrize("solver", [CoordinateDescent(newton=False), AndersonCD()], ids=repr)
def test_values_never_rise(solver):
    X, y = diabetes()
    problem = LinearProblem(X, y, Squared(), L1(0.05))
    state, values = solver.init(problem, problem.start(), np.random.default_rng(0)), []
    for _ in range(30):
        solver.advance(problem, state, 1)
        values.append(float(problem.value(state.w)))
    assert np.all(np.diff(values) <= 1e-13 * values[0])


# --- proximal gradients ---------------------------------------------------------------------------


def test_proximal_gradients_keep_within_their_bounds():
    """``L R^2 / 2k``, and with momentum ``2 L R^2 / (k + 1)^2``, at every k."""
    X, y = diabetes()
    problem = LinearProblem(X, y, Squared(), L1(0.005))
    best = run(problem, CoordinateDescent(), stopping=Stopping(tol=1e-15, max_iter=10_000))
    L, square = float(problem.lipschitz()), float(best.w @ best.w)
    k = np.arange(1, 2001)
    reached = {}
    for name, solver, bound in (
        ("ista", ISTA(), L * square / (2 * k)),
        ("fista", FISTA(restart=False), 2 * L * square / (k + 1) ** 2),
        ("restarted", FISTA(), 2 * L * square / (k + 1) ** 2),
    ):
        state, gaps = solver.init(problem, problem.start(), None), []
        for _ in k:
            solver.advance(problem, state, 1)
            gaps.append(float(problem.value(state.w)) - best.certificate.objective)
        assert np.all(np.array(gaps) <= bound + 1e-9)
        close = np.flatnonzero(np.array(gaps) <= 1e-6)
        reached[name] = close[0] if close.size else math.inf
    assert reached["restarted"] < 400 < 2000 <= reached["ista"]


def test_the_ball_and_the_penalty_meet_at_the_multiplier():
    X, y = diabetes()
    lasso = Lasso(0.3, fit_intercept=False, tol=1e-15).fit(X, y)
    radius = np.abs(lasso.coef_).sum()
    problem = LinearProblem(X, y, Squared(), L1Ball(radius))
    found = run(problem, ProjectedGradient(), stopping=Stopping(tol=1e-14, max_iter=50_000)).w
    np.testing.assert_allclose(found, lasso.coef_, rtol=0, atol=1e-6 * radius)
    assert np.abs(found).sum() == pytest.approx(radius, rel=1e-12)
    multiplier = np.abs(X.T @ (y - X @ found)).max() / len(y)
    assert multiplier == pytest.approx(0.3, rel=1e-6)


def test_a_projection_onto_the_ball_is_no_shortening():
    """``[3, 1]`` goes to ``[2, 0]``, which is nearer than the point on the way to zero."""
    v = np.array([3.0, 1.0])
    np.testing.assert_array_equal(L1Ball(2.0).prox(v, 1.0), [2.0, 0.0])
    shortened = 2.0 * v / 4.0
    assert np.linalg.norm(v - [2.0, 0.0]) < np.linalg.norm(v - shortened)


# --- other programs -------------------------------------------------------------------------------


def test_a_vanishing_lasso_is_basis_pursuit():
    """``min |a|_1`` subject to ``X a = y`` as a linear program."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((15, 40))
    truth = np.zeros(40)
    truth[:4] = [1.0, -2.0, 0.5, 3.0]
    y = X @ truth + 0.1 * rng.standard_normal(15)
    program = linprog(np.ones(80), A_eq=np.hstack([X, -X]), b_eq=y, method="highs")
    exact = program.x[:40] - program.x[40:]
    found = Lasso(1e-7, fit_intercept=False, tol=1e-13, max_iter=100_000).fit(X, y).coef_
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-5)
    assert np.abs(found).sum() == pytest.approx(program.fun, rel=1e-5)


def test_non_negative_least_squares_are_scipys():
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((40, 8)), rng.standard_normal(40)
    found = Ridge(0.0, positive=True, fit_intercept=False, tol=1e-14).fit(X, y).coef_
    np.testing.assert_allclose(found, nnls(X, y)[0], rtol=0, atol=1e-10)


def test_the_path_has_the_knots_of_least_angle_regression():
    X, y = diabetes()
    knots, order, corners = reference.lars_path(X, y, method="lasso")
    kept = knots > 0
    coefs = lasso_path(X, y, alphas=knots[kept], tol=1e-14)[1]
    size = np.abs(corners).max()
    np.testing.assert_allclose(coefs, corners[:, kept], rtol=0, atol=1e-10 * size)
    # Where a variable enters, it is zero yet, and is not a little further on.
    for k, j in enumerate(order[:3]):
        assert abs(coefs[j, k]) <= 1e-9 * size
        beyond = lasso_path(X, y, alphas=[0.999 * knots[k]], tol=1e-14)[1]
        assert abs(beyond[j, 0]) > 1e-9 * size


def test_the_ends_of_the_elastic_net_are_ridge_and_lasso():
    X, y = diabetes()
    alpha, n = 0.1, len(y)
    settings = {"fit_intercept": False, "tol": 1e-14, "max_iter": 10_000}
    lasso = ElasticNet(alpha, l1_ratio=1.0, **settings).fit(X, y).coef_
    np.testing.assert_allclose(
        lasso, Lasso(alpha, **settings).fit(X, y).coef_, rtol=0, atol=1e-9 * np.abs(lasso).max()
    )
    problem = LinearProblem(X, y, Squared(), L2(alpha))
    ridge = run(problem, Cholesky(), stopping=Stopping(tol=1e-10)).w
    nearly = ElasticNet(alpha, l1_ratio=1e-12, **settings).fit(X, y).coef_
    np.testing.assert_allclose(nearly, ridge, rtol=0, atol=1e-6 * np.abs(ridge).max())
    np.testing.assert_allclose(
        ridge, Ridge(alpha * n, fit_intercept=False).fit(X, y).coef_, rtol=1e-9
    )
