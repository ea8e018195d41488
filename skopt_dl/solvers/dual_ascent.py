r"""Dual coordinate ascent: exact maximisation over the dual variables of one sample at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status


@dataclass
class SDCAState(State):
    """Adds the dual model and the random order."""

    model: Any = None
    order: Any = None
    rng: Any = None


class SDCA(Solver):
    """Stochastic dual coordinate ascent, in a fresh random order each epoch.

    .. math::

        \\hat z = \\operatorname{prox}_{\\sigma_i \\ell}(x_i'w + \\sigma_i u_i), \\qquad
        u_i \\leftarrow \\ell'(\\hat z), \\qquad
        v \\leftarrow v - \\omega_i\\, \\Delta u_i\\, x_i, \\qquad w = \\nabla \\Omega^*(v)

    Needs dual variables of single samples: a loss with a prox, an elastic-net penalty with l2 > 0,
    and no intercept that is not eliminated.

    Notes
    -----
    There is no step to choose. A step is exact where l1 = 0, otherwise on a bound of the dual.
    The convergence is linear with :math:`n + L/l_2` steps as its unit: a small l2 is slow. The
    dual variables start at 0, or at the slopes of the loss for a start that is not 0; so the first
    iterate of a warm start is near it, not equal to it. The indicator is the largest change of a
    dual variable in an epoch.

    References
    ----------
    S. Shalev-Shwartz, T. Zhang, "Stochastic dual coordinate ascent methods for regularized loss
    minimization", JMLR 14 (2013); the same, "Accelerated proximal stochastic dual coordinate ascent
    for regularized loss minimization", Math. Program. 155 (2016).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.DUAL_COORDS)
    unit: ClassVar = "epoch"
    chunk: ClassVar[int] = 5

    def init(self, problem: Problem, w: Any, rng: Any) -> SDCAState:
        model = problem.dual_coordinates(w)  # type: ignore[attr-defined]
        order = problem.kernels.index_range(problem.n_samples)
        return SDCAState(w=w, model=model, order=order, rng=rng)

    def advance(self, problem: Problem, state: SDCAState, n: int) -> Status:
        state.model.refresh()
        for _ in range(n):
            state.order = state.rng.permutation(state.order)
            state.indicator = state.model.epoch(state.order)
            state.n_iter += 1
            state.n_epochs += 1
            if state.indicator <= state.target:
                break
        state.w = state.model.primal()
        return Status.RUNNING
