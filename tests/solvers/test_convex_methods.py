"""Methods for convex problems against definitions, other programs and published counts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize, rosen, rosen_der, rosen_hess, rosen_hess_prod
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.engine import Status, Stopping, run
from skopt_dl.linear_model import ConstrainedLasso, ElasticNet as ElasticNetModel, Ridge
from skopt_dl.linops import NystromPreconditioner
from skopt_dl.linops.quasi_newton import DenseInverseHessian
from skopt_dl.losses import Logistic, Loss, Multinomial, Squared
from skopt_dl.penalties import L1, L2, ElasticNet, L1Ball, RowElasticNet
from skopt_dl.problems import LinearProblem, SmoothProblem, residual_system
from skopt_dl.solvers import (
    BFGS,
    FISTA,
    SDCA,
    SVRG,
    AndersonCD,
    Cholesky,
    ConjugateGradient,
    CoordinateDescent,
    FrankWolfe,
    GradientDescent,
    NystromCG,
    ProjectedGradient,
    SemismoothNewton,
    Subgradient,
    TrustRegion,
)

SMOOTH = [
    BFGS(),
    BFGS(initial_scaling=False),
    TrustRegion(),
    GradientDescent(step="barzilai_borwein"),
]


def rosenbrock(p, start=-1.2):
    return SmoothProblem(
        rosen, rosen_der, start=np.full(p, start), hvp=rosen_hess_prod, hessian=rosen_hess
    )


def with_eigenvalues(values, seed=0):
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((len(values), len(values))))
    return (Q * values) @ Q.T


def quadratic(A, b, start, offset=0.0):
    return SmoothProblem(
        lambda w: offset + 0.5 * w @ (A @ w) - b @ w,
        lambda w: A @ w - b,
        hvp=lambda w, d: A @ d,
        start=start,
    )


def solve(problem, solver, tol=1e-10, max_iter=20_000, seed=0, **kwargs):
    stopping = Stopping(tol=tol, max_iter=max_iter)
    return run(problem, solver, stopping=stopping, rng=np.random.default_rng(seed), **kwargs)


# --- smooth objectives --------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SMOOTH, ids=repr)
@pytest.mark.parametrize("p", [2, 5, 10])
def test_rosenbrock(solver, p):
    result = solve(rosenbrock(p, start=0.5), solver, max_iter=2000)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.w, 1.0, atol=1e-8)


@pytest.mark.parametrize("solver", [*SMOOTH, GradientDescent()], ids=repr)
def test_values_that_say_nothing_near_the_minimum(solver):
    # A pedestal hides decreases below 1e-11, which are gradients below 1e-5: only slopes lead on.
    A, b = with_eigenvalues(np.logspace(-1, 1, 8)), np.linspace(-1, 1, 8)
    result = solve(quadratic(A, b, np.zeros(8), offset=1e5), solver, tol=1e-8)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.w, np.linalg.solve(A, b), atol=1e-6)


@pytest.mark.parametrize("solver", [BFGS(), TrustRegion()], ids=repr)
def test_values_noisier_than_rounding(solver):
    A, b = with_eigenvalues(np.logspace(0, 2, 8)), np.linspace(-1, 1, 8)
    problem = SmoothProblem(
        lambda w: (1 + 0.5 * w @ (A @ w) - b @ w) * (1 + 1e-9 * np.sin(1e9 * w.sum())),
        lambda w: A @ w - b,
        hessian=lambda w: A,
        start=np.ones(8),
    )
    result = solve(problem, solver, tol=1e-8)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.w, np.linalg.solve(A, b), atol=1e-7)


@pytest.mark.parametrize("offset", [1.0, 1e6])
@pytest.mark.parametrize("solver", SMOOTH, ids=repr)
def test_a_tolerance_out_of_reach_ends_by_itself(solver, offset):
    A, b = with_eigenvalues(np.logspace(0, 3, 10)), np.linspace(-1, 1, 10)
    result = solve(quadratic(A, b, np.ones(10), offset), solver, tol=1e-30, max_iter=5000)
    assert result.status is Status.STALLED
    np.testing.assert_allclose(result.w, np.linalg.solve(A, b), atol=1e-6)


def test_the_bfgs_update_replays_scipy():
    path, start = [np.full(5, -1.2)], np.full(5, -1.2)
    theirs = minimize(
        rosen, start, jac=rosen_der, method="BFGS", callback=lambda w: path.append(w.copy())
    )
    ours = DenseInverseHessian(scaled=False)
    # SciPy ends before the update of the last step, which meets its tolerance.
    for a, b in pairwise(path[:-1]):
        s, y = b - a, rosen_der(b) - rosen_der(a)
        assert ours.push(s, y)
        np.testing.assert_allclose(ours.apply(y), s, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(ours.H, ours.H.T)
    np.testing.assert_allclose(ours.H, theirs.hess_inv, rtol=1e-8)


def test_bfgs_solves_a_quadratic_in_its_dimension():
    # With nearly exact line searches the directions are conjugate.
    A, b = with_eigenvalues(np.logspace(0, 1, 6)), np.linspace(-1, 1, 6)
    problem = quadratic(A, b, np.zeros(6))
    result = solve(problem, BFGS(curvature=1e-3), tol=1e-6, max_iter=100)
    assert result.status is Status.CONVERGED
    assert result.n_iter <= 7
    np.testing.assert_allclose(result.state.H.H, np.linalg.inv(A), atol=1e-4)


def test_pairs_without_positive_curvature_are_left_out():
    H = DenseInverseHessian()
    s = np.array([1.0, 0.0])
    assert H.push(s, np.array([2.0, 1.0]))
    before = H.H.copy()
    assert not H.push(s, np.array([-1.0, 3.0]))
    assert not H.push(s, np.array([0.0, 3.0]))
    np.testing.assert_array_equal(H.H, before)


def test_trust_region_follows_scipy():
    start, path = np.full(5, -1.2), [np.full(5, -1.2)]
    minimize(
        rosen,
        start,
        jac=rosen_der,
        hessp=rosen_hess_prod,
        method="trust-ncg",
        callback=lambda w: path.append(w.copy()),
        options={"gtol": 1e-8},
    )
    problem, solver = rosenbrock(5), TrustRegion()
    state = solver.init(problem, start, None)
    for w in path[1:]:
        solver.advance(problem, state, 1)
        np.testing.assert_allclose(state.w, w, rtol=1e-9)
    assert len(path) > 30


def test_trust_region_leaves_a_saddle():
    # x^4/4 - x^2/2 + y^2/2 from beside the saddle at 0: to one of the minima at (+-1, 0).
    problem = SmoothProblem(
        lambda w: w[0] ** 4 / 4 - w[0] ** 2 / 2 + w[1] ** 2 / 2,
        lambda w: np.array([w[0] ** 3 - w[0], w[1]]),
        hessian=lambda w: np.diag([3 * w[0] ** 2 - 1, 1.0]),
        start=np.array([1e-6, 1.0]),
    )
    result = solve(problem, TrustRegion(), max_iter=60)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.w, [1, 0], atol=1e-9)


def test_a_constant_step_multiplies_the_error():
    # On x^2 the error is multiplied by 1 - 2 t.
    problem = SmoothProblem(lambda w: w @ w, lambda w: 2 * w, start=np.array([3.0, -1.0]))
    for t in (0.1, 0.45, 0.9):
        result = run(problem, GradientDescent(step=t), stopping=Stopping(tol=None, max_iter=20))
        np.testing.assert_allclose(result.w, (1 - 2 * t) ** 20 * problem.start(), rtol=1e-12)
    with np.errstate(over="ignore", invalid="ignore"):
        stopping = Stopping(tol=1e-4, max_iter=10_000)
        grown = run(problem, GradientDescent(step=1.5), stopping=stopping)
    assert grown.status is Status.NONFINITE


def test_barzilai_borwein_needs_fewer_iterations():
    X = np.random.default_rng(0).standard_normal((200, 10)) * np.logspace(-1, 0.5, 10)
    y = (X.sum(axis=1) > 0).astype(float)
    problem = LinearProblem(X, y, Logistic(), L2(1e-2), fit_intercept=True)
    plain, fast = (
        solve(problem, GradientDescent(step=s), tol=1e-8) for s in ("armijo", "barzilai_borwein")
    )
    assert plain.success and fast.success
    assert fast.n_iter < plain.n_iter / 2


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (GradientDescent(step="fixed"), r"step='fixed'.*'armijo', 'barzilai_borwein'"),
        (GradientDescent(step=0.0), r"step=0\.0"),
        (GradientDescent(step=None), "step=None"),
        (TrustRegion(initial_radius=2.0, max_radius=1.0), r"initial_radius=2\.0.*max_radius=1\.0"),
        (TrustRegion(acceptance=0.3), r"acceptance=0\.3"),
        (TrustRegion(max_inner=0), "max_inner=0"),
        (BFGS(curvature=1e-5), r"curvature=1e-05"),
    ],
    ids=repr,
)
def test_bad_settings_of_smooth_methods(solver, message):
    with pytest.raises(ValueError, match=message):
        solve(rosenbrock(2), solver)


# --- Frank-Wolfe --------------------------------------------------------------------------------


def on_a_ball(radius=2.0, loss=None, n=60, p=12, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1))
    y = X @ np.linspace(2, -1, p) + 0.3 * rng.standard_normal(n)
    if loss is None:
        return LinearProblem(X, y, Squared(), L1Ball(radius), fit_intercept=True)
    return LinearProblem(X, (y > 0).astype(float), loss, L1Ball(radius))


@pytest.mark.parametrize("radius", [0.5, 3.0, 100.0], ids=["vertices", "a face", "inside"])
@pytest.mark.parametrize("loss", [None, Logistic()], ids=["squared", "logistic"])
def test_frank_wolfe_agrees_with_projections(loss, radius):
    problem = on_a_ball(radius if loss is None else min(radius, 5.0), loss)
    ours = solve(problem, FrankWolfe(), tol=1e-7, max_iter=20_000)
    theirs = solve(problem, ProjectedGradient(), tol=1e-12)
    assert ours.success
    assert ours.certificate.objective - theirs.certificate.objective <= ours.certificate.gap + 1e-12
    np.testing.assert_allclose(ours.w, theirs.w, atol=2e-3)


def test_the_frank_wolfe_gap_and_its_rate():
    # Jaggi (2013), Theorem 1: F(w_k) - F* <= 2 C / (k + 2), with C at most L times the diameter^2.
    problem = on_a_ball(3.0)
    best = solve(problem, ProjectedGradient(), tol=1e-13).certificate.objective
    bound = float(problem.lipschitz()) * (2 * 3.0) ** 2
    solver = FrankWolfe(away_steps=False)
    state = solver.init(problem, problem.start(), None)
    for k in range(1, 200):
        solver.advance(problem, state, 1)
        error = float(problem.value(state.w)) - best
        assert error <= float(state.indicator) + 1e-12
        assert error <= 2 * bound / (k + 2)
    # The gap is the problem's own certificate.
    assert float(state.indicator) == pytest.approx(problem.certificate(state.w).gap, rel=1e-6)


def test_away_steps_make_frank_wolfe_linear():
    problem = on_a_ball(3.0)
    plain, away = (
        solve(problem, FrankWolfe(away_steps=a), tol=1e-9, max_iter=500) for a in (False, True)
    )
    assert away.success
    assert not plain.success
    assert away.certificate.value < plain.certificate.value / 100
    # Vertices that the answer does not need are gone.
    assert away.state.weights.shape[0] <= np.sum(away.w != 0) + 1


def test_frank_wolfe_starts_from_a_point_outside():
    problem = on_a_ball(1.0)
    result = solve(problem, FrankWolfe(), tol=1e-8, start=np.full(12, 7.0))
    assert result.success
    assert np.sum(np.abs(result.w)) <= 1 + 1e-12


def test_frank_wolfe_refuses_a_free_intercept():
    problem = LinearProblem(
        np.eye(3), np.array([0.0, 1.0, 1.0]), Logistic(), L1Ball(), fit_intercept=True
    )
    with pytest.raises(IncompatibleSolverError, match="the intercept is not bounded"):
        resolve("frank_wolfe", problem)
    with pytest.raises(IncompatibleSolverError, match="the L1 penalty has none"):
        resolve("frank_wolfe", LinearProblem(np.eye(3), np.ones(3), Squared(), L1()))


# --- sums over samples --------------------------------------------------------------------------


def cancer(unit_rows=True, **options):
    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    if unit_rows:
        X /= np.linalg.norm(X, axis=1, keepdims=True)
    return LinearProblem(X, y.astype(float), Logistic(), L2(1 / len(y)), **options)


def passes_to(problem, solver, accuracy, limit):
    """Passes over the data until the objective is within ``accuracy`` of the optimum."""
    best = solve(problem, BFGS(), tol=1e-14, max_iter=500).certificate.objective
    state = solver.init(problem, problem.start(), np.random.default_rng(0))
    while float(problem.value(state.w)) - best > accuracy and state.n_epochs < limit:
        solver.advance(problem, state, 1)
    return state.n_epochs


@pytest.mark.parametrize("solver", [SVRG(), SVRG(snapshot_every=1), SDCA()], ids=repr)
def test_passes_on_rows_of_unit_length(solver):
    assert passes_to(cancer(), solver, 1e-12, 100) <= 30


def test_dual_ascent_minds_rows_of_unlike_length_little():
    assert passes_to(cancer(unit_rows=False), SDCA(), 1e-12, 200) <= 120


def test_svrg_follows_its_definition():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 4)) + 1, rng.standard_normal(20)
    penalty, solver = L1(0.05), SVRG(snapshot_every=2)
    problem = LinearProblem(X, y, Squared(), penalty, fit_intercept=True)
    Xc, yc = X - X.mean(axis=0), y - y.mean()
    step = 1 / (4 * np.max(np.sum(Xc**2, axis=1)))
    draws, model = np.random.default_rng(7), problem.samples(problem.start())
    w, order = np.zeros(4), [model.draw(draws) for _ in range(4)]
    for epoch in range(4):
        if epoch % 2 == 0:
            at = w
            full = Xc.T @ (Xc @ at - yc) / 20
        for i in order[epoch]:
            g = Xc[i] * (Xc[i] @ (w - at)) + full
            w = penalty.prox(w - step * g, step)
    result = run(
        problem, solver, stopping=Stopping(tol=None, max_iter=4), rng=np.random.default_rng(7)
    )
    np.testing.assert_allclose(result.w, w, rtol=1e-11)
    assert (result.n_iter, result.n_epochs) == (4, 6)


def test_svrg_with_a_snapshot_each_step_is_proximal_gradient():
    problem = cancer()
    model, w = problem.samples(problem.start()), problem.start()
    step = 0.3
    model.set_step(step)
    for i in (3, 14, 15):
        model.snapshot()
        model.svrg(np.asarray([i], dtype=np.intp))
        w = problem.prox(w - step * problem.smooth_value_grad(w)[1], step)
        np.testing.assert_allclose(model.W[:, 0], w, rtol=1e-12)


@pytest.mark.parametrize("layout", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("positive", [False, True])
def test_dual_ascent_climbs(layout, positive):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 8)) * (rng.random((50, 8)) < 0.5)
    y = X @ np.linspace(1, -1, 8) + 0.1 * rng.standard_normal(50)
    weights = rng.integers(0, 3, 50).astype(float)
    penalty = ElasticNet(0.05, 0.1, positive)
    problem = LinearProblem(layout(X), y, Squared(), penalty, sample_weight=weights)

    def dual(m):
        conjugates = problem.omega @ problem.loss.conjugate(y, m.u[:, 0])
        return -float(conjugates + penalty.conjugate(m.v[:, 0]))

    model = problem.dual_coordinates(problem.start())
    values = [dual(model)]
    for i in rng.permutation(50):
        model.epoch(np.asarray([i]))
        values.append(dual(model))
    assert np.min(np.diff(values)) >= -1e-15
    kept = model.v.copy()
    model.refresh()
    np.testing.assert_allclose(model.v, kept, atol=1e-13)
    result = solve(problem, SDCA(), tol=1e-10, max_iter=2000)
    best = solve(problem, CoordinateDescent(), tol=1e-12)
    assert result.success
    np.testing.assert_allclose(result.w, best.w, atol=1e-5)
    assert result.certificate.objective >= dual(result.state.model) - 1e-12


def test_dual_steps_are_exact_without_l1():
    # Then the dual is quadratic in u_i, and a second step on the same sample has nothing to do.
    problem = cancer()
    model = problem.dual_coordinates(problem.start())
    sample = np.asarray([5])
    assert model.epoch(sample) > 1e-2
    assert model.epoch(sample) < 1e-12


def test_dual_ascent_of_several_outputs():
    X, y = load_iris(return_X_y=True)
    X, y = (X - X.mean(axis=0))[::3], y[::3]
    problem = LinearProblem(X, np.eye(3)[y], Multinomial(), L2(0.1))
    ours, theirs = solve(problem, SDCA(), tol=1e-7), solve(problem, BFGS(), tol=1e-12)
    assert ours.success
    np.testing.assert_allclose(ours.w, theirs.w, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"penalty": L1(0.1)}, "not strongly convex"),
        ({"penalty": L1Ball()}, "not an elastic net"),
        ({"loss": Logistic(), "fit_intercept": True}, "the intercept has no penalty"),
        ({"X": sp.csr_array(np.eye(4)), "fit_intercept": True}, "would fill the rows"),
    ],
    ids=str,
)
def test_dual_ascent_says_why_not(options, reason):
    given = {"X": np.eye(4), "y": np.array([0.0, 1, 1, 0]), "loss": Squared(), "penalty": L2()}
    problem = LinearProblem(**(given | options))
    with pytest.raises(IncompatibleSolverError, match=reason):
        resolve("sdca", problem)


def test_bad_settings_of_svrg():
    with pytest.raises(ValueError, match="snapshot_every=0"):
        solve(cancer(), SVRG(snapshot_every=0))


# --- Nyström preconditioning --------------------------------------------------------------------


def decaying_ridge(n=2000, p=500, mu=1e-4):
    """Singular values 100 / i^2 and a ridge that leaves a condition number of 1e8."""
    rng = np.random.default_rng(0)
    U, _ = np.linalg.qr(rng.standard_normal((n, p)))
    V, _ = np.linalg.qr(rng.standard_normal((p, p)))
    X = (U * (100.0 / np.arange(1, p + 1) ** 2)) @ V.T
    return LinearProblem(X, X @ rng.standard_normal(p), Squared(), L2(mu / n))


def iterations_to(problem, solver, accuracy):
    """Iterations until the gradient is ``accuracy`` times that at zero."""
    first = np.linalg.norm(problem.point(problem.start()).grad)
    state = solver.init(problem, problem.start(), np.random.default_rng(0))
    while np.linalg.norm(problem.point(state.w).grad) > accuracy * first and state.n_iter < 1000:
        solver.advance(problem, state, 1)
    return state.n_iter


def test_a_sketch_saves_iterations():
    # The counts of Frangella, Tropp & Udell's experiment at this spectrum.
    problem = decaying_ridge()
    counts = [iterations_to(problem, NystromCG(rank=r), 1e-10) for r in (20, 50, 100)]
    assert counts[0] <= 100
    assert counts[1] <= 32
    assert counts[2] <= 12
    assert iterations_to(problem, ConjugateGradient(), 1e-10) > 300


def test_a_tolerance_below_rounding_does_not_make_it_diverge():
    problem = decaying_ridge(200, 50)
    ours = run(problem, NystromCG(rank=25), stopping=Stopping(tol=None, max_iter=1000))
    best = solve(problem, Cholesky(), tol=1e-6)
    assert ours.certificate.objective <= best.certificate.objective + 1e-12


def test_a_sketch_of_full_rank_is_the_inverse():
    A = with_eigenvalues(np.logspace(0, 4, 12))
    R = np.random.default_rng(1).standard_normal((12, 2))
    M = NystromPreconditioner(lambda V: A @ V, np.random.default_rng(2).standard_normal((12, 12)))
    np.testing.assert_allclose(M.values, np.logspace(4, 0, 12), rtol=1e-8)
    mu = np.array([0.0, 0.5])
    for k in range(2):
        exact = np.linalg.solve(A + mu[k] * np.eye(12), R[:, k]) * (1 + mu[k])
        np.testing.assert_allclose(M.solve(R, mu)[:, k], exact, rtol=1e-7)


def test_a_sketch_of_a_matrix_of_lower_rank():
    a = np.outer(np.arange(1.0, 7.0), np.ones(2))
    M = NystromPreconditioner(lambda V: a @ (a.T @ V), np.random.default_rng(2).random((6, 4)))
    R = np.eye(6)
    for mu in (np.zeros(6), np.ones(6)):
        P = M.solve(R, mu)
        np.testing.assert_allclose(P, P.T, atol=1e-12)
        assert np.min(np.linalg.eigvalsh(P)) > 0


def test_bad_settings_of_nystrom_cg():
    with pytest.raises(ValueError, match="rank=0"):
        solve(decaying_ridge(20, 5), NystromCG(rank=0))
    with pytest.raises(ValueError, match="power=-1"):
        solve(decaying_ridge(20, 5), NystromCG(power=-1))


# --- semismooth Newton --------------------------------------------------------------------------


def diabetes_lasso(share, layout=np.asarray, l2=0.0, **options):
    """The lasso at ``share`` of the strength that makes all coefficients zero."""
    X, y = load_diabetes(return_X_y=True)
    strongest = np.max(np.abs(X.T @ (y - y.mean()))) / len(y)
    penalty = ElasticNet(share * strongest, l2)
    return LinearProblem(layout(X), y, Squared(), penalty, fit_intercept=True, **options)


@pytest.mark.parametrize("share", [0.1, 1 / 200, 1e-4])
@pytest.mark.parametrize("layout", [np.asarray, sp.csc_array])
@pytest.mark.parametrize("l2", [0.0, 1e-4])
def test_semismooth_newton_takes_few_steps(share, layout, l2):
    result = solve(diabetes_lasso(share, layout, l2), SemismoothNewton(), tol=1e-12, max_iter=25)
    assert result.success
    best = solve(diabetes_lasso(share, l2=l2), CoordinateDescent(), tol=1e-12)
    np.testing.assert_allclose(result.w, best.w, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(result.w != 0, best.w != 0)


@pytest.mark.parametrize("direct_below", [0, 1000], ids=["conjugate gradients", "factorised"])
def test_semismooth_newton_on_more_columns_than_samples(direct_below, monkeypatch):
    monkeypatch.setattr(residual_system, "DIRECT_BELOW", direct_below)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 300))
    y = X[:, :10].sum(axis=1) + 0.1 * rng.standard_normal(60)
    weights = rng.integers(0, 3, 60).astype(float)
    problem = LinearProblem(X, y, Squared(), L1(0.05), sample_weight=weights, fit_intercept=True)
    result = solve(problem, SemismoothNewton(), tol=1e-10, max_iter=150)
    best = solve(problem, CoordinateDescent(), tol=1e-11)
    assert result.success
    np.testing.assert_allclose(result.w, best.w, atol=1e-4)


@pytest.mark.parametrize("layout", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("intercept", [False, True])
def test_the_newton_system_by_woodbury(layout, intercept):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((9, 6)), rng.standard_normal(9)
    omega = rng.random(9)
    problem = LinearProblem(
        layout(X), y, Squared(), ElasticNet(0.1, 0.3), sample_weight=omega, fit_intercept=intercept
    )
    system, sigma, r = problem.residual_system(), 2.5, rng.standard_normal(9)
    active = np.array([True, False, True, True, False, False])
    B = np.sqrt(problem.omega)[:, None] * (X - (problem.omega @ X if intercept else 0))
    np.testing.assert_allclose(system.matvec(np.eye(6)[2]), B[:, 2], atol=1e-14)
    H = np.eye(9) + sigma / (1 + 0.3 * sigma) * B[:, active] @ B[:, active].T
    np.testing.assert_allclose(system.solve(active, sigma, r), np.linalg.solve(H, r), rtol=1e-10)
    np.testing.assert_array_equal(system.solve(active & False, sigma, r), r)


# --- Anderson acceleration ----------------------------------------------------------------------


def test_extrapolation_saves_epochs():
    # The setting of Bertrand & Massias (2021): a gap of 1e-10 relative to |y|^2 / n, on diabetes.
    tol = 2 * 1e-10 * np.mean(load_diabetes().target ** 2) / np.var(load_diabetes().target)
    plain, fast = (
        solve(diabetes_lasso(1 / 200), solver, tol=tol)
        for solver in (CoordinateDescent(newton=False), AndersonCD())
    )
    assert plain.success and fast.success
    assert fast.n_iter <= 100
    assert plain.n_iter > 500


def test_a_linear_map_is_extrapolated_to_its_fixed_point():
    # From as many epochs as there are coordinates; without a penalty they are a linear map.
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 3)) + rng.standard_normal((30, 1))
    problem = LinearProblem(X, rng.standard_normal(30), Squared(), L2(0.01), fit_intercept=True)
    best = solve(problem, Cholesky(), tol=1e-12)
    result = run(problem, AndersonCD(memory=4), stopping=Stopping(tol=None, max_iter=4))
    np.testing.assert_allclose(result.w, best.w, rtol=1e-6)
    plain = run(problem, CoordinateDescent(), stopping=Stopping(tol=None, max_iter=4))
    assert np.max(np.abs(plain.w - best.w)) > 1e-3


@pytest.mark.parametrize("layout", [np.asarray, sp.csc_array])
def test_extrapolation_keeps_the_model_true_and_never_rises(layout):
    problem, solver = diabetes_lasso(1 / 200, layout), AndersonCD(memory=3)
    state = solver.init(problem, problem.start(), None)
    values = [float(problem.value(state.w))]
    for _ in range(30):
        solver.advance(problem, state, 1)
        values.append(float(problem.value(state.w)))
        # The residual that coordinate steps go on from is that of w.
        r = state.model.u / state.model.h + state.model.c
        np.testing.assert_allclose(r, problem.y - problem.predict_raw(state.w), atol=1e-10)
    assert np.max(np.diff(values)) <= 1e-12 * values[0]
    before, w = values[-1], state.w.copy()
    assert not state.model.move_if_lower(np.full(10, 50.0), 0.0)
    np.testing.assert_array_equal(state.w, w)
    assert float(problem.value(state.w)) == before


def test_bad_settings_of_anderson():
    with pytest.raises(ValueError, match="memory=1"):
        solve(diabetes_lasso(0.1), AndersonCD(memory=1))


# --- subgradients -------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", [None, 1.0, 30.0])
def test_the_subgradient_method_keeps_its_rate(distance):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 8))
    y = np.sign(X @ np.linspace(1, -1, 8) + rng.standard_normal(60)) / 2 + 0.5
    problem = LinearProblem(X, y, Logistic(), L1(0.08))
    best = solve(problem, FISTA(), tol=1e-10)
    solver = Subgradient(distance=distance)
    state, errors = solver.init(problem, problem.start(), None), []
    for _ in range(3000):
        solver.advance(problem, state, 1)
        errors.append(float(problem.value(state.w)) - best.certificate.objective)
    assert np.max(np.diff(errors)) <= 0
    if distance is None:
        assert errors[-1] <= 0.02 * errors[0]
    else:
        # Nesterov (2018), Theorem 3.2.2, with the lengths R / sqrt(k).
        k = np.arange(1, 3001)
        steepest = np.mean(np.linalg.norm(X, axis=1)) + 0.08 * np.sqrt(8)
        far = best.w @ best.w + distance**2 * np.cumsum(1 / k)
        assert np.all(errors <= steepest * far / (2 * distance * np.cumsum(k**-0.5)))
    # Where the lasso has zeros the method has none.
    assert np.sum(best.w == 0) > 0
    assert np.all(state.w != 0)


class Absolute(Loss):
    """``|z - y|``, with a kink and no prox."""

    def value(self, y, z):
        return np.abs(z - y)

    def slope(self, y, z):
        return np.sign(z - y)

    def conjugate(self, y, u):
        return u * y


def test_a_subgradient_of_a_loss_with_a_kink():
    rng = np.random.default_rng(0)
    X, truth = rng.standard_normal((80, 3)), np.array([1.0, -2.0, 0.5])
    y = X @ truth
    y[::4] += 50
    problem = LinearProblem(X, y, Absolute(), L2(0.0))
    result = run(problem, Subgradient(), stopping=Stopping(tol=None, max_iter=2000))
    # A quarter of the targets is far off, on one side, and does not count.
    np.testing.assert_allclose(result.w, truth, atol=1e-2)


def test_what_has_no_subgradient():
    problem = LinearProblem(np.eye(3), np.ones(3), Squared(), L1(positive=True))
    with pytest.raises(IncompatibleSolverError, match="none outside its bounds"):
        resolve("subgradient", problem)
    with pytest.raises(ValueError, match=r"distance=-1\.0"):
        solve(on_a_ball(loss=Logistic()), Subgradient(distance=-1.0))


def test_extrapolation_of_rows_of_coefficients():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 12)) + 2 * rng.standard_normal((60, 1))
    Y = X[:, :3] @ rng.standard_normal((3, 2)) + 0.1 * rng.standard_normal((60, 2))
    problem = LinearProblem(X, Y, Squared(), RowElasticNet(2, 0.01), fit_intercept=True)
    plain, fast = (solve(problem, s, tol=1e-10) for s in (CoordinateDescent(), AndersonCD()))
    assert plain.success and fast.success
    assert fast.n_iter < plain.n_iter
    np.testing.assert_allclose(fast.w, plain.w, atol=1e-5)


# --- by name in the estimators ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "solver"),
    [
        (Ridge(alpha=2.0), "bfgs"),
        (Ridge(alpha=2.0), "gradient_descent"),
        (Ridge(alpha=2.0), "nystrom_cg"),
        (Ridge(alpha=2.0), "sdca"),
        (Ridge(alpha=2.0), "svrg"),
        (Ridge(alpha=2.0), "trust_region"),
        (ElasticNetModel(alpha=0.1), "anderson_cd"),
        (ElasticNetModel(alpha=0.1), "sdca"),
        (ElasticNetModel(alpha=0.1), "semismooth_newton"),
        (ElasticNetModel(alpha=0.1), "svrg"),
        (ConstrainedLasso(radius=150.0), "frank_wolfe"),
    ],
    ids=str,
)
def test_estimators_give_the_same_answer(model, solver):
    X, y = load_diabetes(return_X_y=True)
    X = X / X.std(axis=0)
    settings = {"tol": 1e-8, "max_iter": 20_000}
    fits = [clone(model).set_params(solver=name, **settings).fit(X, y) for name in ("auto", solver)]
    assert fits[1].solver_ == solver
    scale = np.max(np.abs(fits[0].coef_))
    np.testing.assert_allclose(fits[1].coef_, fits[0].coef_, atol=1e-3 * scale)
    np.testing.assert_allclose(fits[1].intercept_, fits[0].intercept_, rtol=1e-6)
