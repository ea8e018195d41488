"""Kronecker factors of linear models: networks of one layer, and what is exact there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from rules import train

from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.engine import Stopping, run
from skopt_dl.linear_model import LogisticRegression, PenalizedRegressor, Ridge
from skopt_dl.losses import Logistic, Multinomial, Squared
from skopt_dl.neural_network import MLPClassifier, MLPRegressor
from skopt_dl.penalties import L1, L2
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import BKFAC, BRKFAC, EKFAC, KFAC, KLDWRM, RSKFAC, NewtonCholesky

FAMILY = [KFAC, EKFAC, RSKFAC, BKFAC, BRKFAC, KLDWRM]


def data(n: int = 80, outputs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 4)) * [1.0, 10.0, 0.1, 3.0] + 1.0
    Y = X @ rng.standard_normal((4, outputs)) + rng.standard_normal((n, outputs))
    return X, Y[:, 0] if outputs == 1 else Y


def softmax(intercept: bool = True, weights: Any = None) -> LinearProblem:
    X, _ = data()
    scores = X @ np.random.default_rng(5).standard_normal((4, 3)) / 5
    y = np.eye(3)[np.argmax(scores + np.random.default_rng(1).gumbel(size=(80, 3)), axis=1)]
    settings = {"fit_intercept": intercept, "sample_weight": weights}
    return LinearProblem(X, y, Multinomial(), L2(0.01), **settings)


def squared(outputs: int = 2, intercept: bool = False, layout: Any = np.asarray) -> LinearProblem:
    X, Y = data(outputs=outputs)
    return LinearProblem(layout(X), Y, Squared(), L2(0.1), fit_intercept=intercept)


# --- factors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("layout", [np.asarray, sp.csr_array])
def test_of_a_squared_loss_the_product_is_the_hessian(
    layout: Any, outputs: int, intercept: bool
) -> None:
    problem = squared(outputs, intercept, layout)
    w, index = problem.start(), np.arange(80)
    (layer,) = problem.kronecker(w, index).layers()
    A = layer.a.T @ (layer.root**2 * layer.a)
    G = sum(d.T @ d for d in layer.d)
    np.testing.assert_allclose(G, np.eye(outputs), atol=1e-12)
    point = problem.point(w)
    np.testing.assert_allclose(
        np.kron(A, G) + 0.1 * np.eye(problem.size), problem.hessian(point), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("intercept", [False, True])
def test_factors_are_those_of_a_network_without_hidden_layers(intercept: bool) -> None:
    """The network has an intercept always; without one its rows are left out."""
    problem = softmax(intercept)
    X, _ = data()
    model = MLPClassifier((), alpha=0.8, random_state=0)
    net = model._build_problem(X, np.argmax(problem.y, axis=1))
    w = np.random.default_rng(2).standard_normal(net.size)
    if not intercept:
        w[12:] = 0
    index = np.arange(0, 80, 3)
    theirs = net.kronecker(w, index)
    ours = problem.kronecker(w[: problem.size], index)
    (a,), (b,) = ours.layers(), theirs.layers()
    rows = a.a.shape[1]
    assert rows == (5 if intercept else 4)
    np.testing.assert_array_equal(a.a, b.a[:, :rows])
    squares = [sum(d.T @ d for d in layer.d) for layer in (a, b)]
    np.testing.assert_allclose(*squares, rtol=1e-10)
    assert float(ours.value()) == pytest.approx(
        float(net.sample_value(w, index)) + 0.5 * (0.01 - 0.8 / len(index)) * w[:12] @ w[:12]
    )


@pytest.mark.parametrize("make", [softmax, squared])
def test_drawn_derivatives_have_the_curvature_as_their_mean(make: Any) -> None:
    problem = make()
    w = np.random.default_rng(3).standard_normal(problem.size)
    model = problem.kronecker(w, np.arange(80))
    exact = sum(d.T @ d for d in model.layers()[0].d)
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(1500):
        (layer,) = model.layers(rng)
        assert layer.d.shape[0] == 1
        draws.append(layer.d[0].T @ layer.d[0])
    error = np.std(draws, axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(np.mean(draws, axis=0) - exact) <= 4 * error + 1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_products_and_values_are_those_of_the_batch(weighted: bool) -> None:
    weights = np.random.default_rng(4).uniform(0, 2, 80) if weighted else None
    problem = softmax(weights=weights)
    rng = np.random.default_rng(0)
    u, v, w = rng.standard_normal((3, problem.size))
    index = np.arange(0, 60, 3)
    model, product = problem.kronecker(w, index), problem.sample_ggn(w, index)
    inner = model.products(np.stack([u, v]))
    expected = [[u @ product(u), u @ product(v)], [v @ product(u), v @ product(v)]]
    np.testing.assert_allclose(inner, expected, rtol=1e-10)
    value, grad = problem.sample_grad(w, index)
    found = model.value_grad()
    assert float(found[0]) == float(value) == float(model.value())
    np.testing.assert_array_equal(found[1], grad)
    assert float(model.value_at(w + 0.1)) == float(problem.sample_value(w + 0.1, index))


# --- steps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
def test_one_undamped_step_solves_least_squares(outputs: int, intercept: bool) -> None:
    X, Y = data(outputs=outputs)
    problem = LinearProblem(X, Y, Squared(), L2(0.0), fit_intercept=intercept)
    solver = KFAC(damping=1e-18, fisher="exact", batch_size=80, average=None)
    found = train(problem, solver, 1).w
    best = run(problem, NewtonCholesky(), stopping=Stopping(tol=1e-12, max_iter=5)).w
    np.testing.assert_allclose(found, best, rtol=1e-6)


@pytest.mark.parametrize("kind", FAMILY)
@pytest.mark.parametrize("make", [softmax, squared])
def test_the_family_goes_most_of_the_way_on_batches(make: Any, kind: Any) -> None:
    problem = make()
    best = run(problem, NewtonCholesky(), stopping=Stopping(tol=1e-12, max_iter=50))
    first = float(problem.value(problem.start()))
    result = train(problem, kind(batch_size=20), 60)
    left = result.certificate.objective - best.certificate.objective
    assert left <= 0.05 * (first - best.certificate.objective)


@pytest.mark.parametrize("kind", FAMILY)
def test_one_layer_by_either_name_takes_the_same_steps(kind: Any) -> None:
    """A regression without a penalty, as a linear model and as a network of one layer."""
    X, Y = data(outputs=2)
    model = MLPRegressor(hidden_layer_sizes=(), alpha=0.0, random_state=0)
    net = model._build_problem(X, Y)
    linear = LinearProblem(
        np.column_stack([X, np.ones(80)]), Y, Squared(), L2(0.0), criterion="stationarity"
    )
    settings = {"fisher": "exact", "batch_size": 80, "learning_rate": 0.5}
    if "fisher" not in kind().get_params():
        settings.pop("fisher")
    ours = train(linear, kind(**settings), 3).w
    theirs = train(net, kind(**settings), 3, start=np.zeros(net.size)).w
    np.testing.assert_allclose(linear.predict_raw(ours), net.net.predict(theirs, X), rtol=1e-6)


# --- estimators -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.* did not converge")
def test_estimators_take_them_by_name() -> None:
    X, y = data()
    for name in ("kfac", "ekfac", "rs_kfac"):
        model = Ridge(1.0, solver=name, max_iter=200, random_state=0).fit(X, y)
        exact = Ridge(1.0).fit(X, y)
        np.testing.assert_allclose(model.predict(X), exact.predict(X), atol=0.3 * np.std(y))
        labels = np.digitize(y, np.quantile(y, [0.3, 0.7]))
        fitted = LogisticRegression(solver=name, max_iter=100, random_state=0).fit(X, labels)
        assert (
            fitted.score(X, labels) >= LogisticRegression().fit(X, labels).score(X, labels) - 0.05
        )


def test_what_has_no_factors_says_why() -> None:
    X, y = data()
    kink = LinearProblem(X, y, Squared(), L1(0.1))
    with pytest.raises(IncompatibleSolverError, match="the L1 penalty has none"):
        resolve("kfac", kink)
    with pytest.raises(IncompatibleSolverError, match="Kronecker factors"):
        PenalizedRegressor("huber", "mcp", solver="kfac").fit(X, y)
    binary = LinearProblem(X, (y > 0) * 1.0, Logistic(), L2(0.1), fit_intercept=True)
    assert resolve("kfac", binary)[0] == KFAC()
