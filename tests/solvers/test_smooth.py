"""Smooth solvers against other programs, definitions and each other."""

from itertools import pairwise

import array_api_strict as strict
import numpy as np
import pytest
from scipy.optimize import (
    LbfgsInvHessProduct,
    minimize,
    rosen,
    rosen_der,
    rosen_hess,
    rosen_hess_prod,
)
from sklearn.linear_model import LogisticRegression
from smooth import binary, classes, quadratic, rosenbrock, solve, with_eigenvalues

from skopt_dl.engine import Oracle, Status, Stopping, run
from skopt_dl.kernels.namespace import to_numpy
from skopt_dl.linops.quasi_newton import InverseHessian
from skopt_dl.losses import Logistic, Multinomial, Squared
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem, SmoothProblem
from skopt_dl.solvers.conjugate_gradient import ConjugateGradient
from skopt_dl.solvers.cubic import ARC, SubsampledARC
from skopt_dl.solvers.newton import NewtonCG, NewtonCholesky
from skopt_dl.solvers.nonlinear_cg import NonlinearCG
from skopt_dl.solvers.quasi_newton import LBFGS
from skopt_dl.solvers.stochastic.storm import STORM
from skopt_dl.solvers.trust_region import SubsampledTrustRegion, TrustRegion

SOLVERS = [LBFGS(), NonlinearCG(), NewtonCG(), NewtonCholesky()]
DEVICES = ["CPU_DEVICE", "device1"]


# --- optima -------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
@pytest.mark.parametrize("p", [2, 5, 10])
def test_rosenbrock(solver, p):
    result = solve(rosenbrock(p), solver, max_iter=500)
    assert result.status is Status.CONVERGED
    assert result.certificate.objective < 1e-18
    np.testing.assert_allclose(result.w, 1.0, atol=1e-8)


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_an_ill_conditioned_quadratic(solver):
    A, b = with_eigenvalues(np.logspace(-2, 3, 15)), np.linspace(-1, 1, 15)
    result = solve(quadratic(A, b, np.zeros(15)), solver, tol=1e-7)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.w, np.linalg.solve(A, b), atol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_values_that_say_nothing_near_the_minimum(solver):
    # A pedestal hides decreases below 1e-11, which are gradients below 1e-5: only slopes lead on.
    A, b = with_eigenvalues(np.logspace(-1, 2, 15)), np.linspace(-1, 1, 15)
    problem = SmoothProblem(
        lambda w: 1e5 + 0.5 * w @ (A @ w) - b @ w,
        lambda w: A @ w - b,
        hessian=lambda w: A,
        start=np.zeros(15),
    )
    result = solve(problem, solver, tol=1e-9)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.w, np.linalg.solve(A, b), atol=1e-7)


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_values_noisier_than_rounding(solver):
    # Noise of 1e-9, relative: a thousand times what is first assumed, and of no predictable sign.
    A, b = with_eigenvalues(np.logspace(0, 2, 8)), np.linspace(-1, 1, 8)
    problem = SmoothProblem(
        lambda w: (1 + 0.5 * w @ (A @ w) - b @ w) * (1 + 1e-9 * np.sin(1e9 * w.sum())),
        lambda w: A @ w - b,
        hessian=lambda w: A,
        start=np.ones(8),
    )
    result = solve(problem, solver, tol=1e-8)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.w, np.linalg.solve(A, b), atol=1e-7)


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
@pytest.mark.parametrize("k", [2, 3])
def test_logistic_regression_agrees_with_scikit_learn(solver, k):
    X, y = classes(k=k)
    alpha = 1e-2
    theirs = LogisticRegression(
        C=1 / (alpha * len(y)), solver="newton-cholesky", tol=1e-12, max_iter=1000
    ).fit(X, y)
    target = y.astype(float) if k == 2 else np.eye(k)[y]
    loss = Logistic() if k == 2 else Multinomial()
    problem = LinearProblem(
        X, target, loss, L2(alpha), fit_intercept=True, criterion="stationarity"
    )
    result = solve(problem, solver)
    assert result.status is Status.CONVERGED
    assert result.certificate.value <= 1e-10
    coef, intercept = problem.unpack(result.w)
    if k == 2:
        np.testing.assert_allclose(coef, theirs.coef_[0], atol=1e-7)
        np.testing.assert_allclose(intercept, theirs.intercept_[0], atol=1e-7)
    else:
        np.testing.assert_allclose(coef.T, theirs.coef_, atol=1e-7)
        # Equal shifts of all intercepts are the same model.
        np.testing.assert_allclose(
            intercept - intercept.mean(), theirs.intercept_ - theirs.intercept_.mean(), atol=1e-7
        )


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_a_softmax_without_penalty_has_a_singular_hessian_and_is_solved(solver):
    X, y = classes(k=3, p=4)
    problem = LinearProblem(
        X, np.eye(3)[y], Multinomial(), L2(0.0), fit_intercept=True, criterion="stationarity"
    )
    result = solve(problem, solver)
    assert result.status is Status.CONVERGED
    # Every class is predicted as often as it is seen: the intercepts' stationarity.
    z = problem.predict_raw(result.w)
    shares = np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(shares, np.bincount(y) / len(y), atol=1e-9)


