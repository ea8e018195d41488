"""The named stochastic rules: each against its reference, the laws they obey, their parts."""

import copy
import math
import pickle

import numpy as np
import pytest
from rules import (
    FACTORS,
    MOMENTS,
    NAMES,
    ON_MATRICES,
    REFERENCES,
    adafactor,
    adafactor_on_network,
    follow,
    logistic,
    network,
    ridge,
    train,
)

from skopt_dl.dispatch import SOLVERS, IncompatibleSolverError, resolve
from skopt_dl.engine import Stopping, run
from skopt_dl.kernels.generic_updates import inverse_root, polar_factor
from skopt_dl.losses import Multinomial, Squared
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem, SmoothProblem
from skopt_dl.search.schedules import (
    Cosine,
    Exponential,
    OneCycle,
    Step,
    WarmUp,
)
from skopt_dl.solvers import (
    SAM,
    SGD,
    SOAP,
    AdaDelta,
    Adafactor,
    AdaGrad,
    AdaGradNorm,
    Adam,
    AdamW,
    AMSGrad,
    DAdaptation,
    DoG,
    GrowingNesterov,
    LineSearchSGD,
    Lion,
    Momentum,
    Muon,
    NAdam,
    Nesterov,
    PolyakStep,
    Prodigy,
    RAdam,
    RMSprop,
    RMSpropNesterov,
    ScheduleFreeSGD,
    Shampoo,
    SignSGD,
    Signum,
    Yogi,
)
from skopt_dl.solvers.stochastic.averaging import EMA, PolyakAverage
from skopt_dl.solvers.stochastic.base import clipped
from skopt_dl.solvers.stochastic.shampoo import _largest_ratio


@pytest.mark.parametrize(("rule", "change", "settings"), REFERENCES)
@pytest.mark.parametrize("build", [ridge, logistic])
def test_rule_follows_its_formula(rule, change, settings, build):
    problem = build()
    for epochs in (1, 2, 3, 20):
        solver = rule(**settings, batch_size=16)
        if "schedule" in solver.get_params():
            solver.schedule = "constant"
        w = train(problem, solver, epochs).w
        expected = follow(problem, change, settings, epochs)
        np.testing.assert_allclose(w, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("rule", "change", "settings"), ON_MATRICES)
def test_rule_on_matrices_follows_its_formula(rule, change, settings):
    problem = network()
    for epochs in (1, 2, 10):
        w = train(problem, rule(**settings, batch_size=16), epochs).w
        expected = follow(problem, change, settings, epochs)
        np.testing.assert_allclose(w, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rule", [Muon, Shampoo, SOAP])
def test_rules_on_matrices_go_on_where_they_stopped_and_refuse_vectors(rule):
    problem, solver = network(), rule(batch_size=16)
    whole, half = train(problem, solver, 6), train(problem, solver, 3)
    state = pickle.loads(pickle.dumps(half.state))
    rest = run(problem, solver, stopping=Stopping(tol=None, max_iter=3), state=state)
    np.testing.assert_array_equal(rest.w, whole.w)
    bowl = SmoothProblem(
        batch=lambda w, index: (0.5 * w @ w, w), n_samples=4, start=np.ones(3), description="a bowl"
    )
    with pytest.raises(IncompatibleSolverError, match="matrices among its parameters"):
        resolve(solver, bowl)


def test_muon_moves_the_one_column_of_a_linear_model_along_its_gradient():
    problem, rate = ridge(), 0.01
    every = np.arange(problem.n_samples)
    g = problem.sample_grad(problem.start(), every)[1][: problem.n_coef]
    w = train(problem, Muon(learning_rate=rate, batch_size=problem.n_samples), 1).w
    step = w[: problem.n_coef]
    cosine = -(step @ g) / np.linalg.norm(step) / np.linalg.norm(g)
    assert cosine == pytest.approx(1, abs=1e-12)
    assert 0.6 < np.linalg.norm(step) / (rate * math.sqrt(problem.n_coef)) < 1.2


def test_shampoo_is_not_carried_away_by_a_direction_that_its_roots_do_not_know():
    problem, solver = ridge(), Shampoo(learning_rate=0.1, refresh=1)
    state = solver.init(problem, problem.start(), np.random.RandomState(0))
    solver.refresh = 1000  # after the roots of one update
    moved = []
    for t, axis in enumerate((0, 1, 1)):
        g, before = np.zeros(problem.size), state.w.copy()
        g[axis] = 2.0
        state.n_updates = 1 if t == 0 else 1001
        solver._step(problem, state, g)
        moved.append(np.linalg.norm(state.w - before))
    # Without a bound the second would be 1000 times as long.
    np.testing.assert_allclose(moved, 0.1, rtol=1e-4)


def test_the_polar_factor():
    rng = np.random.default_rng(5)
    for shape in [(6, 6), (8, 3), (3, 8)]:
        G = rng.normal(size=shape)
        s = np.linalg.svd(polar_factor(G, 5), compute_uv=False)
        assert 0.6 < s.min() <= s.max() < 1.2
        # Left and right rotations pass through it; the length of G does not matter.
        Q, R = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in shape)
        np.testing.assert_allclose(
            polar_factor(7 * Q @ G @ R, 5), Q @ polar_factor(G, 5) @ R, atol=1e-12
        )
    np.testing.assert_array_equal(polar_factor(np.zeros((3, 2)), 5), 0)


