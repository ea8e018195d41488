r"""Steps in a learned metric: how long they may be, and where random curvature comes from.

Letters: w the iterate, g the gradient on a batch, P the metric, :math:`H_B` the curvature of a
batch, z a vector of random signs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skopt_dl.kernels.memory import PIECE
from skopt_dl.kernels.namespace import is_numpy, to_float
from skopt_dl.solvers.stochastic.base import SAFETY
from skopt_dl.solvers.stochastic.sampling import on_device

POWER_STEPS = 10
# From the steepest direction of a metric that differs by one pair.
WARM_STEPS = 2


def stable_length(problem: Any, w: Any, index: Any, solve: Callable[[Any], Any]) -> float:
    r"""Half the inverse of the largest eigenvalue of :math:`P^{-1} H_B`, by the power method.

    A batch may be much steeper than the whole in a metric that fits the whole: this is what keeps
    steps on batches stable. Products with :math:`H_B` are differences of its gradients; 1 where
    the batch is flat.
    """
    return warm_length(problem, w, index, solve, None)[0]


def warm_length(
    problem: Any, w: Any, index: Any, solve: Callable[[Any], Any], steepest: Any
) -> tuple[float, Any]:
    """`stable_length` and the direction it was found along, from that of the last time (or
    ``None``): a metric that has changed little needs few steps of the power method."""
    xp = problem.xp
    root = float(xp.finfo(w.dtype).eps) ** 0.5
    distance = root * (1 + to_float(xp.linalg.vector_norm(w)))
    g = xp.asarray(problem.sample_grad(w, index)[1], copy=True)
    d, largest = solve(g) if steepest is None else steepest, 0.0
    for _ in range(POWER_STEPS if steepest is None else WARM_STEPS):
        size = to_float(xp.linalg.vector_norm(d))
        if not 0 < size < float("inf"):
            break
        d = d / size
        d = solve((problem.sample_grad(w + distance * d, index)[1] - g) / distance)
        largest = to_float(xp.linalg.vector_norm(d))
    if 0 < largest < float("inf"):
        return SAFETY / largest, d
    return 1.0, None


def random_signs(problem: Any, rng: Any, out: Any = None) -> Any:
    """A vector of independent signs, drawn on the host; in ``out``, new memory without."""
    draw = rng.integers if hasattr(rng, "integers") else rng.randint
    if out is None:
        out = problem.xp.empty(problem.size, dtype=problem.dtype, device=problem.device)
    # On the host a piece at a time, because whole numbers take memory too.
    piece = PIECE if is_numpy(problem.xp) else problem.size
    for low in range(0, problem.size, piece):
        signs = draw(0, 2, min(piece, problem.size - low))
        out[low : low + piece] = problem.xp.asarray(
            2.0 * signs - 1.0, dtype=problem.dtype, device=problem.device
        )
    return out


def random_directions(problem: Any, rng: Any, count: int) -> Any:
    """A Gaussian array of shape ``(size, count)``, drawn on the host."""
    drawn = rng.standard_normal((problem.size, min(count, problem.size)))
    return problem.xp.asarray(drawn, dtype=problem.dtype, device=problem.device)


def sample_of(problem: Any, rng: Any, size: int) -> Any:
    """Indices of ``size`` samples without repetition, all of them where there are no more."""
    n = problem.n_samples
    return on_device(problem, rng.permutation(n)[: min(size, n)])
