"""scikit-learn's own checks of the estimator contract, for every estimator with every solver."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from zoo import (
    APART,
    BY_NAME,
    KINDS,
    Kind,
    is_stochastic,
    is_variant,
    solvers_of,
    sparse_solvers_of,
)

from skopt_dl.dispatch import SOLVERS
from skopt_dl.engine import Oracle

# Deterministic solvers reach the optimum to rounding, which the tightest checks (rtol 1e-7) need.
TIGHT = {"tol": 1e-14, "max_iter": 2000}
# float32 cannot reach that tolerance; ADMM would spend its whole budget there, at a softmax prox an
# iteration.
BUDGET = {"admm": 150}
# Stochastic solvers would need very long for that (see `expected`), and no check of a completion
# asks for its optimum.
QUICK = {"max_iter": 100}
NETWORK = {"max_iter": 100}
# A curvature product costs twice a gradient, and there are many an iteration.
CURVED = {Oracle.HVP, Oracle.GGN}
CURVED_NETWORK = {"max_iter": 20, "alpha": 0.01}

SAMPLED = (
    "the solver draws single rows: one of weight w is drawn as often as others, so its path is not "
    "that of w copies, though it converges to the same point"
)

AMPLIFIED = (
    "where the Hessian of the network is indefinite, a truncated Newton step magnifies rounding "
    "(of sums in another order): 1e-15 after 4 iterations, 1e-2 after 20"
)
# The same in the family's first: a hundred steps within a region, and 2e-8 in an output of 7e-5.
MAGNIFIED = {("MLPRegressor", "storm")}
HELD_OUT = (
    "rows are dealt out to parts, so a row of weight 2 is held out once where two rows may be held "
    "out apart"
)
DRAWN = (
    "the solver draws for each row (a target of the model, a part of a batch): one of weight w has "
    "one draw, w copies of it have w"
)
# Rows that a batch shares with the next; parts of a batch whose gradients are compared, where the
# batch grows by what they say.
DRAWS_BY_ROW = {
    "multibatch_lbfgs": ("Ridge", "LogisticRegression", "MLP", "Penalized"),
    "progressive_lbfgs": ("MLP",),
}
DENSE = "the estimator takes sparse data, but this solver does not, and says so"
WEIGHTS = (
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
)


def instance(kind: Kind, solver: str) -> Any:
    """The estimator as it is checked."""
    params: dict[str, Any] = {"solver": solver}
    if kind.name.startswith("MLP"):
        curved = bool(CURVED & SOLVERS.get(solver).needs.oracles)
        params |= NETWORK | (CURVED_NETWORK if curved else {})
    elif is_stochastic(solver) or kind.name == "MatrixCompletion":
        params |= QUICK
    else:
        params |= TIGHT | {"max_iter": BUDGET.get(solver, TIGHT["max_iter"])}
    estimator = kind.make()
    known = estimator.get_params(deep=False)
    return estimator.set_params(**{k: v for k, v in params.items() if k in known})


def expected(estimator: Any) -> dict[str, str]:
    """Checks that must fail, each with the reason."""
    name, solver = type(estimator).__name__, estimator.solver
    checks: dict[str, str] = {}
    # Solvers by batches take all rows of these small data at once, and pass.
    if Oracle.SAMPLE_SLOPES in SOLVERS.get(solver).needs.oracles:
        checks |= dict.fromkeys(WEIGHTS, SAMPLED)
    needs = SOLVERS.get(solver).needs.oracles
    if Oracle.KRONECKER in needs or name.startswith(DRAWS_BY_ROW.get(solver, ())):
        checks |= dict.fromkeys(WEIGHTS, DRAWN)
    truncated = name.startswith("MLP") and {*CURVED, Oracle.SAMPLE_GGN} & needs
    if truncated and (is_variant(BY_NAME[name], solver) or (name, solver) in MAGNIFIED):
        checks |= dict.fromkeys(WEIGHTS, AMPLIFIED)
    if get_tags(estimator).input_tags.sparse and solver not in sparse_solvers_of(name):
        checks |= dict.fromkeys(["check_estimator_sparse_tag", WEIGHTS[1]], DENSE)
    return checks


def instances(*, variants: bool) -> list[Any]:
    """Estimators with one solver of each family, or with the others."""
    return [
        instance(kind, solver)
        for kind in KINDS
        for solver in solvers_of(kind.name)
        if is_variant(kind, solver) == variants
    ]


@parametrize_with_checks(
    instances(variants=False), expected_failed_checks=expected, xfail_strict=True
)
def test_sklearn_contract(estimator: Any, check: Any) -> None:
    check(estimator)


# What rounding is magnified to depends on the machine: a check that passes is no failure here.
@pytest.mark.slow
@parametrize_with_checks(
    instances(variants=True), expected_failed_checks=expected, xfail_strict=False
)
def test_sklearn_contract_of_variants(estimator: Any, check: Any) -> None:
    check(estimator)


def exact(kind: Kind) -> Any:
    """The estimator at a tolerance that its answer does not depend on, where it has one."""
    estimator = kind.make()
    known = estimator.get_params(deep=False)
    settings = {"tol": 1e-12} if "tol" in known else {}
    # The weakest strength of a path on wide data takes thousands of sweeps to that tolerance.
    if {"alphas", "max_iter"} <= known.keys():
        settings["max_iter"] = 10_000
    return estimator.set_params(**settings)


def expected_of_the_others(estimator: Any) -> dict[str, str]:
    """Checks that must fail, each with the reason."""
    return {WEIGHTS[0]: HELD_OUT} if hasattr(estimator, "validation_fraction") else {}


@parametrize_with_checks(
    [exact(kind) for kind in APART],
    expected_failed_checks=expected_of_the_others,
    xfail_strict=True,
)
def test_sklearn_contract_of_the_others(estimator: Any, check: Any) -> None:
    check(estimator)
