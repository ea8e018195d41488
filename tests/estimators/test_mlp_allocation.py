"""A minibatch costs arithmetic alone: its passes and updates work in arrays that are kept."""

from __future__ import annotations

import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest

from skopt_dl import MLPRegressor
from skopt_dl.dispatch import SOLVERS
from skopt_dl.engine import Oracle, Trait
from skopt_dl.kernels.memory import PIECE, Memory, in_pieces
from skopt_dl.solvers.stochastic.base import StochasticSolver

N, P, WIDTH, BATCH = 512, 64, 256, 256
NAMES = [
    name
    for name in SOLVERS.names()
    if isinstance(SOLVERS.get(name), type) and issubclass(SOLVERS.get(name), StochasticSolver)
]
# Formulas that NumPy applies a piece at a time; its own buffers are of 8192 numbers.
PIECES = 5 * PIECE * 8
# What else is learnt of curvature makes new arrays: between two factorisations at most so many
# times what the parameters and the batch (its rows, and the units there) take. K-FAC's are those of
# the part of the batch that its factors learn from.
NEW_ARRAYS = {
    "b_kfac": 3.5,
    "b_r_kfac": 3.2,
    "block_bfgs": 2.7,
    "ekfac": 1.6,
    "kfac": 0.25,
    "kld_wrm": 2.5,
    "natural_gradient": 5.2,
    "online_bfgs": 2.7,
    "promise": 1.6,
    "rs_kfac": 1.4,
    "sdlbfgs": 3.1,
    "sketchy_sgd": 1.6,
    "sqn": 2.0,
    "svrg_lbfgs": 2.4,
    "tonga": 16.0,
}
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NAMES),
    *((name, {"max_grad_norm": 0.1}) for name in ("adam", "sgd", "sam", "batch_svrg")),
    *(("adam", {"average": average}) for average in ("polyak", "ema", "swa")),
    ("sophia", {"refresh": 1}),
]


def allowed(name: str, options: dict[str, Any], size: int, itemsize: int) -> float:
    """Bytes that may be new in an epoch."""
    rows = 4 * N * 8  # the order of the rows, and what Python keeps of it
    if name in NEW_ARRAYS:
        return rows + NEW_ARRAYS[name] * (size + BATCH * (P + 2 * WIDTH)) * itemsize
    needs = SOLVERS.get(name).needs
    if Oracle.SAMPLE_HVP in needs.oracles or Trait.MATRICES in needs.traits:
        return PIECES
    return rows


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_an_epoch_allocates_less_than_a_batch_or_the_weights_take(
    name: str, options: dict[str, Any], dtype: Any
) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, P)).astype(dtype)
    model = MLPRegressor(hidden_layer_sizes=(WIDTH, WIDTH), random_state=0)
    problem = model._build_problem(X, X[:, :2].copy())
    kind = SOLVERS.get(name)
    if kind.needs.missing(problem):
        pytest.skip(f"{name} trains no network")
    solver = kind(batch_size=BATCH, **options)
    state = solver.init(problem, problem.start(), np.random.RandomState(0))
    # Past the first updates, at which Shampoo and SOAP factorise, in memory of LAPACK's own.
    solver.advance(problem, state, 7)
    tracemalloc.start()
    solver._epoch(problem, state)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = np.dtype(dtype).itemsize
    assert most < allowed(name, options, problem.size, size)
    if name not in NEW_ARRAYS:
        assert most < min(problem.size, BATCH * WIDTH) * size / 2


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_memory_is_made_once_and_not_kept_in_a_pickle(dtype: Any) -> None:
    memory, like = Memory(), np.zeros(1, dtype)
    a = memory.array("a", (5, 3), like)
    assert a.dtype == dtype
    assert np.shares_memory(memory.array("a", (4, 3), like), a)
    assert memory.array("a", (4, 3), like).shape == (4, 3)
    for other in (
        memory.array("b", (5, 3), like),
        memory.array("a", (6, 3), like),
        memory.array("a", (5, 4), like),
        memory.array("a", (5, 3), np.zeros(1, np.float16)),
    ):
        assert not np.shares_memory(other, a)
    X = np.arange(12.0, dtype=dtype).reshape(4, 3)
    np.testing.assert_array_equal(memory.taken("X", X, np.array([2, 0])), X[[2, 0]])
    assert np.shares_memory(
        memory.taken("X", X, np.array([1])), memory.taken("X", X, np.array([3]))
    )
    with pytest.raises(IndexError, match="indices of 4 rows from 0 to 4"):
        memory.taken("X", X, np.array([0, 4]))
    assert not pickle.loads(pickle.dumps(memory))._made


@pytest.mark.parametrize("shape", [(3 * PIECE + 1,), (7, PIECE), (2, 2 * PIECE), (0, 4), (5, 0)])
def test_pieces_are_the_whole(shape: tuple[int, ...]) -> None:
    a, b = np.random.default_rng(0).normal(size=(2, *shape))
    expected = a * np.exp(b)
    assert in_pieces(lambda a, b: a * np.exp(b), a, a, b) is a
    np.testing.assert_array_equal(a, expected)