def test_newton_goes_round_a_saddle():
    # Zero gradient and an indefinite Hessian close to the start; minima at (0, 1) and (0, -1).
    problem = SmoothProblem(
        lambda w: 0.5 * w[0] ** 2 + 0.25 * (w[1] ** 2 - 1) ** 2,
        lambda w: np.array([w[0], w[1] * (w[1] ** 2 - 1)]),
        hessian=lambda w: np.array([[1.0, 0.0], [0.0, 3 * w[1] ** 2 - 1]]),
        start=np.array([1.0, 1e-3]),
    )
    for solver in (NewtonCG(), NewtonCholesky()):
        result = solve(problem, solver)
        assert result.status is Status.CONVERGED
        np.testing.assert_allclose(result.w, [0.0, 1.0], atol=1e-9)


# --- definitions --------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [1, 4, 7])
def test_two_loops_give_scipy_s_inverse_hessian(memory):
    rng = np.random.default_rng(0)
    A = with_eigenvalues(np.logspace(-1, 2, 8))
    S = rng.standard_normal((7, 8))
    Y = S @ A
    H = InverseHessian(memory)
    for s, y in zip(S, Y, strict=True):
        assert H.push(s, y)
    kept = slice(7 - memory, None)
    # SciPy starts from the identity: scaling s alone makes its answer the one from gamma I.
    gamma = float(H.scale)
    assert gamma == pytest.approx(S[-1] @ Y[-1] / (Y[-1] @ Y[-1]), rel=1e-14)
    theirs = LbfgsInvHessProduct(S[kept] / gamma, Y[kept])
    for _ in range(3):
        g = rng.standard_normal(8)
        np.testing.assert_allclose(H.apply(g), gamma * theirs.matvec(g), rtol=1e-12, atol=1e-12)
    # The secant equation of the newest pair.
    np.testing.assert_allclose(H.apply(Y[-1]), S[-1], rtol=1e-12)


@pytest.mark.parametrize(
    "start", [[-1.2, 1.0, -0.5, 0.7, 1.3], [0.0] * 5, [3.0] * 5, [2.0, -2.0]], ids=str
)
def test_with_its_line_search_the_path_is_scipy_s(start):
    theirs = []
    minimize(
        rosen,
        start,
        jac=rosen_der,
        method="L-BFGS-B",
        callback=lambda w: theirs.append(np.array(w)),
        options={"ftol": 0, "gtol": 1e-8},
    )
    problem = SmoothProblem(rosen, rosen_der, start=np.array(start))
    solver = LBFGS(initial="identity", line_search="more_thuente", sufficient_decrease=1e-3)
    ours = [w for w, _ in iterates(problem, solver, len(theirs))[1:]]
    assert len(theirs) >= 20
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8)


