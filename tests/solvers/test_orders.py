"""Curricula, batches that grow and noisy labels: what a stochastic solver sees, and when."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skopt_dl import LogisticRegression, MLPClassifier, MLPRegressor, Ridge
from skopt_dl.engine import Certificate, Oracle, Problem, Stopping, Trait, offers, run
from skopt_dl.kernels import bind
from skopt_dl.losses import Logistic, Multinomial, Squared
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem, SmoothProblem
from skopt_dl.search.batch_sizes import GeometricGrowth, NormTest
from skopt_dl.search.orders import Curriculum, SelfPaced
from skopt_dl.solvers import SGD, Adam
from skopt_dl.solvers.stochastic.noise import LabelNoise

N = 60
CONSTANT: dict[str, Any] = {"schedule": "constant"}
RATE: dict[str, Any] = {"learning_rate": 0.05, "schedule": "constant"}


def ridge(n: int = N, seed: int = 0) -> LinearProblem:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = X @ [1.0, -2.0, 0.5] + rng.normal(size=n)
    return LinearProblem(X, y, Squared(), L2(0.1), fit_intercept=True)


def train(problem: Any, solver: Any, epochs: int, seed: int = 0, **kwargs: Any) -> Any:
    stopping = Stopping(tol=None, max_iter=epochs)
    return run(problem, solver, stopping=stopping, rng=np.random.RandomState(seed), **kwargs)


def watched(problem: Any) -> list[Any]:
    """The batches that ``problem`` is asked for, from now on."""
    seen: list[Any] = []
    inner = problem.sample_grad

    def sample_grad(w: Any, index: Any) -> Any:
        seen.append(np.array(index))
        return inner(w, index)

    problem.sample_grad = sample_grad
    return seen


# --- curricula --------------------------------------------------------------------------------


def test_a_curriculum_lets_the_easiest_in_first_and_ends_as_the_plain_order() -> None:
    difficulty = np.random.default_rng(1).permutation(N)
    problem, plain = ridge(), ridge()
    seen, all_of_them = watched(problem), watched(plain)
    order = Curriculum(difficulty, n_epochs=4, start=0.25)
    train(problem, SGD(shuffle=order, batch_size=N, **RATE), 6)
    train(plain, SGD(batch_size=N, **RATE), 6)
    for k, batch in enumerate(seen):
        share = min(1.0, 0.25 + 0.75 * k / 4)
        assert sorted(difficulty[batch]) == list(range(round(share * N)))
    for mine, theirs in zip(seen[4:], all_of_them[4:], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_mixed_curriculum_draws_easy_samples_as_often_as_it_says() -> None:
    n, difficulty = 20_000, np.arange(20_000)
    order = Curriculum(difficulty, n_epochs=10, start=0.2, mixed=True)
    rng = np.random.default_rng(0)
    for epoch in (0, 3, 7):
        q = 0.2 + 0.8 * epoch / 10
        drawn = order.select(rng.permutation(n), epoch, rng, None)
        assert drawn.shape == (n,)
        easy = np.mean(difficulty[drawn] < 0.2 * n)
        expected = q * 0.2 + (1 - q)
        assert abs(easy - expected) < 4 * np.sqrt(expected * (1 - expected) / n)
    plain = rng.permutation(n)
    np.testing.assert_array_equal(order.select(plain, 10, rng, None), plain)


def test_self_paced_epochs_have_the_samples_of_small_loss() -> None:
    problem = ridge()
    seen = watched(problem)
    solver = SGD(shuffle=SelfPaced(start=0.5, growth=1.5), batch_size=N, **RATE)
    losses = 0.5 * np.asarray(problem.y) ** 2
    result = train(problem, solver, 3)
    assert set(seen[0]) == set(np.flatnonzero(losses <= np.quantile(losses, 0.5)))
    assert [len(batch) for batch in seen] == [30, 45, N]
    assert result.n_epochs == pytest.approx((30 + 45 + N) / N)
    # The loss of an epoch is the mean over the samples that it has seen.
    assert result.state.n_samples == 30 + 45 + N


def test_losses_of_samples_are_those_of_the_objective() -> None:
    problem = ridge()
    w = np.array([0.3, -1.0, 0.2])
    mean = np.mean(problem.sample_losses(w))
    assert float(problem.value(w)) == pytest.approx(mean + 0.05 * float(w[:3] @ w[:3]))
    rng = np.random.default_rng(0)
    net = MLPClassifier((5,), alpha=0.0, random_state=0)._build_problem(
        rng.normal(size=(30, 2)), np.arange(30) % 3
    )
    w = net.start()
    assert float(net.value(w)) == pytest.approx(np.mean(net.sample_losses(w)))


def test_orders_and_sizes_are_parameters_of_an_estimator_s_solver() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 3))
    y = (X[:, 0] > 0).astype(int)
    solver = Adam(
        learning_rate=0.05, shuffle=SelfPaced(), batch_size=GeometricGrowth(8, factor=1.5)
    )
    model = MLPClassifier((8,), solver=solver, max_iter=30, random_state=0, n_iter_no_change=40)
    with pytest.warns(UserWarning, match="did not converge"):
        assert model.fit(X, y).score(X, y) > 0.9
    assert model.get_params()["solver__batch_size__factor"] == 1.5


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (Curriculum(np.arange(7)), r"difficulty has shape \(7,\), but there are 60 samples"),
        (Curriculum(np.arange(N), start=0.0), "Curriculum: start=0.0"),
        (Curriculum(np.arange(N), n_epochs=0), "Curriculum: n_epochs=0"),
        (SelfPaced(start=2.0), "SelfPaced: start=2.0"),
        (SelfPaced(growth=1.0), "SelfPaced: growth=1.0"),
        ("easy", "shuffle='easy'"),
    ],
)
def test_bad_orders_are_named(order: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(ridge(), SGD(shuffle=order, **RATE), 1)


def test_a_problem_without_losses_says_so() -> None:
    bare = SmoothProblem(batch=lambda w, i: (w @ w, 2 * w), n_samples=4, start=np.ones(2))
    with pytest.raises(ValueError, match="needs the loss of each sample, which this smooth"):
        train(bare, SGD(shuffle=SelfPaced(), **RATE), 1)


# --- batches that grow ------------------------------------------------------------------------


def test_geometric_batches_have_the_stated_sizes() -> None:
    problem = ridge()
    seen = watched(problem)
    train(problem, SGD(batch_size=GeometricGrowth(10, factor=1.5), **RATE), 6)
    sizes, total, largest = [], 0, 0
    for batch in seen:
        total, largest = total + len(batch), max(largest, len(batch))
        if total == N:
            sizes.append(largest)
            total = largest = 0
    assert sizes == [10, 15, 23, 34, 51, N]


def test_growing_batches_keep_the_linear_rate_of_gradient_descent() -> None:
    problem = ridge(400)
    best = float(
        problem.value(
            train(problem, SGD(batch_size=400, learning_rate=0.5, schedule="constant"), 300).w
        )
    )
    gaps = []
    for size in (400, GeometricGrowth(20, factor=1.3), 20):
        solver = SGD(batch_size=size, learning_rate=0.2, schedule="constant")
        gaps.append(float(problem.value(train(problem, solver, 60).w)) - best)
    full, growing, small = gaps
    # As near as with all samples at every step, for a fraction of the work at first.
    assert abs(growing) <= max(10 * abs(full), 1e-9)
    assert small > 100 * max(abs(growing), 1e-12)


def test_the_norm_test_is_exact_on_gradients_of_single_samples() -> None:
    rng = np.random.default_rng(0)
    G = 1.0 + 3.0 * rng.normal(size=(50, 4))
    rule = NormTest(4, theta=0.5, n_probes=50)
    size = rule.next(4, 1, 50, lambda low, high: G[low])
    mean = G.mean(axis=0)
    variance = np.sum((G - mean) ** 2) / 49
    signal = mean @ mean - variance / 50
    assert variance / 4 * (46 / 49) > 0.25 * signal
    assert size == min(50, int(np.ceil(variance / (0.25 * signal))))
    # Without noise nothing grows; without a signal the batch is all there is.
    assert rule.next(4, 1, 50, lambda low, high: np.ones(4)) == 4
    assert rule.next(4, 1, 50, lambda low, high: (-1.0) ** low * np.ones(4)) == 50
    assert rule.next(4, 0, 50, lambda low, high: G[low]) == 4


def test_the_norm_test_grows_batches_as_the_gradient_vanishes() -> None:
    problem = ridge(300)
    seen = watched(problem)
    solver = SGD(
        batch_size=NormTest(8, theta=0.9, n_probes=20), learning_rate=0.2, schedule="constant"
    )
    train(problem, solver, 15)
    sizes = [len(batch) for batch in seen if len(batch) > 1]
    assert sizes[0] == 8 and max(sizes) > 100


def test_batches_that_grow_by_the_test_need_fewer_passes_than_gradient_descent() -> None:
    """A gap of 3e-2 in less than half of the passes; with all samples it is gradient descent."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 20)) * np.geomspace(1, 0.1, 20)
    y = X @ rng.normal(size=20) * 3 + rng.normal(size=2000)
    problem = LinearProblem(X, y, Squared(), L2(1e-3))
    best = np.linalg.solve(X.T @ X / 2000 + 1e-3 * np.eye(20), X.T @ y / 2000)
    lowest, first = float(problem.value(best)), float(problem.value(np.zeros(20)))
    rate, passes = 1 / float(problem.lipschitz()), {}
    for name, size in (("test", NormTest(16, theta=0.9, n_probes=20)), ("all", 2000)):
        solver = SGD(batch_size=size, learning_rate=rate, schedule="constant")
        state = solver.init(problem, problem.start(), np.random.RandomState(0))
        while float(problem.value(state.w)) - lowest > 3e-2 * (first - lowest):
            solver.advance(problem, state, 1)
        passes[name] = state.n_epochs
    assert passes["test"] < 0.5 * passes["all"]
    whole = train(problem, SGD(batch_size=NormTest(2000), learning_rate=rate, **CONSTANT), 5).w
    plain = train(problem, SGD(batch_size=2000, learning_rate=rate, **CONSTANT), 5).w
    np.testing.assert_allclose(whole, plain, rtol=1e-10)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (GeometricGrowth(factor=0.5), "GeometricGrowth: factor=0.5"),
        (GeometricGrowth(0), "batch_size=0"),
        (NormTest(theta=0.0), "NormTest: theta=0.0"),
        (NormTest(n_probes=1), "NormTest: n_probes=1"),
        ("large", "batch_size='large'"),
    ],
)
def test_bad_sizes_are_named(size: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(ridge(), SGD(batch_size=size, **RATE), 2)


# --- label noise ------------------------------------------------------------------------------


class Product(Problem):
    """The mean of (u v - y)^2 / 2: its minima are a curve, and tr H = u^2 + v^2 on it."""

    description: ClassVar[str] = "a product of two numbers"
    traits = frozenset({Trait.SMOOTH})
    size, n_samples, device = 2, 4, None

    def __init__(self, y: Any) -> None:
        super().__init__()
        self.y, self.xp, self.dtype = np.asarray(y), np, np.dtype(float)
        self.kernels, self.blocks = bind(np, self.dtype), {"w": slice(0, 2)}

    def start(self) -> Any:
        return np.array([3.0, 1 / 3.0])

    def value(self, w: Any) -> Any:
        return 0.5 * np.mean((w[0] * w[1] - self.y) ** 2)

    def certificate(self, w: Any) -> Certificate:
        return Certificate("none", float("nan"), float(self.value(w)))

    @offers(Oracle.SAMPLE_GRAD)
    def sample_grad(self, w: Any, index: Any) -> Any:
        r = np.mean(w[0] * w[1] - self.y[index])
        return 0.5 * r * r, r * w[::-1]

    @offers(Oracle.TARGETS)
    def with_targets(self, change: Any) -> Any:
        return Product(change(self.y))


def test_label_noise_drifts_to_the_flat_minimum() -> None:
    problem = Product(np.ones(4))
    rule = SGD(learning_rate=0.05, schedule="constant", batch_size=1)
    still = train(problem, rule, 600).w
    assert still @ still == pytest.approx(9 + 1 / 9, rel=1e-6)
    w = train(problem, LabelNoise(rule, scale=1.0), 2500).w
    assert w @ w < 4
    assert abs(w[0] * w[1] - 1) < 0.6
    # The least of the minima is 2: means over what follows are near it, noise included.
    later = [train(problem, LabelNoise(rule, scale=1.0), 4000, seed).w for seed in range(6)]
    assert np.median([w @ w for w in later]) < 2.6
    np.testing.assert_array_equal(problem.y, 1)


def test_without_noise_the_labels_are_the_labels() -> None:
    X = np.random.default_rng(0).normal(size=(40, 2))
    problem = MLPRegressor(hidden_layer_sizes=(4,), random_state=0)._build_problem(X, X[:, 0])
    rule = Adam(learning_rate=0.01, batch_size=8)
    quiet = train(problem, LabelNoise(rule), 3).w
    np.testing.assert_array_equal(quiet, train(problem, rule, 3).w)


def test_flipped_labels_keep_the_frequencies_and_hit_the_stated_share() -> None:
    y = np.eye(4)[np.arange(4000) % 4]
    noise = LabelNoise(SGD(), flip=0.3)
    problem = MLPRegressor(hidden_layer_sizes=())._build_problem(np.zeros((4, 1)), np.zeros(4))
    flipped = noise._noisy(problem, y, np.random.RandomState(0))
    changed = np.mean((flipped != y).any(axis=1))
    # A quarter of the others has the same class.
    assert abs(changed - 0.3 * 0.75) < 4 * np.sqrt(0.225 * 0.775 / 4000)
    assert np.abs(flipped.mean(axis=0) - 0.25).max() < 0.03


def test_label_noise_asks_for_targets_that_can_be_replaced() -> None:
    from skopt_dl.dispatch import IncompatibleSolverError, resolve

    bowl = SmoothProblem(batch=lambda w, i: (0.5 * w @ w, w), n_samples=4, start=np.ones(3))
    with pytest.raises(IncompatibleSolverError, match="targets that can be replaced"):
        resolve(LabelNoise(SGD()), bowl)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("loss", ["squared", "two targets", "logistic", "multinomial"])
def test_a_linear_problem_of_other_targets_is_that_problem(loss: str, intercept: bool) -> None:
    rng = np.random.default_rng(0)
    X, weights, at = rng.normal(size=(30, 3)), rng.uniform(size=30), np.arange(12)
    y = (rng.uniform(size=30) < 0.5) * 1.0
    kind: Any = Squared() if loss in ("squared", "two targets") else Logistic()
    if loss == "multinomial":
        y, kind = np.eye(3)[rng.integers(0, 3, 30)], Multinomial()
    elif loss == "two targets":
        y = rng.normal(size=(30, 2))

    def made(y: Any) -> LinearProblem:
        return LinearProblem(X, y, kind, L2(0.1), sample_weight=weights, fit_intercept=intercept)

    def turned(y: Any) -> Any:
        return y[::-1].copy()

    problem, expected = made(y), made(turned(y))
    w = rng.normal(size=problem.size)
    before = problem.point(w).grad
    problem.at_zero()
    found = problem.with_targets(turned)
    np.testing.assert_allclose(found.point(w).grad, expected.point(w).grad, atol=1e-14)
    np.testing.assert_allclose(found.at_zero()[1], expected.at_zero()[1], atol=1e-14)
    one, two = (q.sample_grad(w, at)[1] for q in (found, expected))
    np.testing.assert_allclose(one, two, atol=1e-14)
    np.testing.assert_array_equal(problem.point(w).grad, before)


def test_label_noise_on_linear_models_leaves_their_mean_where_it_is() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = X @ np.array([1.0, -2.0, 0.5]) + 3.0
    rule = SGD(learning_rate=0.05, batch_size=20, average="polyak")
    noisy = Ridge(alpha=1e-3, solver=LabelNoise(rule, scale=0.5), max_iter=300, random_state=0)
    with pytest.warns(ConvergenceWarning):
        noisy.fit(X, y)
    np.testing.assert_allclose(noisy.coef_, [1.0, -2.0, 0.5], atol=0.05)
    assert noisy.intercept_ == pytest.approx(3.0, abs=0.05)
    labels = (y > 3).astype(int)
    flips = LogisticRegression(
        solver=LabelNoise(rule, flip=0.1), tol=0.5, max_iter=50, random_state=0
    )
    assert flips.fit(X, labels).score(X, labels) > 0.9
