"""The named stochastic rules: each against an independent formula, iterate by iterate.

A reference is a function of the gradient, the count and a dictionary of its own moments; it
returns the change of the iterate. All of them follow the papers' formulas, whose errata and
variants the rules' notes tell.
"""

import copy
import math
import pickle

import numpy as np
import pytest

from skopt_dl.dispatch import SOLVERS, IncompatibleSolverError, resolve
from skopt_dl.engine import Stopping, run
from skopt_dl.kernels.generic_updates import inverse_root, polar_factor
from skopt_dl.losses import Logistic, Squared
from skopt_dl.neural_network import MLPRegressor
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem
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
    AdaBelief,
    AdaDelta,
    Adafactor,
    AdaGrad,
    AdaGradNorm,
    Adam,
    AdamW,
    AMSGrad,
    DAdaptation,
    DoG,
    LineSearchSGD,
    Lion,
    Momentum,
    Muon,
    NAdam,
    PolyakStep,
    Prodigy,
    RAdam,
    RMSprop,
    RMSpropNesterov,
    ScheduleFreeAdamW,
    ScheduleFreeSGD,
    Shampoo,
    SignSGD,
    Signum,
    Yogi,
)
from skopt_dl.solvers.stochastic.averaging import EMA, PolyakAverage
from skopt_dl.solvers.stochastic.base import clipped


def ridge(n=48, p=5, scale=1.0):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p)) * scale
    y = X @ np.arange(1.0, p + 1) + 0.3 * rng.normal(size=n)
    return LinearProblem(X, y, Squared(), L2(0.1), fit_intercept=True)


def logistic(n=48, p=5):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, p))
    y = (X[:, 0] + rng.normal(size=n) > 0) * 1.0
    return LinearProblem(X, y, Logistic(), L2(0.05), fit_intercept=True)


def network(n=48, p=5, hidden=(4, 3), outputs=2):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(n, p))
    y = np.tanh(X[:, :outputs]) + 0.1 * rng.normal(size=(n, outputs))
    model = MLPRegressor(hidden_layer_sizes=hidden, activation="tanh", random_state=0)
    return model._build_problem(X, y)


def train(problem, solver, epochs, seed=0, **kwargs):
    stopping = Stopping(tol=None, max_iter=epochs)
    return run(problem, solver, stopping=stopping, rng=np.random.RandomState(seed), **kwargs)


def follow(problem, change, settings, epochs, size=16, seed=0):
    """The reference's path: the same permutations as a solve with this seed."""
    rng, n = np.random.RandomState(seed), problem.n_samples
    w, order, t, own = problem.start(), np.arange(n), 0, {}
    for _ in range(epochs):
        order = order[rng.permutation(n)]
        for low in range(0, n, size):
            index, t = order[low : low + size], t + 1
            own["value"] = lambda w, index=index: problem.sample_value(w, index)
            own["grad"] = lambda w, index=index: np.array(problem.sample_grad(w, index)[1])
            w = w + change(own, own["grad"](w), t, w, **settings)
    return own.get("answer", w)


def mean(own, name, new, decay):
    own[name] = decay * own.get(name, 0.0) + (1 - decay) * new
    return own[name]


def adagrad(own, g, t, w, learning_rate, epsilon):
    own["r"] = own.get("r", 0.0) + g**2
    return -learning_rate * g / (np.sqrt(own["r"]) + epsilon)


def adagrad_norm(own, g, t, w, learning_rate, initial_norm):
    own["b2"] = own.get("b2", initial_norm**2) + np.sum(g**2)
    return -learning_rate * g / np.sqrt(own["b2"])


def rmsprop(own, g, t, w, learning_rate, decay, epsilon, centered=False):
    r = mean(own, "r", g**2, decay)
    if centered:
        r = r - mean(own, "m", g, decay) ** 2
    return -learning_rate * g / (np.sqrt(r) + epsilon)


