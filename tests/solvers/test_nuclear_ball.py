"""The nuclear-norm ball: projections and Frank-Wolfe against the penalised optimum."""

from __future__ import annotations

import numpy as np
import pytest
from completion import SEEN, X, data, dense
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skopt_dl.dispatch import IncompatibleSolverError
from skopt_dl.engine import Stopping, run
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.solvers import FrankWolfe

# The answer at a strength is the answer in the ball that it just fills.
ALPHA = 0.4
Z, _ = dense(ALPHA)
RADIUS = np.linalg.svd(Z, compute_uv=False).sum() / np.sqrt(Z.size)
LOWEST = 0.5 * np.mean((Z - X)[SEEN] ** 2)
LAYOUTS = {
    "dense": X,
    "sparse": sparse.coo_array((X[SEEN], np.nonzero(SEEN)), shape=X.shape).tocsr(),
}


def ball(radius=RADIUS, rank=12, **options):
    options.setdefault("random_state", 0)
    return MatrixCompletion(rank, penalty="nuclear_ball", radius=radius, **options)


def norm(model):
    filled = model.row_factors_ @ model.components_
    return np.linalg.svd(filled, compute_uv=False).sum() / np.sqrt(filled.size)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("solver", ["auto", "fista", "ista", "projected_gradient", "soft_impute"])
