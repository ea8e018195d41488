r"""Gradient steps whose length is an inverse curvature (Barzilai and Borwein).

Letters: w the iterate, g the gradient, s the last step, y the change of the gradient over it, t the
length of the next step.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal

from skopt_dl.engine import Needs, Oracle, Problem, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.search import Found, backtrack
from skopt_dl.solvers.descent import (
    DescentSolver,
    DescentState,
    check_line_search,
    first_step,
    steepest,
    step_along,
)


@dataclass
class SpectralState(DescentState):
    """Adds the length of the next step and the last values."""

    t: float = 0.0
    values: deque[float] = field(default_factory=deque)


class BarzilaiBorwein(DescentSolver):
    """Gradient descent with spectral step lengths and a search that lets the objective rise.

    .. math::

        w \\leftarrow w - t g, \\qquad
        t_{\\text{long}} = \\frac{s's}{s'y}, \\qquad t_{\\text{short}} = \\frac{s'y}{y'y}

    A step is shortened until the value is below the largest of the last ``window`` by enough.

    Needs a gradient of the whole objective.

    Parameters
    ----------
    length : {"alternate", "long", "short"}
        Which of the two lengths; "alternate" takes turns.
    window : int
        Values that the search looks back at, at least 1. With 1 the objective never rises.
    sufficient_decrease : float
        The constant c1 of the Armijo condition.

    Notes
    -----
    The lengths are inverse Rayleigh quotients of the Hessian, so on a quadratic the iterates visit
    its spectrum: they converge far faster than with any one length, and not monotonically. Where
    the curvature along the last step is not positive the length is that of a first step.

    References
    ----------
    J. Barzilai, J. Borwein, "Two-point step size gradient methods", IMA J. Numer. Anal. 8 (1988);
    M. Raydan, "The Barzilai and Borwein gradient method for the large scale unconstrained
    minimization problem", SIAM J. Optim. 7 (1997); L. Grippo, F. Lampariello, S. Lucidi (1986).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD)
    default_max_iter: ClassVar[int] = 10_000

    def __init__(
        self,
        *,
        length: Literal["alternate", "long", "short"] = "alternate",
        window: int = 10,
        sufficient_decrease: float = 1e-4,
    ) -> None:
        self.length, self.window = length, window
        self.sufficient_decrease = sufficient_decrease

    def init(self, problem: Problem, w: Any, rng: Any) -> SpectralState:
        check_line_search(self, needs_curvature=False)
        if self.length not in ("alternate", "long", "short"):
            raise ValueError(
                f"BarzilaiBorwein: length={self.length!r}, but it must be 'alternate', 'long' or "
                "'short'"
            )
        if self.window < 1:
            raise ValueError(f"BarzilaiBorwein: window={self.window!r}, but it must be at least 1")
        state = SpectralState(w=w, values=deque(maxlen=self.window))
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        return state

    def _iterate(self, problem: Any, state: SpectralState) -> Status | None:
        before: Any = state.point
        state.values.append(to_float(before.value))
        slope = -to_float(before.grad @ before.grad)
        t = state.t if state.t > 0 else first_step(slope)
        search = partial(_below_the_worst, worst=max(state.values), c1=self.sufficient_decrease)
        if not step_along(problem, state, -before.grad, slope, t, search).ok:
            monotone = partial(backtrack, decrease=self.sufficient_decrease)
            verdict = steepest(problem, state, monotone)
            if verdict is not None:
                return verdict
        after: Any = state.point
        s, y = after.w - before.w, after.grad - before.grad
        curvature = to_float(s @ y)
        state.t = 0.0
        if curvature > 0:
            long = self.length == "long" or (self.length == "alternate" and state.n_iter % 2 == 1)
            state.t = to_float(s @ s) / curvature if long else curvature / to_float(y @ y)
        return None


def _below_the_worst(
    phi: Any, value: float, slope: float, t: float, *, noise: float, worst: float, c1: float
) -> Found:
    """`backtrack` against the worst of the last values (Grippo, Lampariello & Lucidi)."""
    return backtrack(phi, worst, slope, t, decrease=c1, noise=noise)
