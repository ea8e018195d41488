"""PenalizedRegressor and PenalizedClassifier against other programs, definitions and conditions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification
from sklearn.linear_model import (
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
)
from sklearn.model_selection import GridSearchCV
from sklearn.svm import LinearSVC

from skopt_dl import PenalizedClassifier, PenalizedRegressor
from skopt_dl.dispatch import SOLVERS, IncompatibleSolverError, fitting
from skopt_dl.engine import Oracle, Stopping, Trait, run
from skopt_dl.losses import (
    Huber,
    Logistic,
    Loss,
    Multinomial,
    Poisson,
    Quantile,
    Squared,
    SquaredHinge,
)
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
    Penalty,
    Simplex,
)
from skopt_dl.problems import LinearProblem
from skopt_dl.testing.solvers import wanders

GROUPS = [[0, 1], [2, 3, 4], [5, 6], [7]]
TIGHT = {"tol": 1e-11, "max_iter": 100_000}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 8)) * np.linspace(0.7, 1.5, 8) + 0.3
    signal = X @ np.array([1.5, -2.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.5]) + 1.0
    return X, signal + 0.3 * rng.standard_normal(80)


@pytest.fixture(scope="module")
def targets(data):
    """Targets for each loss."""
    rng = np.random.default_rng(1)
    _, y = data
    outliers = y + 10.0 * (rng.random(80) < 0.1)
    return {
        "squared": y,
        "huber": outliers,
        "quantile": y,
        "poisson": rng.poisson(np.exp(np.clip(y / 3, None, 3.0))).astype(float),
        "squared_hinge": (y > 0).astype(float),
        "logistic": (y + rng.standard_normal(80) > 0).astype(float),
    }


LOSSES = {
    "squared": Squared(),
    "huber": Huber(0.5),
    "quantile": Quantile(0.3, 0.05),
    "poisson": Poisson(),
    "squared_hinge": SquaredHinge(),
    "logistic": Logistic(),
}


def objective(loss, penalty, X, y, coef, intercept, weights=None):
    """The documented objective, by NumPy."""
    weights = np.ones(len(y)) if weights is None else weights
    mean = np.average(loss.value(y, X @ coef + intercept), weights=weights)
    return float(mean + penalty.value(coef))


# --- losses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_smooth_objectives_have_scipys_minimum(name, weighted, data, targets):
    X, y, loss = data[0], targets[name], LOSSES[name]
    weights = np.random.default_rng(2).integers(0, 4, 80).astype(float) if weighted else None
    model = PenalizedRegressor(loss, "l2", alpha=0.1, **TIGHT).fit(X, y, weights)

    def value_and_slope(b):
        z, w = X @ b[:-1] + b[-1], np.ones(80) if weights is None else weights
        r = w / w.sum() * loss.slope(y, z)
        value = objective(loss, L2(0.1), X, y, b[:-1], b[-1], weights)
        return value, np.append(X.T @ r + 0.1 * b[:-1], r.sum())

    start = np.zeros(9)
    found = minimize(value_and_slope, start, jac=True, method="L-BFGS-B", tol=1e-14)
    mine = objective(loss, L2(0.1), X, y, model.coef_, model.intercept_, weights)
    assert mine <= found.fun + 1e-10
    assert model.dual_gap_ <= 1e-9
    slope = value_and_slope(np.append(model.coef_, model.intercept_))[1]
    np.testing.assert_allclose(slope, 0, atol=1e-5)


@pytest.mark.parametrize("intercept", [True, False])
def test_poisson_is_scikit_learns(data, targets, intercept):
    X, y = data[0], targets["poisson"]
    theirs = PoissonRegressor(
        alpha=0.3, fit_intercept=intercept, solver="newton-cholesky", tol=1e-12, max_iter=1000
    ).fit(X, y)
    mine = PenalizedRegressor(
        "poisson", "l2", alpha=0.3, fit_intercept=intercept, tol=1e-14, max_iter=1000
    ).fit(X, y)
    np.testing.assert_allclose(mine.coef_, theirs.coef_, atol=1e-7)
    np.testing.assert_allclose(mine.intercept_, theirs.intercept_, atol=1e-7)
    np.testing.assert_allclose(mine.predict(X), theirs.predict(X), rtol=1e-6)


def test_poisson_of_large_counts_starts_at_the_null_model(data):
    X, y = data
    counts = np.round(1e6 * np.exp(y / 10))
    model = PenalizedRegressor("poisson", "l1", alpha=10.0).fit(X, counts)
    assert model.solve_report_.status == "converged"
    np.testing.assert_allclose(model.predict(X).mean(), counts.mean(), rtol=1e-6)


@pytest.mark.parametrize("quantile", [0.2, 0.5, 0.9])
def test_the_smoothed_quantile_approaches_scikit_learns(data, quantile):
    X, y = data
    exact = QuantileRegressor(quantile=quantile, alpha=0.02, solver="highs").fit(X, y)

    def pinball(model):
        r = y - model.predict(X)
        loss = np.mean(np.maximum(quantile * r, (quantile - 1) * r))
        return loss + 0.02 * np.sum(np.abs(model.coef_))

    excess = []
    for smoothing in (0.3, 0.03, 0.003):
        loss = Quantile(quantile, smoothing)
        model = PenalizedRegressor(loss, "l1", alpha=0.02, tol=1e-8).fit(X, y)
        excess.append(pinball(model) - pinball(exact))
        # The smoothed loss lies below by at most this much.
        assert -1e-10 <= excess[-1] <= smoothing * max(quantile, 1 - quantile) ** 2 / 2 + 1e-7
    assert excess[2] < 0.1 * excess[0]


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_squared_hinge_is_linear_svc(data, targets, penalty):
    # liblinear penalises the intercept: without one the problems agree, its C being half of ours.
    X, y, alpha = data[0], targets["squared_hinge"], 0.05
    theirs = LinearSVC(
        penalty=penalty,
        loss="squared_hinge",
        dual=False,
        C=0.5 / (alpha * 80),
        fit_intercept=False,
        tol=1e-10,
        max_iter=100_000,
    ).fit(X, y)
    mine = PenalizedClassifier(
        "squared_hinge", penalty, alpha=alpha, fit_intercept=False, tol=1e-12, max_iter=10_000
    ).fit(X, y)
    np.testing.assert_allclose(mine.coef_, theirs.coef_, atol=2e-6)
    np.testing.assert_array_equal(mine.predict(X), theirs.predict(X))


# --- penalties ----------------------------------------------------------------------------------


def test_weights_of_features_are_scales_of_columns(data):
    X, y = data
    weights = np.array([0.5, 1.0, 2.0, 4.0, 0.25, 1.0, 3.0, 1.0])
    model = PenalizedRegressor(penalty=L1(weights=weights), alpha=0.1, **TIGHT).fit(X, y)
    scaled = Lasso(0.1, tol=1e-14, max_iter=10**6).fit(X / weights, y)
    np.testing.assert_allclose(model.coef_, scaled.coef_ / weights, atol=1e-7)


def test_a_weight_of_zero_leaves_a_feature_unpenalised(data):
    X, y = data
    free = L1(weights=[0.0, *np.full(7, 1e3)])
    model = PenalizedRegressor(penalty=free, tol=1e-10).fit(X, y)
    plain = LinearRegression().fit(X[:, :1], y)
    np.testing.assert_allclose(model.coef_, [plain.coef_[0], *np.zeros(7)], atol=1e-7)
    assert model.dual_gap_ is None
    assert model.solve_report_.certificate_kind == "stationarity"


@pytest.mark.parametrize(("name", "alpha"), [("squared", 0.2), ("huber", 0.1), ("poisson", 0.2)])
def test_group_lasso_meets_its_conditions(name, alpha, data, targets):
    X, y, loss = data[0], targets[name], LOSSES[name]
    model = PenalizedRegressor(loss, GroupLasso(GROUPS), alpha=alpha, **TIGHT).fit(X, y)
    g = X.T @ loss.slope(y, X @ model.coef_ + model.intercept_) / 80
    zero = []
    for group in GROUPS:
        w, strength = model.coef_[group], alpha * len(group) ** 0.5
        zero.append(not w.any())
        if zero[-1]:
            assert np.linalg.norm(g[group]) <= strength + 1e-6
        else:
            np.testing.assert_allclose(g[group], -strength * w / np.linalg.norm(w), atol=1e-5)
    assert any(zero)
    assert not all(zero)


def test_slope_with_equal_weights_is_the_lasso(data):
    X, y = data
    slope = PenalizedRegressor(penalty=SLOPE(weights=np.ones(8)), alpha=0.2, **TIGHT).fit(X, y)
    lasso = Lasso(0.2, tol=1e-14, max_iter=10**6).fit(X, y)
    np.testing.assert_allclose(slope.coef_, lasso.coef_, atol=1e-6)


def test_slope_gathers_correlated_features(data):
    X, y = data
    rng = np.random.default_rng(3)
    twin = np.column_stack([X, X[:, 0] + 1e-3 * rng.standard_normal(80)])
    weights = np.linspace(2.0, 1.0, 9)
    model = PenalizedRegressor(penalty=SLOPE(weights=weights), alpha=0.1, **TIGHT).fit(twin, y)
    assert model.coef_[0] == pytest.approx(model.coef_[8], abs=1e-6)
    assert model.coef_[0] != 0


@pytest.mark.parametrize("solver", ["cd", "ista"])
@pytest.mark.parametrize("penalty", [MCP(0.4, 3.0), SCAD(0.4, 3.7)], ids=repr)
def test_concave_penalties_end_where_no_coordinate_can_improve(penalty, solver, data):
    X, y = data
    model = PenalizedRegressor(penalty=penalty, solver=solver, tol=1e-10, max_iter=10_000)
    model.fit(X, y)
    assert model.dual_gap_ is None
    Xc, residual = X - X.mean(axis=0), y - model.predict(X)
    for j in range(8):
        L = np.mean(Xc[:, j] ** 2)
        centre = model.coef_[j] + Xc[:, j] @ residual / (80 * L)
        best = penalty.prox_coordinate(centre, 1 / L, j)
        assert float(best) == pytest.approx(model.coef_[j], abs=1e-8)
    # What is kept is not shrunk: the flat part begins below these coefficients.
    large = np.abs(model.coef_) > 4 * penalty.alpha
    assert large.any()
    assert (model.coef_ == 0).any()


def test_without_convexity_no_method_is_offered_that_relies_on_it(data):
    X, y = data
    problem = LinearProblem(X, y, Squared(), MCP(0.4))
    assert Trait.CONVEX not in problem.traits
    offered = set(fitting(problem))
    assert {"cd", "ista", "prox_newton"} <= offered
    assert offered.isdisjoint({"fista", "fista_backtracking", "admm", "saga"})
    with pytest.raises(IncompatibleSolverError, match="a convex objective"):
        PenalizedRegressor(penalty="mcp", solver="fista").fit(X, y)


def test_a_simplex_fit_is_scipys(data):
    X, y = data
    model = PenalizedRegressor(penalty=Simplex(1.5), **TIGHT).fit(X, y)
    assert model.coef_.min() >= 0
    assert model.coef_.sum() == pytest.approx(1.5)
    Xc, yc = X - X.mean(axis=0), y - y.mean()
    found = minimize(
        lambda w: 0.5 * np.mean((yc - Xc @ w) ** 2),
        np.full(8, 1.5 / 8),
        jac=lambda w: -Xc.T @ (yc - Xc @ w) / 80,
        bounds=[(0, None)] * 8,
        constraints=LinearConstraint(np.ones(8), 1.5, 1.5),
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    np.testing.assert_allclose(model.coef_, found.x, atol=1e-5)


@pytest.mark.parametrize(
    "box", [Box(-0.5, 0.7), Box(0.0, float("inf")), Box(0.1, 0.9), Box(-np.ones(8), np.arange(8.0))]
)
@pytest.mark.parametrize("name", ["squared", "huber", "poisson"])
def test_a_box_fit_is_scipys(name, box, data, targets):
    X, y, loss = data[0], targets[name], LOSSES[name]
    model = PenalizedRegressor(loss, box, **TIGHT).fit(X, y)
    lower, upper = np.broadcast_to(box.lower, 8), np.broadcast_to(box.upper, 8)
    assert np.all((model.coef_ >= lower) & (model.coef_ <= upper))

    def value_and_slope(b):
        z = X @ b[:-1] + b[-1]
        r = loss.slope(y, z) / 80
        return np.mean(loss.value(y, z)), np.append(X.T @ r, r.sum())

    found = minimize(
        value_and_slope,
        np.append(np.clip(0.0, lower, upper), 0.0),
        jac=True,
        bounds=[*zip(lower, upper, strict=True), (None, None)],
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 10_000},
    )
    mine = value_and_slope(np.append(model.coef_, model.intercept_))[0]
    assert mine <= found.fun + 1e-9


def test_a_box_away_from_zero_holds_constant_columns(data):
    X, y = data
    constant = np.column_stack([X, np.ones(80)])
    model = PenalizedRegressor(penalty=Box(0.5, 1.0), solver="cd").fit(constant, y)
    assert np.all((model.coef_ >= 0.5) & (model.coef_ <= 1.0))
    assert model.solve_report_.status == "converged"


# --- every loss with every penalty, every solver ------------------------------------------------

PENALTIES = [
    L1(0.05),
    L2(0.1),
    ElasticNet(0.05, 0.05),
    GroupLasso(GROUPS, 0.05),
    SLOPE(0.05),
    Box(-0.5, 0.7),
    Simplex(2.0),
    L1Ball(1.0),
]


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@pytest.mark.parametrize("name", LOSSES)
def test_any_loss_meets_any_penalty(name, penalty, data, targets):
    model = PenalizedRegressor(LOSSES[name], penalty, tol=1e-6).fit(data[0], targets[name])
    assert model.solve_report_.status == "converged"
    assert model.solve_report_.certificate_kind == "duality gap"


@pytest.mark.parametrize(
    ("name", "penalty"),
    [
        ("huber", L1(0.05)),
        ("quantile", ElasticNet(0.02, 0.1)),
        ("huber", GroupLasso(GROUPS, 0.05)),
        ("poisson", L2(0.1)),
        ("squared", SLOPE(0.1)),
        ("squared_hinge", ElasticNet(0.02, 0.05)),
        ("squared", Box(-0.5, 0.7)),
    ],
    ids=str,
)
def test_every_solver_that_fits_reaches_the_same_optimum(name, penalty, data, targets):
    problem = LinearProblem(data[0], targets[name], LOSSES[name], penalty, fit_intercept=True)
    reached = {}
    for solver in fitting(problem):
        method = SOLVERS.get(solver)
        # Those wander around the optimum; a table of slopes is slow where the loss is steep.
        if wanders(method) or (name == "quantile" and Oracle.SAMPLE_SLOPES in method.needs.oracles):
            continue
        result = run(
            problem,
            method(),
            stopping=Stopping(tol=1e-5, max_iter=20_000),
            rng=np.random.default_rng(0),
        )
        assert result.success, solver
        assert result.certificate.kind == "duality gap"
        reached[solver] = result.certificate
    assert len(reached) >= 4
    lowest = min(c.objective for c in reached.values())
    for solver, certificate in reached.items():
        assert certificate.objective - lowest <= certificate.gap + 1e-12, solver


def test_a_loss_without_a_bound_of_its_curvature_refuses_constant_steps(data, targets):
    X, y = data[0], targets["poisson"]
    with pytest.raises(IncompatibleSolverError, match="curvature of the Poisson loss has no bound"):
        PenalizedRegressor("poisson", "l1", solver="fista").fit(X, y)
    model = PenalizedRegressor("poisson", "l1_ball", tol=1e-8).fit(X, y)
    assert model.solver_ == "fista_backtracking"


# --- the estimators -----------------------------------------------------------------------------


def test_the_regressor_of_squared_loss_and_l1_is_the_lasso(data):
    X, y = data
    mine = PenalizedRegressor(alpha=0.2, **TIGHT).fit(X, y)
    theirs = Lasso(0.2, tol=1e-14, max_iter=10**6).fit(X, y)
    np.testing.assert_allclose(mine.coef_, theirs.coef_, atol=1e-7)
    assert mine.intercept_ == pytest.approx(theirs.intercept_)


def test_the_classifier_of_logistic_loss_is_logistic_regression():
    X, y = load_iris(return_X_y=True)
    for labels in (y, (y > 0).astype(int)):
        theirs = LogisticRegression(C=1 / (0.1 * 150), tol=1e-10, max_iter=10_000).fit(X, labels)
        mine = PenalizedClassifier(alpha=0.1, tol=1e-13, max_iter=10_000).fit(X, labels)
        np.testing.assert_allclose(mine.coef_, theirs.coef_, atol=1e-5)
        proba = theirs.predict_proba(X)
        np.testing.assert_allclose(mine.predict_proba(X), proba, atol=1e-5)
        np.testing.assert_allclose(np.exp(mine.predict_log_proba(X)), proba, atol=1e-5)
        assert mine.decision_function(X).shape == theirs.decision_function(X).shape


def test_other_losses_take_one_class_against_the_rest():
    X, y = load_iris(return_X_y=True)
    names = np.asarray(["setosa", "versicolor", "virginica"])[y]
    model = PenalizedClassifier("squared_hinge", "l2", alpha=0.01, tol=1e-10).fit(X, names)
    assert model.coef_.shape == (3, 4)
    assert model.dual_gap_.shape == model.n_iter_.shape == (3,)
    for k, name in enumerate(model.classes_):
        one = PenalizedClassifier("squared_hinge", "l2", alpha=0.01, tol=1e-10)
        one.fit(X, names == name)
        np.testing.assert_allclose(model.coef_[k], one.coef_[0], atol=1e-6)
    assert model.score(X, names) > 0.9
    assert not hasattr(model, "predict_proba")
    with pytest.raises(AttributeError) as error:
        _ = model.predict_proba
    assert "loss='squared_hinge'" in str(error.value.__cause__)


def test_a_group_of_outputs_enters_for_all_classes_or_for_none():
    X, y = make_classification(
        150, 8, n_informative=3, n_redundant=0, n_classes=3, shuffle=False, random_state=0
    )
    rows = GroupLasso([[j] for j in range(8)])
    model = PenalizedClassifier(penalty=rows, alpha=0.08, tol=1e-8).fit(X, y)
    used = model.coef_ != 0
    assert np.array_equal(used.any(axis=0), used.all(axis=0))
    assert 0 < used.any(axis=0).sum() < 8


def test_explicit_multinomial_has_a_row_for_each_of_two_classes():
    X, y = load_iris(return_X_y=True)
    binary = (y > 0).astype(int)
    model = PenalizedClassifier(Multinomial(), alpha=0.05).fit(X, binary)
    assert model.coef_.shape == (2, 4)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    assert model.score(X, binary) == 1.0


def test_several_targets_are_fitted_one_by_one(data, targets):
    X = data[0]
    Y = np.column_stack([targets["huber"], targets["quantile"]])
    model = PenalizedRegressor("huber", "l1", alpha=0.05, tol=1e-8).fit(X, Y)
    assert model.coef_.shape == (2, 8)
    for k in range(2):
        single = PenalizedRegressor("huber", "l1", alpha=0.05, tol=1e-8).fit(X, Y[:, k])
        np.testing.assert_allclose(model.coef_[k], single.coef_, atol=1e-6)
        np.testing.assert_allclose(model.predict(X)[:, k], single.predict(X), atol=1e-5)


@pytest.mark.parametrize("penalty", ["l1", GroupLasso(GROUPS), "slope"], ids=str)
@pytest.mark.parametrize("name", ["huber", "poisson", "squared"])
def test_sparse_data_give_the_same_model(name, penalty, data, targets):
    X, y = np.where(np.abs(data[0]) < 0.4, 0.0, data[0]), targets[name]
    model = PenalizedRegressor(LOSSES[name], penalty, alpha=0.05, tol=1e-10)
    dense, sparse = clone(model).fit(X, y), clone(model).fit(csr_array(X), y)
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-5)


@pytest.mark.parametrize("penalty", ["l1", Box(-0.2, 0.2), Simplex(1.0)], ids=str)
@pytest.mark.parametrize("name", ["huber", "poisson", "squared"])
def test_warm_start_goes_on_from_the_answer(name, penalty, data, targets):
    X, y = data[0], targets[name]
    model = PenalizedRegressor(LOSSES[name], penalty, tol=1e-6, warm_start=True)
    first = model.fit(X, y).coef_.copy()
    model.fit(X, y)
    assert model.solve_report_.n_iter == 0
    np.testing.assert_allclose(model.coef_, first, rtol=1e-12)
    with pytest.raises(ValueError, match="warm_start=True goes on from"):
        model.fit(X[:, :4], y)


def test_a_warm_start_of_classes_and_into_a_smaller_set(data):
    X, y = load_iris(return_X_y=True)
    for loss in ("logistic", "squared_hinge"):
        model = PenalizedClassifier(loss, alpha=0.1, tol=1e-6, warm_start=True).fit(X, y)
        reports = model.fit(X, y).solve_report_
        for report in reports if isinstance(reports, list) else [reports]:
            assert report.n_iter == 0
    X, y = data
    wide = PenalizedRegressor(penalty=Box(-5.0, 5.0), warm_start=True, solver="cd").fit(X, y)
    wide.set_params(penalty__lower=-0.1, penalty__upper=0.1).fit(X, y)
    assert np.abs(wide.coef_).max() <= 0.1


def test_settings_of_the_parts_are_tuned_by_name(data, targets):
    X, y = data[0], targets["huber"]
    search = GridSearchCV(
        PenalizedRegressor(Huber(), GroupLasso(GROUPS)),
        {"loss__delta": [0.2, 2.0], "penalty__alpha": [0.01, 10.0], "alpha": [1.0, 2.0]},
        cv=2,
    ).fit(X, y)
    assert search.best_params_["penalty__alpha"] == 0.01
    assert search.best_estimator_.penalty.alpha == 0.01


def test_a_fit_changes_no_part_of_the_users(data):
    X, y = data
    penalty, loss = ElasticNet([0.1] * 8, 0.2), Huber(0.3)
    before = repr((penalty, loss))
    PenalizedRegressor(loss, penalty, alpha=3.0).fit(X, y)
    assert repr((penalty, loss)) == before


def test_alpha_multiplies_every_strength(data):
    X, y = data
    one = PenalizedRegressor(penalty=ElasticNet(0.2, 0.6), **TIGHT).fit(X, y)
    two = PenalizedRegressor(penalty=ElasticNet([0.1] * 8, 0.3), alpha=2.0, **TIGHT).fit(X, y)
    np.testing.assert_allclose(one.coef_, two.coef_, atol=1e-8)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": "hubr"}, "Did you mean 'huber'"),
        ({"loss": 3}, "loss=3 is not valid; it must be the name of a loss"),
        ({"penalty": "l3"}, "unknown penalty 'l3'"),
        ({"penalty": None}, "penalty=None is not valid"),
        ({"alpha": -1.0}, "alpha=-1.0"),
        ({"penalty": Simplex(2.0), "alpha": 0.5}, "the simplex constraint has none.*penalty__rad"),
        ({"loss": Huber(-1.0)}, "delta=-1.0"),
        ({"penalty": GroupLasso([[0, 1]])}, "each feature must be in one group"),
        ({"penalty": MCP(gamma=-1.0)}, "gamma=-1.0"),
        ({"loss": "poisson"}, "targets must be >= 0"),
        ({"loss": "multinomial"}, "one-hot rows"),
    ],
    ids=str,
)
def test_bad_parts_are_refused_with_the_way_out(params, message, data):
    with pytest.raises(ValueError, match=message):
        PenalizedRegressor(**params).fit(*data)


def test_a_loss_and_a_penalty_of_ones_own(data):
    class Cosh(Loss):
        smoothness = 1.0

        def value(self, y, z):
            r = np.abs(z - y)
            return r + np.log1p(np.exp(-2 * r)) - np.log(2)

        def slope(self, y, z):
            return np.tanh(z - y)

    class Half(Penalty):
        def value(self, w):
            return 0.05 * np.sum(w**2)

        def prox(self, v, step):
            return v / (1 + 0.1 * step)

    X, y = data
    model = PenalizedRegressor(Cosh(), Half(), tol=1e-8).fit(X, y)
    assert model.solve_report_.certificate_kind == "stationarity"
    r = np.tanh(X @ model.coef_ + model.intercept_ - y) / 80
    np.testing.assert_allclose(X.T @ r + 0.1 * model.coef_, 0, atol=1e-6)
    assert np.sum(r) == pytest.approx(0, abs=1e-6)
