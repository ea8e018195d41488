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
# Parameters up to which a d x d Hessian of a sample pays, with at least as many samples as columns
# and with fewer. Time of L-BFGS without it over that with it, columns alike and of scales 1/j, by
# n x columns (classes): 150 x 4: .63, 1.1; 1000 x 100: .79, 2.3; 10 000 x 100: .73, 7.1; 50 000 x
# 100: .91, 13; 10 000 x 400: .42, 7.1; 10 000 x 1000: .28, 2.1; 10 000 x 2000: .11, .95; 5000 x 10
# (3): .93, 2.6; 10 000 x 100 (10): .37, 3.2; with fewer samples, scales 1, 10^+-1 and 10^+-2: 100 x
# 390: .3, .3, .3; 350 x 390: .2, .7, 4.2 (benchmarks/logistic_thresholds.py).
SAMPLE_BELOW, WIDE_BELOW = 1000, 400
# The fractional parts of its multiples lie evenly, whatever period the rows of the data have.
GOLDEN = 0.6180339887498949


def sample_pays(problem: Any) -> bool:
    """Whether the Hessian of a sample of the problem is cheap beside the iterations it spares."""
    if any(problem.why_not(o) is not None for o in (Oracle.HESSIAN, Oracle.SAMPLE_HESSIAN)):
        return False
    if Trait.CONVEX not in problem.traits:
        return False
    wide = problem.n_samples * problem.n_outputs < problem.size
    return bool(problem.size <= (WIDE_BELOW if wide else SAMPLE_BELOW))


def sampled_factor(problem: Any, point: Any) -> PositiveFactor | None:
    """The factor of the Hessian of some samples at ``point``; ``None`` where it has none.

    The sample depends on the number of samples alone, so that fits repeat.
    """
    xp, n = problem.xp, problem.n_samples
    columns = problem.size // problem.n_outputs
    size = max(LEAST_SAMPLE, ROWS * columns, int(SHARE * n))
    if 2 * size > n:
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