def test_the_first_step_of_shampoo_is_the_polar_factor():
    G = np.random.default_rng(6).normal(size=(4, 4))
    U, _, Vt = np.linalg.svd(G)
    found = inverse_root(G @ G.T, 4, 1e-12) @ G @ inverse_root(G.T @ G, 4, 1e-12)
    np.testing.assert_allclose(found, U @ Vt, atol=1e-9)


def test_no_ratio_of_moments_is_above_its_bound_and_one_is_at_it():
    rng, t = np.random.default_rng(0), 40
    for b1, b2 in [(0.9, 0.95), (0.95, 0.95), (0.5, 0.25), (0.9, 0.1)]:
        bound, most = _largest_ratio(b1, b2, t), 0.0
        past = np.arange(t)
        for g in [(b1 / b2) ** past, *rng.standard_normal((50, t))]:
            m, v = (1 - b1) * b1**past @ g, (1 - b2) * b2**past @ g**2
            most = max(most, abs(m) / math.sqrt(v))
        assert most == pytest.approx(bound, rel=1e-9)
    assert _largest_ratio(0.9, 0.0, 3) == math.inf


@pytest.mark.parametrize("rule", [SOAP, Shampoo, Muon])
def test_rules_on_matrices_descend_on_linear_models_whose_columns_are_alike(rule):
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(40, 40)) * np.geomspace(1, 1e-2, 40)
    X = rng.normal(size=(1000, 40)) @ mixing.T
    y = np.eye(5)[np.argmax(X @ rng.normal(size=(40, 5)) + rng.gumbel(size=(1000, 5)), axis=1)]
    problem = LinearProblem(X, y, Multinomial(), L2(1e-3), fit_intercept=True)
    at_start = float(problem.value(problem.start()))
    ours, theirs = (
        float(problem.value(train(problem, one(batch_size=50), 10).w)) for one in (rule, AdaGrad)
    )
    assert ours < theirs < at_start


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_radam_by_its_own_rate_does_not_see_the_units_of_a_target(size):
    X = np.random.default_rng(0).normal(size=(400, 5)) * np.array([1.0, 3.0, 10.0, 30.0, 0.1])
    y = X @ np.arange(1.0, 6.0)
    problem = LinearProblem(X, size * y, Squared(), L2(1e-6))
    at_start = float(problem.value(problem.start()))
    # The first batches, whose second moment is uncertain, and some epochs more.
    early = float(problem.value(train(problem, RAdam(batch_size=100), 1).w))
    late = float(problem.value(train(problem, RAdam(batch_size=100), 30).w))
    assert late < 0.2 * at_start < early < at_start
    steady = train(problem, RAdam(batch_size=100, beta_2=0.5), 30).w
    assert float(problem.value(steady)) < 0.2 * at_start


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_adamw_by_its_own_rate_does_not_see_the_units_of_a_target(size):
    X = np.random.default_rng(0).normal(size=(400, 5))
    y = X @ np.arange(1.0, 6.0)
    problem = LinearProblem(X, size * y, Squared(), L2(1e-6))
    w = train(problem, AdamW(batch_size=100), 200).w
    np.testing.assert_allclose(w / size, np.arange(1.0, 6.0), rtol=0.05)
    nothing = LinearProblem(X, np.zeros(400), Squared(), L2(1e-6))
    np.testing.assert_array_equal(train(nothing, AdamW(), 2).w, 0)


