"""Every registered solver on every case: solved and certified, or refused with a good error.

Nothing here knows names of solvers: a new one is tested as soon as it is registered.
"""

from __future__ import annotations

from dataclasses import replace

import array_api_strict
import numpy as np
import pytest
from cases import CASES, NONCONVEX, sum_over_blocks

from skopt_dl.dispatch import SOLVERS, IncompatibleSolverError, fitting, resolve
from skopt_dl.engine import Oracle, Stopping, Trait, run
from skopt_dl.kernels.namespace import to_numpy
from skopt_dl.penalties import L2, ElasticNet
from skopt_dl.solvers import SOAP, Shampoo
from skopt_dl.testing import check_solver
from skopt_dl.testing.solvers import (
    check_refusal,
    check_settings,
    check_solve,
    check_wandering,
    wanders,
)

NAMES = SOLVERS.names()
SECOND_ORDER = {Oracle.HVP, Oracle.HESSIAN, Oracle.QUADRATIC_MODEL}

# The duality gap, relative to the null model's objective, that a method has to reach.
TIGHT = 1e-6
# float32 knows the two objectives whose difference the gap is to about 1e-7 each.
SINGLE = 1e-5
# Epochs of methods of batches: the first number where they are held to the optimum's
# neighbourhood, the second where the paths in two namespaces are compared.
EPOCHS, FEW_EPOCHS = 300, 5


def is_sibling(name) -> bool:
    """Whether a rule of batches with the same needs comes before this one.

    Such rules ask the problem the same questions: what layouts, dtypes and weights do to the
    answers the first of them shows, and its siblings solve the plain cases.
    """
    solver = SOLVERS.get(name)
    first = next(other for other in NAMES if SOLVERS.get(other).needs == solver.needs)
    return wanders(solver) and name != first


PLAIN = ("lasso", "ridge", "l2 logistic", "multinomial l2")
SOLVED = [(n, case) for n in NAMES for case in CASES if case.name in PLAIN or not is_sibling(n)]
DESCENDED = [
    (n, case) for n in NAMES for case in NONCONVEX if case == "network" or not is_sibling(n)
]


def make(name):
    """The solver by its defaults; a method of batches gets batches smaller than the data."""
    solver = SOLVERS.get(name)()
    batches = Oracle.SAMPLE_GRAD in solver.needs.oracles
    sized = batches and "batch_size" in solver.get_params()
    return solver.set_params(batch_size=10) if sized else solver


def accuracy(case) -> float:
    """The certificate that must be reached on ``case``."""
    return SINGLE if case.dtype == "float32" else TIGHT


def ceiling(solver) -> int:
    """Iterations that cases of this size and condition may take."""
    if Oracle.AGENTS in solver.needs.oracles:
        # A constant step that the steepest of the agents sets, who have three samples each.
        return 6000
    return 60 if SECOND_ORDER & solver.needs.oracles else 3000


@pytest.mark.parametrize("name", NAMES)
def test_settings(name):
    solver = SOLVERS.get(name)()
    check_settings(solver)
    assert SOLVERS.name_of(solver) == name


@pytest.mark.parametrize(("name", "case"), SOLVED, ids=str)
def test_solved_or_refused(name, case):
    solver, problem = make(name), case.problem()
    missing = solver.needs.missing(problem)
    if missing:
        check_refusal(solver, problem, missing)
        return
    before = [np.copy(a) for a in case.data if a is not None]
    if wanders(solver):
        result = check_wandering(solver, problem, max_iter=EPOCHS)
    else:
        result = check_solve(solver, problem, tol=accuracy(case), max_iter=ceiling(solver))
    for a, b in zip(before, (a for a in case.data if a is not None), strict=True):
        np.testing.assert_array_equal(a, b)
    coef, _ = problem.unpack(result.w)
    assert coef.dtype == case.dtype
    if result.certificate.gap is not None:
        # A strongly convex model is as near to the optimum as its gap says, up to its condition.
        # The gap itself is a difference of two numbers of the objective's size.
        blur = np.finfo(case.dtype).eps * abs(result.certificate.objective)
        reach = 30 * np.sqrt(result.certificate.gap + blur) + 1e-4
        np.testing.assert_allclose(coef, case.optimum.reshape(coef.shape), rtol=0, atol=reach)


@pytest.mark.parametrize("name", NAMES)
def test_every_solver_has_a_case(name):
    problems = [case.problem() for case in CASES] + [build() for build in NONCONVEX.values()]
    problems.append(sum_over_blocks(L2(0.05)))
    assert any(not SOLVERS.get(name).needs.missing(problem) for problem in problems)


@pytest.mark.parametrize("penalty", [L2(0.05), ElasticNet(0.02, 0.05)], ids=repr)
@pytest.mark.parametrize("name", NAMES)
def test_blocks_of_rows_are_solved_or_refused(name, penalty):
    """What works on a sum over blocks reaches its optimum; no solver is half at home there."""
    problem = sum_over_blocks(penalty)
    solver = make(name)
    if solver.needs.missing(problem):
        with pytest.raises(IncompatibleSolverError, match=r"three blocks: it needs .+ that can: '"):
            resolve(solver, problem)
        return
    result = run(problem, solver, stopping=Stopping(tol=1e-7, max_iter=5000))
    assert result.success
    best = run(problem, make("prox_newton"), stopping=Stopping(tol=1e-11, max_iter=50))
    np.testing.assert_allclose(result.w, best.w, atol=1e-5)


