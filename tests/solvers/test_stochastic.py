"""Stochastic rules: their formulas iterate by iterate, their schedules, exact resumption."""

import copy
import math
import pickle

import array_api_strict
import numpy as np
import pytest

from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.engine import Status, Stopping, run
from skopt_dl.kernels import bind, generic_network
from skopt_dl.losses import Logistic, Squared
from skopt_dl.penalties import L1, L2
from skopt_dl.problems import LinearProblem
from skopt_dl.search.schedules import (
    SCHEDULES,
    Adaptive,
    Constant,
    Decreasing,
    InverseScaling,
    schedule_of,
)
from skopt_dl.solvers.stochastic.adam import Adam
from skopt_dl.solvers.stochastic.sampling import batch_size, batches
from skopt_dl.solvers.stochastic.sgd import SGD, Momentum, Nesterov

RULES = [SGD, Momentum, Nesterov, Adam]


def data(n=60, p=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, X @ np.arange(1.0, p + 1) + 0.1 * rng.normal(size=n)


def ridge(alpha=0.1, **kwargs):
    X, y = data(**kwargs)
    return LinearProblem(X, y, Squared(), L2(alpha), fit_intercept=True)


def lasso(alpha=0.5):
    X, y = data()
    return LinearProblem(X, y, Squared(), L1(alpha), fit_intercept=True)


def train(problem, solver, epochs, *, seed=0, tol=None, **kwargs):
    stopping = Stopping(tol=tol, max_iter=epochs)
    return run(problem, solver, stopping=stopping, rng=np.random.RandomState(seed), **kwargs)


def reference(problem, rule, settings, epochs, size, seed):
    """Ten lines that follow the papers: the same permutations, plain NumPy updates."""
    rng, n = np.random.RandomState(seed), problem.n_samples
    w, order, t = problem.start(), np.arange(n), 0
    m, v = np.zeros_like(w), np.zeros_like(w)
    rate, b1, b2, eps = (settings.get(k) for k in ("learning_rate", "beta_1", "beta_2", "epsilon"))
    beta = settings.get("momentum", 0.0)
    for _ in range(epochs):
        order = order[rng.permutation(n)]
        for low in range(0, n, size):
            g, t = problem.sample_grad(w, order[low : low + size])[1], t + 1
            if rule is Adam:
                m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
                scale = np.sqrt(1 - b2**t) / (1 - b1**t)
                w = w - rate * scale * m / (np.sqrt(v) + eps)
            else:
                v = beta * v - rate * g
                w = w + (beta * v - rate * g if rule is Nesterov else v)
    return w


@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        (SGD, {"learning_rate": 0.05}),
        (Momentum, {"learning_rate": 0.02, "momentum": 0.8}),
        (Nesterov, {"learning_rate": 0.02, "momentum": 0.8}),
        (Adam, {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}),
    ],
)
def test_rule_follows_its_formula(rule, settings):
    problem = ridge()
    solver = rule(**settings, batch_size=16)
    for epochs in (1, 2, 5):
        w = train(problem, solver, epochs).w
        expected = reference(problem, rule, settings, epochs, 16, 0)
        np.testing.assert_allclose(w, expected, rtol=1e-12, atol=1e-12)


