"""Matrix completion by coordinates: one parameter of every row at its minimum, in turn."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
from completion import X, dense, distance, exact, nuclear
from scipy import sparse
from sklearn.decomposition import NMF

from skopt_dl.dispatch import SOLVERS, IncompatibleSolverError, fitting
from skopt_dl.engine import Status, Stopping, run
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.matrix_completion.observe import observe
from skopt_dl.matrix_completion.problem import FactorProblem
from skopt_dl.solvers import ADMM, ALS, HALS, CoordinateDescent

BIASES = [(False, False), (True, False), (False, True), (True, True)]
METHODS = [CoordinateDescent(), CoordinateDescent(selection="random"), HALS(), HALS(repeats=3)]


def solve(p, solver, tol=1e-9, max_iter=4000):
    stopping = Stopping(tol=tol, max_iter=max_iter)
    return run(p, solver, stopping=stopping, rng=np.random.default_rng(0))


def noisy(row_bias=False, col_bias=False, positive=False, layout="dense"):
    rng = np.random.default_rng(0)
    Y = rng.gamma(1.0, size=(30, 2)) @ rng.gamma(1.0, size=(2, 20))
    Y += 0.1 * rng.standard_normal(Y.shape)
    Y[rng.random(Y.shape) < 0.4] = np.nan
    Y[2], Y[:, 5] = np.nan, np.nan
    weights = rng.integers(1, 4, 30).astype(float)
    if layout == "sparse":
        rows, cols = np.nonzero(~np.isnan(Y))
        Y = sparse.csr_array((Y[rows, cols], (rows, cols)), shape=Y.shape)
    bias = {"row_bias": row_bias, "col_bias": col_bias}
    return FactorProblem(observe(Y, np.nan, weights), 2, 1e-2, positive=positive, **bias)


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("biases", BIASES)
@pytest.mark.parametrize("solver", METHODS, ids=repr)
def test_coordinates_end_where_als_ends(solver, biases, layout):
    results = [solve(noisy(*biases, layout=layout), s, 1e-8) for s in (solver, ALS())]
    assert all(r.status is Status.CONVERGED for r in results)
    np.testing.assert_allclose(*(r.certificate.objective for r in results), rtol=1e-8)
    p = noisy(*biases, layout=layout)
    models = [L @ R.T for L, R in (p.factors(r.w) for r in results)]
    seen = np.outer(p.observed.row_weight > 0, p.observed.col_weight > 0)
    np.testing.assert_allclose(models[0][seen], models[1][seen], atol=1e-3)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("biases", BIASES)
def test_a_visit_is_the_minimum_over_one_parameter_of_each_row(biases, positive):
    p = noisy(*biases, positive=positive)
    w = p.start()
    model = p.factor_coordinates(w)
    P, Q = (part.copy() for part in p.unpack(w))
    E = p.residual(w)
    for c in range(model.n_coordinates):
        before = p.value(p.pack(P, Q))
        E, _ = model._visit(c, P, Q, E)
        at = p.pack(P, Q)
        np.testing.assert_allclose(E, p.residual(at), atol=1e-12)
        assert p.value(at) <= before + 1e-14
        dP, dQ = p.unpack(p.point_of(at, E).grad)
        slope, own = (dP[:, c], P[:, c]) if c < p.kp else (dQ[:, c - p.kp], Q[:, c - p.kp])
        held = positive & (own == 0) & (slope > 0)
        np.testing.assert_allclose(np.where(held, 0, slope), 0, atol=1e-14)
        assert not positive or own.min() >= 0


def test_a_full_non_negative_matrix_is_that_of_scikit_learn():
    """Without gaps and penalty a sweep is one of its coordinate descent."""
    rng = np.random.default_rng(0)
    full = rng.random((25, 3)) @ rng.random((3, 18)) + 0.1 * rng.random((25, 18))
    W, H = rng.random((25, 3)), rng.random((3, 18))
    p = FactorProblem(observe(full, np.nan), 3, 0.0, positive=True)
    model = p.factor_coordinates(p.pack(W, H.T))
    # Its order: all of W before all of H; balancing would leave the model, not its factors.
    P, Q = W.copy(), H.T.copy()
    E = p.residual(p.pack(P, Q))
    for _ in range(7):
        for c in range(6):
            E, _ = model._visit(c, P, Q, E)
    peer = NMF(3, init="custom", solver="cd", max_iter=7, tol=0)
    theirs = peer.fit_transform(full, W=W.copy(), H=H.copy())
    np.testing.assert_allclose(P, theirs, atol=1e-11)
    np.testing.assert_allclose(Q.T, peer.components_, atol=1e-11)


@pytest.mark.parametrize("name", ["hals", "cd", "lbfgsb"])
def test_non_negative_factors_as_by_least_squares(name):
    Y = np.where(np.isnan(X), np.nan, np.abs(X))
    params = {"alpha": 0.05, "positive": True, "tol": 1e-6, "random_state": 0}
    model, known = (MatrixCompletion(3, solver=s, **params).fit(Y) for s in (name, "als"))
    assert model.solve_report_.status == "converged" and model.components_.min() >= 0
    objectives = [m.solve_report_.objective for m in (model, known)]
    np.testing.assert_allclose(*objectives, rtol=1e-3)


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("name", ["admm", "hals", "cd", "proximal_gradient"])
def test_the_convex_optimum_with_its_proof(name, layout):
    p, (Z, lowest) = nuclear(layout=layout), dense(0.4)
    result = solve(p, SOLVERS.get(name)(), 1e-6)
    assert result.success and result.certificate.kind == "duality gap"
    assert 0 <= result.certificate.objective - lowest + 1e-12 <= result.certificate.gap + 1e-12
    P, Q = p.unpack(result.w)
    np.testing.assert_allclose(P @ Q.T, Z, atol=2e-2)


def test_splitting_is_told_what_it_was_set_to():
    results = [solve(nuclear(), ADMM(rho=r, adaptive=False), 0.0, 5) for r in (0.5, 5.0)]
    objectives = [r.certificate.objective for r in results]
    assert abs(objectives[0] - objectives[1]) > 1e-4 * objectives[0]


@pytest.mark.parametrize("name", ["hals", "cd", "gd"])
def test_an_exact_matrix_is_found(name):
    Y, full = exact(60, 50, 2, 5.0)
    p = FactorProblem(observe(Y, np.nan), 2, 0.0)
    result = solve(p, SOLVERS.get(name)(), 1e-9, 5000)
    assert result.status is Status.CONVERGED and distance(p, result.w, full) < 1e-6


def test_on_the_array_standard():
    hosts = noisy(True, True)
    known = hosts.start()
    hosts.factor_coordinates(known).epochs(range(6), 3, 0.0)
    strict = array_api_strict
    obs = hosts.observed
    values = np.where(obs.weights > 0, obs.values, np.nan)
    p = FactorProblem(
        observe(strict.asarray(values), np.nan, strict.asarray(np.max(obs.weights, axis=1))),
        2,
        1e-2,
        row_bias=True,
        col_bias=True,
    )
    w = p.start()
    p.factor_coordinates(w).epochs(range(6), 3, 0.0)
    np.testing.assert_allclose(np.asarray(w), known, atol=1e-10)


def test_who_fits_what_and_bad_settings():
    assert {"cd", "hals"} <= set(fitting(noisy()))
    assert {"cd", "hals"} <= set(fitting(noisy(positive=True)))
    assert {"cd", "hals", "admm"} <= set(fitting(nuclear()))
    with pytest.raises(IncompatibleSolverError, match="loss='squared' is"):
        MatrixCompletion(2, alpha=0.1, loss="huber", solver="hals").fit(X)
    with pytest.raises(ValueError, match="repeats=0"):
        MatrixCompletion(2, alpha=0.1, solver=HALS(repeats=0)).fit(X)