@pytest.mark.parametrize(("name", "case"), DESCENDED)
def test_descent_or_refusal_without_convexity(name, case):
    solver, problem = make(name), NONCONVEX[case]()
    assert Trait.CONVEX not in problem.traits
    if solver.needs.missing(problem):
        with pytest.raises(IncompatibleSolverError, match=r"it needs .+ Solvers that can: '"):
            resolve(solver, problem)
        return
    start = problem.start()
    result = run(
        problem,
        solver,
        stopping=Stopping(tol=1e-3, max_iter=1000 if wanders(solver) else 200),
        rng=np.random.default_rng(0),
    )
    assert np.all(np.isfinite(to_numpy(result.w)))
    # From a random start to a stationary point, or at least most of the way down to the best known.
    best = run(problem, resolve("auto", problem)[0], stopping=Stopping(tol=1e-4, max_iter=2000))
    first, lowest = float(problem.value(start)), best.certificate.objective
    assert result.certificate.objective - lowest <= 0.3 * (first - lowest) + 1e-9


# Array code without compiled kernels is slow: small problems, and the accuracy of the defaults.
PORTABLE = [
    replace(case, shape=(16, 4))
    for case in CASES
    if case.name in ("lasso", "ridge", "l1 ball", "l1 logistic", "l2 logistic", "multinomial l2")
]
LOOSE = 1e-4


@pytest.mark.parametrize("device", ["CPU_DEVICE", "device1"])
@pytest.mark.parametrize("case", PORTABLE, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_any_namespace_and_device(name, case, device):
    solver = make(name)
    there = case.problem(array_api_strict, array_api_strict.Device(device))
    if solver.needs.missing(there):
        assert name not in fitting(there)
        return
    here = case.problem()
    samples = wanders(solver) or Oracle.SAMPLE_SLOPES in solver.needs.oracles
    if samples:
        stopping = Stopping(tol=None, max_iter=FEW_EPOCHS)
    else:
        stopping = Stopping(tol=LOOSE, max_iter=ceiling(solver))
    results = [
        run(problem, solver, stopping=stopping, rng=np.random.default_rng(0))
        for problem in (here, there)
    ]
    assert results[1].w.device == there.device
    assert results[1].kernel == "generic"
    answers = [to_numpy(result.w) for result in results]
    if isinstance(solver, (Shampoo, SOAP)):
        # Which eigenvectors a singular matrix has hangs on rounding; how low they lead does not.
        start = here.value(here.start())
        low = [start - result.certificate.objective for result in results]
        np.testing.assert_allclose(*low, rtol=0.2)
        return
    if samples:
        # The same seed visits the same samples: the same path, but for rounding.
        np.testing.assert_allclose(*answers, rtol=1e-6, atol=1e-9)
        return
    assert all(result.success for result in results)
    both = [result.certificate.objective for result in results]
    gap = max(result.certificate.gap for result in results)
    assert abs(both[0] - both[1]) <= gap + 1e-12
    np.testing.assert_allclose(*answers, rtol=0, atol=30 * np.sqrt(gap) + 1e-6)


def waits_for_nothing(name) -> bool:
    """First-order methods without a line search need no decision on the host."""
    free = {Oracle.SMOOTH_GRAD, Oracle.LIPSCHITZ, Oracle.PROX, Oracle.GRAPH, Oracle.SPLIT}
    needs = SOLVERS.get(name).needs.oracles
    known = {Oracle.LIPSCHITZ, Oracle.GRAPH} & needs  # without these the step is searched for
    return (bool(known) and needs <= free) or name in ("cg", "lsqr")


@pytest.mark.parametrize("case", PORTABLE, ids=str)
@pytest.mark.parametrize("name", [name for name in NAMES if waits_for_nothing(name)])
def test_advance_converts_nothing_to_the_host(name, case, monkeypatch):
    solver = SOLVERS.get(name)()
    problem = case.problem(array_api_strict, array_api_strict.Device("device1"))
    if solver.needs.missing(problem):
        return
    state = solver.init(problem, problem.start(), np.random.default_rng(0))
    state.target = 0.0
    seen = []
    array = type(problem.y)
    for method in ("__float__", "__bool__", "__int__", "__index__"):
        original = getattr(array, method)

        def spy(self, original=original, method=method):
            seen.append(method)
            return original(self)

        monkeypatch.setattr(array, method, spy)
    solver.advance(problem, state, 25)
    assert state.n_iter == 25
    assert seen == []
    assert float(state.indicator) >= 0
    assert seen == ["__float__"], "the spy does not see conversions"


def test_the_spy_matrix_is_not_empty():
    chosen = [name for name in NAMES if waits_for_nothing(name)]
    assert {"ista", "fista", "projected_gradient", "admm", "cg"} <= set(chosen)


@pytest.mark.parametrize("name", NAMES)
def test_the_public_check_agrees(name):
    solver = SOLVERS.get(name)()
    apart = {
        Oracle.CONSENSUS,
        Oracle.BLOCK_SOLVE,
        Oracle.TANGENT,
        Oracle.POSTERIOR,
        Oracle.SPECTRAL_PROX,
        Oracle.SPECTRAL_SPLIT,
        Oracle.MAJORISED_BLOCK,
        Oracle.FACTOR_GRAMS,
        Oracle.FACTOR_COORDS,
    }
    if apart & solver.needs.oracles:
        with pytest.raises(AssertionError, match="fits at least one"):
            check_solver(solver)
    else:
        check_solver(solver)
