r"""Nonlinear conjugate gradients: two vectors of memory.

Letters: w the iterate, g the gradient, d the direction, t the step along it, :math:`\beta` how much
of the last direction is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from skopt_dl.engine import Needs, Oracle, Problem, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.solvers.descent import (
    WOLFE_SEARCHES,
    DescentSolver,
    DescentState,
    check_choice,
    check_line_search,
    first_step,
    steepest,
    step_along,
    wolfe_search,
)


@dataclass
class NonlinearCGState(DescentState):
    """Adds the direction to search next, the last step's ``t * slope`` and the restart counter."""

    d: Any = None
    gain: float = 0.0
    since_restart: int = 0


def _fletcher_reeves(after: Any, y: Any, before: Any, d: Any) -> tuple[Any, Any]:
    return after @ after, before @ before


def _polak_ribiere(after: Any, y: Any, before: Any, d: Any) -> tuple[Any, Any]:
    return after @ y, before @ before


def _hestenes_stiefel(after: Any, y: Any, before: Any, d: Any) -> tuple[Any, Any]:
    return after @ y, d @ y


def _dai_yuan(after: Any, y: Any, before: Any, d: Any) -> tuple[Any, Any]:
    return after @ after, d @ y


# Numerator and denominator of beta, by the initials of its authors.
BETAS = {
    "fr": _fletcher_reeves,
    "pr+": _polak_ribiere,
    "hs": _hestenes_stiefel,
    "dy": _dai_yuan,
}


class NonlinearCG(DescentSolver):
    """Nonlinear conjugate gradients with a strong Wolfe line search.

    .. math::

        w^+ = w + t d, \\qquad d^+ = -g^+ + \\beta d, \\qquad y = g^+ - g

    with :math:`\\beta` at least 0 and

    .. math::

        \\beta_{\\text{FR}} = \\frac{g^{+\\prime} g^+}{g'g}, \\qquad
        \\beta_{\\text{PR}} = \\frac{g^{+\\prime} y}{g'g}, \\qquad
        \\beta_{\\text{HS}} = \\frac{g^{+\\prime} y}{d'y}, \\qquad
        \\beta_{\\text{DY}} = \\frac{g^{+\\prime} g^+}{d'y}

    Needs a gradient of the whole objective.

    Parameters
    ----------
    beta : {"pr+", "fr", "hs", "dy"}
        The formula: Polak & Ribière's, Fletcher & Reeves', Hestenes & Stiefel's, Dai & Yuan's. On a
        quadratic with exact steps all four are the same.
    restart_every : int or None
        Iterations after which the direction starts anew from ``-g``; ``None`` for the number of
        parameters, after which a quadratic would be solved.
    line_search : {"nocedal_wright", "more_thuente"}
        How a step that meets the strong Wolfe conditions is looked for.
    sufficient_decrease, curvature : float
        The constants c1 and c2 of the strong Wolfe conditions. Conjugacy asks for a more exact
        search than quasi-Newton methods do.

    Notes
    -----
    A negative :math:`\\beta` counts as 0 (PR+); without that the method may cycle (M. Powell,
    1984). A direction that does not descend is replaced by ``-g``. The first trial of a step
    assumes the decrease of the last, ``t slope = t_last slope_last``.

    References
    ----------
    R. Fletcher, C. Reeves (1964); E. Polak, G. Ribière (1969); M. Hestenes, E. Stiefel (1952);
    Y. Dai, Y. Yuan, "A nonlinear conjugate gradient method with a strong global convergence
    property", SIAM J. Optim. 10 (1999); J. Gilbert, J. Nocedal, "Global convergence properties
    of conjugate gradient methods for optimization", SIAM J. Optim. 2 (1992).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD)
    default_max_iter: ClassVar[int] = 10_000

    def __init__(
        self,
        *,
        beta: Literal["pr+", "fr", "hs", "dy"] = "pr+",
        restart_every: int | None = None,
        line_search: Literal["nocedal_wright", "more_thuente"] = "nocedal_wright",
        sufficient_decrease: float = 1e-4,
        curvature: float = 0.1,
    ) -> None:
        self.beta, self.restart_every = beta, restart_every
        self.line_search = line_search
        self.sufficient_decrease, self.curvature = sufficient_decrease, curvature

    def init(self, problem: Problem, w: Any, rng: Any) -> NonlinearCGState:
        check_line_search(self)
        check_choice(self, "line_search", WOLFE_SEARCHES)
        check_choice(self, "beta", BETAS)
        if self.restart_every is not None and self.restart_every < 1:
            raise ValueError(
                f"NonlinearCG: restart_every={self.restart_every!r}, but it must be at least 1 or "
                "None"
            )
        state = NonlinearCGState(w=w)
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        state.d = -state.point.grad  # type: ignore[union-attr]
        return state

    def _iterate(self, problem: Any, state: NonlinearCGState) -> Status | None:
        search = wolfe_search(self)
        before: Any = state.point
        d, slope = state.d, to_float(before.grad @ state.d)
        t = state.gain / slope if state.gain < 0 and slope < 0 else first_step(slope)
        found = step_along(problem, state, d, slope, t, search) if slope < 0 else None
        if found is not None and found.ok:
            state.gain = found.t * slope
        else:
            d, state.gain, state.since_restart = -before.grad, 0.0, 0
            verdict = steepest(problem, state, search)
            if verdict is not None:
                return verdict
        after: Any = state.point
        state.since_restart += 1
        if state.since_restart >= (self.restart_every or problem.size):
            state.d, state.since_restart = -after.grad, 0
        else:
            y = after.grad - before.grad
            above, below = BETAS[self.beta](after.grad, y, before.grad, d)
            # A denominator that is not positive is rounding: the direction starts anew.
            kept = problem.xp.where(below > 0, above / below, 0 * above)
            state.d = problem.xp.clip(kept, 0, None) * d - after.grad
        return None