def rmsprop_nesterov(own, g, t, w, learning_rate, momentum, decay, epsilon):
    """The textbook's two points: x is kept here, w is the one looked ahead to."""
    x, v = own.get("x", w), own.get("v", 0.0)
    v = momentum * v - learning_rate * g / (np.sqrt(mean(own, "r", g**2, decay)) + epsilon)
    own["x"], own["v"] = x + v, v
    return own["x"] + momentum * v - w


def adadelta(own, g, t, w, decay, epsilon):
    r = mean(own, "r", g**2, decay)
    step = -np.sqrt(own.get("s", 0.0) + epsilon) / np.sqrt(r + epsilon) * g
    mean(own, "s", step**2, decay)
    return step


def corrected(own, g, t, beta_1, beta_2):
    return (
        mean(own, "m", g, beta_1) / (1 - beta_1**t),
        mean(own, "v", g**2, beta_2) / (1 - beta_2**t),
    )


def amsgrad(own, g, t, w, learning_rate, beta_1, beta_2, epsilon):
    m, _ = corrected(own, g, t, beta_1, beta_2)
    own["top"] = np.maximum(own.get("top", 0.0), own["v"])
    early = epsilon / math.sqrt(1 - beta_2**t)
    return -learning_rate * m / (np.sqrt(own["top"] / (1 - beta_2**t)) + early)


def adamw(own, g, t, w, learning_rate, beta_1, beta_2, epsilon, weight_decay):
    m, v = corrected(own, g, t, beta_1, beta_2)
    early = epsilon / math.sqrt(1 - beta_2**t)
    return -learning_rate * (m / (np.sqrt(v) + early) + weight_decay * w)


def nadam(own, g, t, w, learning_rate, beta_1, beta_2, epsilon, momentum_decay):
    mu = [beta_1 * (1 - 0.5 * 0.96 ** (i * momentum_decay)) for i in range(1, t + 2)]
    m, v = mean(own, "m", g, beta_1), mean(own, "v", g**2, beta_2) / (1 - beta_2**t)
    ahead = mu[t] * m / (1 - math.prod(mu)) + (1 - mu[t - 1]) * g / (1 - math.prod(mu[:t]))
    return -learning_rate * ahead / (np.sqrt(v) + epsilon / math.sqrt(1 - beta_2**t))


def radam(own, g, t, w, learning_rate, beta_1, beta_2, epsilon):
    m, v = corrected(own, g, t, beta_1, beta_2)
    top = 2 / (1 - beta_2) - 1
    rho = top - 2 * t * beta_2**t / (1 - beta_2**t)
    if rho <= 5:
        return -learning_rate * m
    r = math.sqrt((rho - 4) * (rho - 2) * top / ((top - 4) * (top - 2) * rho))
    return -learning_rate * r * m / (np.sqrt(v) + epsilon / math.sqrt(1 - beta_2**t))


def adabelief(own, g, t, w, learning_rate, beta_1, beta_2, epsilon):
    m = mean(own, "m", g, beta_1)
    own["s"] = beta_2 * own.get("s", 0.0) + (1 - beta_2) * (g - m) ** 2 + epsilon
    root = np.sqrt(own["s"] / (1 - beta_2**t))
    return -learning_rate * m / (1 - beta_1**t) / (root + epsilon)


def yogi(own, g, t, w, learning_rate, beta_1, beta_2, epsilon):
    m, v = mean(own, "m", g, beta_1), own.get("v", np.zeros_like(g))
    own["v"] = v = np.where(v > g**2, v - (1 - beta_2) * g**2, v + (1 - beta_2) * g**2)
    early = epsilon / math.sqrt(1 - beta_2**t)
    return -learning_rate * m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + early)


def sign_sgd(own, g, t, w, learning_rate):
    return -learning_rate * np.sign(g)


def signum(own, g, t, w, learning_rate, momentum):
    return -learning_rate * np.sign(mean(own, "m", g, momentum))


