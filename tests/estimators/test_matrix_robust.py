"""Matrix completion by losses that gross errors cannot bend."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from sklearn.utils.estimator_checks import parametrize_with_checks
from zoo import is_stochastic

from skopt_dl.dispatch import IncompatibleSolverError, fitting
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.matrix_completion.observe import observe
from skopt_dl.matrix_completion.problem import FactorProblem
from skopt_dl.matrix_completion.robust import RobustLoss, deviation, weighted_median

LOSSES = {"huber": RobustLoss(0.3), "absolute": RobustLoss(0.05, straight=True)}


def spoiled(m=60, n=50, noise=0.1, seed=5):
    """``(X, full, bad)``: rank 3, 40 % missing, a tenth of the entries wrong by 20 deviations."""
    rng = np.random.default_rng(seed)
    full = rng.standard_normal((m, 3)) @ rng.standard_normal((3, n))
    full /= full.std()
    X = full + noise * rng.standard_normal((m, n))
    bad = rng.random((m, n)) < 0.1
    X = np.where(bad, X + 20 * rng.standard_normal((m, n)), X)
    X[rng.random((m, n)) < 0.4] = np.nan
    return X, full, bad


X, FULL, BAD = spoiled()


def error(filled, X=X, full=FULL):
    """Relative error of the missing cells."""
    missing = np.isnan(X)
    return np.linalg.norm((filled - full)[missing]) / np.linalg.norm(full[missing])


# What the same model makes of the entries that are not spoiled.
CLEAN = MatrixCompletion(8, random_state=0).fit(np.where(BAD, np.nan, X)).transform(X)


def problem(loss, layout="dense", **params):
    rng = np.random.default_rng(0)
    X = np.where(rng.random((12, 9)) < 0.4, np.nan, rng.standard_normal((12, 9)))
    weights = rng.integers(1, 4, 12).astype(float)
    data = X
    if layout == "sparse":
        seen = ~np.isnan(X)
        data = sparse.coo_array((X[seen], np.nonzero(seen)), shape=X.shape).tocsr()
    observed = observe(data, np.nan, weights)
    return FactorProblem(observed, 2, 0.1, robust=LOSSES[loss], **params), X, weights


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_objective_is_the_documented_formula(loss, layout):
    p, X, weights = problem(loss, layout)
    w = np.random.default_rng(1).standard_normal(p.size)
    P, Q = p.unpack(w)
    r, delta = np.abs(P @ Q.T - X), LOSSES[loss].delta
    lost = np.where(r <= delta, r**2 / 2, delta * r - delta**2 / 2)
    if loss == "absolute":
        lost = lost / delta
        assert np.nanmax(np.abs(lost - r)) <= delta / 2 + 1e-12
    penalty = (P**2).sum(axis=1)[:, None] + (Q**2).sum(axis=1)
    each = weights[:, None] * (lost + 0.05 * penalty)
    total = (weights[:, None] * ~np.isnan(X)).sum()
    assert float(p.value(w)) == pytest.approx(np.nansum(each) / total, rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_slopes_curvatures_and_lines_are_differences(loss):
    p, *_ = problem(loss, row_bias=True, col_bias=True)
    rng = np.random.default_rng(1)
    w, d = rng.standard_normal((2, p.size))
    point, h = p.point(w), 1e-7
    slope = (p.value(w + h * d) - p.value(w - h * d)) / (2 * h)
    assert point.grad @ d == pytest.approx(slope, rel=1e-6)
    line = p.along(point, d)
    for t in (0.0, 0.4, -1.1):
        there = p.point(w + t * d)
        assert line(t) == pytest.approx((there.value, there.grad @ d), rel=1e-10)
        np.testing.assert_allclose(line.accept(t).grad, there.grad, atol=1e-12)
    if loss == "huber":
        bent = (p.point(w + h * d).grad - p.point(w - h * d).grad) / (2 * h)
        np.testing.assert_allclose(p.hvp(point)(d), bent, atol=1e-6)
    value, grad = p.sample_grad(w, np.arange(p.n_samples))
    assert value == pytest.approx(point.value)
    np.testing.assert_allclose(grad, point.grad, atol=1e-13)


@pytest.mark.parametrize("loss", LOSSES)
def test_block_solves_descend_and_settle_where_the_block_is_stationary(loss):
    p, *_ = problem(loss)
    w = np.random.default_rng(1).standard_normal(p.size)
    values = [float(p.value(w))]
    for _ in range(300):
        p.block_solve(w, "cols")
        values.append(float(p.value(w)))
    assert np.all(np.diff(values) <= 1e-14)
    assert np.abs(p.unpack(p.point(w).grad)[1]).max() < 1e-6


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("form", ["dense", "sparse", "pairs"])
def test_a_tenth_of_gross_errors_is_not_seen(loss, form):
    """Nothing tuned, the rank only bounded: squared errors find nothing there."""
    missing = np.isnan(X)
    cells = np.argwhere(~missing)
    model = MatrixCompletion(8, loss=loss, random_state=0)
    if form == "pairs":
        model.fit(cells, X[~missing])
        filled = np.zeros_like(X)
        filled[missing] = model.predict(np.argwhere(missing))
    else:
        data = X
        if form == "sparse":
            data = sparse.coo_array((X[~missing], cells.T), shape=X.shape).tocsr()
        filled = model.fit(data).transform(data)
    assert model.solver_ == "als" and model.solve_report_.status == "converged"
    assert error(filled) < 1.35 * error(CLEAN)
    assert np.all(np.diff(model.loss_curve_) <= 1e-12)
    # The noise is found as if nobody had spoiled anything.
    assert 0.05 < model.noise_variance_**0.5 < 0.2
    if form == "dense":
        assert error(MatrixCompletion(8, random_state=0).fit(X).transform(X)) > 0.9
        # And what is far from the model is what has been spoiled.
        far = np.abs(model.row_factors_ @ model.components_ - X) > 1.0
        assert (far == (BAD & ~missing))[~missing].mean() > 0.98


@pytest.mark.parametrize("fit_bias", ["rows", "cols", "both"])
def test_biases_are_not_bent_either(fit_bias):
    Y, full = X + 7.0, FULL + 7.0
    model = MatrixCompletion(5, loss="huber", fit_bias=fit_bias, random_state=0).fit(Y)
    assert error(model.transform(Y), Y, full) < 0.03
    assert abs(model.mean_ - np.nanmedian(Y)) < 0.05


def test_without_noise_the_matrix_is_exact():
    Y, full, _ = spoiled(noise=0.0)
    model = MatrixCompletion(3, alpha=0, loss="huber", delta=1e-6, tol=1e-9, max_iter=3000)
    assert error(model.fit(Y).transform(Y), Y, full) < 1e-6


@pytest.mark.parametrize("loss", LOSSES)
def test_new_rows_are_folded_in_by_the_same_loss(loss):
    model = MatrixCompletion(3, alpha=0.05, loss=loss, delta=0.1, random_state=0).fit(X)
    np.testing.assert_allclose(
        model.row_factors_ @ model.components_,
        model.row_factors(X) @ model.components_,
        atol=1e-9,
    )
    # Alone or among others.
    np.testing.assert_allclose(model.row_factors(X[7:8])[0], model.row_factors(X)[7], atol=1e-12)
    V, seen = model.components_.T, ~np.isnan(X[7])

    def objective(u):
        r = np.abs(V[seen] @ u - X[7, seen])
        lost = np.where(r <= 0.1, r**2 / 2, 0.1 * r - 0.005) * (10 if loss == "absolute" else 1)
        return lost.sum() + 0.025 * seen.sum() * (u @ u)

    best = minimize(objective, np.zeros(3), method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(model.row_factors(X[7:8])[0], best.x, atol=1e-5)


SMOOTH = [
    name
    for name in fitting(MatrixCompletion(3, alpha=0.01, loss="huber", delta=0.2)._build_problem(X))
    if not is_stochastic(name)
]


@pytest.mark.parametrize("solver", SMOOTH)
def test_every_solver_of_smooth_problems_takes_hubers_loss(solver):
    params = {"alpha": 0.01, "loss": "huber", "delta": 0.2, "random_state": 0}
    lowest = MatrixCompletion(3, tol=1e-7, **params).fit(X).loss_curve_[-1]
    model = MatrixCompletion(3, solver=solver, tol=1e-3, **params).fit(X)
    assert model.solve_report_.status == "converged"
    assert model.loss_curve_[-1] <= lowest * 1.05


def test_the_default_is_among_the_solvers_and_linear_methods_are_not():
    assert {"als", "lbfgs", "nonlinear_cg", "newton_cg", "levenberg_marquardt"} <= set(SMOOTH)
    for name in ("gauss_newton", "irls", "riemannian_cg"):
        with pytest.raises(IncompatibleSolverError, match=r"loss='squared' is"):
            MatrixCompletion(3, alpha=0, loss="huber", solver=name).fit(X)
    with pytest.raises(IncompatibleSolverError, match="loss='huber' has"):
        MatrixCompletion(3, alpha=0.1, loss="absolute", solver="newton_cg").fit(X)
    model = MatrixCompletion(3, alpha=0.1, loss="absolute", solver="lbfgs", random_state=0).fit(X)
    assert error(model.transform(X)) < 0.3


def test_positive_factors():
    rng = np.random.default_rng(0)
    full = rng.random((50, 2)) @ rng.random((2, 40))
    Y = np.where(rng.random(full.shape) < 0.1, 2.0, full + 0.02 * rng.standard_normal(full.shape))
    Y[rng.random(full.shape) < 0.3] = np.nan
    model = MatrixCompletion(2, alpha=1e-4, loss="huber", positive=True, random_state=0).fit(Y)
    assert model.components_.min() >= 0 and model.row_factors_.min() >= 0
    assert error(model.transform(Y), Y, full) < 0.05


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_repeat_rows(loss):
    copies = np.random.default_rng(0).integers(0, 4, len(X))
    params = {"alpha": 0.02, "loss": loss, "tol": 1e-9, "max_iter": 5000, "random_state": 0}
    weighted = MatrixCompletion(3, **params).fit(X, sample_weight=copies)
    repeated = MatrixCompletion(3, **params).fit(np.repeat(X, copies, axis=0))
    assert weighted.loss_delta_ == pytest.approx(repeated.loss_delta_, rel=1e-9)
    assert weighted.mean_ == repeated.mean_
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X), atol=1e-4)


def test_other_namespaces_give_the_same_answer():
    device = array_api_strict.Device("device1")
    params = {"alpha": 0.02, "loss": "huber", "random_state": 0}
    here = MatrixCompletion(3, **params).fit(X[:20])
    there = MatrixCompletion(3, **params).fit(array_api_strict.asarray(X[:20], device=device))
    assert there.loss_delta_ == pytest.approx(here.loss_delta_)
    assert there.components_.device == device
    cpu = array_api_strict.Device("CPU_DEVICE")
    np.testing.assert_allclose(
        np.asarray(there.components_.to_device(cpu)), here.components_, atol=1e-7
    )


def test_medians_and_deviations():
    rng = np.random.default_rng(0)
    values, counts = rng.standard_normal(200), rng.integers(0, 4, 200).astype(float)
    middle = np.sort(np.repeat(values, counts.astype(int)))
    assert weighted_median(values, counts) == middle[(len(middle) - 1) // 2]
    assert deviation(5 * rng.standard_normal(20_000), np.ones(20_000)) == pytest.approx(5, rel=0.03)


@pytest.mark.parametrize("X", [np.zeros((5, 4)), np.full((5, 4), 3.0), [[2.0]], np.eye(6)])
@pytest.mark.parametrize("loss", LOSSES)
def test_degenerate_matrices(X, loss):
    for alpha in ("auto", 0.1):
        assert np.isfinite(MatrixCompletion(alpha=alpha, loss=loss).fit_transform(X)).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": "l1"}, "loss='l1'"),
        ({"loss": "huber", "delta": 0}, "delta=0"),
        ({"loss": "huber", "delta": "best"}, "delta='best'"),
        ({"loss": "huber", "penalty": "nuclear"}, "penalty='nuclear' has the squared loss alone"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        MatrixCompletion(2, alpha=0.1, **params).fit(X)


@pytest.mark.slow
@parametrize_with_checks([MatrixCompletion(alpha=0.05, loss="huber", random_state=0)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)