def test_projected_steps_reach_the_optimum_and_prove_it(solver, layout):
    model = ball(solver=solver, tol=1e-8).fit(LAYOUTS[layout])
    report = model.solve_report_
    assert report.status == "converged" and report.certificate_kind == "duality gap"
    assert -1e-12 <= report.objective - LOWEST <= report.dual_gap + 1e-12
    # The multiplier of the constraint is the strength of the penalty.
    np.testing.assert_allclose(model.alpha_, ALPHA, rtol=1e-5)
    np.testing.assert_allclose(norm(model), RADIUS, rtol=1e-5)
    np.testing.assert_allclose(model.transform(X)[~SEEN], Z[~SEEN], atol=1e-4)
    np.testing.assert_allclose(model.row_factors(X), model.row_factors_, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_frank_wolfe_reaches_the_optimum_and_its_gap_says_how_near(layout):
    model = ball(solver="frank_wolfe", tol=2e-3).fit(LAYOUTS[layout])
    report = model.solve_report_
    assert report.status == "converged"
    assert 0 <= report.objective - LOWEST <= report.dual_gap
    assert np.sqrt(np.mean((model.transform(X) - Z)[~SEEN] ** 2)) < 0.02
    np.testing.assert_allclose(model.alpha_, ALPHA, rtol=0.01)


def problem(layout="sparse", **options):
    return ball(solver="frank_wolfe", **options)._build_problem(LAYOUTS[layout])


@pytest.mark.parametrize("missing", [0.6, 0.3], ids=["entries", "masked"])
def test_frank_wolfe_is_the_method_on_full_matrices(missing):
    """Its iterates, gaps and rebuilt matrix are those of dense singular vectors."""
    X = data(missing=missing)
    SEEN = ~np.isnan(X)
    p, solver = ball(rank=8, solver="frank_wolfe")._build_problem(X), FrankWolfe()
    state = solver.init(p, p.start(), None)
    full, bound = np.zeros(X.shape), RADIUS * np.sqrt(X.size)
    for _ in range(8):
        G = np.where(SEEN, full - X, 0.0) / SEEN.sum()
        U, s, Vt = np.linalg.svd(G)
        gap = np.sum(G * full) + bound * s[0]
        np.testing.assert_allclose(float(state.indicator), gap, rtol=1e-2)
        # The certificate of the point reached errs on the safe side.
        z = p.entries_of(state.w)
        here = np.zeros(X.shape)
        here[SEEN] = z[SEEN] if z.ndim == 2 else z
        own = np.where(SEEN, here - X, 0.0) / SEEN.sum()
        exact = np.sum(own * here) + bound * np.linalg.norm(own, 2)
        assert exact * (1 - 1e-12) <= p.certificate(state.w).gap <= 1.05 * exact
        d = -bound * np.outer(U[:, 0], Vt[0]) - full
        full = full + min(1.0, gap / (np.sum(d[SEEN] ** 2) / SEEN.sum())) * d
        solver.advance(p, state, 1)
        z = p.entries_of(state.w)
        z = z[SEEN] if z.ndim == 2 else z
        assert np.linalg.norm(z - full[SEEN]) < 0.02 * np.linalg.norm(full[SEEN])
        factors, w = p.as_factors(state.w)
        P, Q = factors.unpack(w)
        np.testing.assert_allclose((P @ Q.T)[SEEN], z, atol=1e-9)
    assert state.vertices is None


def test_the_error_falls_as_jaggi_says():
    # Jaggi (2013), Theorem 1: F(w_k) - F* <= 2 C / (k + 2), with C at most L times the diameter^2.
    p = problem()
    bound = float(p.lipschitz()) * (2 * RADIUS) ** 2 * X.size
    state = FrankWolfe().init(p, p.start(), None)
    for k in range(1, 100):
        FrankWolfe().advance(p, state, 1)
        assert 0 <= float(p.value(state.w)) - LOWEST <= 2 * bound / (k + 2)


def test_nothing_of_the_size_of_the_matrix_is_made():
    """A matrix whose full form would take 9.6 GB."""
    rng = np.random.default_rng(0)
    m, n, q = 40_000, 30_000, 10_000
    triplets = rng.standard_normal(q), (rng.integers(0, m, q), rng.integers(0, n, q))
    entries = sparse.coo_array(triplets, shape=(m, n)).tocsr()
    for solver in ("frank_wolfe", "fista"):
        with pytest.warns(ConvergenceWarning):
            model = ball(1e-3, rank=2, solver=solver, max_iter=2).fit(entries)
        assert model.components_.shape == (2, n)


def test_a_ball_that_holds_the_data_has_no_multiplier():
    rng = np.random.default_rng(0)
    full = rng.standard_normal((20, 2)) @ rng.standard_normal((2, 12))
    model = ball(100.0, rank=12, solver="ista", tol=1e-10).fit(full)
    assert model.alpha_ < 1e-6
    np.testing.assert_allclose(model.row_factors_ @ model.components_, full, atol=1e-4)


@pytest.mark.parametrize("solver", ["auto", "frank_wolfe"])
def test_weights_repeat_pairs(solver):
    pairs, values = np.argwhere(SEEN), X[SEEN]
    weights = 1 + np.arange(len(values)) % 3
    options = {"solver": solver, "tol": 1e-7 if solver == "auto" else 5e-3}
    weighted = ball(**options).fit(pairs, values, sample_weight=weights)
    repeated = ball(**options).fit(np.repeat(pairs, weights, axis=0), np.repeat(values, weights))
    one, other = (m.solve_report_ for m in (weighted, repeated))
    assert one.status == other.status == "converged"
    assert abs(one.objective - other.objective) <= max(one.dual_gap, other.dual_gap)


def test_single_precision():
    small = ball(tol=1e-3).fit(X.astype(np.float32))
    assert small.components_.dtype == np.float32
    assert small.solve_report_.status == "converged"


def test_several_starts_find_the_same():
    a, b = (ball(n_init=n, tol=1e-9).fit(X).transform(X) for n in (1, 3))
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_what_cannot_be():
    with pytest.raises(IncompatibleSolverError, match=r"'fista' \(what 'auto' takes\)"):
        ball(solver="lbfgs").fit(X)
    with pytest.raises(ValueError, match="needs a radius, but radius=None"):
        ball(None).fit(X)
    with pytest.raises(ValueError, match="radius=-1"):
        ball(-1).fit(X)
    with pytest.raises(ValueError, match=r"alpha=0.1; use alpha='auto'"):
        ball(alpha=0.1).fit(X)
    with pytest.raises(ValueError, match="penalty='nuclear_ball' has no biases"):
        ball(fit_bias="cols").fit(X)


def test_one_run_is_like_another():
    p = problem()
    results = [run(p, FrankWolfe(), stopping=Stopping(tol=1e-2, max_iter=500)) for _ in range(2)]
    np.testing.assert_array_equal(results[0].w, results[1].w)


def test_vertices_are_found_where_the_singular_values_of_the_gradient_are_near_each_other():
    """Too small a value would end the method for want of a better vertex."""
    rng = np.random.default_rng(0)
    noisy = rng.standard_normal((60, 4)) @ rng.standard_normal((4, 40))
    noisy = noisy + rng.standard_normal(noisy.shape)
    noisy[rng.random(noisy.shape) < 0.5] = np.nan
    model = MatrixCompletion(
        40, penalty="nuclear_ball", radius=4.0, solver="frank_wolfe", max_iter=2000, tol=1e-2
    )
    model.fit(noisy)
    assert model.solve_report_.status == "converged"


@pytest.mark.parametrize("solver", ["fista", "ista", "projected_gradient", "soft_impute"])
@pytest.mark.parametrize("radius", [3.0, 100.0])
def test_a_gap_that_the_rank_keeps_open_ends_soon(solver, radius):
    with pytest.warns(ConvergenceWarning, match="stalled"):
        model = ball(radius, rank=2, solver=solver).fit(X)
    assert model.solve_report_.n_iter <= 500
    # Nothing of note is gained by going on: the best matrix of this rank is found.
    best = MatrixCompletion(2, alpha=0, solver="gauss_newton", random_state=0).fit(X)
    assert model.solve_report_.objective <= 1.02 * best.solve_report_.objective
