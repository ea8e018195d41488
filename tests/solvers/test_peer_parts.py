"""Schedules, averages, gradients of networks and rules that ask again, beside PyTorch and optax."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from rules import ridge
from sklearn.datasets import load_digits

from skopt_dl import MLPClassifier
from skopt_dl.linops.quasi_newton import InverseHessian
from skopt_dl.search.schedules import Cosine, Exponential, OneCycle, Step, WarmUp
from skopt_dl.solvers import SAM, MoMo, PolyakStep
from skopt_dl.solvers.stochastic.averaging import EMA
from skopt_dl.solvers.stochastic.base import clipped

pytestmark = pytest.mark.peers
EPOCHS, RATE = 1000, 0.3


def optax() -> Any:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return pytest.importorskip("optax")


SCHEDULES = {
    "cosine": (
        Cosine(800, floor=0.01),
        lambda o: o.cosine_decay_schedule(RATE, 800, alpha=0.01),
    ),
    "exponential": (Exponential(0.99), lambda o: o.exponential_decay(RATE, 1, 0.99)),
    "step": (
        Step(every=70, factor=0.5),
        lambda o: o.exponential_decay(RATE, 70, 0.5, staircase=True),
    ),
    "one_cycle": (OneCycle(900), lambda o: o.cosine_onecycle_schedule(900, RATE)),
    "warm_up": (
        WarmUp(50, then=Cosine(500)),
        lambda o: o.join_schedules(
            [o.linear_schedule(RATE / 50, RATE, 49), o.cosine_decay_schedule(RATE, 500)], [50]
        ),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_optax_s(name: str) -> None:
    schedule, make = SCHEDULES[name]
    theirs = make(optax())
    found = [schedule.after_epoch(RATE, RATE, t, 32 * t) for t in range(EPOCHS)]
    # Counts in double precision: from whole numbers it makes single precision.
    expected = [float(theirs(np.float64(t))) for t in range(EPOCHS)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_a_moving_average_is_optax_s() -> None:
    path = np.random.default_rng(0).standard_normal((200, 5))
    theirs = optax().ema(0.9, debias=True)
    state, ours = theirs.init(path[0]), np.zeros(5)
    for t, w in enumerate(path, 1):
        expected, state = theirs.update(w, state)
        ours = ours + EMA(0.9).share(t) * (w - ours)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("limit", [0.5, 50.0])
def test_a_long_gradient_is_shortened_as_in_optax(limit: float) -> None:
    g = np.random.default_rng(1).standard_normal(20)
    expected, _ = optax().clip_by_global_norm(limit).update(g, None)
    np.testing.assert_allclose(clipped(np, g, limit), expected, rtol=0, atol=1e-15)


def on_all_samples(solver: Any, n: int) -> tuple[Any, list[Any]]:
    """A problem, and the iterates of updates by its whole gradient."""
    problem = ridge()
    state, path = solver.init(problem, problem.start(), np.random.RandomState(0)), []
    for _ in range(n):
        solver.advance(problem, state, 1)
        path.append(np.array(state.w))
    return problem, path


def value_and_slope(problem: Any, w: Any) -> tuple[float, Any]:
    value, g = problem.sample_grad(np.array(w), np.arange(problem.n_samples))
    return float(value), np.array(g)


@pytest.mark.parametrize("bound", [0.05, 0.2])
def test_polyak_s_step_is_optax_s(bound: float) -> None:
    o = optax()
    problem, path = on_all_samples(
        PolyakStep(max_step=bound, batch_size=48, shuffle=False, schedule="constant"), 60
    )
    rule, w = o.polyak_sgd(max_learning_rate=bound), problem.start()
    state = rule.init(w)
    for ours in path:
        value, g = value_and_slope(problem, w)
        step, state = rule.update(g, state, w, value=value)
        w = np.asarray(w + step)
        np.testing.assert_allclose(ours, w, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bound", [0.05, 5.0])
def test_polyak_s_step_on_momentum_is_optax_s(bound: float) -> None:
    o = optax()
    problem, path = on_all_samples(
        MoMo(max_step=bound, lower_bound=0.1, batch_size=48, shuffle=False, schedule="constant"),
        60,
    )
    rule, w = o.contrib.momo(bound, lower_bound=0.1), problem.start()
    state = rule.init(w)
    for ours in path:
        value, g = value_and_slope(problem, w)
        step, state = rule.update(g, state, w, value=value)
        w = np.asarray(w + step)
        np.testing.assert_allclose(ours, w, rtol=0, atol=1e-12)


def test_sharpness_aware_steps_are_optax_s() -> None:
    o = optax()
    problem, path = on_all_samples(
        SAM(learning_rate=0.05, radius=0.1, momentum=0.8, batch_size=48, shuffle=False), 60
    )
    up = o.chain(o.contrib.normalize(), o.sgd(0.1))
    rule, w = o.contrib.sam(o.sgd(0.05, momentum=0.8), up), problem.start()
    state = rule.init(w)
    for ours in path:
        for _ in range(2):
            step, state = rule.update(value_and_slope(problem, w)[1], state, w)
            w = np.asarray(w + step)
        np.testing.assert_allclose(ours, w, rtol=0, atol=1e-12)


def test_l_bfgs_steps_are_pytorch_s() -> None:
    """A step of a fixed length along the two-loop direction, on the whole gradient."""
    torch = pytest.importorskip("torch")
    problem, H = ridge(), InverseHessian(10)
    start, rate = np.ones(problem.size), 0.1
    w = torch.tensor(start.copy(), requires_grad=True)
    rule = torch.optim.LBFGS([w], lr=rate, max_iter=1, history_size=10)

    def closure() -> Any:
        value, g = value_and_slope(problem, w.detach().numpy())
        w.grad = torch.tensor(g)
        return torch.tensor(value)

    ours, before = start.copy(), None
    for k in range(40):
        rule.step(closure)
        g = value_and_slope(problem, ours)[1]
        if before is not None:
            H.push(ours - before[0], g - before[1])
        # The first step of PyTorch's is shortened by the sum of the gradient.
        t = min(1.0, 1 / np.abs(g).sum()) * rate if k == 0 else rate
        d = -g if k == 0 else -H.apply(g)
        before, ours = (ours, g), ours + t * d
        np.testing.assert_allclose(ours, w.detach().numpy(), rtol=0, atol=1e-12)


ACTIVATIONS = {
    "tanh": "tanh",
    "logistic": "sigmoid",
    "relu": "relu",
    "leaky_relu": "leaky_relu",
    "elu": "elu",
    "selu": "selu",
    "softplus": "softplus",
    "gelu": "gelu",
    "silu": "silu",
    "mish": "mish",
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_gradient_of_a_network_is_that_of_autograd(activation: str) -> None:
    torch = pytest.importorskip("torch")
    X, y = load_digits(return_X_y=True)
    X, y, alpha = X[:150] / 16, y[:150], 0.3
    model = MLPClassifier((20, 15), activation=activation, alpha=alpha, random_state=0)
    problem = model._build_problem(X, y)
    w = problem.start()
    value, g = value_and_slope(problem, w)

    coefs, intercepts = problem.net.unpack(w)
    weights = [torch.tensor(np.array(a), requires_grad=True) for a in coefs]
    biases = [torch.tensor(np.array(b), requires_grad=True) for b in intercepts]
    act = getattr(torch.nn.functional, ACTIVATIONS[activation])
    if activation == "gelu":
        act = partial(act, approximate="tanh")
    a = torch.tensor(X)
    for k, (W, b) in enumerate(zip(weights, biases, strict=True)):
        a = a @ W + b
        a = act(a) if k < len(weights) - 1 else a
    loss = torch.nn.functional.cross_entropy(a, torch.tensor(y))
    loss = loss + alpha / (2 * len(y)) * sum((W**2).sum() for W in weights)
    loss.backward()
    expected = np.concatenate([np.ravel(p.grad.numpy()) for p in (*weights, *biases)])
    assert math.isclose(value, loss.item(), rel_tol=1e-13)
    np.testing.assert_allclose(g, expected, rtol=0, atol=1e-14)
