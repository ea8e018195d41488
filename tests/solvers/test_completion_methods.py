"""Completion by scaled gradients, filled matrices, thresholding, splitting and trust regions."""

from __future__ import annotations

import numpy as np
import pytest
from completion import SEEN, X, dense, distance, exact, nuclear

from skopt_dl.dispatch import IncompatibleSolverError, fitting
from skopt_dl.engine import Status, Stopping, run
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.matrix_completion.observe import observe
from skopt_dl.matrix_completion.problem import FactorProblem
from skopt_dl.matrix_completion.robust import RobustLoss
from skopt_dl.solvers import (
    ALS,
    SVT,
    GradientDescent,
    RiemannianTrustRegion,
    ScaledGD,
    SoftImputeALS,
    SpectralADMM,
)
from skopt_dl.solvers.riemannian import stand_at
from skopt_dl.solvers.riemannian_trust_region import RiemannianTrustState, _hessian

BIASES = [(False, False), (True, False), (False, True), (True, True)]


def solve(p, solver, tol=1e-9, max_iter=2000):
    stopping = Stopping(tol=tol, max_iter=max_iter)
    return run(p, solver, stopping=stopping, rng=np.random.default_rng(0))


def noisy(row_bias=False, col_bias=False, robust=None):
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((30, 2)) @ rng.standard_normal((2, 20))
    Y += 0.1 * rng.standard_normal(Y.shape)
    Y[rng.random(Y.shape) < 0.4] = np.nan
    Y[2], Y[:, 5] = np.nan, np.nan
    weights = rng.integers(1, 4, 30).astype(float)
    bias = {"row_bias": row_bias, "col_bias": col_bias}
    return FactorProblem(observe(Y, np.nan, weights), 2, 1e-2, robust=robust, **bias)


# --- scaled gradient descent --------------------------------------------------------------------


def spread(condition, m=120, n=100, rank=4, share=0.5, seed=0):
    """A matrix whose singular values fall evenly to the first over ``condition``."""
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((size, rank)))[0] for size in (m, n))
    full = (U * np.linspace(1, 1 / condition, rank)) @ V.T * np.sqrt(m * n)
    return np.where(rng.random((m, n)) < share, full, np.nan), full


def test_scaled_gradients_do_not_feel_the_condition():
    steps: dict = {}
    for condition in (1, 5, 20):
        Y, full = spread(condition)
        p = FactorProblem(observe(Y, np.nan), 4, 0.0)
        result = solve(p, ScaledGD(), tol=1e-8)
        assert result.status is Status.CONVERGED and distance(p, result.w, full) < 1e-7
        steps[condition] = result.n_iter
    assert max(steps.values()) <= 1.3 * min(steps.values())
    plain = solve(FactorProblem(observe(spread(20)[0], np.nan), 4, 0.0), GradientDescent(), 1e-8)
    assert plain.n_iter > 4 * steps[20]


def test_the_path_is_that_of_the_matrix_whatever_its_factors():
    """``(P C, Q C^-T)`` gives the changed factors, for any C."""
    p = FactorProblem(observe(spread(3)[0], np.nan), 4, 0.0)
    rng = np.random.default_rng(0)
    P, Q = p.unpack(p.start())
    C = rng.standard_normal((4, 4))
    turned = p.pack(P @ C, Q @ np.linalg.inv(C).T)
    steps = []
    for w in (p.pack(P, Q), turned):
        d = p.gram_scaled(w, p.point(w).grad, 0.0)
        dP, dQ = p.unpack(d)
        P1, Q1 = p.unpack(w)
        steps.append(dP @ Q1.T + P1 @ dQ.T)
    np.testing.assert_allclose(*steps, rtol=0, atol=1e-9 * np.abs(steps[0]).max())


@pytest.mark.parametrize("biases", BIASES)
def test_the_scaling_is_the_documented_formula(biases):
    p = noisy(*biases)
    rng = np.random.default_rng(1)
    w, g = rng.standard_normal((2, p.size))
    L, R = p.factors(w)
    (m, n), parts = p.observed.shape, p.unpack(p.gram_scaled(w, g, 0.3))
    for F, part, old, share in (
        (p.of_rows(R), parts[0], p.unpack(g)[0], p.row_penalty),
        (p.of_cols(L), parts[1], p.unpack(g)[1], p.col_penalty),
    ):
        G = F.T @ F / (m * n)
        ridge = 0.3 * np.linalg.eigvalsh(G)[0] + 1e-2 * share.mean() / p.observed.total
        expected = old @ np.linalg.inv(G + ridge * np.eye(len(G)))
        np.testing.assert_allclose(part, expected, rtol=1e-8)


# --- soft-impute by alternating least squares ---------------------------------------------------


