"""The Hessian of some samples as the metric of a quasi-Newton method."""

from __future__ import annotations

import math
from typing import Any

from skopt_dl.engine import Oracle, Trait
from skopt_dl.linops.factor import with_diagonal
from skopt_dl.solvers.curvature import LEAST_SAMPLE

# Share of the samples, but so many for each column at least: their Hessian is then within a factor
# of 2 or 3 of that of all in every direction (the eigenvalues of a sample covariance lie within
# (1 +- sqrt(1/5))^2), which ten pairs make up for.
SHARE, ROWS = 0.1, 5
NEEDED = (Oracle.HESSIAN, Oracle.SAMPLE_HESSIAN, Oracle.HESSIAN_DIAGONAL)
# A sample's Hessian, with its factor, may cost as much as so many iterations beforehand; what costs
# more, up to so many, is taken once there were as many of them: the diagonal has ended an easy
# problem by then, and a hard one takes at most twice as long as if one had known. Cost, and time of
# L-BFGS from the diagonal alone over that with it, columns alike, of scales 1/j, and neighbours
# correlated by .95, by n x columns (classes): 10 000 x 20, .1: .72, .87, 3.5; 10 000 x 100, .9:
# .82, .70, 8.5; 10 000 x 400, 7: .72, .90, 4.9; 10 000 x 40 (10), 9: 1.0, 1.0, 7.6; taken at
# once it takes 1.6 times as long for 10 000 x 400, alike, and 3.2 times for 10 000 x 1000
# (benchmarks/logistic_thresholds.py).
WORTH = 1
LATER = 1000
# A product with a vector waits for memory: it takes as long as so many times its operations do in a
# product of matrices.
VECTOR = 3
# Parameters whose Hessian is small beside any data for which it could be worth its time.
LARGEST = 4000
# Share of its curvature that a column has in the sample, below which it was missed.
MISSED = 0.25
# The fractional parts of its multiples lie evenly, whatever period the rows of the data have.
GOLDEN = 0.6180339887498949


def first_sample(problem: Any) -> int | None:
    """The iteration at which the Hessian of a sample is worth its cost: 0 where it is cheap beside
    the iterations that it spares. ``None`` where it is not to be had, or never is."""
    if any(problem.why_not(oracle) is not None for oracle in NEEDED):
        return None
    if Trait.CONVEX not in problem.traits or problem.size > LARGEST:
        return None
    cost = sample_cost(problem)
    if cost <= WORTH:
        return 0
    # Fewer samples than columns leave directions in which they know of no curvature.
    enough = problem.n_samples >= problem.size // problem.n_outputs
    return math.ceil(cost) if cost <= LATER and enough else None


def sample_cost(problem: Any, growth: int = 1) -> float:
    """How many iterations take as long as the Hessian of a sample and its factor."""
    d, n, K = problem.size, problem.n_samples, problem.n_outputs
    hessian = _sample_size(problem, growth) * (d // K) ** 2 * K * (K + 1) / 2 + d**3 / 3
    return hessian / (4 * n * d * (VECTOR if K == 1 else 1))


def sample_pace(problem: Any, growth: int = 1) -> float:
    """What an iteration leaves of the error with a sample's Hessian: of N samples and p columns
    alike its condition is ``((1 + r) / (1 - r))^2`` with ``r = sqrt(p / N)``, and conjugate
    gradients then leave r. Of all samples, nothing."""
    columns, size = problem.size // problem.n_outputs, _sample_size(problem, growth)
    return 0.0 if size == problem.n_samples else math.sqrt(min(1.0, columns / size))


def _sample_size(problem: Any, growth: int = 1) -> int:
    """How many samples are taken, times ``growth``: all, where that is hardly more."""
    n, columns = problem.n_samples, problem.size // problem.n_outputs
    size = growth * max(LEAST_SAMPLE, ROWS * columns, int(SHARE * n))
    return n if 2 * size > n else size


def sampled_hessian(problem: Any, point: Any, growth: int = 1) -> Any:
    """The Hessian of some samples at ``point``.

    Samples are drawn by their weights and count alike. The sample depends on these alone, so that
    fits repeat.

    Parameters
    ----------
    problem, point
        Where.
    growth : int
        How many times the size of the first sample this one has; in the end it is all samples.
    """
    xp, n = problem.xp, problem.n_samples
    size = _sample_size(problem, growth)
    if size == n:
        return problem.hessian(point)
    share = xp.cumulative_sum(problem.omega)
    at = (GOLDEN * xp.arange(size, dtype=xp.float64, device=problem.device)) % 1.0
    # Clipped: rounding may leave the last sum below a fraction of it.
    index = xp.searchsorted(share, xp.astype(at, problem.dtype) * share[-1], side="right")
    index = xp.clip(index, 0, n - 1)
    weights = xp.take(problem.omega, index)
    weights = xp.where(weights > 0, 1 / (n * xp.where(weights > 0, weights, 1)), 0 * weights)
    H = problem.sample_hessian(point.w, index, weights)
    # A column of few entries, which the sample has missed, would seem to bend nothing.
    D = problem.hessian_diagonal(point)
    missed = xp.linalg.diagonal(H) < MISSED * D
    return with_diagonal(H, xp.where(missed, D, xp.zeros_like(D)))
