r"""Resilient propagation: a step of its own for every coordinate, by the signs of its gradients.

Letters: w the iterate, g the gradient of the whole objective, :math:`\Delta` the steps, i a
coordinate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Status
from skopt_dl.solvers.descent import DescentSolver, DescentState


@dataclass
class RpropState(DescentState):
    """Adds the steps, and the gradient that the last signs are those of."""

    steps: Any = None
    last: Any = None


class Rprop(DescentSolver):
    """Resilient propagation: steps grow while a gradient keeps its sign and shrink where it turns.

    .. math::

        \\Delta_i &\\leftarrow \\begin{cases}
        \\min(\\eta^+ \\Delta_i, \\Delta_{\\max}) & g_i^{last} g_i > 0 \\\\
        \\max(\\eta^- \\Delta_i, \\Delta_{\\min}), \\quad g_i \\leftarrow 0 & g_i^{last} g_i < 0
        \\end{cases} \\\\
        w &\\leftarrow w - \\Delta \\operatorname{sign}(g)

    Needs a gradient of the whole objective.

    Parameters
    ----------
    learning_rate : float
        :math:`\\Delta` at first, positive.
    shrink, grow : float
        :math:`\\eta^-` in (0, 1) and :math:`\\eta^+` above 1.
    min_step, max_step : float
        Bounds of :math:`\\Delta`; the smaller one bounds the accuracy.

    Notes
    -----
    Where a gradient has turned, the coordinate rests for an iteration (iRprop-, which is PyTorch's
    ``Rprop``); no step is taken back. PyTorch's smallest step is 1e-6, ours lets the iterates
    converge. Signs of gradients on batches say little: it takes all samples.

    References
    ----------
    M. Riedmiller, H. Braun, "A direct adaptive method for faster backpropagation learning: the
    RPROP algorithm", ICNN 1993; C. Igel, M. Hüsken, "Improving the Rprop learning algorithm", NC
    2000.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD)
    default_max_iter: ClassVar[int] = 20_000

    def __init__(
        self,
        *,
        learning_rate: float = 0.01,
        shrink: float = 0.5,
        grow: float = 1.2,
        min_step: float = 1e-14,
        max_step: float = 50.0,
    ) -> None:
        self.learning_rate = learning_rate
        self.shrink, self.grow = shrink, grow
        self.min_step, self.max_step = min_step, max_step

    def init(self, problem: Problem, w: Any, rng: Any) -> RpropState:
        for name, good, what in (
            ("learning_rate", self.learning_rate > 0, "above 0"),
            ("shrink", 0 < self.shrink < 1, "between 0 and 1"),
            ("grow", self.grow > 1, "above 1"),
            ("min_step", self.min_step >= 0, "at least 0"),
            ("max_step", self.max_step > self.min_step, f"above min_step={self.min_step!r}"),
        ):
            if not good:
                raise ValueError(f"Rprop: {name}={getattr(self, name)!r}, but it must be {what}")
        xp = problem.xp
        state = RpropState(w=w)
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        state.steps = self.learning_rate * xp.ones_like(w)
        state.last = xp.zeros_like(w)
        return state

    def _iterate(self, problem: Problem, state: RpropState) -> Status | None:
        xp = problem.xp
        point: Any = state.point
        turn = xp.sign(state.last * point.grad)
        steps = xp.where(turn > 0, self.grow * state.steps, state.steps)
        steps = xp.where(turn < 0, self.shrink * steps, steps)
        state.steps = xp.clip(steps, self.min_step, self.max_step)
        state.last = xp.where(turn < 0, xp.zeros_like(point.grad), point.grad)
        w = point.w - state.steps * xp.sign(state.last)
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        state.n_iter += 1
        return None
