"""What stochastic rules are put together from: orders, averages, curvatures, snapshots, momenta."""

import numpy as np
import pytest
from rules import logistic, network, ridge, train
from sklearn.datasets import load_digits, make_blobs

from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.engine import Oracle, Stopping, run
from skopt_dl.kernels import bind
from skopt_dl.losses import Squared
from skopt_dl.neural_network.network import Network
from skopt_dl.neural_network.problem import NetworkProblem
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import SGD, VSGD, BatchSVRG, GradientDescent, GrowingNesterov, Momentum
from skopt_dl.solvers.stochastic.averaging import SWA
from skopt_dl.solvers.stochastic.sampling import next_order
from skopt_dl.testing import check_problem

KERNELS = bind(np, np.dtype(float))


# --- orders of the samples -----------------------------------------------------------------------


def orders(setting, n=50, epochs=200, seed=0):
    rng, order, found = np.random.RandomState(seed), None, []
    for _ in range(epochs):
        order = next_order(setting, order, n, rng, KERNELS)
        found.append(np.array(order))
    return np.array(found)


@pytest.mark.parametrize("setting", [True, False, "once"])
def test_an_epoch_has_every_sample_once(setting):
    found = orders(setting)
    np.testing.assert_array_equal(np.sort(found, axis=1), np.tile(np.arange(50), (200, 1)))
    assert len({tuple(o) for o in found}) == (200 if setting is True else 1)
    assert np.array_equal(found[0], np.arange(50)) == (setting is False)


def test_independent_draws_are_uniform():
    counts = np.bincount(orders("iid").ravel(), minlength=50)
    # Chi square with 49 degrees of freedom: 85.4 has probability 1e-3.
    assert np.sum((counts - 200) ** 2 / 200) < 85.4
    assert np.std(counts) > 0


def test_fresh_permutations_beat_draws_with_replacement():
    """With the same falling rate the order decides how near the iterate comes."""
    problem = ridge(n=50)
    best = run(problem, GradientDescent(), stopping=Stopping(tol=1e-14, max_iter=10_000)).w

    def distance(shuffle):
        rule = SGD(learning_rate=0.02, schedule="decreasing", batch_size=1, shuffle=shuffle)
        ends = [train(problem, rule, 150, seed=s).w - best for s in range(8)]
        return np.sqrt(np.mean(np.square(ends)))

    fresh, independent = distance(True), distance("iid")
    assert fresh < 0.5 * independent
    assert distance("once") < independent


def test_a_bad_order_is_named():
    with pytest.raises(
        ValueError, match="shuffle='twice': expected True, False, 'once', 'iid' or an Order"
    ):
        train(ridge(), SGD(shuffle="twice"), 1)


# --- averages ------------------------------------------------------------------------------------


def test_stochastic_weight_averaging_takes_every_mth_iterate():
    def path(average, epochs):
        rule = Momentum(learning_rate=0.02, batch_size=48, shuffle=False, average=average)
        return train(ridge(), rule, epochs).w

    iterates = [path(None, t) for t in range(1, 13)]
    average = SWA(burn_in=3, every=4)
    np.testing.assert_array_equal(path(average, 3), iterates[2])
    np.testing.assert_array_equal(path(average, 7), iterates[6])
    np.testing.assert_array_equal(path(average, 10), iterates[6])
    np.testing.assert_allclose(path(average, 11), (iterates[6] + iterates[10]) / 2, rtol=1e-14)
    assert [SWA().share(t) for t in (1, 2, 3)] == [1, 1 / 2, 1 / 3]
    with pytest.raises(ValueError, match="SWA: every=0"):
        train(ridge(), SGD(average=SWA(every=0)), 1)


# --- curvatures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [ridge, logistic])
def test_curvatures_of_batches_obey_the_laws(build):
    problem = build()
    assert Oracle.SAMPLE_CURVATURE in problem.offers
    check_problem(problem)