def test_a_turn_fills_the_matrix_and_solves():
    p = nuclear()
    w = p.start()
    P, Q = (a.copy() for a in p.unpack(w))
    # The geometric mean of both is the nuclear norm's.
    to_rows, to_cols = 0.4 * SEEN.sum() / 40, 0.4 * SEEN.sum() / 30
    for _ in range(3):
        for block in ("cols", "rows"):
            p.majorised_solve(w, block)
        filled = np.where(SEEN, X, P @ Q.T)
        Q = filled.T @ P @ np.linalg.inv(P.T @ P + to_cols * np.eye(12))
        filled = np.where(SEEN, X, P @ Q.T)
        P = filled @ Q @ np.linalg.inv(Q.T @ Q + to_rows * np.eye(12))
        np.testing.assert_allclose(p.unpack(w)[0], P, atol=1e-9)
        np.testing.assert_allclose(p.unpack(w)[1], Q, atol=1e-9)


@pytest.mark.parametrize("robust", [None, RobustLoss(0.1), RobustLoss(0.05, straight=True)])
@pytest.mark.parametrize("biases", BIASES)
def test_it_descends_to_where_als_ends_with_weights_biases_and_losses(biases, robust):
    p = noisy(*biases, robust=robust)
    w, values = p.start(), []
    for _ in range(20):
        for block in ("cols", "rows"):
            p.majorised_solve(w, block)
            values.append(float(p.value(w)))
    assert np.all(np.diff(values) <= 1e-14)
    results = [
        solve(noisy(*biases, robust=robust), s, 1e-6, 20_000) for s in (SoftImputeALS(), ALS())
    ]
    assert all(r.status is Status.CONVERGED for r in results)
    objectives = [r.certificate.objective for r in results]
    np.testing.assert_allclose(*objectives, rtol=1e-4)


# --- the nuclear norm ---------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("make", [SoftImputeALS, SpectralADMM, ScaledGD], ids=lambda m: m.__name__)
def test_the_convex_optimum_with_its_proof(make, layout):
    p, (Z, lowest) = nuclear(layout=layout), dense(0.4)
    result = solve(p, make(), 1e-8)
    assert result.success and result.certificate.kind == "duality gap"
    assert 0 <= result.certificate.objective - lowest + 1e-12 <= result.certificate.gap + 1e-12
    P, Q = p.unpack(result.w)
    np.testing.assert_allclose(P @ Q.T, Z, atol=2e-3)


@pytest.mark.parametrize("options", [{"adaptive": False}, {"relaxation": 1.0}, {"rho": 20.0}])
def test_splitting_under_other_settings(options):
    result = solve(nuclear(), SpectralADMM(**options), 1e-7, 5000)
    assert result.success
    np.testing.assert_allclose(result.certificate.objective, dense(0.4)[1], rtol=1e-6)


def test_splitting_counts_weights():
    """A row of weight two is that row given twice."""
    weights = np.random.default_rng(0).integers(1, 4, len(X))
    models = [
        MatrixCompletion(12, alpha=0.4, penalty="nuclear", solver=s, tol=1e-7, random_state=0)
        for s in ("spectral_admm", "als")
    ]
    filled = [m.fit(X, sample_weight=weights).transform(X) for m in models]
    np.testing.assert_allclose(*filled, atol=2e-3)


def test_splitting_rests_at_its_answer():
    p = nuclear()
    best = solve(p, SpectralADMM(), 1e-10)
    again = run(
        p,
        SpectralADMM(),
        start=best.w,
        stopping=Stopping(tol=1e-8, max_iter=50),
        rng=np.random.default_rng(0),
    )
    assert again.n_iter <= 10


# --- singular value thresholding ----------------------------------------------------------------


def test_thresholding_follows_the_paper():
    Y0, _ = exact(25, 20, 2, 5.0)
    seen = ~np.isnan(Y0)
    y, (m, n) = np.where(seen, Y0, 0.0), Y0.shape
    p = FactorProblem(observe(Y0, np.nan), 2, 0.0)
    solver = SVT(extra=18, turns=60, momentum=False)
    state = solver.init(p, p.start(), np.random.default_rng(0))
    step = 1.2 * m * n / seen.sum()
    threshold = 5 * np.sqrt(m * n) * np.sqrt(np.mean(y[seen] ** 2))
    M = np.ceil(threshold / (step * np.linalg.norm(y, 2))) * step * y
    for _ in range(10):
        solver.advance(p, state, 1)
        U, s, Vt = np.linalg.svd(M)
        Z = (U[:, :20] * np.maximum(s - threshold, 0)) @ Vt
        M = M + step * np.where(seen, y - Z, 0)
        np.testing.assert_allclose(state.Y[seen], M[seen], atol=1e-6 * np.abs(M).max())


def test_thresholding_finds_an_easy_matrix():
    Y, full = exact(60, 50, 2, 8.0)
    p = FactorProblem(observe(Y, np.nan), 2, 0.0)
    result = solve(p, SVT(), 1e-4, 500)
    assert result.status is Status.CONVERGED
    assert distance(p, result.w, full) < 1e-2