def test_a_pair_without_positive_curvature_is_left_out():
    H = InverseHessian(3)
    assert not H.push(np.array([1.0, 0.0]), np.array([-1.0, 5.0]))
    assert not H.push(np.array([1.0, 0.0]), np.array([0.0, 5.0]))
    assert len(H) == 0
    np.testing.assert_array_equal(H.apply(np.array([2.0, 3.0])), [2.0, 3.0])


def iterates(problem, solver, n):
    """The points and gradients of the first ``n`` iterations, the start included."""
    seen = [problem.point(problem.start())]

    class Watch:
        def on_report(self, report):
            seen.append(report.state.point)
            return False

    solve(problem, solver, tol=None, max_iter=n, observers=[Watch()])
    return [(np.asarray(q.w), np.asarray(q.grad)) for q in seen]


def test_nonlinear_cg_follows_polak_ribiere_with_its_restarts():
    path = iterates(rosenbrock(5), NonlinearCG(restart_every=4), 30)
    d, betas = None, []
    for k in range(30):
        (w, g), (after, _) = path[k], path[k + 1]
        if d is None or k % 4 == 0:
            d = -g
        else:
            before = path[k - 1][1]
            betas.append(max(0.0, g @ (g - before) / (before @ before)))
            d = -g + betas[-1] * d
        s = after - w
        assert s @ d / np.linalg.norm(s) / np.linalg.norm(d) > 1 - 1e-9
    assert 0.0 in betas
    assert max(betas) > 0.1


@pytest.mark.parametrize("solver", [LBFGS(curvature=2e-4), NonlinearCG(curvature=2e-4)], ids=repr)
def test_with_exact_steps_on_a_quadratic_they_are_conjugate_gradients(solver):
    # Conjugate gradients by the textbook; all three span the same Krylov spaces.
    p = 8
    A, b = with_eigenvalues(np.linspace(1, 20, p)), np.ones(p)
    path = iterates(quadratic(A, b, np.zeros(p)), solver, p)
    w, r = np.zeros(p), b.copy()
    d = r.copy()
    for k in range(1, p):
        a = r @ r / (d @ A @ d)
        w = w + a * d
        after = r - a * A @ d
        d = after + (after @ after) / (r @ r) * d
        r = after
        np.testing.assert_allclose(path[k][0], w, atol=2e-3 * np.linalg.norm(w))
    np.testing.assert_allclose(path[p][0], np.linalg.solve(A, b), atol=1e-4)


def test_newton_on_a_quadratic_takes_one_step():
    A, b = with_eigenvalues(np.logspace(-2, 2, 6)), np.ones(6)
    result = solve(quadratic(A, b, np.zeros(6)), NewtonCholesky(), tol=1e-9)
    assert result.n_iter == 1
    np.testing.assert_allclose(result.w, np.linalg.solve(A, b), rtol=1e-9)


def test_newton_steps_do_not_depend_on_the_units_of_the_columns():
    units = np.array([1e-4, 1.0, 1e4, 1e2, 1.0, 1e-2])
    X, y = classes()

    def five_steps(u):
        penalty = L2(1e-2 * u**2)
        problem = LinearProblem(X * u, y * 1.0, Logistic(), penalty, criterion="stationarity")
        return solve(problem, NewtonCholesky(), tol=None, max_iter=5).w

    np.testing.assert_allclose(units * five_steps(units), five_steps(np.ones(6)), rtol=1e-7)


