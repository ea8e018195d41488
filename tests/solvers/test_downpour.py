"""Gradients that come late, and the synchronous sums that they are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rules import logistic, network, ridge, train

from skopt_dl.engine import Stopping, run
from skopt_dl.problems import ShardedProblem
from skopt_dl.solvers import LBFGS, AdaGrad, Downpour

SETTINGS: dict[str, Any] = {"learning_rate": 0.2, "schedule": "constant", "batch_size": 16}


@pytest.mark.parametrize("make", [ridge, network])
def test_one_worker_is_adagrad(make: Any) -> None:
    ours = train(make(), Downpour(n_workers=1, **SETTINGS), 10).w
    np.testing.assert_array_equal(ours, train(make(), AdaGrad(**SETTINGS), 10).w)


@pytest.mark.parametrize("n_workers", [2, 5])
def test_gradients_are_of_the_parameters_that_were_fetched(n_workers: int) -> None:
    problem = logistic()
    settings = {"learning_rate": 0.2, "epsilon": 1e-3, "schedule": "constant"}
    w, r, points = problem.start(), 0.0, [problem.start()]
    for t in range(20):
        late = points[max(0, t - n_workers + 1)]
        g = problem.sample_grad(late, np.arange(48))[1].copy()
        r = r + g * g
        w = w - 0.2 * g / (np.sqrt(r) + 1e-3)
        points.append(w)
    solver = Downpour(n_workers=n_workers, batch_size=48, **settings)
    np.testing.assert_allclose(train(problem, solver, 20).w, w, rtol=1e-10)


def test_the_later_the_worse() -> None:
    problem = logistic()
    best = run(problem, LBFGS(), stopping=Stopping(tol=1e-12, max_iter=500)).certificate.objective
    lost = []
    for n_workers in (1, 8, 32):
        solver = Downpour(n_workers=n_workers, **SETTINGS)
        ends = [train(problem, solver, 8, seed).certificate.objective for seed in range(5)]
        lost.append(np.mean(ends) - best)
    assert lost[0] < lost[1] < lost[2]


def test_settings_that_make_no_sense_are_named() -> None:
    with pytest.raises(ValueError, match="Downpour: n_workers=0"):
        train(ridge(), Downpour(n_workers=0), 1)


@pytest.mark.parametrize("n_jobs", [2, 5])
def test_inner_products_of_shards_are_the_serial_path(n_jobs: int) -> None:
    """Sandblaster: L-BFGS on sums over shards goes where L-BFGS goes."""
    problem = logistic()
    for n in (1, 3, 8):
        stopping = Stopping(tol=None, max_iter=n)
        serial = run(problem, LBFGS(initial="identity"), stopping=stopping).w
        with ShardedProblem(problem, n_jobs) as shards:
            found = run(shards, LBFGS(initial="identity"), stopping=stopping).w
        np.testing.assert_allclose(found, serial, rtol=0, atol=1e-10)
