"""Greedy and block coordinate descent, working sets and screening."""

from __future__ import annotations

from itertools import pairwise

import array_api_strict as strict
import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import MultiTaskLasso

from skopt_dl import ElasticNet, Lasso, PenalizedRegressor
from skopt_dl.dispatch import IncompatibleSolverError, fitting, resolve
from skopt_dl.engine import Oracle, Stopping, run
from skopt_dl.linear_model import alpha_max
from skopt_dl.losses import Logistic, Squared
from skopt_dl.penalties import L1, MCP, SLOPE, ElasticNet as ElasticNetPenalty, GroupLasso
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import (
    FISTA,
    AndersonCD,
    CoordinateDescent,
    GreedyCD,
    WorkingSetCD,
)

GROUPS = [[0, 3], [1, 2, 4], [5], [6, 7, 8, 9]]


def make(n=40, p=10, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * rng.uniform(0.5, 2, p) + rng.standard_normal(p)
    X[:, 1:] += 0.5 * X[:, :-1]
    y = X[:, :4] @ rng.standard_normal(4) + rng.standard_normal(n)
    return X, y, rng.integers(0, 3, n).astype(float)


def solve(problem, solver, tol=1e-10, max_iter=100_000):
    stopping = Stopping(tol=tol, max_iter=max_iter)
    result = run(problem, solver, stopping=stopping, rng=np.random.default_rng(0))
    assert result.success, result
    return result


# --- blocks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", [CoordinateDescent(), AndersonCD(), GreedyCD()], ids=repr)
@pytest.mark.parametrize("convert", [np.asarray, sparse.csc_array, sparse.csr_array])
@pytest.mark.parametrize("weights", [None, [1.0, 0.5, 2.0, 0.0]], ids=["plain", "weights"])
@pytest.mark.parametrize("intercept", [True, False])
def test_a_group_lasso_by_blocks_has_the_optimum_of_fista(solver, convert, weights, intercept):
    X, y, omega = make()
    penalty = GroupLasso(GROUPS, 0.3, weights)
    problem = LinearProblem(
        convert(X), y, Squared(), penalty, sample_weight=omega, fit_intercept=intercept
    )
    best = solve(problem, FISTA(), tol=1e-9)
    found = solve(problem, solver, tol=1e-9)
    np.testing.assert_allclose(found.w, best.w, atol=1e-4)
    norms = [np.linalg.norm(found.w[g]) for g in GROUPS]
    assert norms[3] > 0 or weights is None


def test_a_group_lasso_on_a_kronecker_design_is_a_multi_task_lasso():
    X, y, _ = make()
    Y = np.stack([y, np.roll(y, 1), X[:, 2] - y], axis=1)
    theirs = MultiTaskLasso(0.2, fit_intercept=False, tol=1e-13, max_iter=100_000).fit(X, Y)
    groups = np.arange(30).reshape(10, 3)
    # 3 times as many rows: their mean is a third of the sum over targets.
    penalty = GroupLasso(groups.tolist(), 0.2 / 3, np.ones(10))
    problem = LinearProblem(np.kron(X, np.eye(3)), Y.ravel(), Squared(), penalty)
    found = solve(problem, CoordinateDescent(), tol=1e-13)
    np.testing.assert_allclose(found.w.reshape(10, 3), theirs.coef_.T, atol=1e-6)


def test_blocks_of_empty_and_constant_columns_are_cleared():
    X, y, _ = make()
    X[:, 5], X[:, [6, 7, 8, 9]] = 3.0, 0.0
    problem = LinearProblem(X, y, Squared(), GroupLasso(GROUPS, 0.1), fit_intercept=True)
    start = np.ones(10)
    result = run(problem, CoordinateDescent(), start=start, stopping=Stopping(1e-10, 10_000))
    assert result.success
    np.testing.assert_array_equal(result.w[5:], 0)


def test_blocks_of_one_are_coordinates():
    X, y, _ = make()
    alone = LinearProblem(X, y, Squared(), GroupLasso([[j] for j in range(10)], 0.2))
    plain = LinearProblem(X, y, Squared(), L1(0.2))
    states = []
    for problem in (alone, plain):
        solver, w = CoordinateDescent(), np.zeros(10)
        state = solver.init(problem, w, None)
        solver.advance(problem, state, 7)
        states.append(state)
    np.testing.assert_allclose(states[0].w, states[1].w, atol=1e-12)
    assert float(states[0].indicator) == pytest.approx(float(states[1].indicator))


def test_blocks_are_for_a_quadratic_loss_of_one_output():
    X, y, _ = make()
    model = PenalizedRegressor(penalty=GroupLasso(GROUPS), alpha=0.1, solver="cd").fit(X, y)
    assert model.solve_report_.certificate <= 1e-4
    classes = LinearProblem(X, (y > 0) * 1.0, Logistic(), GroupLasso(GROUPS))
    assert "cd" not in fitting(classes)
    several = LinearProblem(X, np.stack([y, y], axis=1), Squared(), GroupLasso(GROUPS))
    assert "cd" not in fitting(several)


# --- greedy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("intercept", [True, False])
def test_the_classical_rule_visits_the_coordinate_that_promises_the_most(intercept):
    X, y, omega = make()
    problem = LinearProblem(X, y, Squared(), L1(0.2), sample_weight=omega, fit_intercept=intercept)
    weights = omega / omega.sum()
    Xc = X - weights @ X if intercept else X
    yc = y - weights @ y if intercept else y
    L = weights @ Xc**2
    solver, w = GreedyCD(share=0), np.zeros(10)
    state, expected = solver.init(problem, w, None), np.zeros(10)
    for _ in range(15):
        g = -Xc.T @ (weights * (yc - Xc @ expected))
        distance = problem.penalty.distance(expected, g)
        j = int(np.argmax(distance / np.sqrt(L)))
        expected[j] = problem.penalty.prox_coordinate(expected[j] - g[j] / L[j], 1 / L[j], j)
        solver.advance(problem, state, 1)
        np.testing.assert_allclose(state.w, expected, atol=1e-10)
        assert float(state.indicator) == pytest.approx(distance[j] / np.sqrt(L[j]))
    assert state.n_iter == 15


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    "penalty", [L1(0.2), ElasticNetPenalty(0.1, 0.2, positive=True), MCP(0.2)], ids=repr
)
def test_greedy_reaches_the_optimum(share, penalty):
    X, y, _ = make()
    problem = LinearProblem(X, y, Squared(), penalty, fit_intercept=True)
    best, found = solve(problem, CoordinateDescent()), solve(problem, GreedyCD(share=share))
    assert found.certificate.objective <= best.certificate.objective + 1e-8