@pytest.mark.parametrize(
    "solver",
    [
        NewtonCG(),
        TrustRegion(preconditioner="diagonal"),
        TrustRegion(preconditioner="diagonal", subproblem="krylov"),
        TrustRegion(preconditioner="diagonal", subproblem="exact"),
        SubsampledTrustRegion(preconditioner="diagonal", sampling="uniform"),
        ARC(preconditioner="diagonal"),
        ARC(preconditioner="diagonal", subproblem="exact"),
        SubsampledARC(preconditioner="diagonal", sampling="uniform"),
    ],
    ids=repr,
)
def test_truncated_newton_does_not_depend_on_the_units_of_the_columns(solver):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 60))
    y = (X @ rng.standard_normal(60) + rng.standard_normal(300) > 0).astype(float)
    units = 10.0 ** rng.uniform(-2, 2, 60)
    # Of geometric mean one: a first radius then means the same.
    units /= np.exp(np.mean(np.log(units)))
    products = []
    for scale in (np.ones(60), units):
        # The penalty moves with the columns.
        problem = LinearProblem(X * scale, y, Logistic(), L2(0.01 * scale**2))
        result = solve(problem, solver, tol=1e-10, rng=np.random.default_rng(0))
        assert result.status is Status.CONVERGED
        products.append((result.n_iter, result.w * scale))
    (plain, w), (scaled, v) = products
    assert scaled <= plain + 2
    np.testing.assert_allclose(v, w, atol=1e-5)


@pytest.mark.parametrize("kind", [TrustRegion, SubsampledTrustRegion, STORM, ARC, SubsampledARC])
def test_a_model_takes_the_metric_that_wild_units_call_for(kind):
    X, y = classes()
    X /= np.std(X, axis=0)
    for exponent, same in ((2.0, "diagonal"), (0.0, "none")):
        units = 10.0 ** np.linspace(-exponent, exponent, X.shape[1])
        problem = LinearProblem(X * units, y * 1.0, Logistic(), L2(0.01 * units**2))
        paths = {
            name: solve(problem, kind(preconditioner=name), tol=None, max_iter=1).w
            for name in ("auto", "diagonal", "none")
        }
        # Sums over samples in another order.
        np.testing.assert_allclose(paths["auto"], paths[same], rtol=1e-8)
        assert not np.allclose(paths["diagonal"], paths["none"], rtol=1e-3)
    with pytest.raises(ValueError, match="'auto', 'diagonal', 'none'"):
        solve(problem, kind(preconditioner="lu"), max_iter=1)


def test_units_cost_storm_nothing():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 30))
    y = (X @ rng.standard_normal(30) + rng.standard_normal(600) > 0).astype(float)
    units = 10.0 ** rng.uniform(-1, 1, 30)
    problem = LinearProblem(X * units, y, Logistic(), L2(0.01 * units**2))
    epochs = {}
    for name in ("auto", "none"):
        stopping, rng = Stopping(tol=1e-6, max_iter=200), np.random.default_rng(0)
        result = run(problem, STORM(preconditioner=name), stopping=stopping, rng=rng)
        epochs[name] = result.n_iter if result.success else np.inf
    assert epochs["auto"] <= 12
    assert epochs["auto"] < epochs["none"] / 2


def test_newton_converges_quadratically():
    norms = [np.linalg.norm(g) for _, g in iterates(binary(), NewtonCholesky(), 7)]
    ratios = [b / a**2 for a, b in pairwise(norms) if 1e-7 < a < 1e-1]
    assert len(ratios) >= 2
    assert max(ratios) < 50


def test_a_line_search_of_a_linear_model_multiplies_by_x_once():
    problem = binary()
    products = []
    matvec = problem.base.matvec
    problem.base.matvec = lambda w: products.append(1) or matvec(w)
    result = solve(problem, LBFGS(initial="identity"), tol=None, max_iter=25)
    # One at the start, one an iteration; trials are free, and so is the final certificate.
    assert len(products) == 26
    assert result.oracle_calls == {str(Oracle.GRAD): 26}


def test_a_certificate_of_another_point_is_its_own():
    problem = binary()
    w = np.linspace(-1, 1, problem.size)
    fresh = problem.certificate(w)
    problem.point(w)
    assert problem.certificate(w) == fresh
    assert problem.certificate(w).gap == fresh.gap
    moved = problem.point(2 * w).w
    assert problem.certificate(w) == fresh
    # Points are known by their numbers: solvers may work in place.
    moved[:] = w
    assert problem.certificate(moved) == fresh