def lion(own, g, t, w, learning_rate, beta_1, beta_2, weight_decay):
    u = np.sign(beta_1 * own.get("m", 0.0) + (1 - beta_1) * g)
    mean(own, "m", g, beta_2)
    return -learning_rate * (u + weight_decay * w)


def adafactor(own, g, t, w, learning_rate, decay_power, epsilon, max_rms):
    """Without matrices: every entry has its own mean square."""
    u = g / np.sqrt(mean(own, "v", g**2 + epsilon, 1 - t**-decay_power))
    return -learning_rate * u / max(1.0, np.sqrt(np.mean(u**2)) / max_rms)


def blocks(g):
    """The blocks of the `network` as matrices and vectors, each with a name."""
    low = 0
    for shape in [(5, 4), (4, 3), (3, 2), (4,), (3,), (2,)]:
        yield str(low), g[low : low + math.prod(shape)].reshape(shape)
        low += math.prod(shape)


def adafactor_on_network(own, g, t, w, learning_rate, decay_power, epsilon, max_rms):
    step = []
    for low, G in blocks(g):
        beta = 1 - t**-decay_power
        if G.ndim == 2:
            R = mean(own, f"R{low}", np.sum(G**2 + epsilon, axis=1), beta)
            C = mean(own, f"C{low}", np.sum(G**2 + epsilon, axis=0), beta)
            U = G / np.sqrt(np.outer(R, C) / np.sum(R))
        else:
            U = G / np.sqrt(mean(own, f"v{low}", G**2 + epsilon, beta))
        step.append(-learning_rate * U.ravel() / max(1.0, np.sqrt(np.mean(U**2)) / max_rms))
    return np.concatenate(step)


def schedule_free(own, move, t, y, beta):
    """w of the reference is y, where gradients are taken; the answer is x."""
    own["z"] = own.get("z", y) + move
    own["answer"] = (1 - 1 / t) * own.get("answer", y) + own["z"] / t
    return (1 - beta) * own["z"] + beta * own["answer"] - y


def schedule_free_sgd(own, g, t, w, learning_rate, momentum, weight_decay):
    return schedule_free(own, -learning_rate * (g + weight_decay * w), t, w, momentum)


def schedule_free_adamw(own, g, t, w, learning_rate, beta_1, beta_2, epsilon, weight_decay):
    v = mean(own, "v", g**2, beta_2) / (1 - beta_2**t)
    scaled = g / (np.sqrt(v) + epsilon / math.sqrt(1 - beta_2**t))
    return schedule_free(own, -learning_rate * (scaled + weight_decay * w), t, w, beta_1)


def dog(own, g, t, w, initial_distance):
    origin = own.setdefault("origin", w)
    first = initial_distance * (1 + np.linalg.norm(origin))
    own["far"] = max(own.get("far", first), np.linalg.norm(w - origin))
    own["sum"] = own.get("sum", 0.0) + g @ g
    return -own["far"] / np.sqrt(own["sum"]) * g


def d_adaptation(own, g, t, w, initial_distance, beta_1, beta_2, epsilon, max_growth):
    d, keep = own.get("d", initial_distance * (1 + np.linalg.norm(w))), math.sqrt(beta_2)
    m, root = mean(own, "m", d * g, beta_1), np.sqrt(mean(own, "v", g**2, beta_2)) + epsilon
    r = mean(own, "r", d * np.sum(g * own.get("s", 0.0) / root), keep)
    s = mean(own, "s", d * g, keep)
    bound = r / ((1 - keep) * np.sum(np.abs(s)))
    own["d"] = max(d, min(bound, max_growth * d))
    return -m / root


def prodigy(own, g, t, w, initial_distance, beta_1, beta_2, epsilon):
    origin, keep = own.setdefault("origin", w), math.sqrt(beta_2)
    d = own.get("d", initial_distance * (1 + np.linalg.norm(w)))
    r = mean(own, "r", d**2 * g @ (origin - w), keep)
    s = mean(own, "s", d**2 * g, keep)
    m, v = mean(own, "m", d * g, beta_1), mean(own, "v", (d * g) ** 2, beta_2)
    own["d"] = max(d, r / np.sum(np.abs(s)))
    return -d * m / (np.sqrt(v) + d * epsilon)


