r"""The exact active-set method for the lasso and the elastic net, by continuation.

Letters: a the l1 strengths, t the level (the problem solved now has strengths ``t a``; it falls to
1), c = A'(y - Aw) the correlations of all columns, u = dw/dt the slope of the path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status
from skopt_dl.kernels.namespace import scatter
from skopt_dl.solvers.first_sweeps import FirstSweeps, sweeps_may_do

# Candidates looked at in one pass; more than THIN_ABOVE are thinned by a coordinate sweep first,
# or parallel columns would all come in (benchmarks/lasso_thresholds.py).
MOST_SWEPT = 2000
THIN_ABOVE = 50
# Share of the change of level by which a correlation may exceed its prediction.
MARGIN = 0.1
# At the last level, columns whose correlation is expected above this share of its strength are
# gathered, and the set is settled among them before X is read again; at most one column in
# NEAR_COLUMNS, so that what is gathered stays small beside X. Seconds with and without, to any
# gap: lasso_wide .046, .055; enet_wide .060, .069; lasso_f32 .035, .040; lasso_wide_hard .136,
# .136; lasso_corr .041, .038 (benchmarks.run with these names).
NEAR, NEAR_COLUMNS = 0.9, 4


@dataclass
class ActiveSetState(State):
    """Adds the working set, its Gram solver (``fresh`` while it knows nothing of the support),
    correlations, their slope, and the level."""

    work: Any = None
    gram: Any = None
    fresh: bool = True
    v: Any = None
    c: Any = None
    slope: Any = None
    level: Any = 1.0
    sweeps: FirstSweeps | None = None

    @property
    def sweeping(self) -> bool:
        """Whether all columns are swept for the time being."""
        return self.sweeps is not None and self.sweeps.goes_on


class ActiveSet(Solver):
    """Exact solution on a working set, grown along the path from the null model.

    .. math::

        t \\leftarrow \\max(1, \\rho t), \\qquad
        W \\leftarrow W \\cup \\{j : |c_j + (t - t_{\\text{old}})\\, \\dot c_j| > t a_j\\}, \\qquad
        w_W \\leftarrow \\arg\\min_{w} F_t(w)

    Needs inner products of chosen columns (a quadratic loss with an elastic-net penalty).

    Parameters
    ----------
    shrinkage : float
        The factor rho of the level from pass to pass, in (0, 1).
    sweeps : bool
        Whether to try sweeps of coordinate descent before the Gram matrix of all columns is formed.
        They end at the tolerance; without them the answer is exact up to rounding.

    Notes
    -----
    The small problem is solved exactly: Newton steps on the support with an updated Cholesky
    factor, each cut where a sign would change; violators enter by a coordinate step; a column that
    depends on the support is exchanged for one of it. The number of passes over X is about
    ``log(alpha_max / alpha) / log(1 / shrinkage)`` plus the passes that find what the prediction
    missed. An iteration is a pass. On tall data a set that becomes large is replaced by all
    columns, whose Gram matrix goes all the way down without another pass. With hundreds of columns
    it is dear, and a few sweeps, which then count as an iteration, may be enough: they are made
    first, and given up where their rate says that they take longer than the matrix.

    References
    ----------
    H. Lee, A. Battle, R. Raina, A. Ng, "Efficient sparse coding algorithms", NIPS 2006
    (feature-sign search); J. Larsson, J. Wallin, "The Hessian screening rule", NeurIPS 2022.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.WORKING_SET)
    default_max_iter: ClassVar[int] = 1000

    def __init__(self, *, shrinkage: float = 0.3, sweeps: bool = True) -> None:
        self.shrinkage, self.sweeps = shrinkage, sweeps

    def init(self, problem: Problem, w: Any, rng: Any) -> ActiveSetState:
        if not 0 < self.shrinkage < 1:
            raise ValueError(
                f"ActiveSet: shrinkage={self.shrinkage!r}, but it must lie between 0 and 1"
            )
        return ActiveSetState(w=w)

    def _begin(self, problem: Problem, s: ActiveSetState) -> None:
        """The first working set; not in `init`, as a start that is good enough needs none."""
        work = problem.working_set()  # type: ignore[attr-defined]
        xp, w = work.xp, s.w
        support = xp.nonzero(w != 0)[0]
        s.work = work
        if work.outgrown(int(support.shape[0])):
            self._take_all(problem, s, w)
        else:
            work.add(support)
            s.gram, s.v = work.solver(), xp.astype(xp.take(w, support), xp.float64)
        if s.sweeping:
            return
        (s.c,) = work.correlations(s.v)
        level = xp.max(work.size_of(s.c) / xp.where(work.l1 > 0, work.l1, xp.inf))
        # A start with a support is a warm start: it does not go back to the top of the path.
        s.level = 1.0 if support.shape[0] else max(1.0, float(level))
        s.fresh = support.shape[0] > 0
        if not work.complete and work.outgrown_from(s.c):
            self._take_all(problem, s, w)

    def _take_all(self, problem: Problem, s: ActiveSetState, w: Any) -> None:
        """All columns from now on, from the coefficients ``w``; by their Gram matrix, unless sweeps
        are to be tried before."""
        xp = s.work.xp
        if self.sweeps and s.sweeps is None and sweeps_may_do(problem):
            s.sweeps = FirstSweeps(problem, xp.asarray(w, dtype=s.work.dtype, copy=True))
            return
        s.work.add_all()
        s.v, s.gram, s.fresh = xp.astype(w, xp.float64), s.work.solver(), True

    def advance(self, problem: Problem, state: ActiveSetState, n: int) -> Status:
        if state.work is None:
            self._begin(problem, state)
        for _ in range(n):
            status = self._pass(problem, state)
            if status is not Status.RUNNING:
                return status
        return Status.RUNNING

    def _pass(self, problem: Problem, s: ActiveSetState) -> Status:
        if s.sweeping:
            return self._sweep(problem, s)
        work, xp = s.work, s.work.xp
        last, s.level = s.level, max(1.0, self.shrinkage * s.level)
        if not work.complete:
            expected = self._expected(s, last)
            self._grow(problem, s, self._candidates(s, expected, work.inside))
            if s.sweeping:
                return self._sweep(problem, s)
        self._solve(s)
        while work.complete and s.level > 1:
            # Every column is inside: the way down needs no pass over X.
            s.level = max(1.0, self.shrinkage * s.level)
            s.gram.solve(s.level * work.l1)
        if s.level == 1 and not work.complete:
            self._settle(problem, s, expected)
            if s.sweeping:
                return self._sweep(problem, s)
        if s.level > 1:
            s.c, s.slope = work.correlations(s.v, s.gram.slope(work.of(work.l1)))
            s.indicator = float("inf")
        else:
            (s.c,), s.slope = work.correlations(s.v), None
            s.indicator = self._violation(work, s.c, s.v)
        s.w = work.full(s.v)
        if s.level == 1 and not work.complete:
            # The certificate need not read X again.
            problem.keep(s.w, g=-xp.astype(s.c, work.dtype))  # type: ignore[attr-defined]
        s.n_iter += 1
        return Status.RUNNING

    def _solve(self, s: ActiveSetState) -> None:
        """The exact solution on the set at the present level."""
        work, xp = s.work, s.work.xp
        a, b = work.of(work.l1), work.of(work.l2)
        # Correlations of the last pass come from the true residual: solving from them refines what
        # the Gram block has rounded. In float32 the Gram block is the more exact of the two.
        exact = work.dtype == xp.float64
        c = work.of(s.c) if exact else work.q - work.G @ s.v
        s.gram.bind(work.G, b, s.v, xp.asarray(c, copy=True))
        if s.fresh:
            s.gram.refresh()  # it knows nothing of a support that it did not find
            s.fresh = False
        s.gram.solve(s.level * a)

    def _sweep(self, problem: Problem, s: ActiveSetState) -> Status:
        """Some sweeps over all columns; the Gram matrix is formed where they are too slow."""
        sweeps: Any = s.sweeps
        s.indicator = sweeps.advance(s.target)
        s.w = sweeps.w
        s.n_iter += 1
        if not sweeps.goes_on:
            self._take_all(problem, s, s.w)
            (s.c,), s.level = s.work.correlations(s.v), 1.0
        return Status.RUNNING

    def _settle(self, problem: Problem, s: ActiveSetState, expected: Any) -> None:
        """Grow the set until no column near the border violates its condition any more."""
        work, xp = s.work, s.work.xp
        near = xp.nonzero((expected > NEAR * work.l1) | work.inside)[0]
        if near.shape[0] > work.n_features // NEAR_COLUMNS:
            return
        part = work.part(near)
        is_near = scatter(near, xp.ones_like(near), work.n_features) > 0
        while True:
            (c,) = work.correlations(s.v, among=part)
            s.c = xp.where(is_near, scatter(near, c, work.n_features), s.c)
            chosen = self._candidates(s, work.size_of(s.c), work.inside | ~is_near)
            if chosen.shape[0] == 0:
                return
            self._grow(problem, s, chosen)
            if work.complete or s.sweeping:
                return
            self._solve(s)

    def _grow(self, problem: Problem, s: ActiveSetState, chosen: Any) -> None:
        """Take ``chosen`` into the set, or all columns where the set becomes too large for that."""
        work, xp = s.work, s.work.xp
        if work.outgrown(work.size + int(chosen.shape[0])):
            self._take_all(problem, s, scatter(work.index, s.v, work.n_features))
        else:
            work.add(chosen)
            zeros = xp.zeros(chosen.shape[0], dtype=s.v.dtype, device=work.device)
            s.v = xp.concat([s.v, zeros])

    def _violation(self, work: Any, c: Any, v: Any) -> Any:
        """Largest violation of the optimality conditions, at zero and on the support."""
        xp = work.xp
        at_zero = work.size_of(c) - work.l1
        if not work.size:
            return xp.max(at_zero)
        mine, a, b = work.of(c), work.of(work.l1), work.of(work.l2)
        on_support = xp.abs(mine - b * v - a * xp.sign(v))
        if work.complete:
            return xp.max(xp.where(v != 0, on_support, at_zero))
        # No component on the support is negative, and it is 0 where there is no support.
        return xp.maximum(xp.max(at_zero), xp.max(xp.where(v != 0, on_support, 0 * v)))

    def _expected(self, s: ActiveSetState, last: float) -> Any:
        """The sizes of the correlations that are foreseen at the present level."""
        work, xp = s.work, s.work.xp
        size = work.size_of(s.c)
        if s.slope is None or s.level == last:
            return size
        ahead = work.size_of(s.c + (s.level - last) * s.slope)
        return xp.maximum(ahead + MARGIN * (last - s.level) * work.l1, size)

    def _candidates(self, s: ActiveSetState, size: Any, without: Any) -> Any:
        """Columns whose correlation, of ``size``, exceeds the level; ``without`` are left out."""
        work, xp = s.work, s.work.xp
        chosen = xp.nonzero((size > s.level * work.l1) & ~without)[0]
        strength = size / work.positive_l1
        if chosen.shape[0] > MOST_SWEPT:
            strongest = xp.argsort(-xp.take(strength, chosen))[:MOST_SWEPT]
            chosen = xp.sort(xp.take(chosen, strongest))
        if chosen.shape[0] > THIN_ABOVE:
            chosen = work.thinned(chosen, work.size_of(s.c) / work.positive_l1, s.level)
        return chosen
