"""Noise on purpose: gradient noise, Langevin dynamics, graduated smoothing, simulated annealing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from skopt_dl import MLPRegressor
from skopt_dl.dispatch import resolve
from skopt_dl.engine import Stopping, run
from skopt_dl.losses import Squared
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem, SmoothProblem
from skopt_dl.solvers import SGD, Adam
from skopt_dl.solvers.annealing import SimulatedAnnealing
from skopt_dl.solvers.stochastic.noise import Continuation, GradientNoise, Langevin


def ridge() -> LinearProblem:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    return LinearProblem(X, X @ [1.0, -2.0, 0.5], Squared(), L2(0.1), fit_intercept=True)


def one(value: Any, slope: Any, start: Any) -> SmoothProblem:
    """A function of few numbers as a sum of one sample."""
    return SmoothProblem(
        batch=lambda w, index: (value(w), slope(w)), n_samples=1, start=np.asarray(start)
    )


def train(problem: Any, solver: Any, epochs: int, seed: int = 0) -> Any:
    stopping = Stopping(tol=None, max_iter=epochs)
    return run(problem, solver, stopping=stopping, rng=np.random.RandomState(seed))


RATE = {"learning_rate": 0.05, "schedule": "constant", "batch_size": 8}


@pytest.mark.parametrize("rule", [SGD(**RATE), Adam(**RATE)], ids=["sgd", "adam"])
@pytest.mark.parametrize(
    "part",
    [
        lambda rule: GradientNoise(rule, scale=0.0),
        lambda rule: Langevin(rule, temperature=0.0),
        lambda rule: Continuation(rule, scale=0.0),
    ],
    ids=["gradient", "langevin", "continuation"],
)
def test_without_noise_it_is_the_rule_itself(rule: Any, part: Any) -> None:
    np.testing.assert_array_equal(train(ridge(), part(rule), 5).w, train(ridge(), rule, 5).w)


def test_the_noise_is_the_stated_one_and_fades() -> None:
    flat = one(lambda w: 0.0, np.zeros_like, np.zeros(4000))
    rule = SGD(learning_rate=1.0, schedule="constant")
    points = [train(flat, GradientNoise(rule, scale=0.3, decay=2.0), k).w for k in (1, 2, 3)]
    steps = [points[0], points[1] - points[0], points[2] - points[1]]
    for t, step in enumerate(steps):
        assert step.std() == pytest.approx(0.3 / (1 + t), rel=4 / np.sqrt(8000))


def test_langevin_dynamics_has_the_stationary_variance_of_its_temperature() -> None:
    # F = h w^2 / 2 and a step eta: the variance is T / (h (1 - eta h / 2)), in each coordinate.
    h, T, rate = 2.0, 0.3, 0.05
    bowl = one(lambda w: 0.5 * h * (w @ w), lambda w: h * w, np.zeros(3000))
    rule = SGD(learning_rate=rate, schedule="constant")
    w = train(bowl, Langevin(rule, temperature=T), 200).w
    expected = T / (h * (1 - rate * h / 2))
    assert abs(np.mean(w**2) - expected) < 3 * expected * np.sqrt(2 / 3000)


def test_noise_that_cools_settles() -> None:
    bowl = one(lambda w: w @ w, lambda w: 2 * w, np.full(50, 3.0))
    rule = SGD(learning_rate=0.05, schedule="constant")
    ends = [
        np.abs(train(bowl, Langevin(rule, temperature=1.0, decay=d), 1000).w).max()
        for d in (0.0, 2.0)
    ]
    assert ends[1] < 0.01 < 0.5 < ends[0]


def test_continuation_finds_the_deep_minimum_where_descent_stays_in_the_nearest() -> None:
    # x^2 + cos 8x: blurred by sigma > .329 it is convex; its lowest value is -.8505.
    def value(w: Any) -> Any:
        return (w**2 + np.cos(8 * w)).sum()

    wavy = one(value, lambda w: 2 * w - 8 * np.sin(8 * w), [3.0])
    rule = SGD(learning_rate=0.01, schedule="constant")
    stuck = train(wavy, rule, 400).w
    found = train(wavy, Continuation(rule, scale=1.0, n_epochs=300, n_pairs=10), 400).w
    assert value(stuck) > 6
    assert value(found) == pytest.approx(-0.8505, abs=1e-4)


def test_continuation_takes_the_gradient_of_the_blurred_objective() -> None:
    # E (w + s z)^3 / 3 has the slope w^2 + s^2.
    cubic = one(lambda w: (w**3).sum() / 3, lambda w: w**2, np.full(20000, 0.5))
    rule = SGD(learning_rate=1.0, schedule="constant")
    step = 0.5 - train(cubic, Continuation(rule, scale=0.7, n_epochs=10), 1).w
    expected = 0.25 + 0.7**2
    assert step.mean() == pytest.approx(expected, abs=4 * step.std() / np.sqrt(20000))


def test_parts_are_solvers_of_estimators_too() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = np.tanh(X[:, 0])
    solver = GradientNoise(Adam(learning_rate=0.02, batch_size=20), scale=0.01)
    model = MLPRegressor(hidden_layer_sizes=(8,), solver=solver, max_iter=80, tol=0, random_state=0)
    with pytest.warns(UserWarning, match="did not converge"):
        assert model.fit(X, y).score(X, y) > 0.8
    assert model.get_params()["solver__rule__learning_rate"] == 0.02
    chosen, _ = resolve(solver, ridge())
    assert chosen == solver


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (GradientNoise(SGD(), scale=-1.0), "GradientNoise: scale=-1.0"),
        (Langevin(SGD(), temperature="hot"), "Langevin: temperature='hot'"),
        (Continuation(SGD(), n_epochs=-1), "Continuation: n_epochs=-1"),
    ],
)
def test_bad_settings_are_named(part: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(ridge(), part, 1)


# --- simulated annealing ----------------------------------------------------------------------


def test_the_chain_has_the_stationary_law_of_its_temperature() -> None:
    energy = np.array([0.0, 0.5, 1.0, 0.2, 0.8])

    def hop(w: Any, rng: Any) -> Any:
        return (w + rng.choice([-1, 1])) % 5

    ring = SmoothProblem(lambda w: energy[int(w[0])], lambda w: np.zeros(1), start=np.zeros(1))
    solver = SimulatedAnnealing(temperature=0.7, cooling="none", propose=hop)
    state = solver.init(ring, ring.start(), np.random.RandomState(0))
    visits = np.zeros(5)
    # Points far apart are nearly independent, as the test of frequencies asks.
    for _ in range(800):
        solver.advance(ring, state, 12)
        visits[int(state.chain[0])] += 1
    p = np.exp(-energy / 0.7)
    assert chisquare(visits, 800 * p / p.sum()).pvalue > 1e-3
    assert state.w[0] == 0.0 and state.best == 0.0


def test_annealing_leaves_a_poor_valley() -> None:
    def value(w: Any) -> Any:
        return (w**2 + np.cos(8 * w)).sum()

    wavy = SmoothProblem(value, lambda w: 2 * w - 8 * np.sin(8 * w), start=np.array([3.0]))
    solver = SimulatedAnnealing(temperature=2.0, scale=0.5)
    result = run(
        wavy,
        solver,
        stopping=Stopping(tol=None, max_iter=3000),
        rng=np.random.default_rng(0),
    )
    assert value(result.w) < -0.8
    again = run(
        wavy, solver, stopping=Stopping(tol=None, max_iter=3000), rng=np.random.default_rng(0)
    )
    np.testing.assert_array_equal(again.w, result.w)


@pytest.mark.parametrize(
    "change", [{"temperature": 0.0}, {"scale": -1.0}, {"cooling": "fast"}], ids=str
)
def test_bad_settings_of_annealing_are_named(change: Any) -> None:
    with pytest.raises(ValueError, match=f"SimulatedAnnealing: {next(iter(change))}="):
        run(ridge(), SimulatedAnnealing(**change))
