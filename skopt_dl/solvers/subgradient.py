r"""The subgradient method, for objectives with kinks and no prox.

Letters: w the best point, x the iterate, g a subgradient there, t the iteration, R the distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status, Trait

# What is taken for the distance before the first step, relative to 1 + |start|.
FIRST_DISTANCE = 1e-3


@dataclass
class SubgradientState(State):
    """Adds the iterate and its start, the lowest value, the distance and the sum of squares."""

    x: Any = None
    start: Any = None
    lowest: Any = None
    distance: Any = None
    squares: Any = None


class Subgradient(Solver):
    """Steps along negative subgradients, of a length that is fixed beforehand.

    .. math:: x \\leftarrow x - \\frac{R}{|g|\\sqrt t}\\, g, \\qquad
              w = \\text{the lowest of the iterates}

    Needs a subgradient of a convex objective.

    Parameters
    ----------
    distance : float or None
        R, about how far the optimum is from the start. ``None`` takes the largest distance from the
        start so far, with :math:`R / (\\sum g'g)^{1/2}` for the length.

    Notes
    -----
    The error falls like :math:`1/\\sqrt t`, a hundred times the iterations for one more digit, and
    no coefficient becomes exactly zero. The method asks for nothing but a subgradient; where there
    is a prox, every other method is better. Iterates rise and fall, so the lowest one is the
    answer. The indicator is the length of the last step, which says nothing about the optimum:
    certificates come by their schedule.

    References
    ----------
    N. Shor, "Minimization Methods for Non-Differentiable Functions" (1985); Y. Nesterov, "Lectures
    on Convex Optimization" (2018), section 3.2.3; the distance: M. Ivgi, O. Hinder, Y. Carmon, "DoG
    is SGD's best friend", ICML 2023.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SUBGRADIENT, Trait.CONVEX)
    default_max_iter: ClassVar[int] = 10_000
    chunk: ClassVar[int] = 10

    def __init__(self, *, distance: float | None = None) -> None:
        self.distance = distance

    def init(self, problem: Problem, w: Any, rng: Any) -> SubgradientState:
        if self.distance is not None and not self.distance > 0:
            raise ValueError(
                f"Subgradient: distance={self.distance!r}, but it must be above 0 or None"
            )
        xp = problem.xp
        size = xp.linalg.vector_norm(w)
        return SubgradientState(
            w=w,
            x=w,
            start=w,
            lowest=xp.full_like(size, xp.inf),
            distance=FIRST_DISTANCE * (1 + size),
            squares=xp.zeros_like(size),
        )

    def advance(self, problem: Problem, state: SubgradientState, n: int) -> Status:
        xp = problem.xp
        for _ in range(n):
            value, g = problem.subgradient(state.x)  # type: ignore[attr-defined]
            lower = value < state.lowest
            state.w = xp.where(lower, state.x, state.w)
            state.lowest = xp.where(lower, value, state.lowest)
            state.n_iter += 1
            square = xp.sum(g * g)
            state.squares = state.squares + square
            if self.distance is None:
                travelled = xp.linalg.vector_norm(state.x - state.start)
                state.distance = xp.maximum(state.distance, travelled)
                length = state.distance / _root(xp, state.squares)
            else:
                length = self.distance / (_root(xp, square) * state.n_iter**0.5)
            state.x = state.x - length * g
            state.indicator = length * xp.sqrt(square)
        return Status.RUNNING


def _root(xp: Any, square: Any) -> Any:
    """The square root of a sum of squares, 1 where that is 0: then there is no step."""
    return xp.sqrt(xp.where(square > 0, square, xp.ones_like(square)))
