"""Matrix completion with non-negative factors: blocks by coordinate descent, bounds by L-BFGS."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
from scipy.optimize import nnls

from skopt_dl.dispatch import IncompatibleSolverError, fitting
from skopt_dl.engine import Stopping, run
from skopt_dl.kernels.generic_nonnegative import bounded_solutions
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.solvers import ALS, ProjectedGradient


def data(m=60, n=40, rank=3, noise=0.2, seed=0):
    rng = np.random.default_rng(seed)
    full = rng.gamma(1.0, size=(m, rank)) @ rng.gamma(1.0, size=(rank, n))
    full /= full.std()
    X = full + noise * rng.standard_normal((m, n))
    return np.where(rng.random((m, n)) < 0.6, np.nan, X), full


X, FULL = data()


def problem(alpha=0.01):
    return MatrixCompletion(3, alpha=alpha, positive=True, random_state=0)._build_problem(X)


def test_rows_are_non_negative_least_squares():
    rng = np.random.default_rng(0)
    F, b = rng.random((30, 4)), rng.standard_normal((8, 30))
    G = np.repeat((F.T @ F)[None], 8, axis=0)
    ridge = np.full(8, 0.1)
    solved = bounded_solutions(G, b @ F, ridge, np.zeros((8, 4)))
    stacked = np.vstack([F, np.sqrt(0.1) * np.eye(4)])
    for i in range(8):
        expected = nnls(stacked, np.concatenate([b[i], np.zeros(4)]))[0]
        np.testing.assert_allclose(solved[i], expected, atol=1e-2)
    strict = [array_api_strict.asarray(a) for a in (G, b @ F, ridge, np.zeros((8, 4)))]
    np.testing.assert_allclose(np.asarray(bounded_solutions(*strict)), solved, atol=1e-12)
    # Rows without entries stay at zero.
    empty = bounded_solutions(np.zeros((1, 2, 2)), np.zeros((1, 2)), np.zeros(1), np.ones((1, 2)))
    assert not empty.any()


def test_the_objective_never_rises_and_balance_keeps_signs_and_model():
    p, solver = problem(), ALS()
    state = solver.init(p, p.start(), None)
    values = [float(p.value(state.w))]
    for _ in range(20):
        solver.advance(p, state, 1)
        values.append(float(p.value(state.w)))
        assert state.w.min() >= 0
    assert np.all(np.diff(values) <= 1e-12)
    w = state.w * np.random.default_rng(0).random(state.w.shape)
    P, Q = p.unpack(w)
    balanced = w.copy()
    p.balance(balanced)
    Pb, Qb = p.unpack(balanced)
    np.testing.assert_allclose(Pb @ Qb.T, P @ Q.T, atol=1e-12)
    assert p.value(balanced) <= p.value(w) and balanced.min() >= 0


@pytest.mark.parametrize("alpha", [1e-4, 0.01])
def test_momentum_saves_more_than_half_of_the_turns(alpha):
    runs = [
        run(problem(alpha), ALS(momentum=m), stopping=Stopping(tol=1e-6, max_iter=20_000))
        for m in (False, "auto")
    ]
    assert all(r.success for r in runs)
    assert 2 * runs[1].n_iter < runs[0].n_iter
    np.testing.assert_allclose(*(r.certificate.objective for r in runs), rtol=1e-3)


def test_momentum_without_bounds_ends_at_the_same_minimum():
    def build():
        return MatrixCompletion(3, alpha=1e-3, random_state=0)._build_problem(X)

    stopping = Stopping(tol=1e-8, max_iter=5000)
    runs = [run(build(), ALS(momentum=m), stopping=stopping) for m in ("auto", True)]
    assert all(r.success for r in runs) and runs[1].n_iter < runs[0].n_iter
    np.testing.assert_allclose(*(r.certificate.objective for r in runs), rtol=1e-7)
    with pytest.raises(ValueError, match="momentum='no'"):
        MatrixCompletion(3, alpha=0.1, solver=ALS(momentum="no")).fit(X)


def test_solvers_agree_and_all_is_non_negative():
    assert {"als", "lbfgsb", "projected_gradient"} <= set(fitting(problem()))
    models = [
        MatrixCompletion(3, alpha=0.01, positive=True, solver=s, tol=1e-6, random_state=0).fit(X)
        for s in ("als", "lbfgsb", "projected_gradient")
    ]
    objectives = [model.solve_report_.objective for model in models]
    np.testing.assert_allclose(objectives[1:], objectives[0], rtol=1e-3)
    missing = np.isnan(X)
    free = MatrixCompletion(3, alpha=0.01, tol=1e-6, random_state=0).fit(X).transform(X)
    for model in models:
        assert model.components_.min() >= 0 and model.row_factors_.min() >= 0
        assert model.solve_report_.status == "converged"
        off = (model.transform(X) - FULL)[missing]
        assert np.linalg.norm(off) < np.linalg.norm((free - FULL)[missing])
        np.testing.assert_allclose(model.transform(X[:4]), model.transform(X)[:4], atol=1e-10)


def test_projected_gradients_stay_within_bounds_and_descend_if_told_to():
    p, solver = problem(), ProjectedGradient(acceleration=False)
    state = solver.init(p, p.start() - 0.1, None)
    assert state.w.min() == 0
    values = [float(p.value(state.w))]
    for _ in range(60):
        solver.advance(p, state, 1)
        values.append(float(p.value(state.w)))
        assert state.w.min() >= 0
    assert np.all(np.diff(values) <= 1e-14) and values[-1] < 0.5 * values[0]


def test_projected_gradients_take_spectral_lengths():
    """Step by step from the gradients, where no step is shortened."""
    p, solver = problem(), ProjectedGradient()
    state = solver.init(p, p.start(), None)
    w, g = state.w.copy(), p.bounded_point(state.w).grad
    length = 1 / np.abs(g).max()
    for _ in range(4):
        solver.advance(p, state, 1)
        full = np.maximum(w - length * g, 0)
        t = np.linalg.norm(state.w - w) / np.linalg.norm(full - w)
        np.testing.assert_allclose(state.w, w + t * (full - w), atol=1e-12)
        assert 0 < t <= 1 + 1e-12
        after = p.bounded_point(state.w).grad
        s, y = state.w - w, after - g
        length = s @ s / (s @ y)
        assert state.length == pytest.approx(length if s @ y > 0 else 0.0)
        if s @ y <= 0:
            length = 1 / np.abs(after).max()
        w, g = state.w.copy(), after
    result = run(problem(), solver, stopping=Stopping(tol=1e-6, max_iter=2000))
    best = run(problem(), ALS(), stopping=Stopping(tol=1e-6, max_iter=2000))
    assert result.success
    np.testing.assert_allclose(*(r.certificate.objective for r in (result, best)), rtol=1e-3)


def test_the_certificate_knows_the_bound():
    p = problem()
    result = run(p, ALS(), stopping=Stopping(tol=1e-6, max_iter=3000))
    assert result.success
    gradient = p.bounded_point(result.w).grad
    held = result.w == 0
    assert held.any() and gradient[held].min() > -1e-6
    assert np.abs(gradient[~held]).max() < 1e-5


def test_the_strength_is_learned():
    model = MatrixCompletion(3, positive=True, random_state=0).fit(X)
    assert model.solver_ == "als" and 0 < model.alpha_ < 0.1 and model.components_.min() >= 0


def test_what_cannot_be():
    with pytest.raises(IncompatibleSolverError, match=r"the factors have bounds"):
        MatrixCompletion(3, alpha=0.1, positive=True, solver="lbfgs").fit(X)
    with pytest.raises(
        IncompatibleSolverError, match=r"the factors have none \(positive=True has\)"
    ):
        MatrixCompletion(3, alpha=0.1, solver="lbfgsb").fit(X)
    for params in ({"fit_bias": "both"}, {"penalty": "nuclear"}):
        with pytest.raises(ValueError, match="positive=True has neither biases"):
            MatrixCompletion(3, positive=True, **params).fit(X)
