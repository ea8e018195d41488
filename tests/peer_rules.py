"""Our rules beside those of other libraries, on one stream of gradients that no iterate changes.

The stream has a matrix and a vector, as a layer of a network has. Each pair says which class of
ours, its settings, the library, and how its rule is made; the settings put epsilon at zero or in
the same place, because only there do the conventions differ (the notes of the classes say where).

Not here: Adafactor and Adan of optax (its decay is computed in single precision; a momentum of its
own), D-adaptation (the code of its authors takes the second moment of the update before, their
paper and we that of this one) and the refreshed eigenvectors of SOAP (single precision, and without
the newest gradient).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np

from skopt_dl import solvers
from skopt_dl.engine import Trait
from skopt_dl.kernels import bind
from skopt_dl.search.schedules import schedule_of
from skopt_dl.solvers.stochastic.averaging import PolyakAverage

UPDATES, RATE = 60, 0.03
# The distance that rules without a rate start from, as a share of 1 + |w|.
NEAR = 1e-3


@dataclass
class Pair:
    """A class of ours and what it is compared with.

    Attributes
    ----------
    ours, settings : str and dict
        Name of the class and its settings; the rate is ``RATE`` where it has one.
    library : str
        "optax", or one whose rules are PyTorch's optimisers.
    make : callable
        From the module to a rule of optax, from the module and the parameters to a PyTorch one.
    answer : callable, optional
        From a PyTorch optimiser to its answer, where that is not its parameters.
    shape : pair of int
        Of the matrix.
    matrix_alone : bool
        The rule takes the matrix only.
    spread : float
        Ratio of the largest gradients to the smallest.
    """

    ours: str
    settings: dict[str, Any]
    library: str
    make: Callable[..., Any]
    answer: Callable[..., Any] | None = None
    shape: tuple[int, int] = (4, 3)
    matrix_alone: bool = False
    spread: float = 1e4

    def stream(self) -> tuple[np.ndarray, np.ndarray]:
        """Gradients of very different sizes that do not depend on the iterate, and the start."""
        rng = np.random.RandomState(0)
        scale = rng.permutation(np.geomspace(10 / self.spread, 10, self.size))
        return scale * (0.3 + rng.standard_normal((UPDATES, self.size))), rng.standard_normal(
            self.size
        )

    def parts(self, flat: np.ndarray) -> list[np.ndarray]:
        """The matrix and, unless it is alone, the vector."""
        cut = math.prod(self.shape)
        matrix = flat[:cut].reshape(self.shape)
        return [matrix] if self.matrix_alone else [matrix, flat[cut:]]

    @property
    def size(self) -> int:
        """Numbers in both."""
        return math.prod(self.shape) + (0 if self.matrix_alone else self.shape[1])


def torch_rule(name: str, **settings: Any) -> Callable[..., Any]:
    return lambda torch, w: getattr(torch.optim, name)(w, **{"lr": RATE, **settings})


def schedule_free_answer(rule: Any, w: Any) -> Any:
    """The average; in the parameters are the points of the gradients."""
    rule.eval()
    found = [part.detach().clone() for part in w]
    rule.train()
    return found


def schedule_free(name: str, **settings: Any) -> Callable[..., Any]:
    def make(module: Any, w: Any) -> Any:
        rule = getattr(module, name)(w, lr=RATE, foreach=False, **settings)
        rule.train()
        return rule

    return make


def averaged(torch: Any, w: Any) -> Any:
    return torch.optim.ASGD(w, lr=RATE, lambd=0.0, t0=1)


def first_distance(w: Any) -> float:
    return NEAR * (1 + math.sqrt(sum(float((part.detach() ** 2).sum()) for part in w)))


def first_squared_distance() -> float:
    """Of the start of the pair "dowg"."""
    _, start = PAIRS["dowg"].stream()
    return (NEAR * (1 + float(np.linalg.norm(start)))) ** 2


def soap(module: Any, w: Any) -> Any:
    """After the first gradient, by which it does not move."""
    rule = module.SOAP(w, lr=RATE, weight_decay=0.0, precondition_frequency=1000, eps=1e-2)
    pair = PAIRS["soap"]
    for part, own in zip(w, pair.parts(pair.stream()[0][0]), strict=True):
        part.grad = part.new_tensor(own)
    rule.step()
    return rule


EXACT = {"epsilon": 0.0}
PAIRS = {
    "sgd": Pair("SGD", {}, "torch", torch_rule("SGD")),
    "nesterov": Pair(
        "Nesterov", {"momentum": 0.8}, "torch", torch_rule("SGD", momentum=0.8, nesterov=True)
    ),
    "momentum": Pair("Momentum", {"momentum": 0.8}, "torch", torch_rule("SGD", momentum=0.8)),
    "momentum_optax": Pair(
        "Momentum", {"momentum": 0.8}, "optax", lambda o: o.sgd(RATE, momentum=0.8)
    ),
    "polyak_average": Pair(
        "SGD",
        {"average": PolyakAverage(burn_in=2)},
        "torch",
        averaged,
        answer=lambda rule, w: [rule.state[part]["ax"] for part in w],
    ),
    "adagrad": Pair("AdaGrad", {"epsilon": 1e-3}, "torch", torch_rule("Adagrad", eps=1e-3)),
    "adagrad_optax": Pair(
        "AdaGrad", EXACT, "optax", lambda o: o.adagrad(RATE, initial_accumulator_value=0.0, eps=0.0)
    ),
    "rmsprop": Pair(
        "RMSprop",
        {"decay": 0.9, "epsilon": 1e-3},
        "torch",
        torch_rule("RMSprop", alpha=0.9, eps=1e-3),
    ),
    "rmsprop_centered": Pair(
        "RMSprop",
        {"decay": 0.9, "epsilon": 1e-3, "centered": True},
        "torch",
        torch_rule("RMSprop", alpha=0.9, eps=1e-3, centered=True),
    ),
    "rmsprop_optax": Pair(
        "RMSprop", {"decay": 0.9, **EXACT}, "optax", lambda o: o.rmsprop(RATE, decay=0.9, eps=0.0)
    ),
    "rmsprop_nesterov": Pair(
        "RMSpropNesterov",
        {"decay": 0.9, "momentum": 0.8, **EXACT},
        "optax",
        lambda o: o.rmsprop(RATE, decay=0.9, eps=0.0, momentum=0.8, nesterov=True),
    ),
    "adadelta": Pair(
        "AdaDelta",
        {"decay": 0.9, "epsilon": 1e-3},
        "torch",
        torch_rule("Adadelta", rho=0.9, eps=1e-3, lr=1.0),
    ),
    "adam": Pair("Adam", {"epsilon": 1e-300}, "torch", torch_rule("Adam", eps=0.0)),
    "adam_optax": Pair("Adam", {"epsilon": 1e-300}, "optax", lambda o: o.adam(RATE, eps=0.0)),
    "amsgrad": Pair("AMSGrad", EXACT, "torch", torch_rule("Adam", eps=0.0, amsgrad=True)),
    "adamw": Pair(
        "AdamW",
        {**EXACT, "weight_decay": 0.1},
        "torch",
        torch_rule("AdamW", eps=0.0, weight_decay=0.1),
    ),
    "adamw_optax": Pair(
        "AdamW",
        {**EXACT, "weight_decay": 0.1},
        "optax",
        lambda o: o.adamw(RATE, eps=0.0, weight_decay=0.1),
    ),
    "nadam": Pair("NAdam", EXACT, "torch", torch_rule("NAdam", eps=0.0)),
    "radam": Pair("RAdam", EXACT, "torch", torch_rule("RAdam", eps=0.0)),
    "adamax": Pair("Adamax", {"epsilon": 1e-3}, "torch", torch_rule("Adamax", eps=1e-3)),
    # PyTorch's has the size of the block in its rate and no choice.
    "adafactor": Pair(
        "Adafactor", {"relative": True}, "torch", torch_rule("Adafactor", weight_decay=0.0)
    ),
    "adabelief": Pair(
        "AdaBelief", EXACT, "optax", lambda o: o.adabelief(RATE, eps=0.0, eps_root=0.0)
    ),
    "yogi": Pair(
        "Yogi",
        EXACT,
        "optax",
        lambda o: o.chain(o.scale_by_yogi(eps=0.0, initial_accumulator_value=0.0), o.scale(-RATE)),
    ),
    "sign_sgd": Pair("SignSGD", {}, "optax", lambda o: o.sign_sgd(RATE)),
    "signum": Pair("Signum", {"momentum": 0.8}, "optax", lambda o: o.signum(RATE, 0.8)),
    "lion": Pair("Lion", {"weight_decay": 0.1}, "optax", lambda o: o.lion(RATE, weight_decay=0.1)),
    "ademamix": Pair(
        "AdEMAMix",
        {"beta_3": 0.99, "slow_share": 3.0, **EXACT},
        "optax",
        lambda o: o.contrib.ademamix(RATE, b3=0.99, alpha=3.0, eps=0.0),
    ),
    "schedule_free_sgd": Pair(
        "ScheduleFreeSGD",
        {"weight_decay": 0.1},
        "schedulefree",
        schedule_free("SGDScheduleFree", weight_decay=0.1),
        answer=schedule_free_answer,
    ),
    "schedule_free_adamw": Pair(
        "ScheduleFreeAdamW",
        {"weight_decay": 0.1, **EXACT},
        "schedulefree",
        schedule_free("AdamWScheduleFree", weight_decay=0.1, eps=0.0),
        answer=schedule_free_answer,
    ),
    "dog": Pair(
        "DoG",
        {"initial_distance": NEAR},
        "optax",
        lambda o: o.contrib.dog(1.0, ("heuristic", NEAR), eps=0.0),
    ),
    "dowg": Pair(
        "DoWG",
        {"initial_distance": NEAR},
        "optax",
        lambda o: o.contrib.dowg(1.0, first_squared_distance(), eps=0.0),
    ),
    "prodigy": Pair(
        "Prodigy",
        {"initial_distance": NEAR, **EXACT},
        "prodigyopt",
        lambda module, w: module.Prodigy(w, eps=1e-300, d0=first_distance(w)),
    ),
    "muon": Pair(
        "Muon",
        {"weight_decay": 0.1},
        "torch",
        torch_rule("Muon", weight_decay=0.1),
        matrix_alone=True,
    ),
    "shampoo": Pair(
        "Shampoo",
        {"epsilon": 1e-4, "refresh": 1},
        "pytorch_optimizer",
        lambda module, w: module.Shampoo(
            w, lr=RATE, preconditioning_compute_steps=1, matrix_eps=1e-4
        ),
        matrix_alone=True,
    ),
    # Square, because the eigenvectors of one gradient are unique only where it has full rank. In
    # them it is diagonal: without epsilon the rule would scale up zeros that are rounded.
    "soap": Pair(
        "SOAP",
        {"refresh": 1000, "epsilon": 1e-2},
        "pytorch_optimizer",
        soap,
        shape=(3, 3),
        spread=3.0,
    ),
}


def ours(pair: Pair) -> list[np.ndarray]:
    """The iterates of our rule."""
    gradients, start = pair.stream()
    cls = getattr(solvers, pair.ours)
    rated = "learning_rate" in cls().get_params(deep=False)
    rule = cls(**pair.settings, **({"learning_rate": RATE} if rated else {}))
    cut = math.prod(pair.shape)
    blocks = {"coef0": slice(0, cut)}
    if not pair.matrix_alone:
        blocks["intercept0"] = slice(cut, pair.size)
    problem = SimpleNamespace(
        xp=np,
        kernels=bind(np, np.dtype(float)),
        traits={Trait.SMOOTH},
        blocks=blocks,
        shapes={"coef0": pair.shape},
        device=None,
    )
    state = rule._start(problem, start.copy())
    state.rate = state.initial_rate = RATE if rated else 1.0
    state.schedule, path = schedule_of("constant"), []
    average, mean = getattr(rule, "average", None), None
    for t, g in enumerate(gradients, 1):
        state.n_updates = t
        rule._step(problem, state, g)
        w = np.array(state.w)
        if average is not None:
            mean = w if mean is None else mean + average.share(t) * (w - mean)
            w = mean
        path.append(w)
    return path


def theirs(pair: Pair) -> list[np.ndarray]:
    """The iterates of the peer's rule."""
    return _of_optax(pair) if pair.library == "optax" else _of_torch(pair)


