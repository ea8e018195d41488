"""First-order methods on problems whose rates, floors and bounds are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from skopt_dl.engine import Stopping, run
from skopt_dl.losses import Squared
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem, SmoothProblem
from skopt_dl.search.schedules import Decreasing, InverseScaling
from skopt_dl.solvers import SGD, AdaGrad, AdaGradNorm, GradientDescent, Momentum, Nesterov


def bowl(values, start=None):
    """``sum h w^2 / 2`` on one sample."""
    h = np.asarray(values, dtype=float)
    w = np.ones(h.size) if start is None else np.asarray(start, dtype=float)
    return SmoothProblem(batch=lambda w, i: (0.5 * h @ w**2, h * w), n_samples=1, start=w)


def path(problem, solver, n, seed=0):
    """The start and the ``n`` iterates after it."""
    w = problem.start()
    state, points = solver.init(problem, w, np.random.RandomState(seed)), [w.copy()]
    for _ in range(n):
        solver.advance(problem, state, 1)
        points.append(np.array(state.w))
    return np.array(points)


def rate_over(points, first, last):
    """What the distance from zero is multiplied by in an iteration, from ``first`` to ``last``."""
    far, near = (np.linalg.norm(points[k]) for k in (first, last))
    return (near / far) ** (1 / (last - first))


# --- deterministic --------------------------------------------------------------------------------

CONDITION = 1e4
SPECTRUM = np.geomspace(1.0, CONDITION, 12)


def test_gradient_descent_has_the_rate_of_the_condition():
    rho = (CONDITION - 1) / (CONDITION + 1)
    points = path(bowl(SPECTRUM), GradientDescent(step=2 / (1 + CONDITION)), 6000)
    lengths = np.linalg.norm(points, axis=1)
    assert np.max(lengths[1:] / lengths[:-1]) <= rho * (1 + 1e-12)
    assert rate_over(points, 5000, 6000) == pytest.approx(rho, abs=1e-5)


def test_momentum_has_the_rate_of_the_root_of_the_condition():
    root = math.sqrt(CONDITION)
    alpha = ((root - 1) / (root + 1)) ** 2
    settings = {"schedule": "constant", "momentum": alpha}
    rule = Momentum(learning_rate=4 / (1 + root) ** 2, **settings)
    found = rate_over(path(bowl(SPECTRUM), rule, 2500), 2000, 2500)
    # At both ends of the spectrum the iteration has a double eigenvalue: errors k rho^k.
    assert found == pytest.approx(math.sqrt(alpha) * (2500 / 2000) ** (1 / 500), abs=2e-4)
    assert found < 0.9812


def test_nesterov_has_the_rate_of_its_constant_momentum():
    root = math.sqrt(CONDITION)
    rule = Nesterov(
        learning_rate=1 / CONDITION, momentum=(root - 1) / (root + 1), schedule="constant"
    )
    found = rate_over(path(bowl(SPECTRUM), rule, 2500), 2000, 2500)
    assert found == pytest.approx((1 - 1 / root) * (2500 / 2000) ** (1 / 500), abs=3e-4)


def test_nesterov_is_stable_up_to_its_own_limit():
    """``(2 + 2 a)/(1 + 2 a)``: a gradient that is taken at the wrong point bears more."""
    alpha = 0.9
    limit = (2 + 2 * alpha) / (1 + 2 * alpha)
    for share, stays in ((0.99, True), (1.01, False)):
        rule = Nesterov(learning_rate=share * limit, momentum=alpha, schedule="constant")
        far = np.abs(path(bowl([1.0]), rule, 1000)[-1, 0])
        assert bool(far < 1e-3) is stays


def test_two_ways_to_write_momentum_differ_where_the_rate_falls():
    """``v <- a v - t g`` is ours; ``v <- a v + g, w <- w - t v`` is the same for one rate only."""
    alpha, problem = 0.8, bowl([1.0, 3.0])
    for schedule, same in (("constant", True), (Decreasing(1.0), False)):
        w = problem.start()
        ours, other, v, u = w.copy(), w.copy(), 0 * w, 0 * w
        for k in range(20):
            rate = 0.2 if schedule == "constant" else 0.2 / (1 + k)
            v = alpha * v - rate * np.array([1.0, 3.0]) * ours
            ours = ours + v
            u = alpha * u + np.array([1.0, 3.0]) * other
            other = other - rate * u
        rule = Momentum(learning_rate=0.2, momentum=alpha, schedule=schedule)
        np.testing.assert_allclose(path(problem, rule, 20)[-1], ours, rtol=1e-12, atol=1e-15)
        assert np.allclose(ours, other, rtol=1e-12, atol=1e-14) is same


def test_a_gradient_that_dominates_needs_no_convexity():
    """``x^2 + 3 sin^2 x`` has L = 8 and Polyak-Lojasiewicz's constant 1/32."""
    problem = SmoothProblem(
        lambda w: np.sum(w**2 + 3 * np.sin(w) ** 2),
        lambda w: 2 * w + 3 * np.sin(2 * w),
        start=np.array([3.1]),
    )
    points = path(problem, GradientDescent(step=1 / 8), 300)
    gaps = np.array([float(problem.value(w)) for w in points])
    bound = gaps[0] * (1 - 1 / 256) ** np.arange(301)
    assert np.all(gaps <= bound * (1 + 1e-12))
    # Not convex between: the second derivative 2 + 6 cos 2x is negative on the way.
    assert np.min(2 + 6 * np.cos(2 * points)) < 0 < gaps[-1] + 1e-300
    assert gaps[-1] < 1e-12