# --- promises of every solver -------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_inputs_stay_and_the_answer_is_a_fixed_point(solver):
    problem, start = binary(), np.linspace(-1, 1, 7)
    before = [a.copy() for a in (problem.base.X, problem.y, problem.omega, start)]
    result = solve(problem, solver, start=start)
    for a, b in zip(before, (problem.base.X, problem.y, problem.omega, start), strict=True):
        np.testing.assert_array_equal(a, b)
    again = solve(problem, solver, start=result.w)
    assert (again.status, again.n_iter) == (Status.CONVERGED, 0)
    # Also without the engine's own look at the start.
    rested = run(
        SmoothProblem(
            value_and_grad=lambda w: (lambda q: (q.value, q.grad))(problem.point(w)),
            hessian=lambda w: problem.hessian(problem.point(w)),
            start=result.w,
        ),
        solver,
        stopping=Stopping(tol=1e-10, max_iter=10),
    )
    assert (rested.status, rested.n_iter) == (Status.CONVERGED, 0)


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_an_impossible_tolerance_ends_as_stalled_at_the_best_point(solver):
    result = solve(binary(), solver, tol=0.0)
    assert result.status in (Status.STALLED, Status.CONVERGED)
    assert result.certificate.value < 1e-13
    assert float(result.state.indicator) == min(result.history["indicator"])
    assert result.n_iter < 1500


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_single_precision_is_kept_and_used_up(solver):
    result = solve(binary(dtype="float32"), solver, tol=2e-6)
    assert result.w.dtype == np.float32
    assert result.status is Status.CONVERGED
    exact = solve(binary(), NewtonCholesky()).w
    np.testing.assert_allclose(result.w, exact, atol=2e-3)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_other_namespaces_and_devices(solver, device):
    device = strict.Device(device)
    result = solve(binary(strict, device=device), solver)
    assert result.status is Status.CONVERGED
    assert result.w.device == device
    np.testing.assert_allclose(to_numpy(result.w), solve(binary(), solver).w, atol=1e-7)


def test_callables_in_another_namespace():
    device = strict.Device("device1")
    centre = strict.asarray([1.0, 2.0], dtype=strict.float32, device=device)
    problem = SmoothProblem(
        lambda w: strict.sum((w - centre) ** 2),
        lambda w: 2 * (w - centre),
        hvp=lambda w, d: 2 * d,
        start=strict.zeros(2, dtype=strict.float32, device=device),
    )
    for solver in (LBFGS(), NewtonCG()):
        result = solve(problem, solver, tol=1e-6)
        assert result.status is Status.CONVERGED
        assert (result.w.dtype, result.w.device) == (strict.float32, device)


def test_a_function_without_minimum_or_with_a_wrong_gradient_fails_with_its_name():
    line = SmoothProblem(lambda w: -w.sum(), lambda w: -np.ones(2), start=np.zeros(2))
    wrong = SmoothProblem(lambda w: w @ w, lambda w: -w, start=np.ones(2))
    for problem in (line, wrong):
        for solver in (LBFGS(), NonlinearCG()):
            result = solve(problem, solver)
            assert result.status is Status.LINE_SEARCH_FAILED
            np.testing.assert_array_equal(result.w, problem.start())


def test_a_start_that_is_optimal_needs_no_step():
    flat = SmoothProblem(
        lambda w: 3.0, lambda w: 0 * w, start=np.ones(4), hessian=lambda w: np.eye(4)
    )
    for solver in SOLVERS:
        for tol in (1e-6, None):
            result = solve(flat, solver, tol=tol)
            assert (result.status, result.n_iter) == (Status.CONVERGED, 0)


