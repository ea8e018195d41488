r"""Paths of several targets whose coefficients come and go by rows, on a Gram matrix.

.. math::

    \min_W\ \tfrac12 |T - B W|^2 + t \Big(l_1 \sum_j |W_j| + \tfrac{l_2}{2} |W|^2\Big)

With :math:`G = B'B` and :math:`Q = B'T` a row that stays zero costs as many operations as there are
targets, where columns of data would cost that times the samples. The gap follows from the same
products.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from skopt_dl.linear_model._exact_path import Path
from skopt_dl.problems.working_set import GRAM_BELOW

# Sweeps between two looks at the gap, and by how much the next target is tighter.
SWEEPS, TIGHTEN = 100, 0.3


def fits_gram(problem: Any) -> bool:
    """Whether a path is better followed on the Gram matrix: dense float64 data that are not wide.

    scikit-learn's time over ours for 5 folds and 100 strengths, with the Gram matrix and without:
    500 x 100, 5 targets: 1.2, 0.3; 5000 x 200, 20 targets: 18, 0.6; 500 x 1000, 5 targets: 0.25,
    0.4; 300 x 2000, 3 targets: 0.3, 0.4 (benchmarks/multi_task.py).
    """
    n, p = problem.base.shape
    plain = hasattr(problem.penalty, "prox_row") and problem.kernels.name == "cython"
    return bool(
        plain
        and problem.loss.quadratic
        and problem.base.layout == "dense"
        and problem.dtype == np.float64
        and p <= min(GRAM_BELOW, n)
    )


def gram_row_path(
    problem: Any, strengths: Any, tol: float, max_iter: int, deadline: float = math.inf
) -> Path:
    """The path of ``problem`` along decreasing ``strengths``, each from the answer before.

    Parameters
    ----------
    problem : LinearProblem
        Of squared loss with a `RowElasticNet` of strength 1.
    strengths : array of shape (A,)
        Multiples of its penalty.
    tol : float
        Bound on the duality gap relative to the null model's objective.
    max_iter : int
        Sweeps for each strength at most.
    deadline : float
        When to stop, in seconds of `time.perf_counter`; at least one strength is solved.
    """
    steps = _Rows(problem, tol, max_iter)
    A = len(strengths)
    coefs, gaps = np.full((steps.W.size, A), np.nan), np.full(A, np.nan)
    n_iters, done = np.zeros(A, dtype=int), 0
    for k, t in enumerate(map(float, strengths)):
        if k and time.perf_counter() >= deadline:
            break
        n_iters[k], gaps[k] = steps.go_to(t)
        coefs[:, k], done = steps.W.ravel(), k + 1
    return Path(coefs, gaps, n_iters, done)


class _Rows:
    """Where the path stands: coefficients, correlations, and the rows that are swept."""

    def __init__(self, problem: Any, tol: float, max_iter: int) -> None:
        Y, omega = problem.y, problem.omega
        self.kernels, self.penalty, self.max_iter = problem.kernels, problem.penalty, max_iter
        self.G = problem.map.gram(omega)
        self.Q = problem.map.rmatvec(omega[:, None] * Y)
        self.square = float(omega @ np.sum(Y**2, axis=1))
        self.goal = tol * self.square / 2
        self.W, self.C = np.zeros_like(self.Q), self.Q
        self.last = math.inf
        self.rows = np.zeros(0, dtype=np.intp)
        self.block = np.zeros((0, 0))

    def go_to(self, t: float) -> tuple[int, float]:
        """Solve for the strength ``t``: the sweeps that it took, and the gap."""
        l1, l2 = t * self.penalty.l1, t * self.penalty.l2
        # The strong rule: correlations change no faster than the strength, as a rule.
        before = self.last if self.last < math.inf else l1
        self._take(_norms(self.C) > 2 * l1 - before)
        self.last = l1
        # A change of size s lowers the objective by about s^2.
        n_iter, target = 0, math.sqrt(self.goal)
        while True:
            W = np.ascontiguousarray(self.W[self.rows])
            C = np.ascontiguousarray(self.C[self.rows].T)
            sweeps = min(SWEEPS, self.max_iter - n_iter)
            swept, moved = self.kernels.gram_row_epochs(self.block, C, W, l1, l2, sweeps, target)
            n_iter += swept
            self.W[self.rows] = W
            self.C = self.Q - self.G[:, self.rows] @ W
            gap = _gap(self.C, self.Q, self.W, self.square, l1, l2)
            if gap <= self.goal or n_iter >= self.max_iter:
                return n_iter, gap
            grown = self._take(_norms(self.C) > l1)
            if moved == 0 and not grown:
                return n_iter, gap
            target = TIGHTEN * min(moved, target) if moved > 0 else target

    def _take(self, wanted: Any) -> bool:
        """Sweep over the rows ``wanted``, too; whether there were any new."""
        inside = np.zeros(len(wanted), dtype=bool)
        inside[self.rows] = True
        new = np.flatnonzero(wanted & ~inside)
        if not len(new):
            return False
        # Rows that have left the model are dropped when others come.
        kept = self.rows[np.any(self.W[self.rows] != 0, axis=1)]
        self.rows = np.concatenate([kept, new])
        self.block = np.ascontiguousarray(self.G[np.ix_(self.rows, self.rows)])
        return True


def _norms(C: Any) -> Any:
    return np.sqrt(np.sum(C**2, axis=1))


def _gap(C: Any, Q: Any, W: Any, square: float, l1: float, l2: float) -> float:
    """The duality gap at ``W``, where ``C = B'(T - B W)``; see `_exact_path` for its two points."""
    cross = square - float(np.sum(Q * W))
    rest = max(cross - float(np.sum(W * C)), 0.0)
    ridge = l2 * float(np.sum(W**2))
    norms = _norms(W)
    primal = rest / 2 + l1 * float(np.sum(norms)) + ridge / 2
    largest = float(np.max(_norms(C - l2 * W), initial=0.0))
    bound = l1 / largest if largest > l1 else math.inf
    norm = rest + ridge
    scale = min(cross / norm if norm > 0 else 0.0, bound)
    scale = max(scale, -bound)
    dual = scale * cross - scale**2 * norm / 2
    if l2 > 0:
        over = np.maximum(_norms(C) - l1, 0)
        dual = max(dual, cross - rest / 2 - float(np.sum(over**2)) / (2 * l2))
    return max(primal - dual, 0.0)