def polyak_step(own, g, t, w, max_step, lower_bound, scale):
    return -min(scale * (own["value"](w) - lower_bound) / (g @ g), max_step) * g


def line_search(own, g, t, w, max_step, decrease, shrink, grow):
    step, f = own.get("step", max_step / grow ** (1 / 3)) * grow ** (1 / 3), own["value"](w)
    step = min(step, max_step)
    while own["value"](w - step * g) > f - decrease * step * (g @ g):
        step *= shrink
    own["step"] = step
    return -step * g


def adam_direction(own, g, t, beta_1, beta_2, epsilon):
    m, v = corrected(own, g, t, beta_1, beta_2)
    return m / (np.sqrt(v) + epsilon / math.sqrt(1 - beta_2**t))


def quintic(G):
    """Five steps on the singular values, by the singular value decomposition."""
    U, s, Vt = np.linalg.svd(G, full_matrices=False)
    s = s / np.linalg.norm(s)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return U * s @ Vt


def muon(own, g, t, w, learning_rate, momentum, weight_decay, other_rate, **moments):
    b = mean(own, "b", g, momentum)
    step = other_rate * adam_direction(own, g, t, **moments)
    ahead = (1 - momentum) * g + momentum * b
    for (_, B), (_, out) in zip(blocks(ahead), blocks(step), strict=True):
        if B.ndim == 2:
            out[...] = math.sqrt(max(1.0, B.shape[0] / B.shape[1])) * quintic(B)
    return -learning_rate * (step + weight_decay * w)


def root(S, power):
    values, vectors = np.linalg.eigh(S)
    return vectors @ np.diag(values ** (-1 / power)) @ vectors.T


def shampoo(own, g, t, w, learning_rate, epsilon, refresh):
    step = np.empty_like(g)
    for (low, G), (_, out) in zip(blocks(g), blocks(step), strict=True):
        if G.ndim == 1:
            own["r" + low] = own.get("r" + low, 0.0) + G**2
            out[...] = G / (np.sqrt(own["r" + low]) + epsilon)
            continue
        own["L" + low] = own.get("L" + low, epsilon * np.eye(len(G))) + G @ G.T
        own["R" + low] = own.get("R" + low, epsilon * np.eye(G.shape[1])) + G.T @ G
        if t <= refresh or t % refresh == 0:
            own["roots" + low] = root(own["L" + low], 4), root(own["R" + low], 4)
        left, right = own["roots" + low]
        out[...] = left @ G @ right
    return -learning_rate * step


def soap(own, g, t, w, learning_rate, beta_1, beta_2, beta_3, epsilon, refresh):
    step, m = np.empty_like(g), mean(own, "m", g, beta_1) / (1 - beta_1**t)
    epsilon = epsilon / math.sqrt(1 - beta_2**t)
    for (low, G), (_, M), (_, out) in zip(blocks(g), blocks(m), blocks(step), strict=True):
        left, right, bare = np.eye(1), np.eye(G.shape[-1]), G.ndim == 1
        if not bare:
            sides = [mean(own, "L" + low, G @ G.T, beta_3), mean(own, "R" + low, G.T @ G, beta_3)]
            if t == 1:
                own["Q" + low] = [np.linalg.eigh(S)[1] for S in sides]
            elif (t - 1) % refresh == 0:
                old = own["Q" + low]
                own["Q" + low] = [np.linalg.qr(S @ Q)[0] for S, Q in zip(sides, old, strict=True)]
            left, right = own["Q" + low]
        G, M = np.atleast_2d(G), np.atleast_2d(M)
        v = mean(own, "v" + low, (left.T @ G @ right) ** 2, beta_2) / (1 - beta_2**t)
        scaled = left @ (left.T @ M @ right / (np.sqrt(v) + epsilon)) @ right.T
        out[...] = scaled[0] if bare else scaled
    return -learning_rate * step


