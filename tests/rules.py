"""The stochastic rules as ten-line formulas: independent references, iterate by iterate.

A reference is a function of its own memory, the gradient, the count and the point; it returns the
change of the iterate. All of them follow the papers' formulas, whose errata and variants the rules'
notes tell. A different answer than the iterate is left in the memory as "answer".
"""

import math

import numpy as np

from skopt_dl.dispatch import SOLVERS
from skopt_dl.engine import Stopping, run
from skopt_dl.losses import Logistic, Squared
from skopt_dl.neural_network import MLPRegressor
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import (
    SAM,
    SOAP,
    VSGD,
    AdaBelief,
    AdaDelta,
    AdaGrad,
    AdaGradNorm,
    Adamax,
    AdamW,
    Adan,
    AdEMAMix,
    AMSGrad,
    BatchSVRG,
    DAdaptation,
    DoG,
    DoWG,
    GrowingNesterov,
    LineSearchSGD,
    Lion,
    MoMo,
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
            own["bend"] = lambda w, index=index: problem.sample_curvature(w, index)
            own["whole"] = lambda w: problem.sample_grad(w, np.arange(n))[1]
            own["at"] = lambda index, w: (
                np.array(problem.sample_grad(w, index)[1]),
                problem.sample_curvature(w, index),
            )
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


def dowg(own, g, t, w, initial_distance):
    origin = own.setdefault("origin", w)
    first = initial_distance * (1 + np.linalg.norm(origin))
    own["far"] = max(own.get("far", first), np.linalg.norm(w - origin))
    own["sum"] = own.get("sum", 0.0) + own["far"] ** 2 * (g @ g)
    return -(own["far"] ** 2) / np.sqrt(own["sum"]) * g


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


def momo(own, g, t, w, max_step, lower_bound, momentum):
    """By the means of values, of gradients and of their products with the iterates."""
    new = {"f": own["value"](w), "m": g, "gw": g @ w}
    for name, value in new.items():
        own[name] = value if t == 1 else momentum * own[name] + (1 - momentum) * value
    excess = own["f"] + own["m"] @ w - own["gw"] - lower_bound
    return -min(max(excess, 0.0) / (own["m"] @ own["m"]), max_step) * own["m"]


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
    # The largest ratio of moments is that of numbers which are so large so many updates ago.
    past = np.arange(t)
    worst = (beta_1 / beta_2) ** past
    most = (1 - beta_1) * (beta_1**past @ worst) / (1 - beta_1**t)
    most /= math.sqrt((1 - beta_2) * (beta_2**past @ worst**2) / (1 - beta_2**t))
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
        ratio = left.T @ M @ right / (np.sqrt(v) + epsilon)
        scaled = left @ np.clip(ratio, -most, most) @ right.T
        out[...] = scaled[0] if bare else scaled
    return -learning_rate * step


def sam(own, g, t, w, learning_rate, radius, momentum):
    worst = own["grad"](w + radius * g / np.linalg.norm(g))
    own["v"] = momentum * own.get("v", 0.0) - learning_rate * worst
    return own["v"]


def adamax(own, g, t, w, learning_rate, beta_1, beta_2, epsilon):
    m = mean(own, "m", g, beta_1) / (1 - beta_1**t)
    own["u"] = np.maximum(beta_2 * own.get("u", 0.0), np.abs(g) + epsilon)
    return -learning_rate * m / own["u"]


def adan(own, g, t, w, learning_rate, beta_1, beta_2, beta_3, epsilon):
    change = g - own.get("g", g)
    own["g"] = g
    m = mean(own, "m", g, beta_1) / (1 - beta_1**t)
    d = mean(own, "d", change, beta_2) / (1 - beta_2**t)
    n = mean(own, "n", (g + beta_2 * change) ** 2, beta_3) / (1 - beta_3**t)
    return -learning_rate * (m + beta_2 * d) / (np.sqrt(n) + epsilon)


def ademamix(own, g, t, w, learning_rate, beta_1, beta_2, beta_3, slow_share, epsilon):
    m, v = corrected(own, g, t, beta_1, beta_2)
    slow = mean(own, "slow", g, beta_3)
    return -learning_rate * (m + slow_share * slow) / (np.sqrt(v) + epsilon)


def growing_nesterov(own, g, t, w, learning_rate, momentum, period, settle_after):
    """The paper's two points: x is kept here, w is the one looked ahead to."""

    def mu(t):
        grown = min(1 - 2 ** (-1 - math.log2(t // period + 1)), momentum)
        return grown if t < settle_after else min(grown, 0.9)

    own["v"] = mu(t - 1) * own.get("v", 0.0) - learning_rate * g
    own["x"] = own.get("x", w) + own["v"]
    return own["x"] + mu(t) * own["v"] - w


def batch_svrg(own, g, t, w, learning_rate, snapshot_every):
    if (t - 1) % (3 * snapshot_every) == 0:
        own["snapshot"], own["mean"] = w, own["whole"](w)
    return -learning_rate * (g - own["grad"](own["snapshot"]) + own["mean"])


def vsgd(own, g, t, w, n_start, caution, guard):
    if t == 1:
        looks = [own["at"](k + 3 * np.arange(16), w) for k in range(min(n_start, 3))]
        own["g"] = np.mean([a for a, _ in looks], axis=0)
        own["v"] = caution * np.mean([a**2 for a, _ in looks], axis=0)
        own["h"] = caution * np.mean([b for _, b in looks], axis=0)
        own["tau"] = float(len(looks))
    for name, new in (("g", g), ("v", g**2), ("h", own["bend"](w))):
        own[name] = (1 - 1 / own["tau"]) * own[name] + new / own["tau"]
    own["tau"] = (1 - own["g"] ** 2 / own["v"]) * own["tau"] + 1
    return -(own["g"] ** 2) / (own["h"] * own["v"]) * g


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
    (DoWG, dowg, {"initial_distance": 1e-2}),
    (DAdaptation, d_adaptation, {"initial_distance": 1e-3, **MOMENTS, "max_growth": 1.3}),
    (Prodigy, prodigy, {"initial_distance": 1e-3, **MOMENTS}),
    (Adamax, adamax, {"learning_rate": 0.05, **MOMENTS}),
    (Adan, adan, {"learning_rate": 0.05, **MOMENTS, "beta_3": 0.9}),
    (AdEMAMix, ademamix, {"learning_rate": 0.02, **MOMENTS, "beta_3": 0.99, "slow_share": 2.0}),
    (
        GrowingNesterov,
        growing_nesterov,
        {"learning_rate": 0.02, "momentum": 0.95, "period": 3, "settle_after": 40},
    ),
    (BatchSVRG, batch_svrg, {"learning_rate": 0.1, "snapshot_every": 2}),
    (VSGD, vsgd, {"n_start": 2, "caution": 1.5, "guard": False}),
    (SAM, sam, {"learning_rate": 0.03, "radius": 0.2, "momentum": 0.8}),
    (PolyakStep, polyak_step, {"max_step": 0.3, "lower_bound": 0.1, "scale": 0.5}),
    (MoMo, momo, {"max_step": 0.3, "lower_bound": 0.1, "momentum": 0.8}),
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
