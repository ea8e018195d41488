"""A minibatch costs arithmetic alone: its passes and updates work in arrays that are kept."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from skopt_dl import MLPRegressor
from skopt_dl.dispatch import SOLVERS

N, P, WIDTH, BATCH = 512, 64, 128, 128
# Every rule whose memory is vectors, and Muon.
RULES = [
    "adabelief",
    "adadelta",
    "adafactor",
    "adagrad",
    "adagrad_norm",
    "adam",
    "adamax",
    "adamw",
    "adan",
    "ademamix",
    "amsgrad",
    "batch_svrg",
    "d_adaptation",
    "dog",
    "dowg",
    "growing_nesterov",
    "line_search_sgd",
    "lion",
    "momentum",
    "momo",
    "muon",
    "nadam",
    "nesterov",
    "polyak_step",
    "prodigy",
    "radam",
    "rmsprop",
    "rmsprop_nesterov",
    "sam",
    "schedule_free_adamw",
    "schedule_free_sgd",
    "sgd",
    "sign_sgd",
    "signum",
    "yogi",
]


OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in RULES),
    *((name, {"max_grad_norm": 0.1}) for name in ("adam", "sgd", "sam", "batch_svrg")),
    *(("adam", {"average": average}) for average in ("polyak", "ema", "swa")),
    # Between two factorisations or looks at the curvature, which take memory of their own.
    *((name, {"refresh": 7}) for name in ("shampoo", "soap", "sophia")),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_an_epoch_allocates_less_than_a_batch_or_the_weights_take(
    name: str, options: dict[str, Any], dtype: Any
) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, P)).astype(dtype)
    model = MLPRegressor(hidden_layer_sizes=(WIDTH, WIDTH), random_state=0)
    problem = model._build_problem(X, X[:, :2].copy())
    solver = SOLVERS.get(name)(batch_size=BATCH, **options)
    state = solver.init(problem, problem.start(), np.random.RandomState(0))
    solver.advance(problem, state, 2)
    tracemalloc.start()
    solver._epoch(problem, state)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = np.dtype(dtype).itemsize
    # The order of the rows, and what Python keeps of it.
    assert most < 4 * N * 8
    assert most < min(problem.size, BATCH * WIDTH) * size / 2
