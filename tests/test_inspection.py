"""Solver tables and convergence plots."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from cases import CASES
from sklearn.datasets import load_diabetes

from skopt_dl.dispatch import SOLVERS, fitting
from skopt_dl.engine import Stopping, run
from skopt_dl.inspection import convergence_plot, solver_table
from skopt_dl.linear_model import Lasso
from skopt_dl.solvers.proximal_gradient import FISTA, ISTA

X, y = load_diabetes(return_X_y=True)


def test_the_table_has_every_solver_once():
    table = solver_table(Lasso(), X, y)
    assert [row.name for row in table] == SOLVERS.names()
    assert len(table) == len(table.rows)


@pytest.mark.parametrize("case", CASES[::6], ids=str)
def test_the_table_tells_what_resolve_does(case):
    problem = case.problem()
    table = solver_table(problem)
    assert [row.name for row in table if row.fits] == fitting(problem)
    for row in table:
        assert list(row.missing) == SOLVERS.get(row.name).needs.missing(problem)


def test_the_table_reads_well():
    text = str(solver_table(Lasso(alpha=0.5), X, y))
    lines = {line.split()[0]: line for line in text.splitlines()[1:]}
    assert text.startswith("Solvers for Lasso(alpha=0.5)")
    assert "no: it needs a gradient of the whole objective" in lines["lbfgs"]
    assert "the L1 penalty has none" in lines["lbfgs"]
    assert lines["fista"].endswith("  yes")
    assert text.count("yes, and 'auto' takes it") == 1


def test_the_table_leaves_the_estimator_alone():
    model = Lasso(solver="lbfgs")
    solver_table(model, X, y, sample_weight=np.ones(len(y)))
    assert not hasattr(model, "n_features_in_")
    assert model.solver == "lbfgs"


def test_the_table_wants_an_estimator():
    with pytest.raises(TypeError, match="'lasso' must be an estimator"):
        solver_table("lasso", X, y)


def curves(ax):
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


def test_plot_of_a_fit():
    pytest.importorskip("matplotlib").use("Agg")
    model = Lasso(alpha=0.1, solver="ista", max_iter=10_000, tol=1e-8).fit(X, y)
    ax = convergence_plot(model)
    ((label, points),) = curves(ax).items()
    history = model.solve_report_.history
    known = [c for c in history["certificate"] if c > 0]
    known.append(model.solve_report_.certificate)
    assert label == model.solve_report_.solver
    np.testing.assert_array_equal(points[:, 1], known)
    assert ax.get_ylabel() == "duality gap"
    assert ax.get_yscale() == "log"


def test_plot_of_results_by_name():
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib.figure import Figure

    solves = {
        str(solver): run(CASES[0].problem(), solver, stopping=Stopping(tol=1e-8, max_iter=500))
        for solver in (ISTA(), FISTA())
    }
    ax = Figure().subplots()
    assert convergence_plot(solves, ax=ax) is ax
    assert list(curves(ax)) == ["ISTA()", "FISTA()"]


def test_plot_without_a_report():
    with pytest.raises(TypeError, match=r"expected a fitted estimator.*Lasso"):
        convergence_plot([Lasso()])


def test_plot_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run(CASES[0].problem(), FISTA())
    with pytest.raises(ImportError, match="pip install matplotlib"):
        convergence_plot(result)