def test_adam_differs_from_torch_in_the_place_of_epsilon_alone():
    """PyTorch adds epsilon to the corrected root: ours with epsilon sqrt(1 - beta_2^t)."""
    problem, eps, b1, b2, rate = ridge(), 1e-2, 0.9, 0.999, 0.1
    w, m, v = problem.start(), 0.0, 0.0
    solver = Adam(learning_rate=rate, batch_size=60, shuffle=False)
    state = solver.init(problem, problem.start(), None)
    for t in range(1, 6):
        g = problem.sample_grad(w, np.arange(60))[1]
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        w = w - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        ours = Adam(
            learning_rate=rate,
            epsilon=eps * math.sqrt(1 - b2**t),
            batch_size=60,
            shuffle=False,
        )
        ours.advance(problem, state, 1)
        np.testing.assert_allclose(state.w, w, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compiled_updates_equal_the_generic_ones(dtype):
    rng, tol = np.random.default_rng(0), 1e-13 if dtype is np.float64 else 2e-6
    w, g, m = (rng.normal(size=101).astype(dtype) for _ in range(3))
    v = rng.uniform(size=101).astype(dtype)
    # A second moment so small that it is a denormal number must not become NaN.
    v[:3] = np.array([0.0, 1e-40, 1e-30], dtype)
    kernels = bind(np, np.dtype(dtype))
    assert kernels.adam_update is not generic_network.adam_update
    for name, arguments in [
        ("adam_update", (0.01, 0.9, 0.999, 1e-8)),
        ("momentum_update", (0.1, 0.9, True)),
        ("momentum_update", (0.1, 0.9, False)),
    ]:
        arrays = (w, g, m, v) if name == "adam_update" else (w, g, m)
        one, two = copy.deepcopy(arrays), copy.deepcopy(arrays)
        getattr(kernels, name)(*one, *arguments)
        getattr(generic_network, name)(*two, *arguments)
        for a, b in zip(one, two, strict=True):
            np.testing.assert_allclose(a, b, rtol=tol, atol=tol)
            assert a.dtype == dtype


@pytest.mark.parametrize("rule", [SGD, Momentum])
def test_the_prox_makes_stochastic_steps_solve_the_lasso(rule):
    problem, solver = lasso(1.5), rule(batch_size=20)
    gaps = [train(problem, solver, epochs).certificate.value for epochs in (30, 1000)]
    # The noise of the batches fades like a power of the rate, which falls by 14 between the two.
    assert gaps[1] < min(1e-3, gaps[0] / 10)
    assert np.sum(train(problem, solver, 100).w == 0) == 1


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("scale", [1e-2, 1e2])
def test_automatic_rate_suits_the_scale_of_the_data(rule, scale):
    X, y = data(n=200)
    problem = LinearProblem(scale * X, 10 * y, Squared(), L2(1e-2 * scale**2), fit_intercept=True)
    assert train(problem, rule(), 300, tol=1e-3).status is Status.CONVERGED


def test_automatic_rate_sees_the_curvature_of_the_penalty():
    # The loss alone would allow a step 1000 times too long.
    result = train(ridge(alpha=1000.0), SGD(), 200, tol=1e-4)
    assert result.status is Status.CONVERGED


@pytest.mark.parametrize("rule", RULES)
def test_logistic_regression_reaches_its_optimum(rule):
    X, y = data(n=300)
    problem = LinearProblem(X, (y > 0) * 1.0, Logistic(), L2(0.1), fit_intercept=True)
    assert train(problem, rule(batch_size=50), 500, tol=1e-3).status is Status.CONVERGED


@pytest.mark.parametrize("rule", RULES)
def test_a_solve_goes_on_exactly_where_it_stopped(rule):
    problem, solver = ridge(), rule(learning_rate=0.01, batch_size=16, schedule="decreasing")
    whole = train(problem, solver, 6)
    half = train(problem, solver, 3)
    state = pickle.loads(pickle.dumps(half.state))
    rest = run(problem, solver, stopping=Stopping(tol=None, max_iter=3), state=state)
    np.testing.assert_array_equal(rest.w, whole.w)
    assert rest.state.n_updates == whole.state.n_updates == 6 * 4


@pytest.mark.parametrize("rule", RULES)
def test_same_seed_same_answer_and_untouched_data(rule):
    X, y = data()
    kept = X.copy(), y.copy()
    problem = LinearProblem(X, y, Squared(), L2(0.1))
    solver = rule(learning_rate=0.01, batch_size=16)
    one, two, other = (train(problem, solver, 3, seed=s).w for s in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert np.any(one != other)
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(y, kept[1])


@pytest.mark.parametrize("rule", RULES)
def test_one_batch_without_shuffling_is_the_deterministic_method(rule):
    problem = ridge()
    settings = {"learning_rate": 0.01, "shuffle": False}
    for size in (60, 1000):
        result = train(problem, rule(batch_size=size, **settings), 4)
        assert result.state.n_updates == 4
    g = problem.sample_grad(problem.start(), np.arange(60))[1]
    first = train(problem, SGD(batch_size=60, **settings), 1).w
    np.testing.assert_allclose(first, -0.01 * g, rtol=1e-13)


@pytest.mark.parametrize("rule", RULES)
def test_rules_run_on_any_array_namespace(rule):
    X, y = data()
    xp = array_api_strict
    device = xp.Device("device1")
    there = [xp.asarray(a, device=device) for a in (X, y)]
    solver = rule(learning_rate=0.01, batch_size=16)
    expected = train(LinearProblem(X, y, Squared(), L2(0.1)), solver, 3)
    result = train(LinearProblem(*there, Squared(), L2(0.1)), solver, 3)
    assert result.w.device == device
    moved = np.from_dlpack(result.w.to_device(xp.Device("CPU_DEVICE")))
    np.testing.assert_allclose(moved, expected.w, rtol=1e-12)
    assert (result.kernel, expected.kernel) == ("generic", "cython")


@pytest.mark.parametrize("name", ["nesterov", "adam"])
def test_rules_without_a_prox_refuse_the_lasso(name):
    with pytest.raises(IncompatibleSolverError, match="a smooth objective"):
        resolve(name, lasso())


def test_schedules():
    assert Constant().after_epoch(0.5, 0.1, 3, 10) == 0.1
    assert InverseScaling(0.5).after_epoch(0.5, 0.1, 3, 99) == pytest.approx(0.05)
    assert Decreasing(1.0).after_epoch(0.6, 0.1, 2, 99) == pytest.approx(0.2)
    adaptive = Adaptive()
    assert adaptive.after_epoch(0.5, 0.1, 3, 10) == 0.1
    assert adaptive.after_plateau(0.1) == pytest.approx(0.02)
    assert adaptive.after_plateau(1e-6) is None
    for name, kind in SCHEDULES.items():
        assert type(schedule_of(name)) is kind
        if name != "adaptive":
            assert schedule_of(name).after_plateau(1.0) is None
    with pytest.raises(ValueError, match=r"schedule='cosine'.*'adaptive'"):
        schedule_of("cosine")


def test_the_state_keeps_the_rate_of_the_schedule():
    result = train(ridge(), SGD(learning_rate=0.1, schedule="decreasing"), 3)
    assert result.state.rate == pytest.approx(0.1 / 4**0.75)
    assert train(ridge(), SGD(learning_rate=0.1), 3).state.rate == 0.1


def test_batches_cover_the_samples_once():
    order = np.random.default_rng(0).permutation(23)
    parts = list(batches(order, 5))
    assert [len(p) for p in parts] == [5, 5, 5, 5, 3]
    np.testing.assert_array_equal(np.concatenate(parts), order)
    assert (batch_size("auto", 1000), batch_size("auto", 50), batch_size(64, 50)) == (200, 50, 50)


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (SGD(learning_rate=-1.0), "learning_rate=-1.0"),
        (SGD(learning_rate="fast"), "learning_rate='fast'"),
        (SGD(batch_size=0), "batch_size=0"),
        (SGD(schedule="warm"), "schedule='warm'"),
        (Momentum(momentum=1.5), "momentum=1.5"),
        (Adam(beta_2=1.0), "beta_2=1.0"),
        (Adam(epsilon=0.0), "epsilon=0.0"),
    ],
)
def test_bad_settings_are_named(solver, words):
    with pytest.raises(ValueError, match=words):
        train(ridge(), solver, 1)