# --- least squares from zero ----------------------------------------------------------------------


def least_squares(n, p, seed=0):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, p)), rng.standard_normal(n)
    return LinearProblem(X, y, Squared(), L2(0.0), criterion="stationarity"), X, y


def test_stopping_early_is_a_filter_of_the_spectrum_between_ridges():
    problem, X, y = least_squares(40, 6)
    U, s, Vt = np.linalg.svd(X / math.sqrt(40), full_matrices=False)
    eta = 0.9 / s[0] ** 2
    points = path(problem, GradientDescent(step=eta), 50)
    ols = (U.T @ y) / math.sqrt(40) / s
    for t in (1, 7, 50):
        kept = 1 - (1 - eta * s**2) ** t
        np.testing.assert_allclose(points[t], Vt.T @ (kept * ols), rtol=0, atol=1e-14)
        ridge = s**2 / (s**2 + 1 / (eta * t))
        assert np.all((ridge <= kept) & (kept <= np.minimum(1.0, 2 * ridge)))


@pytest.mark.parametrize("away", [False, True])
def test_gradients_stay_in_the_rows_and_end_at_the_nearest_interpolant(away):
    problem, X, y = least_squares(8, 20)
    start = np.random.default_rng(1).standard_normal(20) if away else np.zeros(20)
    step = 1 / np.linalg.eigvalsh(X @ X.T / 8)[-1]
    result = run(
        problem,
        GradientDescent(step=step),
        start=start,
        stopping=Stopping(tol=None, max_iter=3000),
    )
    nearest = start + np.linalg.pinv(X) @ (y - X @ start)
    assert np.linalg.norm(result.w - nearest) <= 1e-8


# --- noise ----------------------------------------------------------------------------------------


def noisy(draw, size=1, n=100, start=5.0):
    """Gradients that ``draw(w)`` makes anew each time."""
    return SmoothProblem(batch=lambda w, i: (0.0, draw(w)), n_samples=n, start=np.full(size, start))


def test_the_floor_of_stochastic_gradients_is_proportional_to_the_rate():
    """A constant rate t on h w^2 / 2 with noise of variance 1: t / (h (2 - t h)) at rest."""
    floors = []
    for rate in (0.1, 0.05):
        # A coordinate a seed: all have the same law.
        rng = np.random.default_rng(3)
        problem = noisy(lambda w, rng=rng: w + rng.standard_normal(w.size), size=400, n=20)
        rule = SGD(learning_rate=rate, schedule="constant", batch_size=1)
        points = path(problem, rule, 60)[15:]
        floors.append(np.mean(points**2))
        assert floors[-1] == pytest.approx(rate / (2 - rate), rel=0.05)
    assert floors[0] / floors[1] == pytest.approx(2, rel=0.15)


def test_an_average_under_one_over_the_root_has_the_slope_one_half():
    """``max(w, -2 w)``: at rest E w follows the rate, and so does the average."""
    rng, size, n = np.random.default_rng(0), 300, 20
    problem = noisy(
        lambda w: np.where(w > 0, 1.0, -2.0) + rng.standard_normal(size), size=size, n=n, start=0.0
    )
    w, mean, errors, t = problem.start(), 0.0, {}, 0
    rule = SGD(learning_rate=1.0, schedule=InverseScaling(0.5), batch_size=1)
    state = rule.init(problem, w, np.random.RandomState(0))
    for t in range(1, 30_001):
        state.rate = rule.schedule.after_epoch(1.0, 1.0, t - 1, t - 1)
        rule._step(problem, state, problem.sample_grad(state.w, np.arange(1))[1])
        mean = mean + (state.w - mean) / t
        if t in (300, 3000, 30_000):
            errors[t] = np.mean(np.maximum(mean, -2 * mean))
    slopes = [math.log10(errors[10 * t] / errors[t]) for t in (300, 3000)]
    np.testing.assert_allclose(slopes, -0.5, atol=0.1)