@pytest.mark.parametrize("output", ["identity", "logistic", "softmax", "exp"])
@pytest.mark.parametrize("hidden", [(), (4,)])
def test_passed_back_curvature_is_the_diagonal_where_nothing_is_left_out(output, hidden):
    """Exact without hidden layers; behind a rectifier for the last layer and one hidden unit."""
    rng = np.random.default_rng(0)
    net = Network((5, *hidden, 3), "relu", output)
    X, y = rng.normal(size=(30, 5)), np.eye(3)[rng.integers(0, 3, 30)]
    weights = rng.uniform(size=30)
    problem = NetworkProblem(net, X, y, alpha=0.2, sample_weight=weights)
    w, every = 0.5 * rng.normal(size=net.size), np.arange(30)
    found, product = problem.sample_curvature(w, every), problem.hvp(problem.point(w))
    exact = np.array([product(e)[j] for j, e in enumerate(np.eye(net.size))])
    last = net.blocks["coef1" if hidden else "coef0"]
    np.testing.assert_allclose(found[last], exact[last], rtol=1e-10)
    if output in ("identity", "logistic", "exp"):
        # Outputs that are not coupled, and a rectifier has no curvature: the estimate of the first
        # layer is exact too.
        np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-12)
    elif hidden:
        # Coupled outputs are left out below: a gap, and of no more than the curvature's own size.
        below = net.blocks["coef0"]
        gap = np.abs(found[below] - exact[below])
        assert 0 < np.max(gap) <= np.max(found[below])
    assert np.all(found >= 0)


# --- rates of their own --------------------------------------------------------------------------


class Parabola:
    """``h (w - target)^2 / 2`` with a target that is normal around zero: the paper's case."""

    xp, kernels, device, n_samples, size = np, KERNELS, None, 1, 1

    def __init__(self, h, noise, seed):
        self.h, self.noise, self.rng = h, noise, np.random.default_rng(seed)

    def sample_grad(self, w, index):
        return 0.0, self.h * (w - self.noise * self.rng.standard_normal(1))

    def sample_curvature(self, w, index, memory=None):
        return np.full(1, self.h)


@pytest.mark.parametrize("h", [1.0, 100.0])
def test_vsgd_is_near_the_oracle_on_a_noisy_parabola(h):
    """The best rate is ``w^2 / (w^2 + noise^2) / h``; loss and noise are in units of h."""
    ours, oracle = [], []
    for seed in range(40):
        problem, rule = Parabola(h, 1.0, seed), VSGD(guard=False)
        w = best = np.array([5.0])
        state = rule._start(problem, w.copy())
        state.batch = (None, 0.0)
        for _ in range(2000):
            rule._step(problem, state, problem.sample_grad(state.w, None)[1])
            rate = best**2 / (best**2 + 1) / h
            best = best - rate * problem.sample_grad(best, None)[1]
        ours.append(state.w[0] ** 2)
        oracle.append(best[0] ** 2)
    assert np.mean(ours) < 8 * np.mean(oracle)


def test_vsgd_is_nearly_a_hand_set_rate_and_does_not_see_units():
    """At most 2.1 times what ``1/(h t)`` leaves, and as much where noise and curvature go along."""

    def left(h, noise, rule):
        squares = []
        for seed in range(40):
            problem = Parabola(h, noise, seed)
            state = VSGD(guard=False)._start(problem, np.array([5.0]))
            state.batch = (None, 0.0)
            for t in range(2000):
                g = problem.sample_grad(state.w, None)[1]
                if rule is None:
                    state.w = state.w - g / (h * (1 + t))
                else:
                    rule._step(problem, state, g)
            squares.append(h * state.w[0] ** 2)
        return np.mean(squares)

    plain = left(1.0, 1.0, VSGD(guard=False))
    assert plain <= 2.1 * left(1.0, 1.0, None)
    assert left(100.0, 0.1, VSGD(guard=False)) == pytest.approx(plain, rel=0.03)


def test_vsgd_needs_no_rate():
    problem = logistic()
    result = train(problem, VSGD(batch_size=8), 200)
    best = run(problem, GradientDescent(), stopping=Stopping(tol=1e-9, max_iter=5000))
    start = float(problem.value(problem.start()))
    left = result.certificate.objective - best.certificate.objective
    assert left < 0.05 * (start - best.certificate.objective)
    with pytest.raises(ValueError, match="VSGD: caution=0"):
        train(problem, VSGD(caution=0.0), 1)


