"""The Hessian of some samples as the metric of a quasi-Newton method."""

from __future__ import annotations

from typing import Any

from skopt_dl.engine import Oracle, Trait
from skopt_dl.linops.factor import NotPositiveDefiniteError, PositiveFactor
from skopt_dl.solvers.curvature import LEAST_SAMPLE

# Share of the samples, but so many for each column at least: their Hessian is then within a factor
# of 2 or 3 of that of all in every direction (the eigenvalues of a sample covariance lie within
# (1 +- sqrt(1/5))^2), which ten pairs make up for.
SHARE, ROWS = 0.1, 5
# A sample's Hessian, with its factor, may cost as much as so many iterations. Cost, and time of
# L-BFGS without it over that with it, columns alike and of scales 1/j, by n x columns (classes):
# 10 000 x 100, .5: .73, 7.1; 1000 x 100, 3: .79, 2.3; 10 000 x 400, 4: .42, 7.1; 10 000 x 100 (10),
# 22: .37, 3.2; 10 000 x 1000, 27: .28, 2.1; 10 000 x 2000, 107: .11, .95; with fewer samples,
# scales 1, 10^+-1 and 10^+-2: 350 x 390, 27: .2, .7, 4.2; 100 x 390, 45: .3, .3, .3
# (benchmarks/logistic_thresholds.py).
WORTH = 30
# A product with a vector waits for memory: it takes as long as so many times its operations do in a
# product of matrices.
VECTOR = 5
# Parameters whose Hessian is small beside any data for which it could be worth its time.
LARGEST = 4000
# The fractional parts of its multiples lie evenly, whatever period the rows of the data have.
GOLDEN = 0.6180339887498949


def sample_pays(problem: Any) -> bool:
    """Whether the Hessian of a sample of the problem is cheap beside the iterations it spares."""
    if any(problem.why_not(o) is not None for o in (Oracle.HESSIAN, Oracle.SAMPLE_HESSIAN)):
        return False
    d, n, K = problem.size, problem.n_samples, problem.n_outputs
    if Trait.CONVEX not in problem.traits or d > LARGEST:
        return False
    hessian = _sample_size(problem) * (d // K) ** 2 * K * (K + 1) / 2 + d**3 / 3
    return bool(hessian <= WORTH * 4 * n * d * (VECTOR if K == 1 else 1))


def _sample_size(problem: Any) -> int:
    """How many samples are taken: all, where that is hardly more."""
    n, columns = problem.n_samples, problem.size // problem.n_outputs
    size = max(LEAST_SAMPLE, ROWS * columns, int(SHARE * n))
    return n if 2 * size > n else size


def sampled_factor(problem: Any, point: Any) -> PositiveFactor | None:
    """The factor of the Hessian of some samples at ``point``; ``None`` where it has none.

    The sample depends on the number of samples alone, so that fits repeat.
    """
    xp, n = problem.xp, problem.n_samples
    size = _sample_size(problem)
    if size == n:
        H = problem.hessian(point)
    else:
        at = (GOLDEN * xp.arange(size, dtype=xp.float64, device=problem.device)) % 1.0
        H = problem.sample_hessian(point.w, xp.astype(n * at, xp.int64))
    for ridge in (0.0, 16 * problem.size * float(xp.finfo(problem.dtype).eps)):
        try:
            return PositiveFactor(H, ridge=ridge)
        except NotPositiveDefiniteError:
            continue
    return None
