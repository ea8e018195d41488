"""Every registered loss with every registered penalty, by one solver of each family that fits.

A family is a set of oracles: solvers that ask a problem for unlike things compute their answers in
unlike ways, so where they agree they are right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skopt_dl import PenalizedClassifier, PenalizedRegressor
from skopt_dl.dispatch import LOSSES, PENALTIES, SOLVERS, fitting
from skopt_dl.engine import Oracle
from skopt_dl.losses import Huber, Quantile
from skopt_dl.penalties import (
    L1,
    L2,
    MCP,
    SCAD,
    SLOPE,
    Box,
    ElasticNet,
    GroupLasso,
    L1Ball,
    Simplex,
)
from skopt_dl.testing.solvers import wanders

GROUPS = [[0, 1], [2, 3, 4], [5]]
SETTINGS: dict[str, Any] = {
    "box": Box(-0.5, 0.7),
    "elastic_net": ElasticNet(0.05, 0.05),
    "group_lasso": GroupLasso(GROUPS, 0.05),
    "l1": L1(0.05),
    "l1 with weights": L1(0.05, weights=np.array([1.0, 0.0, 2.0, 0.5, 0.0, 3.0])),
    "l1, positive": L1(0.05, positive=True),
    "l1_ball": L1Ball(1.0),
    "l2": L2(0.1),
    "mcp": MCP(0.1),
    "scad": SCAD(0.1),
    "simplex": Simplex(2.0),
    "slope": SLOPE(0.05),
}
PARTS = {"huber": Huber(0.5), "quantile": Quantile(0.3, 0.1)}
CLASSIFIED = ("logistic", "multinomial", "squared_hinge")


def data(loss: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 6)) * np.linspace(0.7, 1.5, 6) + 0.3
    y = X @ [1.5, -2.0, 0.0, 0.0, 1.0, 0.5] + 1.0 + 0.3 * rng.standard_normal(50)
    if loss == "poisson":
        return X, rng.poisson(np.exp(np.clip(y / 3, None, 3.0))).astype(float)
    if loss == "multinomial":
        return X, np.digitize(y + rng.standard_normal(50), [-1.0, 2.0])
    return X, (y + rng.standard_normal(50) > 0).astype(int) if loss in CLASSIFIED else y


def model_of(loss: str, penalty: str, **params: Any) -> Any:
    kind = PenalizedClassifier if loss in CLASSIFIED else PenalizedRegressor
    return kind(PARTS.get(loss, loss), SETTINGS[penalty], random_state=0, **params)


def families(problem: Any) -> list[str]:
    """The first solver of each set of oracles, without those that draw samples or only approach."""
    drawn = {Oracle.SAMPLE_SLOPES}
    chosen: dict[frozenset[Oracle], str] = {}
    for name in fitting(problem):
        solver = SOLVERS.get(name)
        if not wanders(solver) and not drawn & solver.needs.oracles:
            chosen.setdefault(solver.needs.oracles, name)
    return list(chosen.values())


def test_every_registered_part_is_here() -> None:
    assert {*PENALTIES.names()} <= {*SETTINGS}
    assert {*PARTS, *CLASSIFIED} <= {*LOSSES.names()}


@pytest.mark.parametrize("penalty", SETTINGS)
@pytest.mark.parametrize("loss", LOSSES.names())
def test_unlike_solvers_agree(loss: str, penalty: str) -> None:
    X, y = data(loss)
    names = families(model_of(loss, penalty)._build_problem(X, y))
    convex = SETTINGS[penalty].convex
    # Without convexity only the methods of a bounded curvature or of single coordinates are left.
    assert len(names) >= (2 if convex else 1)
    reports = {}
    for name in names:
        # Constant steps take long to a stationary point of a flat loss.
        tol = 1e-6 if convex else 1e-3
        model = model_of(loss, penalty, solver=name, tol=tol, max_iter=20_000).fit(X, y)
        reports[name] = model.solve_report_
        assert reports[name].status == "converged", name
        assert np.all(np.isfinite(model.predict(X) if loss not in CLASSIFIED else model.coef_))
    if not convex:
        return
    kinds = {report.certificate_kind for report in reports.values()}
    # A column without a penalty leaves no dual point in reach.
    assert kinds == {"stationarity" if penalty == "l1 with weights" else "duality gap"}
    lowest = min(report.objective for report in reports.values())
    for name, report in reports.items():
        reach = 1e-6 if report.dual_gap is None else report.dual_gap + 1e-12
        assert report.objective - lowest <= reach, name


@pytest.mark.parametrize("loss", LOSSES.names())
def test_a_strength_of_zero_leaves_a_column_free(loss: str) -> None:
    X, y = data(loss)
    weights = np.array([1.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    penalty = L1(10.0, weights=weights)
    kind = PenalizedClassifier if loss in CLASSIFIED else PenalizedRegressor
    model = kind(PARTS.get(loss, loss), penalty, tol=1e-6, max_iter=20_000).fit(X, y)
    used = np.flatnonzero(np.any(np.atleast_2d(model.coef_) != 0, axis=0))
    assert used.tolist() == [1]
    # It is the fit on that column alone.
    alone = kind(PARTS.get(loss, loss), L1(0.0), tol=1e-7, max_iter=20_000).fit(X[:, [1]], y)
    found = np.atleast_2d(model.coef_)[:, 1] - np.mean(np.atleast_2d(model.coef_)[:, 1])
    expected = np.ravel(alone.coef_) - np.mean(alone.coef_)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(
        np.atleast_2d(model.coef_).shape[0], np.atleast_2d(alone.coef_).shape[0]
    )


@pytest.mark.parametrize("penalty", ["mcp", "scad"])
@pytest.mark.parametrize("loss", ["logistic", "poisson", "huber", "squared_hinge"])
def test_newton_steps_reach_stationary_points_without_convexity(loss: str, penalty: str) -> None:
    X, y = data(loss)
    model = model_of(loss, penalty, solver="prox_newton", tol=1e-10).fit(X, y)
    assert model.solve_report_.status == "converged"
    objectives = model.solve_report_.history["objective"]
    seen = np.asarray([value for value in objectives if value == value])
    assert np.all(np.diff(seen) <= 1e-12)
    # By the definition: the slope of the loss is balanced by that of the penalty.
    problem = model._build_problem(X, y)
    coef = np.ravel(model.coef_)
    w = np.append(coef, model.intercept_)
    slope = problem.loss_grad(problem.predict_raw(w))
    np.testing.assert_allclose(problem.penalty.distance(coef, slope[:-1]), 0, atol=1e-8)
    assert abs(slope[-1]) <= 1e-8
