r"""Soft-impute: the nuclear norm by shrinking the singular values of the completed matrix.

Letters: Z the iterate, Y the extrapolated point, :math:`\beta` the momentum, S the shrinkage of
singular values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.solvers.subspace import check_subspace, first_vectors

# Where it is the rank that keeps the gap open, so many steps that gain no larger a share of the
# objective than this are the last.
STEPS, SHARE = 50, 5e-5


@dataclass
class SoftImputeState(State):
    """Adds the point before, the singular vectors, the momentum's counter and the value.

    ``mark`` is an earlier iteration and its value, since which the rank has cut every step.
    """

    before: Any = None
    V: Any = None
    t: float = 1.0
    value: float = float("inf")
    mark: tuple[int, float] = (0, float("inf"))


class SoftImpute(Solver):
    """Soft-impute, accelerated: missing cells are filled, then all singular values shrunk.

    .. math::

        Z^+ = S_{\\lambda/L}\\big(Y - (Y - x)_\\Omega / L\\big), \\qquad
        Y = Z + \\beta (Z - Z_{-1})

    in factors: the matrix is of low rank plus sparse, its leading singular vectors are found by a
    few turns of subspace iteration from the last ones.

    Needs shrinkage of the singular values of a low-rank plus sparse matrix.

    Parameters
    ----------
    momentum : bool
        Nesterov's extrapolation. Without it the method is soft-impute as published.
    restart : bool
        Forget the momentum where the objective rises, and step again without it.
    extra : int
        Singular vectors carried beyond the rank.
    turns : int
        Subspace iterations per step.

    Notes
    -----
    With all weights one, L is one over their number and a step replaces the observed entries by the
    data. The indicator is the relative change of the parameters. More singular values than the rank
    allows for are cut: the duality gap then does not close, and the method ends, as stalled, where
    fifty steps together lower the objective by less than a part in 20 000.

    References
    ----------
    R. Mazumder, T. Hastie, R. Tibshirani, "Spectral regularization algorithms for learning large
    incomplete matrices", JMLR 11 (2010); K.-C. Toh, S. Yun, "An accelerated proximal gradient
    algorithm for nuclear norm regularized linear least squares problems", Pacific J. Optim. 6
    (2010).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SPECTRAL_PROX)
    default_max_iter: ClassVar[int] = 2000

    def __init__(
        self, *, momentum: bool = True, restart: bool = True, extra: int = 3, turns: int = 3
    ) -> None:
        self.momentum, self.restart = momentum, restart
        self.extra, self.turns = extra, turns

    def init(self, problem: Problem, w: Any, rng: Any) -> SoftImputeState:
        check_subspace(self)
        V = first_vectors(problem, w, self.extra, rng)
        return SoftImputeState(w=w, before=w, V=V)

    def advance(self, problem: Problem, state: SoftImputeState, n: int) -> Status:
        xp, p = problem.xp, cast(Any, problem)
        for _ in range(n):
            after = 0.5 * (1 + (1 + 4 * state.t**2) ** 0.5)
            beta = (state.t - 1) / after if self.momentum else 0.0
            w, V, cut = p.spectral_prox(state.before, state.w, beta, state.V, self.turns)
            value = to_float(p.value(w))
            state.t = after
            if self.restart and value > state.value:
                # The extrapolation went too far: a plain step from here.
                state.t = 1.0
                w, V, cut = p.spectral_prox(state.w, state.w, 0.0, V, self.turns)
                value = to_float(p.value(w))
            size = xp.max(xp.abs(w))
            change = xp.max(xp.abs(w - state.w))
            state.indicator = change / xp.where(size > 0, size, xp.ones_like(size))
            state.before, state.w, state.V, state.value = state.w, w, V, value
            state.n_iter += 1
            state.n_epochs += 1.0 + self.turns
            if not to_float(cut) > 0:
                state.mark = state.n_iter, value
            elif state.n_iter - state.mark[0] >= STEPS:
                if value > (1 - SHARE) * state.mark[1]:
                    return Status.STALLED
                state.mark = state.n_iter, value
        return Status.RUNNING
