"""The rules against PyTorch and optax, by iterates that are stored beside this file.

All follow one stream of gradients. ``python tests/solvers/test_peer_iterates.py`` makes the data
anew where both libraries are installed; a test with the mark ``peers`` does so and compares.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from skopt_dl import solvers
from skopt_dl.kernels import bind
from skopt_dl.search.schedules import schedule_of

STORED = Path(__file__).with_name("peer_iterates.json")
SIZE, UPDATES, SHOWN = 6, 60, (1, 2, 5, 20, 60)
RATE = 0.03
# Name of our class, our settings; the library, its optimiser and settings. Epsilon is zero, or in
# the same place: where it differs our notes say so. Not here: PyTorch's NAdam, which multiplies
# its momenta in single precision (4e-10 away), and optax's Adan (see ours).
PAIRS = {
    "SGD": ({}, "torch", "SGD", {}),
    "Nesterov": ({"momentum": 0.8}, "torch", "SGD", {"momentum": 0.8, "nesterov": True}),
    "Momentum": ({"momentum": 0.8}, "optax", "sgd", {"momentum": 0.8}),
    "AdaGrad": ({"epsilon": 1e-3}, "torch", "Adagrad", {"eps": 1e-3}),
    "RMSprop": (
        {"decay": 0.9, "epsilon": 1e-3, "centered": True},
        "torch",
        "RMSprop",
        {"alpha": 0.9, "eps": 1e-3, "centered": True},
    ),
    "AdaDelta": (
        {"decay": 0.9, "epsilon": 1e-3},
        "torch",
        "Adadelta",
        {"rho": 0.9, "eps": 1e-3, "lr": 1.0},
    ),
    "Adam": ({"epsilon": 1e-300}, "torch", "Adam", {"eps": 0.0}),
    "AMSGrad": ({"epsilon": 0.0}, "torch", "Adam", {"eps": 0.0, "amsgrad": True}),
    "AdamW": (
        {"epsilon": 0.0, "weight_decay": 0.1},
        "torch",
        "AdamW",
        {"eps": 0.0, "weight_decay": 0.1},
    ),
    "RAdam": ({"epsilon": 0.0}, "torch", "RAdam", {"eps": 0.0}),
    "Adamax": ({"epsilon": 1e-3}, "torch", "Adamax", {"eps": 1e-3}),
    "AdaBelief": ({"epsilon": 0.0}, "optax", "adabelief", {"eps": 0.0, "eps_root": 0.0}),
    "Lion": (
        {"beta_1": 0.9, "beta_2": 0.99, "weight_decay": 0.1},
        "optax",
        "lion",
        {"b1": 0.9, "b2": 0.99, "weight_decay": 0.1},
    ),
    "SignSGD": ({}, "optax", "sign_sgd", {}),
    "AdEMAMix": (
        {"beta_3": 0.99, "slow_share": 3.0, "epsilon": 0.0},
        "optax",
        "contrib.ademamix",
        {"b3": 0.99, "alpha": 3.0, "eps": 0.0},
    ),
}


def stream():
    """Gradients of very different sizes that do not depend on the iterate, and the start."""
    rng = np.random.RandomState(0)
    scale = np.geomspace(1e-3, 10, SIZE)
    return scale * (0.3 + rng.standard_normal((UPDATES, SIZE))), rng.standard_normal(SIZE)


def ours(name, settings):
    gradients, start = stream()
    # The rate of Zeiler's method is one.
    rate = {} if name == "AdaDelta" else {"learning_rate": RATE}
    rule = getattr(solvers, name)(**settings, **rate)
    problem = SimpleNamespace(
        xp=np, kernels=bind(np, np.dtype(float)), traits={solvers.stochastic.base.Trait.SMOOTH}
    )
    state = rule._start(problem, start.copy())
    state.rate = state.initial_rate = rate.get("learning_rate", 1.0)
    state.schedule, path = schedule_of("constant"), []
    for t, g in enumerate(gradients, 1):
        state.n_updates = t
        rule._step(problem, state, g)
        path.append(np.array(state.w))
    return path


def of_torch(name, settings):
    import torch

    gradients, start = stream()
    w = torch.nn.Parameter(torch.tensor(start))
    rule = getattr(torch.optim, name)([w], **{"lr": RATE, **settings})
    path = []
    for g in gradients:
        w.grad = torch.tensor(g)
        rule.step()
        path.append(w.detach().numpy().copy())
    return path


def of_optax(name, settings):
    import jax

    jax.config.update("jax_enable_x64", True)
    import optax

    gradients, start = stream()
    make = optax
    for part in name.split("."):
        make = getattr(make, part)
    rule, w = make(RATE, **settings), jax.numpy.asarray(start)
    state, path = rule.init(w), []
    for g in gradients:
        step, state = rule.update(jax.numpy.asarray(g), state, w)
        w = optax.apply_updates(w, step)
        path.append(np.asarray(w))
    return path


def theirs():
    made = {}
    for name, (_, library, optimiser, settings) in PAIRS.items():
        follow = {"torch": of_torch, "optax": of_optax}[library]
        path = follow(optimiser, settings)
        made[name] = {str(t): path[t - 1].tolist() for t in SHOWN}
    return made


@pytest.mark.parametrize("name", PAIRS)
def test_the_path_is_the_peers(name):
    stored = json.loads(STORED.read_text(encoding="utf-8"))[name]
    path = ours(name, PAIRS[name][0])
    for t in SHOWN:
        np.testing.assert_allclose(path[t - 1], stored[str(t)], rtol=0, atol=1e-12)


@pytest.mark.peers
def test_the_peers_still_take_the_stored_path():
    if find_spec("torch") is None or find_spec("optax") is None:
        pytest.skip("torch and optax are not both installed")
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    for name, path in theirs().items():
        for t in SHOWN:
            np.testing.assert_allclose(path[str(t)], stored[name][str(t)], rtol=0, atol=1e-12)


if __name__ == "__main__":
    STORED.write_text(json.dumps(theirs(), indent=1) + "\n", encoding="utf-8")
