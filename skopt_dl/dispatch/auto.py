"""What ``solver="auto"`` takes, and why: ordered rows, the first that fits wins.

A row looks at facts of the problem (structure, shape, sparsity), never at whether some hardware
exists. It counts only if the problem offers what its solver needs. Every threshold is a module
constant that cites the benchmark it comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skopt_dl.dispatch.registry import SOLVERS
from skopt_dl.engine import Oracle, Problem, Trait

# Both thresholds stand where what the factorisation loses on the kindest data (columns alike) is
# about what it gains on an ordinary spread (column scales 1/j), n = 2 p and n = 10 000.
#
# Direct factorisation of the p x p (or n x n) Gram. Time of cg over that of cholesky, kind and
# ordinary: p = 1000: 0.46, 7.4; 2000: 0.37, 4.5; 4000: 0.24, 3.1 (benchmarks/ridge_thresholds.py).
DIRECT_BELOW = 3000
# Newton with all of the d x d Hessian at each step: while n d^2 is below the first number, or for d
# up to the second where there is no sample from whose Hessian L-BFGS could start. Time of lbfgs
# over that of newton_cholesky, columns alike and of scales 1/j: 150 x 4: 1.2, 1.0; 1000 x 20: 1.3,
# 1.5; 3000 x 30: .99, 1.0; 10 000 x 20: 1.1, .94; 10 000 x 100: .59, .48; without a sample, from
# the identity, 10 000 x 400: .16, 1.2; 10 000 x 1000: .08, .63 (benchmarks/logistic_thresholds.py).
HESSIAN_WORK = 3_000_000
NEWTON_BELOW = 400
# Proximal Newton with the Hessian of several outputs. Time of fista over that of prox_newton for an
# L1 penalty, C = 0.05 and 1: 210 parameters: 6.4, 9.1; 510: 7.4, 10.7; 1010: 5.9, 5.6
# (benchmarks/logistic_thresholds.py).
MODEL_BELOW = 1000
# The exact active-set method, on dense data by their smaller side (which bounds the support): what
# it loses on columns that have little in common it wins many times where they have. Time of
# active_set over that of cd to a relative gap of 1e-4 and of 1e-8, alpha max / 100: 20 000 x 200:
# 1.3, 1.2; 4000 x 1000: 1.4, 1.3; 1500 x 1500: 2.2, 1.5; wide 300 x 5000: 0.49, 0.22; 400 x 3000,
# neighbours correlated by 0.99: 0.59, 0.58. Sparse (words): 1.6 to 3.9
# (benchmarks/lasso_thresholds.py).
ACTIVE_SET_BELOW = 1000
# Entries over the degrees of freedom k (m + n - k) of a matrix of rank k. Exact data, 300 x 300,
# rank 5, no penalty: gauss_newton finds the matrix for 5, 3, 1 of 5 seeds at 3, 2, 1.7 times, irls
# for all, in 2, 0.3, 0.05 of its time; 1000 x 1000, rank 10, 2.5 times: both for all, irls in 2.6
# of the time (benchmarks/completion.py exact).
NEAR_LIMIT = 2.5
# K-FAC on a network, nothing tuned. Time of adam over that of kfac to a tenth and a hundredth of
# the first loss, by the widest layer: 64: 2.1, 2.3; 128: 1.5, 2.1; 200: 1.4, 2.0; 256: 0.9, 1.4;
# 512: 0.4, 0.6. By the targets a parameter: 0.7 (diabetes): 3.0, 5.8; 4.9: 2.5, 2.9; 8.0 (digits):
# 1.5, 2.2; from 19 on the noise of batches decides and neither gets there
# (benchmarks/network_thresholds.py).
NETWORK_WIDTH = 200
NETWORK_LOAD = 10


def _always(problem: Any) -> bool:
    return True


@dataclass(frozen=True)
class Row:
    """``solver`` is taken for ``reason`` where ``when`` holds and the problem has its oracles.

    ``asks`` is the oracle that the method lives on. It is looked at first, so that the modules of
    methods that are out of the question are not even imported.
    """

    solver: str
    asks: Oracle
    reason: str
    when: Callable[[Any], bool] = _always


def _small_side(problem: Any) -> int:
    n, p = problem.map.shape
    return min(n, p)


def _oversampling(problem: Any) -> float:
    (m, k), (n, _) = problem.shapes.values()
    return problem.n_samples / (k * max(m + n - k, 1))


def _visits_coordinates(problem: Any) -> bool:
    """Whether coordinate descent visits coordinates or rows of them, by compiled loops.

    Off the host every visit is a call of its own: 100 000 x 10 000 on an H200, cd 15.3 s, fista
    0.16 s (benchmarks/gpu.py). Blocks are visited one by one in Python. Time of cd over that of
    fista on a group lasso to a relative gap of 1e-4 and 1e-8: 500 x 2000: 2.7, 3.8; 5000 x 200:
    0.7, 0.9; 300 x 3000 in groups of 30: 1.4, 2.8 (benchmarks/group_thresholds.py).
    """
    return problem.kernels.name == "cython" and not hasattr(problem.penalty, "blocks")


def _visits_single_coordinates(problem: Any) -> bool:
    """Whether it visits numbers, not rows of them: extrapolated epochs then pay.

    Time of cd over that of anderson_cd to 1e-6 and 1e-10: words 1.0, 0.9, harder 1.6, 2.9; 3000 x
    3000 1.5, 1.5 (benchmarks.run lasso_zipf lasso_text_hard lasso_square --solvers cd,anderson_cd).
    On several targets at 1e-4 they do not pay.
    """
    return _visits_coordinates(problem) and problem.y.ndim == 1


def _is_wide_and_smooth(problem: Any) -> bool:
    """Whether a smooth convex objective has fewer samples than parameters, in dense data.

    The curvature has no more directions than there are samples, and L-BFGS learns them. Time of
    lbfgs over that of prox_newton to a relative gradient of 1e-4, columns alike and of scales
    10^+-1, 10^+-2: 200 x 500: .20, .11, .07; 500 x 2000: .28, .32, .14; 1000 x 1200: .39, .27, .17
    (benchmarks/logistic_thresholds.py).
    """
    smooth = Trait.SMOOTH in problem.traits and Trait.CONVEX in problem.traits
    dense = Trait.LINEAR_MODEL in problem.traits and problem.map.layout == "dense"
    return smooth and dense and problem.n_samples < problem.n_features


def _knows_curvature(problem: Any) -> bool:
    """Whether L-BFGS takes the Hessian of a sample, sooner or later."""
    from skopt_dl.solvers.sampled_curvature import first_sample

    return first_sample(problem) is not None


def _has_cheap_hessian(problem: Any) -> bool:
    """Whether all of the Hessian is cheap enough to be formed at each step of a convex descent."""
    if Trait.CONVEX not in problem.traits or problem.size > NEWTON_BELOW:
        return False
    # That of a network without hidden layers is formed column by column.
    if Trait.MATRICES in problem.traits and Trait.LINEAR_MODEL not in problem.traits:
        return False
    if problem.why_not(Oracle.SAMPLE_HESSIAN) is not None:
        return True
    if problem.n_samples * problem.size**2 <= HESSIAN_WORK:
        return True
    return not (_knows_curvature(problem) or _is_wide_and_smooth(problem))


def _has_cheap_model(problem: Any) -> bool:
    """Whether a second-order model is made by rows; or of a Hessian that is small, and of dense
    data; or by entries of sparse data; or where the data are elsewhere, so that what counts are
    passes over them.

    By entries, words in 5 classes, strongest penalty / 10 and / 100, to a relative stationarity of
    1e-3, time of fista over that of prox_newton: 4000 x 3000: 21, 13; 10 000 x 12 000: 58, 56
    (benchmarks/logistic_thresholds.py).
    """
    if not _visits_coordinates(problem):
        return False
    if problem.n_outputs == 1 or problem.n_samples is None:
        return True
    return problem.size <= MODEL_BELOW or problem.map.layout == "sparse"


def _learns_by_heart(problem: Any) -> bool:
    """Whether a network is narrow and has few targets a parameter; measured on the host alone."""
    if Trait.LINEAR_MODEL in problem.traits or Trait.MATRICES not in problem.traits:
        return False
    if Trait.CONVEX in problem.traits or problem.kernels.name != "cython":
        return False
    widest = max(max(shape) for shape in problem.shapes.values())
    outputs = list(problem.shapes.values())[-1][1]
    load = problem.n_samples * outputs / problem.size
    return widest <= NETWORK_WIDTH and load <= NETWORK_LOAD


ROWS: tuple[Row, ...] = (
    Row("vb", Oracle.POSTERIOR, "the strength of the penalty is to be learned"),
    Row(
        "irls",
        Oracle.TANGENT,
        "no penalty, and hardly more entries than degrees of freedom",
        lambda q: _oversampling(q) < NEAR_LIMIT,
    ),
    Row(
        "gauss_newton",
        Oracle.REDUCED_SYSTEM,
        "no penalty, so that an exact fit may exist",
        lambda q: q.alpha == 0,
    ),
    # The nuclear norm to a gap of 1e-4, 600 x 400, alpha = 0.1, 0.2, 0.3: als 0.24, 0.21, 0.60 s,
    # fista 0.55, 0.36, 0.36. In its ball, which has no such blocks, radius 1, 2: fista 0.20, 0.29,
    # ista 0.38, 0.36, frank_wolfe 0.07 and 0.7 % above after 20 (benchmarks/completion.py nuclear).
    Row("als", Oracle.BLOCK_SOLVE, "the blocks have exact solutions"),
    Row("fista", Oracle.SPECTRAL_PROX, "matrices of low rank with a prox"),
    Row(
        "cholesky",
        Oracle.LEAST_SQUARES,
        "a dense least-squares system whose smaller side is small enough to factorise",
        lambda q: q.map.layout == "dense" and _small_side(q) <= DIRECT_BELOW,
    ),
    Row(
        "cg",
        Oracle.LEAST_SQUARES,
        "a least-squares system that is sparse or too large to factorise",
    ),
    Row(
        "active_set",
        Oracle.WORKING_SET,
        "a lasso or elastic net on dense data whose smaller side is small: an exact solution",
        lambda q: q.map.layout == "dense" and _small_side(q) <= ACTIVE_SET_BELOW,
    ),
    Row(
        "anderson_cd",
        Oracle.COORDS,
        "a quadratic loss with a penalty that acts on single coordinates",
        _visits_single_coordinates,
    ),
    Row(
        "cd",
        Oracle.COORDS,
        "a quadratic loss with a penalty that acts on rows of coordinates",
        _visits_coordinates,
    ),
    Row(
        "newton_cholesky",
        Oracle.HESSIAN,
        "a smooth convex objective whose Hessian is cheap",
        _has_cheap_hessian,
    ),
    Row(
        "lbfgs",
        Oracle.SAMPLE_HESSIAN,
        "a smooth convex objective, the Hessian of some samples of which is cheap",
        _knows_curvature,
    ),
    Row(
        "lbfgs",
        Oracle.GRAD,
        "a smooth convex objective on dense data with fewer samples than parameters",
        _is_wide_and_smooth,
    ),
    Row(
        "prox_newton",
        Oracle.QUADRATIC_MODEL,
        "a smooth loss with a penalty of single coordinates",
        _has_cheap_model,
    ),
    Row(
        "lbfgs",
        Oracle.GRAD,
        "a smooth convex objective with many parameters",
        lambda q: Trait.SMOOTH in q.traits and Trait.CONVEX in q.traits,
    ),
    Row("fista", Oracle.PROX, "a smooth loss with a penalty that has a prox"),
    Row(
        "fista_backtracking",
        Oracle.PROX,
        "a loss whose curvature has no bound with a penalty that has a prox",
    ),
    Row(
        "ista",
        Oracle.PROX,
        "a smooth loss with a penalty that is not convex",
        lambda q: Trait.CONVEX not in q.traits,
    ),
    Row(
        "kfac",
        Oracle.KRONECKER,
        "a narrow network that can learn its samples by heart",
        _learns_by_heart,
    ),
    Row(
        "adam",
        Oracle.SAMPLE_GRAD,
        "a non-convex mean over samples",
        lambda q: Trait.CONVEX not in q.traits,
    ),
    Row("lbfgs", Oracle.GRAD, "a smooth objective"),
)


def choose(problem: Problem) -> tuple[str, str] | None:
    """``(solver name, reason)`` of the first fitting row, ``None`` if none fits."""
    for row in ROWS:
        if problem.why_not(row.asks) is not None or not row.when(problem):
            continue
        if not SOLVERS.get(row.solver).needs.missing(problem):
            return row.solver, row.reason
    return None