@pytest.mark.parametrize(
    ("shuffle", "low", "high"), [(True, -3.0, -1.7), ("once", -3.0, -1.5), ("iid", -1.3, -0.6)]
)
def test_the_order_of_samples_decides_the_slope(shuffle, low, high):
    """The rate falls like one over the epochs: squared distances like 1/k^2 without replacement,
    like 1/k with it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    problem = LinearProblem(X, X @ [1.0, -2.0, 0.5] + rng.normal(size=50), Squared(), L2(0.1))
    best = np.linalg.solve(X.T @ X / 50 + 0.1 * np.eye(3), X.T @ np.array(problem.y) / 50)
    rule = SGD(learning_rate=0.2, schedule=Decreasing(1.0), batch_size=1, shuffle=shuffle)
    squares = []
    for seed in range(3):
        points = path(problem, rule, 500, seed)
        squares.append(np.sum((points[[62, 125, 250, 500]] - best) ** 2, axis=1))
    logs = np.log(np.mean(squares, axis=0))
    slope = np.polyfit(np.log([62, 125, 250, 500]), logs, 1)[0]
    assert low <= slope <= high


def test_one_pass_over_fresh_samples_is_nearly_efficient():
    """Averaged: ``n times the excess over s^2 p`` is at least 1, Cramer and Rao's bound."""
    n, p, seeds, excess = 4000, 10, 16, []
    truth = np.linspace(-0.3, 0.3, p)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((n, p))
        problem = LinearProblem(X, X @ truth + rng.standard_normal(n), Squared(), L2(0.0))
        rule = SGD(
            learning_rate=0.2 / p,
            schedule="constant",
            batch_size=1,
            shuffle=False,
            average="polyak",
        )
        w = run(problem, rule, stopping=Stopping(tol=None, max_iter=1)).w
        # The inputs are white: half of the squared distance is the excess of the true risk.
        excess.append(np.sum((w - truth) ** 2))
    assert n * np.mean(excess) / p <= 1.3


# --- adaptive rates -------------------------------------------------------------------------------


def test_the_regret_of_adagrad_grows_like_the_root_of_time():
    """Duchi, Hazan, Singer, Theorem 5 without a projection, on ``sum |w - z_t|``."""
    p, T, rate = 4, 3000, 0.5
    z = np.random.default_rng(0).standard_normal((T, p)) * [1.0, 3.0, 0.3, 1.0]
    z[::2] += 1
    seen = iter(range(T))
    problem = SmoothProblem(
        batch=lambda w, i: (0.0, np.sign(w - z[next(seen)])), n_samples=1, start=np.zeros(p)
    )
    points = path(problem, AdaGrad(learning_rate=rate, epsilon=0.0, schedule="constant"), T)
    best = np.median(z, axis=0)
    losses = np.sum(np.abs(points[:-1] - z), axis=1) - np.sum(np.abs(best - z), axis=1)
    for t in (30, 300, 3000):
        far = np.max(np.abs(points[:t] - best)) ** 2
        # Every gradient is one: its norm over time is the root of the count.
        bound = (far / (2 * rate) + rate) * p * math.sqrt(t)
        assert np.sum(losses[:t]) <= bound


@pytest.mark.parametrize("first", [1e-3, 1.0, 100.0])
def test_one_adaptive_rate_finds_rosenbrocks_valley_untuned(first):
    """Ward, Wu, Bottou: the least squared gradient of N is O(1/N) whatever it starts from."""

    def both(w, i):
        a, b = w
        return 0.0, np.array([-400 * a * (b - a * a) - 2 * (1 - a), 200 * (b - a * a)])

    problem = SmoothProblem(batch=both, n_samples=1, start=np.array([-1.2, 1.0]))
    rule = AdaGradNorm(learning_rate=1.0, initial_norm=first, schedule="constant")
    points = path(problem, rule, 20_000)
    squares = np.array([np.sum(both(w, None)[1] ** 2) for w in points])
    least = np.minimum.accumulate(squares)[1:] * np.arange(1, points.shape[0])
    assert np.max(least[10:]) <= 1.3e3
