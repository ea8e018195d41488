"""The nuclear norm: every solver of the factors against dense soft-impute, by its duality gap."""

from __future__ import annotations

import numpy as np
import pytest
from completion import SEEN, X, dense, nuclear as problem
from sklearn.exceptions import ConvergenceWarning

from skopt_dl.dispatch import IncompatibleSolverError
from skopt_dl.engine import Stopping, run
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.matrix_completion.nuclear import duality_gap, spectral_norm
from skopt_dl.solvers.soft_impute import SoftImpute


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("momentum", [True, False])
def test_soft_impute_is_soft_impute(momentum, layout):
    p, (Z, lowest) = problem(layout=layout), dense(0.4)
    solver = SoftImpute(momentum=momentum)
    stopping = Stopping(tol=1e-9, max_iter=2000)
    result = run(p, solver, stopping=stopping, rng=np.random.default_rng(0))
    assert result.success and result.certificate.kind == "duality gap"
    np.testing.assert_allclose(result.certificate.objective, lowest, rtol=1e-8)
    P, Q = p.unpack(result.w)
    np.testing.assert_allclose(P @ Q.T, Z, atol=1e-3)


def test_momentum_pays():
    """A hundred steps get nearer with it than without."""
    stopping = Stopping(tol=None, max_iter=100)
    fast, plain = (
        run(problem(0.1), SoftImpute(momentum=m), stopping=stopping, rng=np.random.default_rng(0))
        for m in (True, False)
    )
    best = run(problem(0.1), SoftImpute(), stopping=Stopping(tol=None, max_iter=400))
    lowest = best.certificate.objective
    assert fast.certificate.objective - lowest < 0.2 * (plain.certificate.objective - lowest)


@pytest.mark.parametrize("solver", ["soft_impute", "fista", "ista", "als", "gauss_newton", "lbfgs"])
def test_every_solver_reaches_the_convex_optimum_and_proves_it(solver):
    Z, lowest = dense(0.4)
    model = MatrixCompletion(
        12, alpha=0.4, penalty="nuclear", solver=solver, tol=1e-8, random_state=0
    ).fit(X)
    report = model.solve_report_
    assert report.status == "converged" and report.certificate_kind == "duality gap"
    assert 0 <= report.objective - lowest <= report.dual_gap + 1e-12
    np.testing.assert_allclose(model.transform(X)[~SEEN], Z[~SEEN], atol=1e-3)
    # New rows are completed by the same penalty: those of the training give themselves.
    np.testing.assert_allclose(model.transform(X[:5])[~SEEN[:5]], Z[:5][~SEEN[:5]], atol=1e-3)


def test_the_gap_bounds_the_distance_from_the_minimum():
    p, lowest = problem(), dense(0.4)[1]
    rng = np.random.default_rng(0)
    for size in (1e-3, 0.1, 1.0):
        w = p.start() + size * rng.standard_normal(p.size)
        objective, gap = duality_gap(p, *p.unpack(w))
        P, Q = p.unpack(w)
        Z = P @ Q.T
        nuclear = np.linalg.svd(Z, compute_uv=False).sum() / np.sqrt(Z.size)
        np.testing.assert_allclose(
            objective, 0.5 * np.mean((Z - X)[SEEN] ** 2) + 0.4 * nuclear, rtol=1e-12
        )
        assert gap >= objective - lowest - 1e-12


def test_the_spectral_norm_is_bounded_from_above():
    p = problem()
    rng = np.random.default_rng(0)
    for _ in range(5):
        full = np.where(SEEN, rng.standard_normal(X.shape), 0.0)
        E = full if p.observed.values.ndim == 2 else full[SEEN]
        exact = np.linalg.norm(full, 2)
        assert exact * (1 - 1e-12) <= spectral_norm(p.observed, E) <= 1.05 * exact


def test_a_rank_that_is_too_small_does_not_close_the_gap():
    with pytest.warns(ConvergenceWarning, match="duality gap"):
        model = MatrixCompletion(1, alpha=0.1, penalty="nuclear", max_iter=300).fit(X)
    assert model.solve_report_.dual_gap > 1e-3


def test_a_large_strength_gives_zero():
    model = MatrixCompletion(5, alpha=100.0, penalty="nuclear", solver="soft_impute").fit(X)
    assert np.abs(model.components_).max() < 1e-6


def test_what_cannot_be():
    with pytest.raises(IncompatibleSolverError, match=r"penalty is not the nuclear norm"):
        MatrixCompletion(2, alpha=0.1, solver="soft_impute").fit(X)
    with pytest.raises(ValueError, match=r"penalty='nuclear' has no biases.*fit_bias='both'"):
        MatrixCompletion(2, penalty="nuclear", fit_bias="both").fit(X)
    with pytest.raises(ValueError, match="penalty='lasso'"):
        MatrixCompletion(2, penalty="lasso").fit(X)
    for options, message in [({"extra": -1}, "extra=-1"), ({"turns": 0}, "turns=0")]:
        with pytest.raises(ValueError, match=message):
            MatrixCompletion(2, alpha=0.1, penalty="nuclear", solver=SoftImpute(**options)).fit(X)


def test_the_strength_is_learned_here_too():
    model = MatrixCompletion(10, penalty="nuclear", tol=1e-2, random_state=0).fit(X)
    assert model.alpha_ > 0 and model.solve_report_.certificate_kind == "duality gap"