def test_momentum_saves_more_than_half_of_the_thresholdings():
    Y, full = exact(120, 100, 2, 8.0)
    p = FactorProblem(observe(Y, np.nan), 2, 0.0)
    fast = solve(p, SVT(momentum=True), 1e-4, 800)
    assert fast.status is Status.CONVERGED
    assert distance(p, fast.w, full) < 1e-3
    plain = solve(p, SVT(), 1e-4, 2 * fast.n_iter)
    assert plain.status is Status.MAX_ITER


def test_thresholding_halves_a_step_that_is_too_long():
    """Without it the multiplier overflows here."""
    Y, full = exact(60, 50, 2, 5.0)
    p = FactorProblem(observe(Y, np.nan), 2, 0.0)
    result = solve(p, SVT(step=4.0, momentum=True), 1e-4, 600)
    assert result.status is Status.CONVERGED
    assert distance(p, result.w, full) < 1e-3


# --- trust regions on the manifold --------------------------------------------------------------


def at(p, U, s, V):
    state = RiemannianTrustState(w=p.start())
    stand_at(p, state, U, s, V)
    return state


def test_the_hessian_is_the_second_order_of_the_retraction():
    Y, _ = exact(20, 15, 3, 3.0)
    p = FactorProblem(observe(Y, np.nan), 3, 0.0)
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((size, 3)))[0] for size in (20, 15))
    state = at(p, U, np.array([9.0, 6.0, 4.0]), V)
    t = state.T.gauge(rng.standard_normal((3 + 20 + 15, 3)))
    product = _hessian(p, state)
    u = state.T.gauge(rng.standard_normal(t.shape))
    assert np.sum(product(t) * u) == pytest.approx(np.sum(product(u) * t))
    first, second = np.sum(state.g * t), np.sum(t * product(t))

    def value(h):
        r = at(p, *state.T.retracted(state.s, h * t)).r
        return 0.5 * float(p.observed.dot(r, r))

    h = 1e-3
    assert (value(h) - value(-h)) / (2 * h) == pytest.approx(first, rel=1e-4)
    assert (value(h) - 2 * value(0) + value(-h)) / h**2 == pytest.approx(second, rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_trust_regions_find_the_matrix_in_few_steps(seed):
    Y, full = exact(80, 60, 3, 3.5, seed=seed)
    p = FactorProblem(observe(Y, np.nan), 3, 0.0)
    result = solve(p, RiemannianTrustRegion(), 1e-11, 50)
    assert result.status is Status.CONVERGED and result.n_iter <= 20
    assert distance(p, result.w, full) < 1e-9


def test_trust_regions_end_where_noise_leaves_a_residual():
    rng = np.random.default_rng(0)
    Y = exact(40, 30, 2, 4.0)[0] + 0.1 * rng.standard_normal((40, 30))
    p = FactorProblem(observe(Y, np.nan), 2, 0.0)
    result = solve(p, RiemannianTrustRegion(), 1e-9, 100)
    best = solve(p, ALS(), 1e-9, 5000)
    assert result.status is Status.CONVERGED
    assert result.certificate.objective == pytest.approx(best.certificate.objective, rel=1e-8)


# --- who fits what, and errors ------------------------------------------------------------------


def test_who_fits_what():
    names = {
        "penalised": fitting(MatrixCompletion(2, alpha=0.1)._build_problem(X)),
        "exact": fitting(MatrixCompletion(2, alpha=0)._build_problem(X)),
        "nuclear": fitting(nuclear()),
        "positive": fitting(MatrixCompletion(2, alpha=0.1, positive=True)._build_problem(X)),
    }
    ours = {"scaled_gd", "soft_impute_als", "spectral_admm", "svt", "riemannian_trust_region"}
    assert ours & set(names["penalised"]) == {"scaled_gd", "soft_impute_als"}
    assert ours - set(names["exact"]) == {"spectral_admm"}
    assert ours & set(names["nuclear"]) == {"scaled_gd", "soft_impute_als", "spectral_admm"}
    assert not ours & set(names["positive"])
    with pytest.raises(IncompatibleSolverError, match="penalty='nuclear' is"):
        MatrixCompletion(2, alpha=0.1, solver="spectral_admm").fit(X)


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (ScaledGD(damping=-1), "damping=-1"),
        (SVT(threshold=0), "threshold=0"),
        (SVT(step=0), "step=0"),
        (SVT(turns=0), "turns=0"),
        (RiemannianTrustRegion(acceptance=0.5), "acceptance=0.5"),
        (RiemannianTrustRegion(max_inner=0), "max_inner=0"),
    ],
)
def test_bad_settings_of_exact_methods(solver, message):
    with pytest.raises(ValueError, match=message):
        MatrixCompletion(2, alpha=0, solver=solver).fit(X)


@pytest.mark.parametrize("options", [{"rho": 0}, {"relaxation": 2}, {"extra": -1}, {"turns": 0}])
def test_bad_settings_of_splitting(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name}={value}"):
        MatrixCompletion(2, alpha=0.1, penalty="nuclear", solver=SpectralADMM(**options)).fit(X)