def sam(own, g, t, w, learning_rate, radius, momentum):
    worst = own["grad"](w + radius * g / np.linalg.norm(g))
    own["v"] = momentum * own.get("v", 0.0) - learning_rate * worst
    return own["v"]


MOMENTS = {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}
REFERENCES = [
    (AdaGrad, adagrad, {"learning_rate": 0.5, "epsilon": 1e-3}),
    (AdaGradNorm, adagrad_norm, {"learning_rate": 0.5, "initial_norm": 0.3}),
    (RMSprop, rmsprop, {"learning_rate": 0.02, "decay": 0.8, "epsilon": 1e-3}),
    (RMSprop, rmsprop, {"learning_rate": 0.02, "decay": 0.8, "epsilon": 0.1, "centered": True}),
    (
        RMSpropNesterov,
        rmsprop_nesterov,
        {"learning_rate": 0.01, "momentum": 0.7, "decay": 0.8, "epsilon": 1e-3},
    ),
    (AdaDelta, adadelta, {"decay": 0.9, "epsilon": 1e-3}),
    (AMSGrad, amsgrad, {"learning_rate": 0.1, **MOMENTS}),
    (AdamW, adamw, {"learning_rate": 0.1, **MOMENTS, "weight_decay": 0.3}),
    (NAdam, nadam, {"learning_rate": 0.1, **MOMENTS, "momentum_decay": 0.1}),
    (RAdam, radam, {"learning_rate": 0.1, **MOMENTS}),
    (AdaBelief, adabelief, {"learning_rate": 0.1, **MOMENTS}),
    (Yogi, yogi, {"learning_rate": 0.1, **MOMENTS}),
    (SignSGD, sign_sgd, {"learning_rate": 0.05}),
    (Signum, signum, {"learning_rate": 0.05, "momentum": 0.8}),
    (
        Lion,
        lion,
        {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.95, "weight_decay": 0.1},
    ),
    (
        ScheduleFreeSGD,
        schedule_free_sgd,
        {"learning_rate": 0.1, "momentum": 0.8, "weight_decay": 0.1},
    ),
    (
        ScheduleFreeAdamW,
        schedule_free_adamw,
        {"learning_rate": 0.1, **MOMENTS, "weight_decay": 0.1},
    ),
    (DoG, dog, {"initial_distance": 1e-2}),
    (DAdaptation, d_adaptation, {"initial_distance": 1e-3, **MOMENTS, "max_growth": 1.3}),
    (Prodigy, prodigy, {"initial_distance": 1e-3, **MOMENTS}),
    (SAM, sam, {"learning_rate": 0.03, "radius": 0.2, "momentum": 0.8}),
    (PolyakStep, polyak_step, {"max_step": 0.3, "lower_bound": 0.1, "scale": 0.5}),
    (LineSearchSGD, line_search, {"max_step": 2.0, "decrease": 0.3, "shrink": 0.8, "grow": 3.0}),
]
FACTORS = {"learning_rate": 0.1, "decay_power": 0.7, "epsilon": 1e-6, "max_rms": 0.8}
ON_MATRICES = [
    (
        Muon,
        muon,
        {"learning_rate": 0.02, "momentum": 0.9, **MOMENTS, "weight_decay": 0.1, "other_rate": 0.5},
    ),
    (Shampoo, shampoo, {"learning_rate": 0.1, "epsilon": 1e-2, "refresh": 4}),
    (SOAP, soap, {"learning_rate": 0.02, **MOMENTS, "beta_3": 0.9, "refresh": 4}),
]
NAMES = sorted({SOLVERS.name_of(rule()) for rule, _, _ in REFERENCES} | {"adafactor"})


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
    with pytest.raises(IncompatibleSolverError, match="matrices among its parameters"):
        resolve(solver, ridge())


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
            if rule not in (RMSpropNesterov, DAdaptation, SAM):  # their velocity goes on
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
