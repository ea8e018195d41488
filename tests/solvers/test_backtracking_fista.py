"""FISTA with backtracking: its inequality at every iterate, steps that follow the curvature."""

from __future__ import annotations

import numpy as np
import pytest

from skopt_dl.engine import Status, Stopping, run
from skopt_dl.losses import Logistic, Poisson, Squared
from skopt_dl.penalties import L1, GroupLasso, L1Ball
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import FISTA, BacktrackingFISTA
from skopt_dl.solvers.backtracking_fista import LONGER


def problem(loss, penalty, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((60, 6)) * np.linspace(0.3, 2.0, 6)
    signal = X @ np.array([1.0, -1.0, 0.0, 0.0, 0.5, 0.0])
    y = {
        Squared: signal,
        Logistic: (signal > 0).astype(float),
        Poisson: rng.poisson(np.exp(np.clip(signal, None, 3.0))).astype(float),
    }[type(loss)]
    return LinearProblem(X, y, loss, penalty, fit_intercept=True)


@pytest.mark.parametrize("loss", [Squared(), Logistic(), Poisson()], ids=repr)
def test_every_step_keeps_below_its_parabola(loss):
    p, solver = problem(loss, L1(0.02)), BacktrackingFISTA()
    state = solver.init(p, p.start(), np.random.default_rng(0))
    for _ in range(40):
        z = np.copy(state.z)
        assert solver.advance(p, state, 1) is Status.RUNNING
        step, d = state.step / LONGER, state.w - z
        value, g = p.smooth_value_grad(z)
        parabola = value + g @ d + d @ d / (2 * step)
        after = p.smooth_value_grad(state.w)[0]
        assert after <= parabola + 1e-13 * abs(value)
        np.testing.assert_allclose(state.w, p.prox(z - step * g, step), atol=1e-14)


@pytest.mark.parametrize("loss", [Squared(), Logistic()], ids=repr)
def test_steps_are_no_shorter_than_half_of_the_safe_one(loss):
    p, solver = problem(loss, L1(0.02)), BacktrackingFISTA()
    safe = 1 / float(p.lipschitz())
    state = solver.init(p, p.start(), np.random.default_rng(0))
    for _ in range(60):
        solver.advance(p, state, 1)
        assert state.step / LONGER >= 0.5 * safe


@pytest.mark.parametrize(
    "penalty", [L1(0.02), L1Ball(1.0), GroupLasso([[0, 1], [2, 3], [4, 5]], 0.02)]
)
def test_it_ends_where_fista_does(penalty):
    p = problem(Logistic(), penalty)
    stopping = Stopping(tol=1e-10, max_iter=20_000)
    mine, plain = run(p, BacktrackingFISTA(), stopping=stopping), run(p, FISTA(), stopping=stopping)
    assert mine.success
    assert plain.success
    np.testing.assert_allclose(mine.w, plain.w, atol=1e-5)
    assert mine.n_iter <= plain.n_iter


def test_where_no_step_will_do_it_says_so():
    class Island(LinearProblem):
        def smooth_value_grad(self, w):  # defined at the start alone
            value, g = super().smooth_value_grad(w)
            return (value, g) if not w.any() else (value * np.nan, g * np.nan)

    p = problem(Squared(), L1(0.02))
    lonely = Island(p.base.X, p.y, p.loss, p.penalty)
    result = run(lonely, BacktrackingFISTA(), stopping=Stopping(tol=1e-8, max_iter=100))
    assert result.status is Status.LINE_SEARCH_FAILED
    assert not result.w.any()
