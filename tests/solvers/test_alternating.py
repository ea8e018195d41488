"""Alternating least squares on a small matrix: exact blocks, monotone, fast by balancing."""

from __future__ import annotations

import numpy as np
import pytest

from skopt_dl.dispatch import IncompatibleSolverError
from skopt_dl.engine import Status, Stopping, run
from skopt_dl.linear_model import Lasso
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.matrix_completion.observe import observe
from skopt_dl.matrix_completion.problem import FactorProblem
from skopt_dl.solvers.alternating import ALS

BIASES = [(False, False), (True, False), (False, True), (True, True)]


def problem(row_bias=False, col_bias=False, alpha=1e-3, noise=0.1, seed=0):
    """A 40 x 25 matrix of rank 3 with half its entries; row 2 and column 5 are empty."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, 3)) @ rng.standard_normal((3, 25))
    X += noise * rng.standard_normal(X.shape)
    X[rng.random(X.shape) < 0.5] = np.nan
    X[2], X[:, 5] = np.nan, np.nan
    weights = rng.integers(1, 4, 40).astype(float)
    return FactorProblem(
        observe(X, np.nan, weights), 3, alpha, row_bias=row_bias, col_bias=col_bias
    )


@pytest.mark.parametrize("biases", BIASES)
@pytest.mark.parametrize("block", ["rows", "cols"])
def test_a_block_is_solved_exactly_and_alone(biases, block):
    p = problem(*biases)
    w = np.random.default_rng(1).standard_normal(p.size)
    before = w.copy()
    p.block_solve(w, block)
    other = p.blocks["cols" if block == "rows" else "rows"]
    np.testing.assert_array_equal(w[other], before[other])
    assert abs(p.point(w).grad[p.blocks[block]]).max() < 1e-14
    assert p.value(w) < p.value(before)


@pytest.mark.parametrize("biases", BIASES)
def test_the_objective_never_increases(biases):
    p, solver = problem(*biases), ALS()
    state = solver.init(p, p.random_start(), None)
    values = [float(p.value(state.w))]
    for _ in range(20):
        assert solver.advance(p, state, 1) is Status.RUNNING
        values.append(float(p.value(state.w)))
    assert np.all(np.diff(values) <= 1e-15)
    assert values[-1] < 0.5 * values[0]


@pytest.mark.parametrize("biases", BIASES)
def test_balancing_keeps_the_model_and_lowers_the_penalty(biases):
    p = problem(*biases)
    w = p.start() + 0.3 * np.random.default_rng(1).standard_normal(p.size)
    seen_rows, seen_cols = p.observed.row_weight > 0, p.observed.col_weight > 0
    seen = np.ix_(seen_rows, seen_cols)
    P, Q = p.unpack(w)
    P[~seen_rows], Q[~seen_cols] = 0, 0
    L, R = p.factors(w)
    balanced = w.copy()
    p.balance(balanced)
    Lb, Rb = p.factors(balanced)
    np.testing.assert_allclose((Lb @ Rb.T)[seen], (L @ R.T)[seen], atol=1e-12)
    assert p.value(balanced) < p.value(w)
    Pb, Qb = p.unpack(balanced)
    assert not Pb[~seen_rows].any() and not Qb[~seen_cols].any()
    # Balanced: both factors have the same weighted Gram.
    gram_u = Pb[:, :3].T @ (p.observed.row_weight[:, None] * Pb[:, :3])
    gram_v = Qb[:, :3].T @ (p.observed.col_weight[:, None] * Qb[:, :3])
    np.testing.assert_allclose(gram_u, gram_v, rtol=1e-10, atol=1e-10)


def test_balancing_what_is_balanced_moves_nothing():
    p = problem()
    w = p.start()
    p.balance(w)
    again = w.copy()
    p.balance(again)
    np.testing.assert_allclose(again, w, atol=1e-12)


@pytest.mark.parametrize("biases", BIASES)
def test_converges_in_few_turns_even_with_a_tiny_penalty(biases):
    """Without balancing this takes thousands of turns."""
    p = problem(*biases, alpha=1e-5, noise=0.0)
    result = run(p, ALS(), stopping=Stopping(tol=1e-7, max_iter=150))
    assert result.status is Status.CONVERGED


def test_restart_from_its_own_answer_stops_at_once():
    p = problem()
    answer = run(p, ALS(), stopping=Stopping(tol=1e-6, max_iter=1000))
    again = run(p, ALS(), start=answer.w, stopping=Stopping(tol=1e-6, max_iter=1000))
    assert answer.success and again.success and again.n_iter <= 1


def test_agrees_with_a_plain_alternation():
    """Without a way to balance, the same blocks in the same order reach the same optimum."""
    p = problem(alpha=0.1)
    result = run(p, ALS(), stopping=Stopping(tol=1e-9, max_iter=1000))
    w = p.start()
    for _ in range(3000):
        p.block_solve(w, "cols")
        p.block_solve(w, "rows")
    np.testing.assert_allclose(result.certificate.objective, p.value(w), rtol=1e-9)


def test_needs_blocks():
    with pytest.raises(IncompatibleSolverError, match="exact minimisation over a block"):
        Lasso(solver="als").fit(np.eye(3), [1.0, 2.0, 3.0])


def test_is_what_auto_takes_for_completion():
    X = np.array([[1.0, np.nan], [2.0, 4.0], [3.0, 6.0]])
    model = MatrixCompletion(1, alpha=0.05).fit(X)
    assert model.solver_ == "als"
    assert model.solve_report_.reason == "the blocks have exact solutions"
