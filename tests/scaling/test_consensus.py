"""Consensus ADMM: parts that solve for themselves agree on the answer of all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from skopt_dl import LogisticRegression
from skopt_dl.losses import Logistic
from skopt_dl.problems.consensus import local_step
from skopt_dl.solvers import ConsensusADMM

SCALES = np.logspace(-1, 2, 6)


def rows(classes: int) -> tuple[Any, Any]:
    """Raw columns of sizes from 0.1 to 100, far from zero."""
    rng = np.random.default_rng(0)
    X = SCALES * (rng.standard_normal((600, 6)) + 3)
    z = (X / SCALES) @ rng.standard_normal(6) + rng.logistic(size=600)
    return X, np.digitize(z, np.quantile(z, np.arange(1, classes) / classes))


def batches(X: Any, y: Any) -> list[tuple[Any, Any]]:
    return [(X[i : i + 170], y[i : i + 170]) for i in range(0, len(X), 170)]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.6])
def test_parts_agree_on_the_answer_of_all(classes: int, l1_ratio: float) -> None:
    X, y = rows(classes)
    settings = {"C": 0.05, "l1_ratio": l1_ratio, "tol": 1e-7}
    model = LogisticRegression(solver=ConsensusADMM(), max_iter=500, **settings)
    model.fit_batches(batches(X, y))
    solver = "prox_newton" if l1_ratio else "newton_cholesky"
    known = LogisticRegression(solver=solver, max_iter=50, **settings).fit(X, y)
    np.testing.assert_allclose(model.coef_ * SCALES, known.coef_ * SCALES, atol=1e-5)
    np.testing.assert_array_equal(model.coef_ == 0, known.coef_ == 0)
    assert model.solver_ == "consensus_admm"


def test_a_step_of_a_part_minimises_its_own_objective() -> None:
    X, y = rows(2)
    rng = np.random.default_rng(1)
    block = (X, y.astype(float), np.full(600, 1 / 600))
    z, metric, origin = rng.standard_normal(7) / 100, np.append(SCALES**2, 1.0), X.mean(axis=0)
    settings = (Logistic(), (6, 1), origin, z, metric)
    (x, u, hat), sums = local_step(block, None, *settings, 0.7, 1.0, 1.6)

    def objective(w: Any, v: Any, rho: float) -> float:
        scores = (X - origin) @ w[:6] + w[6]
        near = rho / 2 * float(metric @ (w - v) ** 2)
        return float(np.mean(np.logaddexp(0, scores) - y * scores)) + near

    best = minimize(objective, z, args=(z, 0.7), tol=1e-14)
    np.testing.assert_allclose(x, best.x, atol=1e-4)
    np.testing.assert_allclose(hat, 1.6 * x - 0.6 * z)
    np.testing.assert_array_equal(u, 0)
    np.testing.assert_allclose(sums, [*(hat + u), metric @ (x - z) ** 2])
    # The multipliers follow, in units of the new rho.
    after, _ = local_step(block, (x, u, hat), *settings, 1.4, 2.0, 1.6)
    np.testing.assert_allclose(after[1], (hat - z) / 2)
    best = minimize(objective, z, args=(z - after[1], 1.4), tol=1e-14)
    np.testing.assert_allclose(after[0], best.x, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"rho": 0.0}, r"rho=0\.0"), ({"relaxation": 2.0}, r"relaxation=2\.0")],
)
def test_settings_out_of_range_are_named(settings: dict[str, float], message: str) -> None:
    X, y = rows(2)
    with pytest.raises(ValueError, match=message):
        LogisticRegression(solver=ConsensusADMM(**settings)).fit_batches(batches(X, y))
