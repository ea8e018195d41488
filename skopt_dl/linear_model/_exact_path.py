r"""Elastic-net paths by the exact active-set method: many strengths in few passes over X.

For strengths :math:`t_1 > t_2 > \dots` (each alpha is ``t`` times the penalty of the problem) a
block of them is solved on the working set, then all are checked at once by one product of X' with
their residuals. Those before the first violation stand; the violators come in and the rest is
solved again. A hundred strengths take about a dozen products. X and the correlations of its columns
stay where they are; the problem on the working set is the host's, and so are the answers.

Source: the scheme of strong rules with batched checks (R. Tibshirani et al., "Strong rules for
discarding predictors in lasso-type problems", JRSS B 74, 2012), with candidates predicted by the
slope of the path (J. Larsson, J. Wallin, "The Hessian screening rule", NeurIPS 2022).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from skopt_dl.kernels import bind
from skopt_dl.kernels.mirror import Mirror
from skopt_dl.kernels.namespace import is_numpy, namespace_of, scatter, to_numpy
from skopt_dl.linops.products import product

# Strengths per block: few at first, while the working set is still unknown.
FIRST_BLOCK, LARGEST_BLOCK = 4, 25
# Share of the change of strength by which a correlation may exceed its prediction.
MARGIN = 0.05
# Violations below this share of the strength are rounding.
ROUNDING = 1e-9
# Where the problem on the working set is solved.
HOST = bind(np, np.dtype(np.float64))
# A working set beyond this many columns needs a Gram block of more than 800 MB: the path ends.
MOST_COLUMNS = 10_000


@dataclass(frozen=True)
class Path:
    """Solutions along a path; all but the coefficients are always the host's.

    Attributes
    ----------
    coefs : array of shape (n_features, n_strengths)
        NaN from ``n_done`` on.
    gaps : array of shape (n_strengths,)
        Duality gaps in the objective's units (mean over samples).
    n_iters : array of int, shape (n_strengths,)
        Products of X' with a block of residuals that each strength took part in.
    n_done : int
        Strengths that were solved before time or memory ran out.
    """

    coefs: Any
    gaps: Any
    n_iters: Any
    n_done: int


def gram_path(
    gram: Any,
    G: Any,
    q: Any,
    square: float,
    l1: Any,
    l2: Any,
    strengths: Any,
    *,
    positive: bool = False,
    deadline: float = math.inf,
) -> Path:
    """The path along ``strengths`` where the whole Gram matrix is known.

    Parameters
    ----------
    gram : GramLasso
        A fresh solver with room for all columns.
    G, q, square : arrays of shape (p, p), (p,) and a number
        ``B'B``, ``B't`` and ``t't`` of the weighted, centred data.
    l1, l2 : arrays of shape (p,)
        Penalty at strength 1.
    strengths : array of shape (K,)
        Decreasing.
    positive : bool
        Whether coefficients are restricted to be non-negative.
    deadline : float
        When to stop, in seconds of `time.perf_counter`; at least one strength is solved.
    """
    p, K = q.shape[0], len(strengths)
    w, c = np.zeros(p), q.copy()
    coefs, gaps = np.full((p, K), np.nan), np.full(K, np.nan)
    done, ridge = 0, bool(np.any(l2 > 0))
    for k, t in enumerate(strengths):
        if k and time.perf_counter() >= deadline:
            break
        if ridge or not k:
            gram.bind(G, t * l2, w, c)
            gram.refresh()
        gram.solve(t * l1)
        coefs[:, k] = w
        done = k + 1
    W = coefs[:, :done]
    C = q[:, None] - product(G, W)
    rest = np.maximum(square - np.sum(W * (q[:, None] + C), axis=0), 0)
    at = np.flatnonzero(np.any(W != 0, axis=1))
    cross = square - q @ W
    gaps[:done] = _gaps(C, at, W[at], rest, cross, l1, l2, strengths[:done], positive)
    return Path(coefs, gaps, np.ones(K, dtype=int), done)


def working_set_path(
    work: Any,
    strengths: Any,
    tol: float,
    *,
    everything: bool | None = None,
    deadline: float = math.inf,
) -> Path:
    """The path of a `WorkingSet` along decreasing ``strengths``.

    Parameters
    ----------
    work : WorkingSet
        Empty, of the problem at strength 1.
    strengths : array of shape (K,)
        Decreasing, positive.
    tol : float
        Bound on the duality gap relative to the objective of the null model.
    everything : bool, optional
        Whether to start with the Gram matrix of all columns; by default where that pays.
    deadline : float
        When to stop, in seconds of `time.perf_counter`; at least one strength is solved.
    """
    strengths = np.asarray(strengths, dtype=np.float64)
    if work.prefers_everything if everything is None else everything:
        work.add_all()
        square = float(work.target @ work.target)
        return gram_path(
            work.solver(HOST),
            to_numpy(work.G),
            to_numpy(work.q),
            square,
            to_numpy(work.l1),
            to_numpy(work.l2),
            strengths,
            positive=work.positive,
            deadline=deadline,
        )
    return _Blocks(work, strengths, tol, deadline).run()


class _Blocks:
    """The state of one path: where it stands, what is accepted, what is predicted."""

    def __init__(self, work: Any, strengths: Any, tol: float, deadline: float) -> None:
        xp = self.xp = work.xp
        self.work, self.strengths, self.deadline = work, strengths, deadline
        K = len(strengths)
        self.square = float(work.target @ work.target)
        self.goal = tol * self.square / 2
        # The host's: strengths of the penalty, the Gram block, and where its columns come from.
        self.l1, self.l2 = to_numpy(work.l1), to_numpy(work.l2)
        self.block, self.index = Mirror(), np.zeros(0, dtype=np.intp)
        self.ridge = bool(np.any(self.l2 > 0))
        self.gram = work.solver(HOST)
        self.v = np.zeros(0)
        # Where X is: the correlations of all columns, and their slope along the path.
        self.c = work.correlations(xp.zeros(0, dtype=xp.float64, device=work.device))[0]
        self.slope: Any = None
        strongest = xp.max(work.size_of(self.c) / work.positive_l1)
        self.level = max(float(strongest), float(strengths[0])) if K else 0.0
        # A column a strength: it is written at once.
        self.coefs, self.gaps = np.zeros((work.n_features, K), order="F"), np.full(K, np.nan)
        self.n_iters = np.zeros(K, dtype=int)

    def run(self) -> Path:
        """Accept block after block."""
        done, length = 0, FIRST_BLOCK
        while done < len(self.strengths) and not self._exhausted(done):
            block = self.strengths[done : done + length]
            chosen = self._predicted(float(block[-1]))
            turns, before = 0, self.v.copy()
            while True:
                self._take(chosen)
                W, u = self._solve(block)
                C, gaps = self._check(W, u, block)
                turns += 1
                good = self._accepted(C, gaps, block)
                self._keep(done, W[:, :good], gaps[:good], turns)
                done += good
                if good == len(block):
                    self.level, self.c = float(block[-1]), C[:, -2]
                    self.slope = -C[:, -1]
                    length = min(2 * length, LARGEST_BLOCK)
                    break
                before = W[:, good - 1].copy() if good else before
                if self._exhausted(done):
                    break
                chosen = self._violators(C[:, good:-1], block[good:])
                block = block[good:]
                self.v = before
            self.v = W[:, -1].copy()
        self.coefs[:, done:] = np.nan
        return Path(self.coefs, self.gaps, self.n_iters, done)

    def _exhausted(self, done: int) -> bool:
        """Whether time or memory ends the path here; the first strength is always solved."""
        late = time.perf_counter() >= self.deadline
        return done > 0 and (late or self.work.size > MOST_COLUMNS)

    def _predicted(self, target: float) -> Any:
        """Columns outside the set that may matter down to ``target``."""
        xp, work = self.xp, self.work
        size = work.size_of(self.c)
        if self.slope is None:
            bar = max(2 * target - self.level, 0.3 * target)
            chosen = size >= bar * work.l1
        else:
            ahead = work.size_of(self.c + (target - self.level) * self.slope)
            ahead = ahead + MARGIN * (self.level - target) * work.l1
            chosen = (ahead > 0.995 * target * work.l1) | (size > 0.999 * self.level * work.l1)
            size = ahead
        return self._strongest(xp.nonzero(chosen & ~work.inside)[0], size)

    def _strongest(self, chosen: Any, size: Any) -> Any:
        # The set grows by a quarter at a time: far predictions name many columns too many.
        xp, most = self.xp, max(100, self.work.size // 4)
        if chosen.shape[0] <= most:
            return chosen
        rank = -xp.take(size, chosen)
        order = np.argpartition(rank, most - 1) if is_numpy(xp) else xp.argsort(rank)
        return xp.sort(xp.take(chosen, order[:most]))

    def _take(self, chosen: Any) -> None:
        self.work.add(chosen)
        self.index = to_numpy(self.work.index)
        self.v = np.concatenate([self.v, np.zeros(self.work.size - len(self.v))])

    def _solve(self, block: Any) -> tuple[Any, Any]:
        """Solutions of the block on the working set, and the slope behind the last."""
        G, q, m = self.block.of(self.work.G), to_numpy(self.work.q), self.work.size
        l1, l2 = self.l1[self.index], self.l2[self.index]
        w = self.v.copy()
        c = q - G @ w
        W = np.zeros((m, len(block)))
        for k, t in enumerate(block):
            if k == 0 or self.ridge:
                self.gram.bind(G, t * l2, w, c)
                self.gram.refresh()
            self.gram.solve(t * l1)
            W[:, k] = w
        return W, self.gram.slope(l1 + l2 * np.abs(w) if self.ridge else l1)

    def _check(self, W: Any, u: Any, block: Any) -> tuple[Any, Any]:
        """Correlations of all columns (the slope's in the last one) and duality gaps."""
        xp, work = self.xp, self.work
        W, u, t = (xp.asarray(a, dtype=xp.float64, device=work.device) for a in (W, u, block))
        C, rest, cross = work.block_correlations(W, u)
        at, l1, l2 = work.index, work.l1, work.l2
        return C, to_numpy(_gaps(C[:, :-1], at, W, rest, cross, l1, l2, t, work.positive))

    def _accepted(self, C: Any, gaps: Any, block: Any) -> int:
        """How many strengths of the block stand: all before the first that is not certified."""
        bad = np.flatnonzero(gaps > self.goal)
        if not len(bad):
            return len(block)
        first = int(bad[0])
        if self._violators(C[:, first:-1], block[first:]).shape[0]:
            return first
        # Every column that violates is inside: the rest of the gap is rounding.
        return len(block)

    def _violators(self, C: Any, block: Any) -> Any:
        xp, work = self.xp, self.work
        t = xp.asarray(block, dtype=xp.float64, device=work.device)
        size = work.size_of(C[:, 0]) / t[0]
        for k in range(1, len(block)):
            size = xp.maximum(size, work.size_of(C[:, k]) / t[k])
        over = (size > (1 + ROUNDING) * work.l1) & ~work.inside
        return self._strongest(xp.nonzero(over)[0], size)

    def _keep(self, start: int, W: Any, gaps: Any, turns: int) -> None:
        part = slice(start, start + W.shape[1])
        self.coefs[self.index, part] = W
        self.gaps[part], self.n_iters[part] = gaps, turns


def _gaps(
    C: Any,
    index: Any,
    W: Any,
    rest: Any,
    cross: Any,
    l1: Any,
    l2: Any,
    strengths: Any,
    positive: bool = False,
) -> Any:
    """Duality gaps of several solutions ``W`` on the columns ``index``, zero on the others.

    ``C = B'(t - B w)``, ``rest = |t - B w|^2``, ``cross = t'(t - B w)``, a column or entry per
    strength. Of two dual points the better one counts: the residual scaled until it is feasible,
    a quadratic penalty taken as further rows; or, where every coefficient has a quadratic penalty,
    the residual itself, which is then feasible.
    """
    xp, t = namespace_of(C), strengths
    ridged, used = bool(xp.any(l2 > 0)), xp.take(l2, index)
    ridge = t * (used @ W**2)
    primal = rest / 2 + t * (xp.take(l1, index) @ xp.abs(W)) + ridge / 2
    residual = C
    if ridged:
        # Further rows sqrt(t l2) with target 0: their residual is -sqrt(t l2) w.
        residual = C - scatter(index, t * used[:, None] * W, C.shape[0])
    largest = _largest_ratio(residual, l1, positive)
    dual = dual_along(cross, rest + ridge, largest, t, positive)
    if ridged and bool(xp.all(l2 > 0)) and bool(xp.all(t > 0)):
        over = xp.clip((C if positive else xp.abs(C)) - t * l1[:, None], 0, None)
        rows = xp.sum(over**2 / (2 * l2[:, None]), axis=0) / t
        dual = xp.maximum(dual, cross - rest / 2 - rows)
    return xp.clip(primal - dual, 0, None)


def dual_along(cross: Any, norm: Any, largest: Any, limit: Any, positive: bool = False) -> Any:
    """The largest value of the dual, ``s cross - s^2 norm / 2``, at a multiple s of a residual.

    Its largest correlation, ``largest``, becomes ``limit`` at most; nothing bounds a negative s
    where only ``positive`` correlations count.
    """
    xp = namespace_of(largest)
    one, limited = xp.ones_like(largest), largest > 0
    bound = xp.where(limited, limit / xp.where(limited, largest, one), xp.inf * one)
    scale = xp.minimum(cross / xp.where(norm > 0, norm, one), bound)
    if not positive:
        scale = xp.maximum(scale, -bound)
    return scale * cross - scale**2 * norm / 2


def dual_of_one(cross: float, norm: float, largest: float, limit: float) -> float:
    """`dual_along` of one residual, in numbers: short solves ask for it thousands of times."""
    bound = limit / largest if largest > 0 else math.inf
    scale = max(min(cross / norm if norm > 0 else cross, bound), -bound)
    return scale * cross - scale**2 * norm / 2


def _largest_ratio(C: Any, l1: Any, positive: bool) -> Any:
    """The strength from which on a column of correlations is feasible: ``max_j |c_j| / l1_j``."""
    xp = namespace_of(C)
    if bool((l1[0] > 0) & xp.all(l1 == l1[0])):
        largest = xp.max(C, axis=0)
        return (largest if positive else xp.maximum(largest, -xp.min(C, axis=0))) / l1[0]
    size, free = C if positive else xp.abs(C), l1 == 0
    ratio = size / xp.where(free, xp.ones_like(l1), l1)[:, None]
    ratio = xp.where(free[:, None], xp.where(size > 0, xp.inf * xp.ones_like(size), 0.0), ratio)
    return xp.clip(xp.max(ratio, axis=0), 0, None)