def test_soap_on_the_axes_is_adam():
    settings = {"learning_rate": 0.02, **MOMENTS, "batch_size": 16}
    one, two = (
        train(network(), rule, 5).w for rule in (SOAP(refresh=None, **settings), Adam(**settings))
    )
    np.testing.assert_allclose(one, two, rtol=1e-12)


def test_sam_without_radius_is_momentum():
    settings = {"learning_rate": 0.02, "batch_size": 16}
    one, two = (
        train(network(), rule, 5).w for rule in (SAM(radius=0.0, **settings), Momentum(**settings))
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("h", [0.5, 3.0])
def test_sam_on_a_parabola_swings_in_a_known_distance(h):
    """``w <- w - t h (w + r sign w)`` ends between plus and minus ``t h r / (2 - t h)``."""
    problem = SmoothProblem(
        batch=lambda w, i: (0.5 * h * np.sum(w**2), h * w), n_samples=1, start=np.ones(1)
    )
    rate, radius = 0.2, 0.3
    solver = SAM(learning_rate=rate, radius=radius, momentum=0.0, schedule="constant")
    path = np.abs(steps(problem, solver, 400)[-2:, 0])
    np.testing.assert_allclose(path, rate * h * radius / (2 - rate * h), rtol=1e-9)


def test_adafactor_follows_its_formula():
    # One block, without an intercept: the update is shortened block by block.
    X, y = np.array(ridge().map.base.X), ridge().y
    plain, solver = LinearProblem(X, y, Squared(), L2(0.1)), Adafactor(**FACTORS, batch_size=16)
    for problem, change in [(plain, adafactor), (network(), adafactor_on_network)]:
        for epochs in (1, 2, 10):
            expected = follow(problem, change, FACTORS, epochs)
            np.testing.assert_allclose(
                train(problem, solver, epochs).w, expected, rtol=1e-12, atol=1e-12
            )


def test_relative_adafactor_multiplies_by_the_size_of_the_block():
    problem = network()
    w = problem.start()
    steps_ = [
        train(problem, Adafactor(learning_rate=0.1, relative=r, batch_size=48), 1).w - w
        for r in (False, True)
    ]
    for part in problem.blocks.values():
        size = np.sqrt(np.mean(w[part] ** 2))
        np.testing.assert_allclose(steps_[1][part], size * steps_[0][part], rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_a_solve_goes_on_exactly_where_it_stopped(name):
    problem, solver = ridge(), SOLVERS.get(name)(batch_size=16)
    whole, half = train(problem, solver, 6), train(problem, solver, 3)
    state = pickle.loads(pickle.dumps(half.state))
    rest = run(problem, solver, stopping=Stopping(tol=None, max_iter=3), state=state)
    np.testing.assert_array_equal(rest.w, whole.w)


class Seen:
    """A problem whose gradients a rule sees through another pair of glasses."""

    def __init__(self, problem):
        self.problem = problem

    def __getattr__(self, name):
        return getattr(self.problem, name)


class Rotated(Seen):
    """In the coordinates u of w = Q u the gradient is Q' g."""

    def __init__(self, problem, Q):
        super().__init__(problem)
        self.Q = Q

    def sample_grad(self, u, index):
        value, g = self.problem.sample_grad(self.Q @ u, index)
        return value, self.Q.T @ g


class Scaled(Seen):
    """Gradients times c, a number or one for each coordinate."""

    def __init__(self, problem, c):
        super().__init__(problem)
        self.c = c

    def sample_grad(self, w, index):
        value, g = self.problem.sample_grad(w, index)
        return value, self.c * g


def steps(problem, solver, n=12):
    """Iterates of full-batch updates without the engine."""
    state = solver.init(problem, problem.start(), np.random.RandomState(0))
    path = []
    for _ in range(n):
        solver.advance(problem, state, 1)
        path.append(np.array(state.w))
    return np.array(path)


def test_adamw_without_decay_is_adam():
    settings = {"learning_rate": 0.1, "batch_size": 16}
    one = train(ridge(), AdamW(weight_decay=0.0, **settings), 5).w
    np.testing.assert_array_equal(one, train(ridge(), Adam(**settings), 5).w)


def test_the_decay_of_adamw_is_no_penalty():
    """At rest the gradient is not minus the decay times w, as a penalty's would be."""
    problem = ridge()
    solver = AdamW(learning_rate=0.01, weight_decay=0.5, batch_size=48, schedule="decreasing")
    w = train(problem, solver, 3000).w
    g = problem.sample_grad(w, np.arange(48))[1]
    assert np.max(np.abs(g + 0.5 * w)) > 0.1


def test_adagrad_does_not_see_the_scale_of_a_gradient():
    problem, c = ridge(), 2.0 ** np.arange(-2, 3)
    solver = AdaGrad(learning_rate=0.3, epsilon=0.0, batch_size=48)
    # Powers of two: not a bit differs.
    np.testing.assert_array_equal(steps(problem, solver), steps(Scaled(problem, c), solver))


def test_adagrad_stays_where_there_is_no_slope():
    X, y = np.array(ridge().map.base.X), ridge().y
    X[:, 2] = 0.0
    problem = LinearProblem(X, y, Squared(), L2(0.1))
    w = train(problem, AdaGrad(epsilon=0.0, learning_rate=0.3), 3).w
    assert w[2] == 0
    assert np.all(np.isfinite(w))


def test_adagrad_norm_commutes_with_rotations():
    problem = ridge()
    Q = np.linalg.qr(np.random.default_rng(3).normal(size=(5, 5)))[0]
    solver = AdaGradNorm(learning_rate=0.7, batch_size=48)
    path, turned = steps(problem, solver), steps(Rotated(problem, Q), solver)
    np.testing.assert_allclose(turned @ Q.T, path, rtol=1e-12, atol=1e-13)
    apart = steps(Rotated(problem, Q), AdaGrad(learning_rate=0.7, batch_size=48)) @ Q.T
    assert np.max(np.abs(apart - steps(problem, AdaGrad(learning_rate=0.7, batch_size=48)))) > 0.1


def test_rmsprop_nesterov_without_momentum_is_rmsprop():
    settings = {"learning_rate": 0.02, "decay": 0.8, "batch_size": 16}
    one = train(ridge(), RMSpropNesterov(momentum=0.0, **settings), 5).w
    np.testing.assert_allclose(one, train(ridge(), RMSprop(**settings), 5).w, rtol=1e-14)


def test_rmsprop_nesterov_with_a_second_moment_of_one_is_nesterov():
    """Gradients of one and minus one keep it there, and the scale is then nothing."""
    problem = ridge()
    signs = np.sign(np.random.default_rng(0).standard_normal((30, problem.size)))
    shared = {"learning_rate": 0.05, "momentum": 0.8}
    paths = []
    for rule in (RMSpropNesterov(decay=0.9, epsilon=0.0, **shared), Nesterov(**shared)):
        state = rule.init(problem, np.ones(problem.size), np.random.RandomState(0))
        if isinstance(rule, RMSpropNesterov):
            state.r[...] = 1.0
        path = []
        for g in signs:
            rule._step(problem, state, g.copy())
            path.append(state.w.copy())
        paths.append(np.array(path))
    # One takes the gradient ahead, the other keeps the point ahead: apart by the velocity.
    velocity, expected = np.zeros(problem.size), np.ones(problem.size)
    for k, g in enumerate(signs):
        velocity = 0.8 * velocity - 0.05 * g
        expected = expected + 0.8 * velocity - 0.05 * g
        np.testing.assert_allclose(paths[1][k], expected, rtol=0, atol=1e-12)
    differences = np.abs(paths[0] - paths[1])
    assert np.max(differences) < 1e-12


def test_adadelta_does_not_see_the_scale_of_the_loss():
    solver = AdaDelta(epsilon=1e-12, batch_size=48)
    path = steps(ridge(), solver)
    np.testing.assert_allclose(steps(Scaled(ridge(), 1e3), solver), path, rtol=1e-6)


def test_amsgrad_solves_what_adam_does_not():
    """Reddi's example: gradient C every third update, else -1, on [-1, 1]; -1 is the optimum."""

    def end(rule):
        solver = rule(learning_rate=0.1, beta_1=0.0, beta_2=1 / (1 + 4.0**2), epsilon=1e-12)
        problem = ridge()
        state = solver.init(problem, np.zeros(1), None)
        state.n_updates = 0
        for t in range(10_000):
            state.n_updates += 1
            state.rate = 0.1 / math.sqrt(1 + t)
            solver._step(problem, state, np.array([4.0 if t % 3 == 0 else -1.0]))
            state.w = np.clip(state.w, -1, 1)
        return state.w[0]

    assert end(Adam) > 0.9
    assert end(AMSGrad) < -0.5


def test_yogi_begins_like_adam():
    settings = {"learning_rate": 0.1, "batch_size": 48, "epsilon": 1e-8}
    one, two = (steps(ridge(), rule(**settings), 1) for rule in (Adam, Yogi))
    np.testing.assert_allclose(one, two, rtol=1e-12)


@pytest.mark.parametrize("rule", [SignSGD, Signum, Lion])
def test_a_sign_moves_every_coordinate_by_the_rate(rule):
    path = steps(ridge(), rule(learning_rate=0.25, batch_size=48), 5)
    np.testing.assert_array_equal(np.abs(np.diff(path, axis=0)), 0.25)
    # Positive scales of the gradient change nothing.
    seen = steps(Scaled(ridge(), 2.0 ** np.arange(5)), rule(learning_rate=0.25, batch_size=48), 5)
    np.testing.assert_array_equal(seen, path)


def test_signum_without_momentum_is_sign_descent():
    one, two = (train(ridge(), r, 5).w for r in (Signum(momentum=0.0), SignSGD()))
    np.testing.assert_array_equal(one, two)


def test_lion_with_one_mean_is_signum():
    settings = {"learning_rate": 0.1, "batch_size": 16}
    one = train(ridge(), Lion(beta_1=0.9, beta_2=0.9, **settings), 5).w
    np.testing.assert_array_equal(one, train(ridge(), Signum(momentum=0.9, **settings), 5).w)


def test_a_long_gradient_is_shortened_and_keeps_its_direction():
    problem, limit = ridge(), 0.5
    free = steps(problem, SGD(learning_rate=0.1, batch_size=48), 1)[0]
    short = steps(problem, SGD(learning_rate=0.1, batch_size=48, max_grad_norm=limit), 1)[0]
    assert np.linalg.norm(free) > 0.1 * limit
    np.testing.assert_allclose(np.linalg.norm(short), 0.1 * limit, rtol=1e-14)
    cosine = free @ short / np.linalg.norm(free) / np.linalg.norm(short)
    np.testing.assert_allclose(cosine, 1, rtol=1e-14)
    g = np.array([0.3, -0.4])
    np.testing.assert_array_equal(clipped(np, g, 0.5), g)
    np.testing.assert_array_equal(clipped(np, np.zeros(2), 0.5), np.zeros(2))


@pytest.mark.parametrize("average", [PolyakAverage(), PolyakAverage(burn_in=4), EMA(0.8)])
@pytest.mark.parametrize("rule", [Momentum, Adam])
def test_the_answer_is_the_average_of_the_iterates(rule, average):
    problem = ridge()
    settings = {"learning_rate": 0.02, "batch_size": 48, "shuffle": False}
    path = steps(problem, rule(**settings), 10)
    averaged = steps(problem, rule(**settings, average=average), 10)
    if isinstance(average, EMA):
        weights = 0.8 ** np.arange(10)[::-1]
    else:
        weights = (np.arange(10) >= average.burn_in) * 1.0
    expected = weights @ path / np.sum(weights)
    np.testing.assert_allclose(averaged[-1], expected, rtol=1e-12)


def test_limits_of_the_moving_average():
    problem, settings = ridge(), {"learning_rate": 0.02, "batch_size": 16}
    last, mean_ = (train(problem, SGD(**settings, average=a), 5).w for a in (None, "polyak"))
    none, all_ = (train(problem, SGD(**settings, average=EMA(d)), 5).w for d in (0.0, 1 - 1e-12))
    np.testing.assert_allclose(none, last, rtol=1e-14)
    np.testing.assert_allclose(all_, mean_, rtol=1e-3)


def test_an_averaged_solve_goes_on_exactly_where_it_stopped():
    problem, solver = ridge(), AdamW(learning_rate=0.05, batch_size=16, average="ema")
    whole, half = train(problem, solver, 6), train(problem, solver, 3)
    state = pickle.loads(pickle.dumps(half.state))
    rest = run(problem, solver, stopping=Stopping(tol=None, max_iter=3), state=state)
    np.testing.assert_array_equal(rest.w, whole.w)


def test_averaging_removes_noise():
    problem, settings = ridge(n=400), {"learning_rate": 0.1, "batch_size": 4}
    objective = [
        train(problem, SGD(**settings, average=a), 20).certificate.objective
        for a in (None, PolyakAverage(burn_in=500))
    ]
    best = train(problem, SGD(batch_size=400), 2000).certificate.objective
    assert objective[1] - best < 0.1 * (objective[0] - best)


def test_schedule_free_without_interpolation_is_an_average():
    settings = {"learning_rate": 0.05, "batch_size": 16}
    one = train(ridge(), ScheduleFreeSGD(momentum=0.0, **settings), 5).w
    two = train(ridge(), SGD(average="polyak", **settings), 5).w
    np.testing.assert_allclose(one, two, rtol=1e-12)


def test_the_start_of_a_warm_up_weighs_little_in_a_schedule_free_answer():
    """The share of an iterate is its squared rate among all of them."""
    solver = ScheduleFreeSGD(learning_rate=0.1, schedule=WarmUp(4), batch_size=48, momentum=0.0)
    z, path, rate = np.zeros(5), [], 0.1 * np.minimum(np.arange(1, 7) / 4, 1)
    for eta in rate:
        z = z - eta * ridge().sample_grad(z, np.arange(48))[1]
        path.append(z)
    expected = rate**2 @ np.array(path) / np.sum(rate**2)
    np.testing.assert_allclose(steps(ridge(), solver, 6)[-1], expected, rtol=1e-12)


def scaled_ridge(c):
    """The same data in units in which the answer is c times as long."""
    problem = ridge()
    X = np.array(problem.map.base.X) / c
    return LinearProblem(X, np.array(problem.y), Squared(), L2(0.1 / c**2))


@pytest.mark.parametrize("rule", [DoG, DAdaptation, Prodigy])
def test_rules_without_a_rate_suit_any_scale(rule):
    solver = rule(batch_size=48, initial_distance=1e-4)
    ends = [
        train(scaled_ridge(c), solver.set_params(initial_distance=1e-4 * c), 300).w / c
        for c in (1.0, 1024.0)
    ]
    np.testing.assert_allclose(*ends, rtol=1e-4)


@pytest.mark.parametrize("rule", [DAdaptation, Prodigy])
def test_the_estimate_is_a_lower_bound_of_the_distance(rule):
    problem = ridge()
    best = train(problem, SGD(batch_size=48), 2000).w
    state = train(problem, rule(batch_size=48, schedule="constant"), 500).state
    # Of the largest coordinate, up to the constants of the bound.
    largest = np.max(np.abs(best))
    assert 0.01 * largest < state.d[0] < 2 * largest


def interpolation():
    """Least squares that every sample's prediction can meet, without a penalty."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(50, 100))
    return LinearProblem(X, X @ rng.normal(size=100), Squared(), L2(0.0))


def test_steps_chosen_on_the_batch_are_fast_where_the_model_fits_all():
    problem = interpolation()
    loss = {
        rule: float(problem.value(train(problem, solver, 100).w))
        for rule, solver in {
            "rate": SGD(batch_size=5, schedule="constant"),
            "polyak": PolyakStep(batch_size=5, max_step=100.0, schedule="constant"),
            "search": LineSearchSGD(batch_size=5, max_step=100.0, schedule="constant"),
        }.items()
    }
    assert loss["polyak"] < 0.1 * loss["rate"]
    assert loss["search"] < 1e-7


def test_a_line_search_on_one_batch_descends():
    problem = logistic()
    path = steps(problem, LineSearchSGD(batch_size=48), 40)
    assert np.all(np.diff([problem.value(w) for w in path]) <= 1e-15)


def test_values_of_batches_belong_to_the_gradients_of_networks():
    """Also with several outputs, where the value reported for reading is another one."""
    problem, index, h = network(outputs=2), np.arange(7), 1e-6
    w = problem.start()
    g = np.array(problem.sample_grad(w, index)[1])
    slope = [
        (problem.sample_value(w + h * e, index) - problem.sample_value(w - h * e, index)) / (2 * h)
        for e in np.eye(w.size)
    ]
    np.testing.assert_allclose(slope, g, atol=1e-8)


def rates(schedule, n_epochs):
    """The rates of the first epochs, as a solve sees them."""
    rate, seen = schedule.after_epoch(0.5, 0.5, 0, 0), []
    for k in range(1, n_epochs + 1):
        seen.append(rate)
        rate = schedule.after_epoch(0.5, rate, k, 10 * k)
    return np.array(seen)


def test_schedules_follow_their_formulas():
    k = np.arange(40)
    np.testing.assert_allclose(rates(Step(7, 0.3), 40), 0.5 * 0.3 ** (k // 7), rtol=1e-12)
    np.testing.assert_allclose(rates(Exponential(0.9), 40), 0.5 * 0.9**k, rtol=1e-12)
    cosine = 0.5 * (0.1 + 0.9 * (1 + np.cos(np.pi * np.minimum(k / 25, 1))) / 2)
    np.testing.assert_allclose(rates(Cosine(25, floor=0.1), 40), cosine, rtol=1e-12)
    np.testing.assert_allclose(rates(WarmUp(4), 40)[:6] / 0.5, [0.25, 0.5, 0.75, 1, 1, 1])
    warm = rates(WarmUp(4, Exponential(0.9)), 40)
    np.testing.assert_allclose(warm[4:], 0.5 * 0.9 ** k[:-4], rtol=1e-12)
    cycle = rates(OneCycle(20, rise=0.25, start=0.1, end=0.01), 40)
    np.testing.assert_allclose(cycle[[0, 5, 20, 39]], [0.05, 0.5, 0.005, 0.005], rtol=1e-12)
    assert np.all(np.diff(cycle[:6]) > 0)
    assert np.all(np.diff(cycle[5:21]) < 0)
    np.testing.assert_allclose(cycle[2], 0.5 * (1 - 0.9 * (1 + np.cos(np.pi * 0.4)) / 2))


def test_every_rule_follows_a_schedule():
    for name in NAMES:
        rule = SOLVERS.get(name)
        if "schedule" in rule().get_params():
            solver = rule(schedule=Cosine(4))
            result = train(ridge(), solver, 4)
            assert result.state.rate == 0, name
            if rule not in (
                RMSpropNesterov,
                GrowingNesterov,
                DAdaptation,
                SAM,
            ):  # their velocity goes on
                np.testing.assert_array_equal(train(ridge(), solver, 6).w, result.w)


def test_a_plateau_is_told_to_the_schedule_after_the_warm_up():
    assert WarmUp(3, "adaptive").after_plateau(0.5) == 0.1
    assert WarmUp(3).after_plateau(0.5) is None


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (AdaGrad(epsilon=-1.0), r"AdaGrad: epsilon=-1.0, .* >= 0"),
        (AdaGradNorm(initial_norm=-1.0), "initial_norm=-1.0"),
        (RMSprop(decay=1.0), "decay=1.0, .* < 1"),
        (RMSprop(decay=True), "decay=True"),
        (AdamW(weight_decay=-0.1), "weight_decay=-0.1"),
        (NAdam(momentum_decay=math.inf), "momentum_decay=inf"),
        (Signum(momentum=1.0), "momentum=1"),
        (Adafactor(epsilon=0.0), "epsilon=0.0"),
        (Adafactor(decay_power=2.0), "decay_power=2.0"),
        (SAM(radius=-1.0), "radius=-1.0"),
        (DoG(initial_distance=0.0), "initial_distance=0.0"),
        (DAdaptation(max_growth=1.0), "max_growth=1.0"),
        (PolyakStep(max_step=0.0), "max_step=0.0"),
        (PolyakStep(scale=0.0), "scale=0.0"),
        (LineSearchSGD(shrink=1.0), "shrink=1.0"),
        (SGD(max_grad_norm=0.0), "max_grad_norm=0.0"),
        (SGD(average="mean"), "average='mean'.*'ema'"),
        (SGD(average=EMA(1.0)), "EMA: decay=1.0"),
        (SGD(average=PolyakAverage(-1)), "burn_in=-1"),
        (SGD(schedule=Step(0)), "every=0"),
        (SGD(schedule=Exponential(0.0)), "factor=0.0"),
        (SGD(schedule=Cosine(2.5)), "n_epochs=2.5"),
        (SGD(schedule=OneCycle(10, rise=2.0)), "rise=2.0"),
        (SGD(schedule=WarmUp(3, "slow")), "schedule='slow'"),
    ],
)
def test_bad_settings_are_named(solver, words):
    with pytest.raises(ValueError, match=words):
        train(ridge(), solver, 1)


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (Muon(momentum=1.0), "momentum=1"),
        (Muon(n_steps=2.5), "n_steps=2.5, .* whole and >= 1"),
        (Shampoo(refresh=0), "refresh=0"),
        (Shampoo(epsilon=0.0), "epsilon=0.0"),
        (SOAP(beta_3=1.0), "beta_3=1.0"),
    ],
)
def test_bad_settings_on_matrices_are_named(solver, words):
    with pytest.raises(ValueError, match=words):
        train(network(), solver, 1)


def test_settings_are_not_shared():
    solver = AdamW(average="ema")
    assert copy.copy(solver) == solver
    assert "average='ema'" in repr(solver)
