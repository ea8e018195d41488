r"""Paths of several targets whose coefficients come and go by rows, on inner products of columns.

.. math::

    \min_W\ \tfrac12 |T - B W|^2 + t \Big(l_1 \sum_j |W_j| + \tfrac{l_2}{2} |W|^2\Big)

With :math:`G = B'B` and :math:`Q = B'T` a row costs as many operations as there are rows inside and
targets, where columns of data would cost that times the samples. Where columns are few, all of G
is formed where the data are, and no further pass over them is needed; the path is the host's. Where
they are many, the part of the rows that were ever inside, and the correlations of all are one
product with the data. The gap follows from them.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from skopt_dl.kernels.namespace import is_numpy, to_float, to_numpy
from skopt_dl.linear_model._exact_path import HOST, Path, dual_along
from skopt_dl.problems.working_columns import DenseColumns
from skopt_dl.problems.working_set import GRAM_BELOW

# Sweeps between two looks at the gap, and by how much the next target is tighter.
SWEEPS, TIGHTEN = 100, 0.3
# Rows swept over those in the model from which on the others are dropped.
CROWDED = 1.3
# Columns a sample: see `goes_by_rows`.
WIDE = 4


def goes_by_rows(problem: Any) -> bool:
    """Whether a path can be followed on inner products: dense float64 data, rows of coefficients.

    Off the host only where all inner products fit.

    Not for a lasso whose columns are a few times as many as samples: about as many rows as samples
    are then nonzero, and a change of one costs as many operations as there are rows. scikit-learn's
    time over ours for 5 folds and 100 strengths, with inner products and without, lasso and elastic
    net: 500 x 100, 5 targets: 1.2, 0.4 and 3.0, 0.4; 5000 x 200, 20 targets: 9, 0.4 and 18, 0.6;
    500 x 1000, 5 targets: 0.41, 0.55 and 1.6, 0.95; 300 x 2000, 3 targets: 0.63, 0.60 and 1.5, 0.8;
    100 x 1500, 5 targets: 0.86, 0.84 and 3.7, 1.9 (python -m benchmarks.multi_task --both).
    """
    return bool(
        hasattr(problem.penalty, "prox_row")
        and problem.loss.quadratic
        and problem.base.layout == "dense"
        and problem.dtype == problem.xp.float64
        and (_few_columns(problem) or (is_numpy(problem.xp) and not _crowded(problem)))
    )


def _few_columns(problem: Any) -> bool:
    n, p = problem.base.shape
    return bool(p <= min(GRAM_BELOW, n))


def _crowded(problem: Any) -> bool:
    n, p = problem.base.shape
    return p < WIDE * n and not problem.penalty.l2


def row_path(
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
        xp, Y, omega = problem.xp, problem.y, problem.omega
        self.penalty, self.max_iter = problem.penalty, max_iter
        self.products = (_All if _few_columns(problem) else _Growing)(problem)
        self.Q = self.products.Q
        self.square = to_float(omega @ xp.sum(Y**2, axis=1))
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
            swept, moved = HOST.gram_row_epochs(self.block, C, W, l1, l2, sweeps, target)
            n_iter += swept
            self.W[self.rows] = W
            self.C = self.products.correlations(self.rows, W)
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
        inside = np.any(self.W[self.rows] != 0, axis=1)
        if len(self.rows) + len(new) > CROWDED * (np.count_nonzero(inside) + len(new)):
            # Rows that have left the model make changes of the others dear.
            self.rows = self.rows[inside]
            self.block = self.products.block(self.rows, self.rows)
        m, self.rows = len(self.rows), np.concatenate([self.rows, new])
        more, old = self.products.block(new, self.rows), self.block
        self.block = np.empty((len(self.rows), len(self.rows)))
        self.block[:m, :m], self.block[m:], self.block[:m, m:] = old, more, more[:, :m].T
        return True


class _All:
    """The inner products of all columns, brought to the host."""

    def __init__(self, problem: Any) -> None:
        self.G = to_numpy(problem.map.gram(problem.omega))
        self.Q = to_numpy(problem.map.rmatvec(problem.omega[:, None] * problem.y))

    def block(self, rows: Any, columns: Any) -> Any:
        """Those rows and columns of ``G``."""
        return self.G.take(rows, axis=0).take(columns, axis=1)

    def correlations(self, rows: Any, W: Any) -> Any:
        """``B'(T - B W)`` of all columns, with W zero outside ``rows``."""
        return self.Q - self.G[:, rows] @ W


class _Growing:
    """The inner products of the columns that were asked for so far."""

    def __init__(self, problem: Any) -> None:
        self.map, self.root = problem.map, np.sqrt(problem.omega)[:, None]
        self.targets = self.root * problem.y
        self.columns = DenseColumns(problem.base, self.root[:, 0], getattr(self.map, "mean", None))
        self.place = np.full(problem.base.shape[1], -1)
        self.G = np.zeros((0, 0))
        self.Q = self.map.rmatvec(self.root * self.targets)

    def block(self, rows: Any, columns: Any) -> Any:
        """Those rows and columns of ``G``."""
        new = rows[self.place[rows] < 0]
        if len(new):
            m, k = self.columns.size, len(new)
            if m + k > len(self.G):
                room = min(len(self.place), max(m + k, 2 * len(self.G)))
                G, self.G = self.G, np.zeros((room, room))
                self.G[:m, :m] = G[:m, :m]
            cross = self.columns.append(new)
            self.G[: m + k, m : m + k], self.G[m : m + k, : m + k] = cross, cross.T
            self.place[new] = np.arange(m, m + k)
        return self.G.take(self.place[rows], axis=0).take(self.place[columns], axis=1)

    def correlations(self, rows: Any, W: Any) -> Any:
        """``B'(T - B W)`` of all columns, with W zero outside ``rows``."""
        R = self.targets
        if len(rows):
            # Rows that had left and came back are not in the order of their columns.
            order = np.argsort(self.place[rows])
            R = R - self.columns.product(self.place[rows][order], W[order])
        return self.map.rmatvec(self.root * R)


def _norms(C: Any) -> Any:
    return np.sqrt(np.sum(C**2, axis=1))


def _gap(C: Any, Q: Any, W: Any, square: float, l1: float, l2: float) -> float:
    """The duality gap at ``W``, where ``C = B'(T - B W)``; see `_exact_path` for its two points."""
    cross = square - float(np.sum(Q * W))
    rest = max(cross - float(np.sum(W * C)), 0.0)
    ridge = l2 * float(np.sum(W**2))
    norms = _norms(W)
    primal = rest / 2 + l1 * float(np.sum(norms)) + ridge / 2
    largest = np.max(_norms(C - l2 * W), initial=0.0)
    dual = float(dual_along(cross, rest + ridge, largest, l1))
    if l2 > 0:
        over = np.maximum(_norms(C) - l1, 0)
        dual = max(dual, cross - rest / 2 - float(np.sum(over**2)) / (2 * l2))
    return max(primal - dual, 0.0)