@contextmanager
def _in_double_precision(torch: Any) -> Any:
    """Also where PyTorch computes with less: the momenta of NAdam, the polar factor of Muon."""
    default, narrow = torch.get_default_dtype(), torch.Tensor.bfloat16
    torch.set_default_dtype(torch.float64)
    torch.Tensor.bfloat16 = lambda self: self
    try:
        yield
    finally:
        torch.set_default_dtype(default)
        torch.Tensor.bfloat16 = narrow


def _of_torch(pair: Pair) -> list[np.ndarray]:
    torch, module = import_module("torch"), import_module(pair.library)
    gradients, start = pair.stream()
    with _in_double_precision(torch):
        w = [torch.nn.Parameter(torch.tensor(part)) for part in pair.parts(start)]
        rule, path = pair.make(module, w), []
        for g in gradients:
            for part, own in zip(w, pair.parts(g), strict=True):
                part.grad = torch.tensor(own)
            rule.step()
            found = w if pair.answer is None else pair.answer(rule, w)
            path.append(np.concatenate([np.ravel(part.detach().numpy().copy()) for part in found]))
    return path


def _of_optax(pair: Pair) -> list[np.ndarray]:
    jax, optax = import_module("jax"), import_module("optax")
    jax.config.update("jax_enable_x64", True)
    import_module("optax.contrib")
    gradients, start = pair.stream()
    rule, w = pair.make(optax), [jax.numpy.asarray(part) for part in pair.parts(start)]
    state, path = rule.init(w), []
    for g in gradients:
        step, state = rule.update([jax.numpy.asarray(part) for part in pair.parts(g)], state, w)
        w = optax.apply_updates(w, step)
        path.append(np.concatenate([np.ravel(part) for part in w]))
    return path