# --- settings and callables ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (LBFGS(memory=0), "LBFGS: memory=0"),
        (LBFGS(curvature=1.5), "LBFGS: curvature=1.5"),
        (NonlinearCG(sufficient_decrease=0.7), "NonlinearCG: sufficient_decrease=0.7"),
        (NonlinearCG(restart_every=0), "NonlinearCG: restart_every=0"),
        (NewtonCG(max_inner=0), "NewtonCG: max_inner=0"),
        (NewtonCholesky(sufficient_decrease=0), "NewtonCholesky: sufficient_decrease=0"),
    ],
)
def test_settings_out_of_range_are_named(solver, words):
    with pytest.raises(ValueError, match=words):
        solve(rosenbrock(2), solver)


def test_a_problem_of_callables_offers_what_was_given():
    def kinds(**given):
        return SmoothProblem(start=np.zeros(2), **given).offers

    plain = {"fun": rosen, "grad": rosen_der}
    assert kinds(**plain) == {Oracle.GRAD}
    assert kinds(value_and_grad=lambda w: (rosen(w), rosen_der(w))) == {Oracle.GRAD}
    assert kinds(**plain, hvp=rosen_hess_prod) == {Oracle.GRAD, Oracle.HVP}
    # A matrix can be multiplied by.
    assert kinds(**plain, hessian=rosen_hess) == {Oracle.GRAD, Oracle.HESSIAN, Oracle.HVP}
    batch = {"batch": lambda w, i: (0.0, w), "n_samples": 3}
    # The batch of all samples is the whole objective.
    assert kinds(**batch) == {Oracle.GRAD, Oracle.SAMPLE_GRAD, Oracle.SAMPLE_VALUE}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "there is no function"),
        ({"fun": rosen}, "grad is missing"),
        ({"grad": rosen_der}, "fun is missing"),
        ({"fun": rosen, "grad": rosen_der, "value_and_grad": rosen}, "together with fun or grad"),
        ({"batch": rosen}, "batch and n_samples belong together"),
        ({"batch": rosen, "n_samples": 0}, "n_samples=0"),
        ({"fun": rosen, "grad": rosen_der, "start": np.zeros((2, 2))}, r"shape \(2, 2\)"),
        ({"fun": rosen, "grad": rosen_der, "start": np.zeros(2, int)}, "dtype int64"),
    ],
)
def test_callables_that_make_no_problem(given, words):
    with pytest.raises(ValueError, match=words):
        SmoothProblem(**{"start": np.zeros(2)} | given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"fun": lambda w: w, "grad": rosen_der}, r"fun returned an array of shape \(2,\)"),
        ({"fun": rosen, "grad": lambda w: w[:1]}, r"grad returned an array of shape \(1,\)"),
        ({"value_and_grad": lambda w: (0.0, 0.0)}, r"gradient of value_and_grad returned .* \(\)"),
    ],
)
def test_results_of_callables_are_checked(given, words):
    problem = SmoothProblem(start=np.zeros(2), **given)
    with pytest.raises(ValueError, match=words):
        problem.point(problem.start())


def test_batches_of_all_samples_are_the_objective():
    A, b = np.random.default_rng(0).standard_normal((2, 30, 3))
    b = b[:, 0]

    def batch(w, index):
        r = A[index] @ w - b[index]
        return 0.5 * np.mean(r**2), A[index].T @ r / len(index)

    problem = SmoothProblem(batch=batch, n_samples=30, start=np.zeros(3), convex=True)
    result = solve(problem, LBFGS())
    expected = np.linalg.lstsq(A, b, rcond=None)[0]
    np.testing.assert_allclose(result.w, expected, atol=1e-9)
    assert float(problem.value(result.w)) == pytest.approx(result.certificate.objective)


def test_nonlinear_cg_and_cg_agree_on_ridge():
    X, _ = classes()
    y = X @ np.arange(6.0)
    linear = LinearProblem(X, y, Squared(), L2(0.1), criterion="stationarity")
    expected = solve(linear, ConjugateGradient(), tol=1e-9).w
    for solver in SOLVERS:
        np.testing.assert_allclose(solve(linear, solver, tol=1e-9).w, expected, rtol=1e-6)
