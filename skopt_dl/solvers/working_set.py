r"""Working sets: solve on few columns, look at all, screen, take more columns in.

Letters: W the working set, s the violations, G the duality gap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status, Stopping, run
from skopt_dl.kernels.namespace import scatter, to_float
from skopt_dl.solvers.anderson import AndersonCD

# A working set begins with so many columns, and holds so many times the support.
FIRST, GROWTH = 10, 2
# Working sets in a row without a better certificate: that is what rounding looks like.
PATIENCE = 5
# What is left of the certificate when a working set is done with. (0.3 in celer.)
SHARE = 0.3


@dataclass
class WorkingSetState(State):
    """Adds what is known of the columns, the randomness of the inner solver, the best certificate
    and how many working sets ago that was."""

    screening: Any = None
    rng: Any = None
    best: float = math.inf
    since: int = 0


class WorkingSetCD(Solver):
    """Coordinate descent on working sets, with gap-safe screening.

    .. math::

        W &\\leftarrow \\{j : w_j \\ne 0\\} \\cup \\{\\text{the largest } s_j\\}, \\qquad
        |W| \\le \\max(10,\\ 2\\, |\\{j : w_j \\ne 0\\}|) \\\\
        w_W &\\leftarrow \\operatorname{argmin}_{w_W} F(w_W, 0) \\quad
        \\text{to } 0.3 \\text{ of the certificate}

    by the inner solver. Columns with :math:`|x_j'u| + \\|x_j\\| \\sqrt{2 G} < l_{1j}` at the dual
    point u are zero at the optimum and left out for good.

    Needs columns of X that may be screened: a quadratic loss with an elastic-net penalty.

    Parameters
    ----------
    inner : Solver or None
        What solves on a working set: any solver for the same problem on fewer columns. ``None`` is
        `AndersonCD`.
    max_inner : int
        Iterations granted to one working set, in the inner solver's unit.

    Notes
    -----
    An iteration is one product of X' with the residual and one working set; the report's epochs
    count inner epochs by their share of the columns. What is screened out is zero at every optimum,
    not by a rule of thumb. The indicator is the largest violation.

    References
    ----------
    Q. Bertrand, Q. Klopfenstein, P.-A. Bannier, G. Gidel, M. Massias, "Beyond L1: faster and better
    sparse models with skglm", NeurIPS 2022; M. Massias, A. Gramfort, J. Salmon, "Celer: a fast
    solver for the lasso with dual extrapolation", ICML 2018; E. Ndiaye et al., "Gap safe screening
    rules for sparsity enforcing penalties", JMLR 18 (2017).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.COORDS, Oracle.SCREENING)
    default_max_iter: ClassVar[int] = 200

    def __init__(self, *, inner: Solver | None = None, max_inner: int = 1000) -> None:
        self.inner, self.max_inner = inner, max_inner

    def init(self, problem: Problem, w: Any, rng: Any) -> WorkingSetState:
        if not self.max_inner >= 1:
            raise ValueError(
                f"WorkingSetCD: max_inner={self.max_inner!r}, but it must be at least 1"
            )
        screening = problem.screening()  # type: ignore[attr-defined]
        return WorkingSetState(w=w, screening=screening, rng=rng)

    def advance(self, problem: Problem, state: WorkingSetState, n: int) -> Status:
        inner = AndersonCD() if self.inner is None else self.inner
        xp = problem.xp
        for _ in range(n):
            state.screening.update(state.w)
            certificate = problem.certificate(state.w)
            state.since = 0 if certificate.value < state.best else state.since + 1
            state.best = min(state.best, certificate.value)
            if state.since >= PATIENCE:
                return Status.STALLED
            state.n_iter += 1
            state.n_epochs += 1
            state.indicator = xp.max(state.screening.violations)
            columns = self._working_set(xp, state)
            if certificate.value == 0:
                break
            if columns.shape[0] == 0:
                state.w = xp.zeros_like(state.w)
                break
            part = problem.restricted(columns)  # type: ignore[attr-defined]
            goal = SHARE * certificate.value
            result = run(
                part,
                inner,
                start=xp.take(state.w, columns),
                stopping=Stopping(tol=goal, max_iter=self.max_inner),
                rng=state.rng,
            )
            state.w = scatter(columns, result.w, state.w.shape[0])
            state.n_epochs += result.n_epochs * columns.shape[0] / state.w.shape[0]
            if to_float(state.indicator) <= state.target:
                break
        return Status.RUNNING

    def _working_set(self, xp: Any, state: WorkingSetState) -> Any:
        """The support, and of the other columns those with the largest violations."""
        seen = state.screening
        inside = (state.w != 0) & seen.alive
        size = int(xp.sum(xp.astype(inside, xp.int64)))
        room = min(max(FIRST, GROWTH * size), inside.shape[0]) - size
        outside = xp.where(inside, xp.zeros_like(seen.violations), seen.violations)
        chosen = xp.argsort(-outside)[:room]
        chosen = chosen[xp.take(outside, chosen) > 0]
        return xp.sort(xp.concat([xp.nonzero(inside)[0], chosen]))
