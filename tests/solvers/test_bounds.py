"""L-BFGS with bounds against other methods."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize

from skopt_dl.engine import Oracle, Status, Stopping, run
from skopt_dl.losses import Huber, Logistic, Multinomial, Squared
from skopt_dl.penalties import L1, L2, Box
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import FISTA, LBFGSB

BOXES = [
    Box(0.0, np.inf),
    Box(-0.1, 0.3),
    Box(-np.inf, np.linspace(-0.2, 0.5, 6)),
    Box([-0.1, 0.0, 0.2, -np.inf, 0.0, -1.0], [0.1, 0.0, 0.2, np.inf, 1.0, np.inf]),
]


def data(classes=2):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 6)) * np.logspace(-0.5, 0.5, 6)
    z = X @ rng.standard_normal((6, classes)) / 2 + rng.gumbel(size=(80, classes))
    return X, z, np.argmax(z, axis=1)


@pytest.mark.parametrize("box", BOXES, ids=repr)
@pytest.mark.parametrize("loss", [Squared(), Huber(), Logistic()], ids=repr)
def test_the_answer_is_scipys(loss, box):
    X, z, labels = data()
    y = labels * 1.0 if isinstance(loss, Logistic) else z[:, 0]
    problem = LinearProblem(X, y, loss, box, fit_intercept=True)
    result = run(problem, LBFGSB(), stopping=Stopping(tol=1e-8, max_iter=500))
    assert result.status is Status.CONVERGED
    lower, upper = problem.bounds()
    # Of squared errors the columns are centred instead.
    assert np.isinf([*lower[6:], *upper[6:]]).all()
    assert problem.size == (6 if isinstance(loss, Squared) else 7)
    assert np.all((lower <= result.w) & (result.w <= upper))
    theirs = scipy_minimize(
        lambda w: (lambda p: (float(p.value), p.grad))(problem.bounded_point(w)),
        np.clip(problem.start(), lower, upper),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(lower, upper, strict=True)),
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000},
    )
    assert float(problem.value(result.w)) <= theirs.fun + 1e-9
    np.testing.assert_allclose(result.w, theirs.x, atol=1e-4)


def test_of_several_outputs():
    X, _, labels = data(3)
    problem = LinearProblem(X, np.eye(3)[labels], Multinomial(), Box(-0.2, 0.4), fit_intercept=True)
    stopping = Stopping(tol=1e-7, max_iter=20_000)
    ours, known = (run(problem, solver, stopping=stopping) for solver in (LBFGSB(), FISTA()))
    assert ours.success and known.success
    assert np.all((problem.bounds()[0] <= ours.w) & (ours.w <= problem.bounds()[1]))
    # Coefficients of a feature that are all inside may move together: the objective is one.
    best = min(ours.certificate.objective, known.certificate.objective)
    assert ours.certificate.objective - best <= ours.certificate.gap <= 1e-6


def test_what_has_no_bounds_says_so():
    X, z, _ = data()
    for penalty in (L1(0.1), L2(0.1)):
        reason = LinearProblem(X, z[:, 0], Squared(), penalty).why_not(Oracle.BOUNDS)
        assert reason == f"{penalty.label} has no bounds"
    assert Oracle.BOUNDS in LinearProblem(X, z[:, 0], Squared(), L1(0.1, positive=True)).offers
