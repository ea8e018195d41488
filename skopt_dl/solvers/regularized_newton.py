r"""Newton's method with a damping that follows the gradient.

Letters: w the iterate, g the gradient, H the Hessian there, s the step, :math:`\lambda` the
damping, M the weight that stands for the Lipschitz constant of H.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Status, Trait
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.truncated import truncated_cg
from skopt_dl.search import backtrack, rounding
from skopt_dl.solvers.descent import DescentSolver, DescentState, steepest

# The weight grows by this factor where a step is refused, and shrinks by it after one that is not.
PACE = 4.0
LEAST_WEIGHT = 1e-12
# What a step has to bring, in units of lambda |s|^2 and lambda |s|: Mishchenko's (2.7) and (2.8).
DECREASE, SLOPE = 2 / 3, 2.0
# Refusals after which rounding is to blame, and the accuracy of the inner system.
MOST_REFUSED, INNER = 30, 0.5


@dataclass
class RegularizedState(DescentState):
    """Adds the weight M."""

    weight: float = 1.0


class RegularizedNewton(DescentSolver):
    """Newton steps damped by the root of the gradient's length, for convex objectives.

    .. math::

        (H + \\lambda I)\\, s = -g, \\qquad \\lambda = \\sqrt{M |g|}

    The step is taken if :math:`F(w + s) \\le F(w) - \\tfrac23 \\lambda |s|^2` and the gradient
    there is no longer than :math:`2 \\lambda |s|`; M is four times as large after a refusal and a
    quarter after a step.

    Needs a gradient of the whole objective, Hessian-vector products and a convex objective.

    Parameters
    ----------
    initial_weight : float
        M at the start, positive.
    max_inner : int
        Hessian products per system at most.

    Notes
    -----
    It converges from every start, with errors of order :math:`1/k^2`, and at last as fast as
    Newton's method, without a line search. The systems are solved by conjugate gradients until the
    residual is half of :math:`\\lambda |s|`. Every step tried counts as an iteration.

    References
    ----------
    K. Mishchenko, "Regularized Newton method with global O(1/k^2) convergence", SIAM J. Optim. 33
    (2023), Algorithm 2.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD, Oracle.HVP, Trait.CONVEX)
    default_max_iter: ClassVar[int] = 1000

    def __init__(self, *, initial_weight: float = 1e-3, max_inner: int = 500) -> None:
        self.initial_weight, self.max_inner = initial_weight, max_inner

    def init(self, problem: Problem, w: Any, rng: Any) -> RegularizedState:
        if not 0 < self.initial_weight < math.inf:
            raise ValueError(
                f"RegularizedNewton: initial_weight={self.initial_weight!r}, but it must be "
                "positive and finite"
            )
        if self.max_inner < 1:
            raise ValueError(
                f"RegularizedNewton: max_inner={self.max_inner!r}, but it must be at least 1"
            )
        state = RegularizedState(w=w, weight=float(self.initial_weight))
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        return state

    def _iterate(self, problem: Any, state: RegularizedState) -> Status | None:
        point: Any = state.point
        norm = problem.xp.linalg.vector_norm
        eps = float(problem.xp.finfo(problem.dtype).eps)
        progress, value = state.progress, to_float(point.value)
        progress.doubt = max(progress.doubt, rounding(1.0, eps))
        product, length = problem.hvp(point), to_float(norm(point.grad))
        for _ in range(MOST_REFUSED):
            damping = math.sqrt(state.weight * length)
            s = self._step(product, point.grad, damping, norm)
            size = to_float(norm(s))
            trial = problem.along(point, s).accept(1.0)
            after, slope = to_float(trial.value), to_float(norm(trial.grad))
            state.n_iter += 1
            enough = after <= value - DECREASE * damping * size**2 + progress.noise(value)
            if enough and slope <= SLOPE * damping * size:
                state.weight = max(LEAST_WEIGHT, state.weight / PACE)
                state.stand_at(problem, trial)
                progress.note(trial, after, to_float(state.indicator), rounding(value, eps))
                return None
            state.weight *= PACE
        state.weight = float(self.initial_weight)
        return steepest(problem, state, partial(backtrack, decrease=1e-4))

    def _step(self, product: Any, g: Any, damping: float, norm: Any) -> Any:
        def solved(s: Any, r: Any, square: Any) -> bool:
            return to_float(square) ** 0.5 <= INNER * damping * to_float(norm(s))

        found = truncated_cg(
            lambda d: product(d) + damping * d, g, stop=solved, max_iter=self.max_inner
        )
        return found.s if found.n else -g / damping
