"""Names, the choice of "auto" with its reason, and errors that help."""

import subprocess
import sys
import warnings
from importlib.metadata import EntryPoint

import array_api_strict as strict
import numpy as np
import pytest

from skopt_dl.dispatch import (
    ACTIVATIONS,
    LOSSES,
    PENALTIES,
    SOLVERS,
    IncompatibleSolverError,
    UnknownNameError,
    fitting,
    register,
    resolve,
)
from skopt_dl.dispatch.auto import choose
from skopt_dl.dispatch.registry import Registry
from skopt_dl.engine import Needs, Oracle, Solver, State, Status
from skopt_dl.losses import Logistic, Squared
from skopt_dl.penalties import L1, L2, L1Ball, Penalty
from skopt_dl.problems import LinearProblem


def problem(penalty, **kwargs):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 5))
    return LinearProblem(X, X @ np.arange(5.0), Squared(), penalty, **kwargs)


class Mine(Solver):
    """A solver of the user's."""

    needs = Needs.of(Oracle.SMOOTH_GRAD)

    def init(self, problem, w, rng):
        return State(w=w)

    def advance(self, problem, state, n):
        state.n_iter += n
        return Status.RUNNING


@pytest.mark.parametrize("registry", [SOLVERS, LOSSES, PENALTIES, ACTIVATIONS])
def test_every_registered_name_leads_to_its_kind(registry):
    for name in registry.names():
        target = registry.get(name)
        made = target()
        assert isinstance(made, registry.base)
        assert registry.get(name) is target


def test_an_alias_is_the_same_class():
    for alias, name in SOLVERS.aliases().items():
        assert SOLVERS.get(alias) is SOLVERS.get(name)


def test_unknown_name_gets_the_closest_one():
    with pytest.raises(UnknownNameError, match="Did you mean 'fista'"):
        resolve("fsta", problem(L1(0.1)))


def test_neither_name_nor_solver_is_a_type_error():
    with pytest.raises(TypeError, match="solver=3"):
        resolve(3, problem(L1(0.1)))


def test_error_names_the_missing_oracle_its_reason_and_what_would_do():
    with pytest.raises(IncompatibleSolverError) as error:
        resolve("lbfgs", problem(L1(0.1), description="Lasso(alpha=0.1) on this float64 array"))
    text = str(error.value)
    assert text.startswith("solver 'lbfgs' cannot fit Lasso(alpha=0.1) on this float64 array")
    assert "a gradient of the whole objective, and the L1 penalty has none" in text
    assert "'active_set' (what 'auto' takes)" in text
    assert "'fista'" in text
    assert "'lbfgs'," not in text.split("Solvers that can")[1]


def test_auto_takes_a_fitting_solver_and_says_why():
    for penalty in (L1(0.1), L2(0.1), L1Ball(1.0)):
        p = problem(penalty)
        solver, reason = resolve("auto", p)
        assert SOLVERS.name_of(solver) in fitting(p)
        assert reason != "given"
        assert len(reason) > 10
    assert SOLVERS.name_of(resolve("auto", problem(L1(0.1)))[0]) == "active_set"
    assert SOLVERS.name_of(resolve("auto", problem(L2(0.1)))[0]) == "cholesky"


def test_defaults_configure_a_name_but_not_an_instance():
    p = problem(L1(0.1))
    defaults = {"selection": "random", "unknown_to_every_solver": 1}
    assert resolve("cd", p, defaults)[0].selection == "random"
    instance = type(resolve("cd", p)[0])(selection="cyclic")
    resolved, reason = resolve(instance, p, defaults)
    assert resolved.selection == "cyclic"
    assert reason == "given"
    assert resolved is not instance


def test_register_makes_a_name_known_once():
    register("mine", Mine)
    try:
        solver, _ = resolve("mine", problem(L1(0.1)))
        assert isinstance(solver, Mine)
        assert "mine" in fitting(problem(L1(0.1)))
        assert SOLVERS.name_of(solver) == "mine"
        with pytest.raises(ValueError, match="taken"):
            register("mine", Mine)
        register("mine", Mine, replace=True)
    finally:
        SOLVERS.remove("mine")


def test_register_refuses_other_things():
    with pytest.raises(TypeError, match="subclass of Solver, Loss, Penalty or Activation"):
        register("mine", dict)
    with pytest.raises(TypeError, match="subclass of Penalty"):
        PENALTIES.add("mine", Squared)


def test_register_sorts_parts_by_their_kind():
    class Flat(Penalty):
        def value(self, w):
            return 0.0 * w.sum()

        def prox(self, v, step):
            return v

    register("flat", Flat)
    try:
        assert PENALTIES.get("flat") is Flat
    finally:
        PENALTIES.remove("flat")


def broken_entry_point(*, group):
    points = [EntryPoint("gone", "no_such_package.solvers:Gone", group)]
    return points if group == "skopt_dl.solvers" else []


def test_a_broken_entry_point_is_left_out_of_listings_and_named_when_asked_for(monkeypatch):
    monkeypatch.setattr("skopt_dl.dispatch.registry.entry_points", broken_entry_point)
    solvers = Registry("solver", Solver, {"mine": f"{__name__}:Mine"})
    with pytest.warns(RuntimeWarning, match=r"'gone' .* cannot be imported: No module named"):
        assert dict(solvers.parts()) == {"mine": Mine}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once
        assert dict(solvers.parts()) == {"mine": Mine}
    with pytest.raises(ImportError, match=r"solver 'gone' .*'no_such_package.solvers:Gone'"):
        solvers.get("gone")


def test_listing_names_imports_no_solver():
    code = (
        "import sys; from skopt_dl.dispatch import SOLVERS; SOLVERS.names();"
        "assert not [m for m in sys.modules if m.startswith('skopt_dl.solvers.')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_auto_leaves_loops_over_coordinates_to_the_host():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1100, 1050)), rng.normal(size=1100)
    there = strict.asarray(X, device=strict.Device("device1"))
    target = strict.asarray(y, device=strict.Device("device1"))
    assert choose(LinearProblem(X, y, Squared(), L1(0.1)))[0] == "anderson_cd"
    assert choose(LinearProblem(there, target, Squared(), L1(0.1)))[0] == "fista"
    labels = strict.astype(target > 0, strict.float64)
    assert choose(LinearProblem(X, 1.0 * (y > 0), Logistic(), L1(0.1)))[0] == "prox_newton"
    assert choose(LinearProblem(there, labels, Logistic(), L1(0.1)))[0] == "fista"


def test_needs_that_something_else_meets():
    lasso = problem(L1(0.1))
    newton = Needs.of(Oracle.HESSIAN)
    assert newton.missing(lasso)
    assert not newton.or_else(Needs.of(Oracle.PROX)).missing(lasso)
    # What is lacking of the first is what the message says.
    both = newton.or_else(Needs.of(Oracle.TANGENT))
    assert both.missing(lasso) == newton.missing(lasso)
    assert both.oracles == newton.oracles
