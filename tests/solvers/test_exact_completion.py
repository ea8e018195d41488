"""Exact completion: Gauss-Newton with elimination and reweighted least squares for the rank."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from completion import distance, exact
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skopt_dl.dispatch import IncompatibleSolverError
from skopt_dl.engine import Status, Stopping, run
from skopt_dl.linops.krylov import pcg
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.matrix_completion.observe import observe
from skopt_dl.matrix_completion.problem import FactorProblem
from skopt_dl.matrix_completion.tangent import TangentSpace, leading_triplets
from skopt_dl.solvers.alternating import ALS
from skopt_dl.solvers.gauss_newton import GaussNewton
from skopt_dl.solvers.irls import IRLS
from skopt_dl.solvers.riemannian import RiemannianCG

BIASES = [(False, False), (True, False), (False, True), (True, True)]


def noisy(row_bias=False, col_bias=False, alpha=1e-2, layout="dense"):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 2)) @ rng.standard_normal((2, 20)) + 0.1 * rng.standard_normal(
        (30, 20)
    )
    X[rng.random(X.shape) < 0.4] = np.nan
    X[2], X[:, 5] = np.nan, np.nan
    weights = rng.integers(1, 4, 30).astype(float)
    if layout == "sparse":
        seen = ~np.isnan(X)
        X = sparse.coo_array((X[seen], np.nonzero(seen)), shape=X.shape).tocsr()
    return FactorProblem(
        observe(X, np.nan, weights), 2, alpha, row_bias=row_bias, col_bias=col_bias
    )


# --- the parts ----------------------------------------------------------------------------------


def test_conjugate_gradients_solve_a_system_in_as_many_products_as_it_has_eigenvalues():
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((30, 30)))[0]
    A = (Q * np.repeat([1.0, 5.0, 9.0], 10)) @ Q.T
    b = rng.standard_normal((30, 1))
    x, products = pcg(np, lambda v: A @ v, b, tol=1e-10)
    np.testing.assert_allclose(A @ x, b, atol=1e-9)
    assert products == 3
    again, products = pcg(np, lambda v: A @ v, b, start=x, tol=1e-8)
    assert products == 0 and again is x
    exact_inverse = np.linalg.inv(A)
    _, products = pcg(np, lambda v: A @ v, b, precondition=lambda r: exact_inverse @ r, tol=1e-10)
    assert products == 1


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("biases", BIASES)
def test_the_reduced_system_is_the_schur_complement(biases, layout):
    p = noisy(*biases, layout=layout)
    w = np.random.default_rng(1).standard_normal(p.size)
    p.block_solve(w, "cols")
    point = p.point(w)
    # The Gauss-Newton matrix: that of the Hessian at a point whose residual is zero.
    L, R = p.factors(w)
    basis = np.eye(p.size)
    changes = []
    for d in basis:
        dL, dR = p.changes(d)
        changes.append(np.ravel(p.observed.products(dL, R) + p.observed.products(L, dR)))
    J = np.array(changes).T * np.sqrt(np.ravel(p.observed.weights))[:, None]
    H = J.T @ J + p.observed.total * np.diag(p.penalty_weights())
    rows, cols = p.blocks["rows"], p.blocks["cols"]
    seen = np.diag(H)[cols] > 0
    D = H[cols, cols][np.ix_(seen, seen)]
    B = H[rows, cols][:, seen]
    S = H[rows, rows] - B @ np.linalg.solve(D, B.T)
    system = p.reduced_system(point)
    X = np.random.default_rng(2).standard_normal(p.shapes["rows"])
    np.testing.assert_allclose(system.product(X, 0.0).ravel(), S @ X.ravel(), atol=1e-9)
    np.testing.assert_allclose(system.rhs.ravel(), -p.observed.total * point.grad[rows])
    damped = system.product(X, 0.5) - system.product(X, 0.0)
    np.testing.assert_allclose(damped, 0.5 * float(system.scale) * X, atol=1e-9)
    # The preconditioner ignores the elimination.
    solved = system.preconditioner(0.5)(X).ravel()
    A = H[rows, rows] + 0.5 * float(system.scale) * np.eye(rows.stop)
    there = np.repeat(p.observed.row_weight > 0, p.kp)
    np.testing.assert_allclose((A @ solved)[there], X.ravel()[there], atol=1e-8)


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_tangent_vectors(layout):
    X, full = exact(20, 15, 2, 2.0)
    if layout == "sparse":
        seen = ~np.isnan(X)
        X = sparse.coo_array((X[seen], np.nonzero(seen)), shape=X.shape).tocsr()
    observed = observe(X, np.nan)
    U, s, Vt = np.linalg.svd(full)
    T = TangentSpace(observed, U[:, :2], Vt[:2].T)
    rng = np.random.default_rng(0)
    Y, Z = rng.standard_normal((20, 15)), rng.standard_normal((20, 15))
    t = T.project(Y @ T.V, Y.T @ T.U)
    left, right = T.factors(t)
    projected = left @ right.T
    # A projection: idempotent, self-adjoint, the identity on the matrix itself.
    again = T.project(projected @ T.V, projected.T @ T.U)
    np.testing.assert_allclose(again, t, atol=1e-12)
    z = T.project(Z @ T.V, Z.T @ T.U)
    other = T.factors(z)
    np.testing.assert_allclose(np.sum(projected * Z), np.sum(Y * (other[0] @ other[1].T)))
    np.testing.assert_allclose(np.sum(t * z), np.sum(projected * Z))
    own = T.spread(np.diag(s[:2]), np.zeros(2))
    left, right = T.factors(own)
    np.testing.assert_allclose(left @ right.T, full, atol=1e-12)
    # Entries and their adjoint.
    E = observed.products(*T.factors(z)) * (observed.weights > 0)
    np.testing.assert_allclose(np.sum(T.entries(t) * E), np.sum(t * T.adjoint(E)))
    np.testing.assert_allclose(T.gram(t), T.adjoint(T.entries(t)), atol=1e-12)
    np.testing.assert_allclose(T.gauge(t), t, atol=1e-13)


def test_leading_triplets_of_low_rank_plus_sparse():
    X, full = exact(40, 30, 3, 3.2)
    observed = observe(X, np.nan)
    rng = np.random.default_rng(0)
    E = np.where(observed.weights > 0, rng.standard_normal(X.shape), 0.0)
    U, s, Vt = np.linalg.svd(full)
    left, right = U[:, :3] * s[:3], Vt[:3].T
    expected = np.linalg.svd(full + E, compute_uv=False)
    V = rng.standard_normal((30, 9))
    Uh, sh, Vh = leading_triplets(observed, left, right, E, V, 60)
    np.testing.assert_allclose(sh[:3], expected[:3], rtol=1e-10)
    np.testing.assert_allclose((full + E) @ Vh[:, :3], Uh[:, :3] * sh[:3], atol=1e-6)
    np.testing.assert_allclose(Uh.T @ Uh, np.eye(9), atol=1e-12)


# --- Gauss-Newton -------------------------------------------------------------------------------


def test_gauss_newton_reaches_rounding_in_few_steps():
    X, full = exact(80, 60, 3, 3.0)
    p = FactorProblem(observe(X, np.nan), 3, 0.0)
    result = run(p, GaussNewton(), stopping=Stopping(tol=1e-12, max_iter=40))
    assert result.status is Status.CONVERGED
    assert distance(p, result.w, full) <= 1e-12


@pytest.mark.parametrize("biases", BIASES)
def test_gauss_newton_descends_to_the_optimum_of_als(biases):
    p = noisy(*biases)
    solver = GaussNewton(sweeps=1)
    state = solver.init(p, p.start(), None)
    values = [float(p.value(state.w))]
    for _ in range(15):
        solver.advance(p, state, 1)
        values.append(float(p.value(state.w)))
    assert np.all(np.diff(values) <= 1e-14)
    reference = run(p, ALS(), stopping=Stopping(tol=1e-8, max_iter=3000))
    np.testing.assert_allclose(values[-1], reference.certificate.objective, rtol=1e-6)


def test_gauss_newton_ends_where_rounding_hides_what_a_step_promises():
    X, full = exact(120, 100, 4, 2.5)
    p = FactorProblem(observe(X, np.nan), 4, 0.0)
    result = run(p, GaussNewton(), stopping=Stopping(tol=1e-20, max_iter=100))
    assert result.status is Status.STALLED
    assert distance(p, result.w, full) <= 1e-12
    # Quadratic steps, and no damping is tried where none can help.
    assert result.n_iter <= 20 and result.n_epochs <= 250


@pytest.mark.parametrize("biases", BIASES)
def test_reduced_system_without_penalty_asks_for_nothing_that_the_columns_undo(biases):
    p = noisy(*biases, alpha=0.0)
    w = p.start()
    p.block_solve(w, "cols")
    point = p.point(w)
    system = p.reduced_system(point)
    h = p.of_cols(p.factors(w)[0])
    np.testing.assert_allclose(h.T @ system.rhs, 0.0, atol=1e-10)
    C = np.random.default_rng(0).standard_normal((h.shape[1], p.kp))
    np.testing.assert_allclose(system.product(h @ C, 0.0), 0.0, atol=1e-8)
    X, _ = pcg(np, lambda x: system.product(x, 0.1), system.rhs, tol=1e-3)
    model = np.sum(X * (system.rhs - 0.5 * system.product(X, 0.0))) / p.observed.total
    np.testing.assert_allclose(system.promise(X, 0.1), model, rtol=1e-8)
    # First-order: the decrease along a short step with the columns at their minimum.
    P, Q = p.unpack(w)
    short = p.pack(P + 1e-5 * X, Q)
    p.block_solve(short, "cols")
    slope = (float(point.value) - float(p.value(short))) / 1e-5
    np.testing.assert_allclose(slope, np.sum(X * system.rhs) / p.observed.total, rtol=1e-3)


def test_a_balanced_point_has_the_same_residual():
    p = noisy(True, True)
    point = p.point(p.start())
    balanced = p.balanced_point(point)
    again = p.point(balanced.w)
    seen = p.observed.weights > 0
    np.testing.assert_allclose(again.cache[seen], point.cache[seen], atol=1e-12)
    np.testing.assert_allclose(again.grad, balanced.grad, atol=1e-12)
    assert float(again.value) < float(point.value)


def test_gauss_newton_refuses_settings_that_mean_nothing():
    for options, message in [
        ({"damping": 0.0}, "damping=0.0"),
        ({"max_inner": 0}, "max_inner=0"),
        ({"sweeps": -1}, "sweeps=-1"),
    ]:
        with pytest.raises(ValueError, match=message):
            MatrixCompletion(2, solver=GaussNewton(**options)).fit(exact(10, 8, 2, 2.0)[0])


# --- conjugate gradients on the manifold -------------------------------------------------------


def test_a_retraction_is_the_best_matrix_of_its_rank():
    X, full = exact(20, 15, 2, 2.0)
    U, s, Vt = np.linalg.svd(full)
    T = TangentSpace(observe(X, np.nan), U[:, :2], Vt[:2].T)
    Y = np.random.default_rng(0).standard_normal((20, 15))
    t = T.project(Y @ T.V, Y.T @ T.U)
    left, right = T.factors(t)
    Ur, sr, Vr = T.retracted(s[:2], t)
    W, sizes, Zt = np.linalg.svd(full + left @ right.T)
    np.testing.assert_allclose((Ur * sr) @ Vr.T, (W[:, :2] * sizes[:2]) @ Zt[:2], atol=1e-12)
    # To first order it follows the tangent vector.
    near = T.retracted(s[:2], 1e-5 * t)
    moved = ((near[0] * near[1]) @ near[2].T - full) / 1e-5
    np.testing.assert_allclose(moved, left @ right.T, atol=1e-3)
    np.testing.assert_allclose(T.carried(T, t), t, atol=1e-12)


def test_riemannian_conjugate_gradients_find_the_matrix():
    X, full = exact(80, 60, 3, 3.5)
    p = FactorProblem(observe(X, np.nan), 3, 0.0)
    solver = RiemannianCG()
    state = solver.init(p, p.start(), np.random.default_rng(0))
    left = [np.linalg.norm(state.r)]
    for _ in range(30):
        solver.advance(p, state, 1)
        left.append(np.linalg.norm(state.r))
    assert np.all(np.diff(left) < 0)
    stopping = Stopping(tol=1e-9, max_iter=500)
    result = run(p, solver, stopping=stopping, rng=np.random.default_rng(0))
    assert result.status is Status.CONVERGED
    assert distance(p, result.w, full) <= 1e-7


# --- reweighted least squares -------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_irls_finds_the_matrix_where_descent_on_the_factors_does_not(seed):
    X, full = exact(100, 100, 4, 1.6, seed=seed)
    p = FactorProblem(observe(X, np.nan), 4, 0.0)
    stopping = Stopping(tol=1e-12, max_iter=200)
    result = run(p, IRLS(), stopping=stopping, rng=np.random.default_rng(0))
    assert result.status is Status.CONVERGED
    assert distance(p, result.w, full) <= 1e-8


def test_irls_does_not_feel_the_condition_of_the_matrix():
    X, full = exact(100, 80, 4, 2.5, condition=1e6)
    p = FactorProblem(observe(X, np.nan), 4, 0.0)
    stopping = Stopping(tol=1e-13, max_iter=200)
    result = run(p, IRLS(), stopping=stopping, rng=np.random.default_rng(0))
    assert distance(p, result.w, full) <= 1e-10


@pytest.mark.parametrize("fall", [0.0, 0.7])
def test_irls_leaps_past_small_components_unless_the_smoothing_falls_slowly(fall):
    errors = []
    for seed in range(8):
        X, full = exact(150, 120, 4, 1.5, condition=1e6, seed=seed)
        p = FactorProblem(observe(X, np.nan), 4, 0.0)
        result = run(p, IRLS(fall=fall), stopping=Stopping(tol=1e-13, max_iter=150))
        errors.append(distance(p, result.w, full))
    if fall:
        assert max(errors) <= 1e-8
    else:
        assert max(errors) > 1e-8


@pytest.mark.parametrize("fall", [-0.1, 1.0])
def test_irls_refuses_a_smoothing_that_never_falls(fall):
    X, _ = exact(20, 15, 2, 2.0)
    p = FactorProblem(observe(X, np.nan), 2, 0.0)
    with pytest.raises(ValueError, match="fall="):
        run(p, IRLS(fall=fall), stopping=Stopping(max_iter=1))


def test_irls_knows_the_matrix_alone():
    X = exact(10, 8, 2, 2.0)[0]
    for params, reason in [
        ({"alpha": 0.1}, r"the penalty on the factors has none \(alpha=0 has\)"),
        ({"alpha": 0, "fit_bias": "rows"}, r"biases have none \(fit_bias=False has\)"),
    ]:
        with pytest.raises(IncompatibleSolverError, match=reason):
            MatrixCompletion(2, solver="irls", **params).fit(X)
    weights = np.arange(1.0, 11.0)
    with pytest.raises(IncompatibleSolverError, match="entries of different weights have none"):
        MatrixCompletion(2, solver="irls", alpha=0).fit(X, sample_weight=weights)
    for options, message in [({"inner_tol": 0.0}, "inner_tol=0.0"), ({"turns": 0}, "turns=0")]:
        with pytest.raises(ValueError, match=message):
            MatrixCompletion(2, alpha=0, solver=IRLS(**options)).fit(X)


def test_auto_takes_them_by_the_number_of_entries():
    few, many = exact(60, 50, 3, 1.5)[0], exact(60, 50, 3, 4.0)[0]
    assert MatrixCompletion(3, alpha=0).fit(few).solver_ == "irls"
    model = MatrixCompletion(3, alpha=0).fit(many)
    assert model.solver_ == "gauss_newton"
    assert "exact fit" in model.solve_report_.reason


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_another_start_finds_what_the_first_does_not():
    """1.2 times the degrees of freedom: the first start ends at another matrix."""
    X, full = exact(100, 100, 5, 1.2, seed=3)
    errors, warned = [], []
    for n_init in (1, 6):
        model = MatrixCompletion(
            5, alpha=0, solver="irls", tol=1e-13, max_iter=200, n_init=n_init, random_state=0
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(X)
        warned.append([w.category for w in caught].count(ConvergenceWarning))
        filled = model.row_factors_ @ model.components_
        errors.append(np.linalg.norm(filled - full) / np.linalg.norm(full))
    assert errors[0] > 0.1 and errors[1] < 1e-10
    # The start that fails is not the one that is kept: nothing to warn of.
    assert warned == [1, 0]


# --- what "auto" does without a penalty ---------------------------------------------------------


@pytest.mark.parametrize(("condition", "solver"), [(1e6, "irls"), (10.0, "gauss_newton")])
def test_auto_asks_irls_where_gauss_newton_does_not_arrive(condition, solver):
    X, full = exact(120, 100, 5, 2.6, condition)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = MatrixCompletion(5, alpha=0, tol=1e-12, random_state=0).fit(X)
    assert model.solver_ == solver
    assert np.linalg.norm(model.transform(X) - full) <= 1e-9 * np.linalg.norm(full)
    if solver == "irls":
        assert model.solve_report_.reason == "gauss_newton found no exact fit"


def test_auto_keeps_the_best_where_no_method_arrives():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 2)) @ rng.standard_normal((2, 30))
    X += 0.1 * rng.standard_normal(X.shape)
    X[rng.random(X.shape) < 0.4] = np.nan
    named = MatrixCompletion(2, alpha=0, tol=1e-6, solver="gauss_newton", random_state=0).fit(X)
    with pytest.warns(ConvergenceWarning, match="GaussNewton"):
        model = MatrixCompletion(2, alpha=0, tol=0, random_state=0).fit(X)
    assert model.solver_ == "gauss_newton"
    least = named.solve_report_.objective
    assert model.solve_report_.objective <= least * (1 + 1e-9)