def test_the_guard_acts_on_coupled_parameters_alone():
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.normal(size=(40, 5)))[0] * np.arange(1.0, 6)
    copies = np.repeat(Q[:, :1], 30, axis=1)
    y = Q @ np.ones(5)

    def end(X, guard):
        problem = LinearProblem(X, y, Squared(), L2(1e-3))
        rule = VSGD(batch_size=40, caution=1.0, guard=guard)
        with np.errstate(all="ignore"):
            return train(problem, rule, 20).w, problem

    # Orthogonal columns: the same path. Thirty copies of one: each rate is thirty times too long.
    np.testing.assert_allclose(end(Q, True)[0], end(Q, False)[0], rtol=1e-6)
    w, problem = end(copies, True)
    best = run(problem, GradientDescent(), stopping=Stopping(tol=1e-12, max_iter=5000)).w
    assert problem.value(w) <= problem.value(best) + 1e-6
    assert not problem.value(end(copies, False)[0]) < problem.value(0 * w)


@pytest.mark.filterwarnings("ignore:MLP.* did not converge")
def test_the_guard_holds_where_the_loss_is_flat():
    """One class weighs all: curvatures vanish with the loss, and their inverses say nothing."""
    X, y = make_blobs(centers=2, random_state=0, cluster_std=20)
    model = MLPClassifier(
        (8,), solver="vsgd", max_iter=60, random_state=0, class_weight={0: 1000, 1: 1e-4}
    )
    losses = np.asarray(model.fit(X, y).loss_curve_)
    assert np.all(np.diff(losses) <= 1e-12)
    assert losses[-1] < 1e-3 * losses[0]


# --- snapshots and momenta -----------------------------------------------------------------------


def test_batch_svrg_with_one_batch_is_gradient_descent():
    settings = {"learning_rate": 0.1, "batch_size": 48}
    one, two = (train(network(), rule(**settings), 10).w for rule in (BatchSVRG, SGD))
    np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12)


def test_batch_svrg_has_no_noise_left_where_sgd_has():
    problem, settings = ridge(), {"batch_size": 4, "schedule": "constant"}
    best = run(problem, GradientDescent(), stopping=Stopping(tol=1e-14, max_iter=10_000)).w
    near, far = (
        np.max(np.abs(train(problem, rule(**settings), 150).w - best)) for rule in (BatchSVRG, SGD)
    )
    assert near < 1e-6 < 1e-3 < far


def test_growing_momentum_needs_fewer_passes_than_descent_on_an_autoencoder():
    X = load_digits().data[:300] / 16
    model = MLPRegressor(
        hidden_layer_sizes=(24, 8, 24), activation="tanh", alpha=0.0, random_state=0
    )
    problem = model._build_problem(X, X)
    lost = {}
    for rule in (GrowingNesterov, SGD):
        losses = [
            float(problem.value(train(problem, rule(learning_rate=r, batch_size=50), 60).w))
            for r in (0.01, 0.03, 0.1)
        ]
        lost[rule] = np.nanmin(losses)
    assert lost[GrowingNesterov] < 0.95 * lost[SGD]


def test_the_momentum_of_the_paper():
    rule = GrowingNesterov(momentum=0.99, settle_after=5000)
    seen = {t: rule.momentum_at(t) for t in (0, 249, 250, 500, 1000, 2500, 4999, 5000)}
    for t in (0, 249, 250, 500, 1000, 2500, 4999):
        assert seen[t] == pytest.approx(min(1 - 2 ** (-1 - np.log2(t // 250 + 1)), 0.99))
    assert seen[0] == 0.5 and seen[250] == 0.75
    assert seen[5000] == 0.9


@pytest.mark.filterwarnings("ignore:MLP.* did not converge")
@pytest.mark.parametrize(
    ("solver", "rate"), [("vsgd", 1e-3), ("batch_svrg", 0.1), ("growing_nesterov", 0.05)]
)
def test_networks_train_by_the_name(solver, rate):
    X, y = load_digits(return_X_y=True)
    model = MLPClassifier((20,), "tanh", solver=solver, max_iter=40, random_state=0)
    model.set_params(learning_rate_init=rate, batch_size=50).fit(X[:500] / 16, y[:500])
    assert model.loss_curve_[-1] < 0.8 * model.loss_curve_[0]
    assert model.solver_ == solver
