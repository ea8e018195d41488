r"""Paths of several targets whose coefficients come and go by rows, on inner products of columns.

.. math::

    \min_W\ \tfrac12 |T - B W|^2 + t \Big(l_1 \sum_j |W_j| + \tfrac{l_2}{2} |W|^2\Big)

With :math:`G = B'B` and :math:`Q = B'T` a row costs as many operations as there are rows inside and
targets, where columns of data would cost that times the samples. Where columns are few, all of G
is formed where the data are, and no further pass over them is needed; the path is the host's. Where
they are many, the part of the rows that were ever inside, and the correlations of all are one
product with the data. The gap follows from them.

A strength begins where the last two answers point, and its gap is that to the best point of the
dual so far, those of larger strengths included (kept as in Massias, Gramfort, Salmon, "Celer: a
fast solver for the lasso with dual extrapolation", ICML 2018).
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from skopt_dl.kernels.namespace import is_numpy, to_float, to_numpy
from skopt_dl.linear_model._exact_path import HOST, Path, dual_of_one
from skopt_dl.problems.working_columns import DenseColumns
from skopt_dl.problems.working_set import GRAM_BELOW

# Sweeps between two looks at the gap, and of which the rounding may be kept.
SWEEPS = 100
# Of the gap that is asked for, what the next sweeps aim at; the least share of the changes so far
# that is a target.
AIM, LEAST = 0.8, 0.03
# Rows swept over those in the model from which on the others are dropped. Seconds of 300 x 2000, 3
# targets for 1.3, 1.8 and 3: .86, .68, .71 (python -m benchmarks.multi_task).
CROWDED = 2
# Share of the rows from which on all are swept: their correlations then need no product. Seconds
# of 500 x 1000, 5 targets for .35, .5 and .7: .93, .94, .99; of 300 x 2000, 3 targets: 1.11, .68,
# .91 (python -m benchmarks.multi_task).
MOST = 0.5


def goes_by_rows(problem: Any) -> bool:
    """Whether a path can be followed on inner products: dense float64 data, rows of coefficients.

    Off the host only where all inner products fit.

    scikit-learn's time over ours for 5 folds and 100 strengths, with inner products and without,
    lasso and elastic net: 500 x 100, 5 targets: 2.6, 0.4 and 3.0, 0.4; 5000 x 200, 20 targets: 18,
    0.5 and 25, 0.7; 500 x 1000, 5 targets: 1.6, 0.5 and 4.0, 0.7; 300 x 2000, 3 targets: 1.5, 0.6
    and 2.5, 0.9; 100 x 1500, 5 targets: 1.7, 0.7 and 4.0, 1.8; 200 x 10000, 3 targets: 1.5, 0.7 and
    2.8, 1.4 (python -m benchmarks.multi_task --both).
    """
    return bool(
        hasattr(problem.penalty, "prox_row")
        and problem.loss.quadratic
        and problem.base.layout == "dense"
        and problem.dtype == problem.xp.float64
        and (is_numpy(problem.xp) or _few_columns(problem))
    )


def _few_columns(problem: Any) -> bool:
    n, p = problem.base.shape
    return bool(p <= min(GRAM_BELOW, n))


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
    coefs, gaps = np.full((steps.at.W.size, A), np.nan), np.full(A, np.nan)
    n_iters, done = np.zeros(A, dtype=int), 0
    for k, t in enumerate(map(float, strengths)):
        if k and time.perf_counter() >= deadline:
            break
        n_iters[k], gaps[k] = steps.go_to(t)
        coefs[:, k], done = steps.at.W.ravel(), k + 1
    return Path(coefs, gaps, n_iters, done)


class _Point:
    """Coefficients ``W`` with their correlations ``C = B'(T - B W)``, and what follows from them.

    Its residual is a point of the dual for every strength; see `_exact_path` for the two ways.
    """

    def __init__(self, W: Any, C: Any, Q: Any, square: float) -> None:
        self.W, self.C = W, C
        self.cross = square - float(np.vdot(Q, W))
        self.rest = max(self.cross - float(np.vdot(W, C)), 0.0)
        self.size, self.weight = float(np.sum(_norms(W))), float(np.vdot(W, W))
        self.sizes = _norms(C)
        self._of, self._bound = (math.nan, math.nan), -math.inf

    def primal(self, l1: float, l2: float) -> float:
        """The objective."""
        return self.rest / 2 + l1 * self.size + l2 * self.weight / 2

    def dual(self, l1: float, l2: float) -> float:
        """A bound from below on the objective of any coefficients."""
        if self._of != (l1, l2):
            self._of, self._bound = (l1, l2), self._dual(l1, l2)
        return self._bound

    def _dual(self, l1: float, l2: float) -> float:
        sizes = _norms(self.C - l2 * self.W) if l2 > 0 else self.sizes
        largest = float(sizes.max(initial=0.0))
        bound = dual_of_one(self.cross, self.rest + l2 * self.weight, largest, l1)
        if l2 > 0:
            over = np.maximum(self.sizes - l1, 0)
            bound = max(bound, self.cross - self.rest / 2 - float(over @ over) / (2 * l2))
        return bound


class _Rows:
    """Where the path stands: the last two answers, and the rows that are swept."""

    def __init__(self, problem: Any, tol: float, max_iter: int) -> None:
        xp, Y, omega = problem.xp, problem.y, problem.omega
        self.penalty, self.max_iter = problem.penalty, max_iter
        self.products = (_All if _few_columns(problem) else _Growing)(problem)
        self.square = to_float(omega @ xp.sum(Y**2, axis=1))
        self.goal = tol * self.square / 2
        Q = self.products.Q
        self.at = self.best = self._point(np.zeros_like(Q), Q)
        # Strengths with their answers, the last two.
        self.reached: list[tuple[float, _Point]] = []
        self.rows = np.zeros(0, dtype=np.intp)
        self.room = np.zeros((0, 0))
        # Sweeps since the correlations were formed from the data.
        self.stale = 0

    def go_to(self, t: float) -> tuple[int, float]:
        """Solve for the strength ``t``: the sweeps that it took, and the gap."""
        l1, l2 = t * self.penalty.l1, t * self.penalty.l2
        # Residuals of larger strengths bound this objective, too, and well: coefficients settle
        # long before their own residual is nearly feasible.
        self.best = max(self.at, self.best, key=lambda point: point.dual(l1, l2))
        dual = self.best.dual(l1, l2)
        before = self.reached[-1][0] * self.penalty.l1 if self.reached else l1
        # The strong rule: correlations change no faster than the strength, as a rule.
        wanted = self.at.sizes > 2 * l1 - before
        self.at = min(self.at, self._ahead(t), key=lambda point: point.primal(l1, l2))
        self._take(wanted | np.any(self.at.W != 0, axis=1))
        # A change of size s lowers the objective by about s^2.
        n_iter, moved = 0, math.sqrt(self.goal)
        while True:
            swept, moved = self._sweep(l1, l2, dual, self.max_iter - n_iter, moved)
            n_iter += swept
            bound = self.at.dual(l1, l2)
            if bound > dual:
                self.best, dual = self.at, bound
            gap = max(self.at.primal(l1, l2) - dual, 0.0)
            grown = gap > self.goal and self._take(self.at.sizes > l1)
            if gap <= self.goal or n_iter >= self.max_iter or (moved == 0 and not grown):
                self.reached = [*self.reached[-1:], (t, self.at)]
                return n_iter, gap

    def _sweep(
        self, l1: float, l2: float, dual: float, most: int, target: float
    ) -> tuple[int, float]:
        """Up to the goal, if no other rows mattered: the sweeps, and a target for the next ones."""
        m, swept_over = len(self.rows), self.rows if self.some else slice(None)
        Q = self.products.Q[swept_over]
        W = np.array(self.at.W[swept_over], order="C")
        C = np.array(self.at.C[swept_over].T, order="C")
        done = 0
        while True:
            swept, moved = HOST.gram_row_epochs(
                self.room[:m, :m], C, W, l1, l2, min(SWEEPS, most - done), target
            )
            done += swept
            inside = _Point(W, C.T, Q, self.square)
            gap = inside.primal(l1, l2) - max(inside.dual(l1, l2), dual)
            # What a residual lacks to be feasible, and so the gap, falls as the changes do.
            share = AIM * self.goal / gap if gap > self.goal else AIM
            target = min(max(share, LEAST), AIM) * min(moved, target)
            if gap <= self.goal or done >= most or moved == 0:
                self.stale += done
                self.at = self._full(inside)
                return done, target

    def _ahead(self, t: float) -> _Point:
        """On from the last two answers: between changes of the rows inside, paths hardly bend."""
        if len(self.reached) < 2:
            return self.at
        (t0, old), (t1, last) = self.reached
        share = (t - t1) / (t1 - t0) if t1 != t0 else 0.0
        return self._point(last.W + share * (last.W - old.W), last.C + share * (last.C - old.C))

    def _full(self, inside: _Point) -> _Point:
        """With the rows that are swept as given, and no others."""
        if not self.some and self.stale <= SWEEPS:
            # The sweeps kept the correlations of all rows, but for their rounding.
            return inside
        W = np.zeros_like(self.products.Q)
        W[self.rows] = inside.W
        self.stale = 0
        return self._point(W, self.products.correlations(self.rows, inside.W))

    def _point(self, W: Any, C: Any) -> _Point:
        return _Point(W, C, self.products.Q, self.square)

    @property
    def some(self) -> bool:
        """Whether not all rows are swept; all are in their order."""
        return len(self.rows) < len(self.products.Q)

    def _take(self, wanted: Any) -> bool:
        """Sweep over the rows ``wanted``, too; whether there were any new."""
        known = np.zeros(len(wanted), dtype=bool)
        known[self.rows] = True
        new = np.flatnonzero(wanted & ~known)
        if not len(new):
            return False
        inside = np.any(self.at.W[self.rows] != 0, axis=1)
        if len(self.rows) + len(new) > MOST * len(wanted) and len(wanted) <= GRAM_BELOW:
            self.rows = np.arange(len(wanted))
            self.room = np.ascontiguousarray(self.products.block(self.rows, self.rows))
            return True
        if len(self.rows) + len(new) > CROWDED * (np.count_nonzero(inside) + len(new)):
            # Rows that have left the model make changes of the others dear.
            m = int(np.count_nonzero(inside))
            self.rows = self.rows[inside]
            self.room[:m, :m] = self.room[: len(inside), : len(inside)][np.ix_(inside, inside)]
        m, self.rows = len(self.rows), np.concatenate([self.rows, new])
        size = len(self.rows)
        if size > len(self.room):
            room = np.empty((min(len(wanted), 2 * size),) * 2)
            room[:m, :m], self.room = self.room[:m, :m], room
        more = self.products.block(new, self.rows)
        self.room[m:size, :size], self.room[:m, m:size] = more, more[:, :m].T
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
    return np.sqrt(np.einsum("jk,jk->j", C, C))