def test_greedy_needs_fewer_visits_where_few_columns_matter():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 300))
    y = X[:, :3] @ [3.0, -2.0, 1.0] + 0.1 * rng.standard_normal(200)
    problem = LinearProblem(X, y, Squared(), L1(0.3))
    greedy = solve(problem, GreedyCD(share=0), tol=1e-6)
    state = CoordinateDescent().init(problem, np.zeros(300), None)
    CoordinateDescent().advance(problem, state, 1)
    # As many visits as three sweeps over the support take; one sweep of all takes 300.
    assert greedy.n_iter <= 20
    assert problem.certificate(state.w).value > 1e-6


def test_greedy_says_what_it_lacks():
    X, y, _ = make()
    with pytest.raises(IncompatibleSolverError, match="how far each coordinate is"):
        PenalizedRegressor(penalty=SLOPE(0.1), solver="greedy_cd").fit(X, y)
    with pytest.raises(ValueError, match="share=2"):
        Lasso(0.1, solver=GreedyCD(share=2)).fit(X, y)


# --- working sets and screening -----------------------------------------------------------------

PENALTIES = [
    L1(0.3),
    L1(0.3, positive=True),
    ElasticNetPenalty(0.2, 0.1),
    L1(0.3, weights=np.linspace(0.2, 2, 60)),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("convert", [np.asarray, sparse.csc_array])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_what_is_screened_out_is_zero_at_the_optimum(penalty, intercept, convert, dtype):
    X, y, omega = (a.astype(dtype) for a in make(40, 60))
    X = np.where(np.abs(X) > 0.5, X, 0)
    problem = LinearProblem(
        convert(X), y, Squared(), penalty, sample_weight=omega, fit_intercept=intercept
    )
    exact = LinearProblem(
        X.astype(float), y.astype(float), Squared(), penalty, sample_weight=omega.astype(float),
        fit_intercept=intercept,
    )  # fmt: skip
    best = solve(exact, resolve("active_set", exact)[0], tol=1e-13)
    solver = WorkingSetCD()
    state, alive = solver.init(problem, np.zeros(60, dtype), np.random.default_rng(0)), []
    for _ in range(8):
        solver.advance(problem, state, 1)
        alive.append(state.screening.alive.copy())
        assert not np.any(best.w[~alive[-1]])
        assert not np.any(state.w[~alive[-1]])
    for earlier, later in pairwise(alive):
        assert np.all(earlier | ~later)
    assert alive[-1].sum() < 60
    np.testing.assert_allclose(state.w, best.w, atol=1e-3)


@pytest.mark.parametrize("inner", [None, CoordinateDescent(newton=False), FISTA()], ids=repr)
def test_working_sets_reach_the_optimum_with_any_inner_solver(inner):
    X, y, _ = make(60, 200)
    alpha = alpha_max(X, y) / 20
    best = Lasso(alpha, tol=1e-12).fit(X, y)
    model = Lasso(alpha, tol=1e-9, solver=WorkingSetCD(inner=inner)).fit(X, y)
    assert model.solve_report_.status == "converged"
    np.testing.assert_allclose(model.coef_, best.coef_, atol=1e-4)
    if inner is not None and inner.unit == "epoch":
        # Most of the work is done on few columns.
        alone = Lasso(alpha, tol=1e-9, solver=inner, max_iter=10_000).fit(X, y)
        assert model.solve_report_.n_epochs < 0.7 * alone.n_iter_


def test_free_columns_and_empty_answers():
    X, y, _ = make()
    free = L1(0.3, weights=np.arange(10.0) % 3)
    problem = LinearProblem(X, y, Squared(), free, fit_intercept=True)
    best = solve(problem, CoordinateDescent())
    np.testing.assert_allclose(solve(problem, WorkingSetCD()).w, best.w, atol=1e-5)
    top = Lasso(alpha_max(X, y), solver="working_set").fit(X, y)
    assert not np.any(top.coef_)
    warm = ElasticNet(0.1, solver="working_set", warm_start=True, tol=1e-9).fit(X, y)
    first = warm.n_iter_
    assert warm.fit(X, y).n_iter_ <= first
    with pytest.raises(ValueError, match="max_inner=0"):
        Lasso(0.1, solver=WorkingSetCD(max_inner=0)).fit(X, y)


def test_what_single_precision_cannot_reach_ends_soon():
    X, y, _ = make(40, 60)
    with pytest.warns(ConvergenceWarning, match="use float64"):
        model = Lasso(0.1, tol=1e-14, solver="working_set").fit(X.astype(np.float32), y)
    assert model.n_iter_ < 50
    assert model.solve_report_.certificate < 1e-4


def test_extrapolation_needs_a_tenth_of_the_epochs_on_diabetes():
    X, y = load_diabetes(return_X_y=True)
    problem = LinearProblem(X, y, Squared(), L1(alpha_max(X, y) / 200), fit_intercept=True)
    slow = solve(problem, CoordinateDescent(newton=False))
    fast = solve(problem, AndersonCD())
    sets = solve(problem, WorkingSetCD())
    assert slow.n_epochs > 900
    assert fast.n_epochs <= 100
    assert sets.n_epochs <= 100


def test_blocks_greedy_and_sets_run_in_any_namespace():
    X, y, _ = make(20, 10)
    device = strict.Device("device1")
    arrays = [strict.asarray(a, device=device) for a in (X, y)]
    for penalty, solvers in (
        (GroupLasso(GROUPS, 0.2), [CoordinateDescent(), AndersonCD(), GreedyCD()]),
        (L1(0.2), [GreedyCD(), WorkingSetCD()]),
    ):
        there = LinearProblem(*arrays, Squared(), penalty, fit_intercept=True)
        here = LinearProblem(X, y, Squared(), penalty, fit_intercept=True)
        best = solve(here, FISTA(), tol=1e-8)
        for solver in solvers:
            found = solve(there, solver, tol=1e-6)
            assert found.w.device == device
            assert found.certificate.objective == pytest.approx(
                best.certificate.objective, rel=1e-5
            )
    assert Oracle.SCREENING in there.offers
