r"""Accelerated proximal gradient that searches for its step: no Lipschitz constant is needed.

Letters: w the iterate, z the extrapolated point, g the gradient of the smooth part f there, s the
step, d the way from z to the new iterate, t the momentum counter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status, Trait
from skopt_dl.kernels.namespace import to_float

# An accepted step tries to be longer the next time; a refused one is halved.
LONGER, SHORTER = 1.2, 0.5
SHORTEST = 2.0**-60
FIRST = 0.99
# Differences of values below this many units of rounding say nothing.
ULPS = 32


@dataclass
class BacktrackingState(State):
    """Adds the extrapolated point, the momentum counter and the step, numbers on the host."""

    z: Any = None
    t: float = 1.0
    step: float = 1.0


class BacktrackingFISTA(Solver):
    """FISTA with a backtracking line search and steps that may grow again.

    .. math::

        w^+ &= \\operatorname{prox}_{s\\Omega}\\big(z - s \\nabla f(z)\\big), \\qquad
        f(w^+) \\le f(z) + \\nabla f(z)'d + \\frac{|d|^2}{2 s}, \\quad d = w^+ - z \\\\
        t^+ &= \\tfrac12\\big(1 + \\sqrt{1 + 4 \\tfrac{s}{s^+} t^2}\\big), \\qquad
        z^+ = w^+ + \\frac{t - 1}{t^+} (w^+ - w)

    Needs a gradient of the smooth part, a prox and a convex objective. For a loss whose curvature
    has no bound (Poisson); where there is a Lipschitz bound `FISTA` asks for one gradient in an
    iteration, this method for two.

    Notes
    -----
    A step is halved until the inequality holds; the next one begins 1.2 times longer, and the
    counter makes up for it. Where both sides agree to rounding the test is
    :math:`(\\nabla f(w^+) - \\nabla f(z))'d \\le |d|^2/s`, the same for a quadratic, which rounding
    does not hide. The momentum is forgotten when it points uphill, as in `FISTA`.

    References
    ----------
    A. Beck, M. Teboulle, SIAM J. Imaging Sci. 2 (2009), section 4; K. Scheinberg, D. Goldfarb,
    X. Bai, "Fast first-order methods for composite convex optimization with backtracking", Found.
    Comput. Math. 14 (2014), the rule for steps that grow.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SMOOTH_GRAD, Oracle.PROX, Trait.CONVEX)
    default_max_iter: ClassVar[int] = 100_000
    chunk: ClassVar[int] = 10

    def init(self, problem: Any, w: Any, rng: Any) -> BacktrackingState:
        return BacktrackingState(w=w, z=w, step=_first_step(problem, w))

    def advance(self, problem: Problem, state: BacktrackingState, n: int) -> Status:
        xp, s = problem.xp, state
        for _ in range(n):
            last = s.step
            w = self._step(problem, s)
            if w is None:
                return Status.LINE_SEARCH_FAILED
            d, gap = w - s.w, s.z - w
            if to_float(xp.sum(gap * d)) > 0:
                s.t = 1.0
            after = (1 + math.sqrt(1 + 4 * (last / s.step) * s.t**2)) / 2
            s.z, s.t, s.w = w + ((s.t - 1) / after) * d, after, w
            s.indicator = to_float(xp.max(xp.abs(gap))) / s.step
            s.step *= LONGER
            s.n_iter += 1
            if s.indicator <= s.target:
                break
        return Status.RUNNING

    def _step(self, problem: Any, s: BacktrackingState) -> Any:
        """The prox step from z with the first step length that will do; ``None`` if none does."""
        xp = problem.xp
        value, g = problem.smooth_value_grad(s.z)
        f = to_float(value)
        noise = ULPS * float(xp.finfo(problem.dtype).eps) * abs(f)
        while s.step > SHORTEST:
            w = problem.prox(s.z - s.step * g, s.step)
            d = w - s.z
            value, after = problem.smooth_value_grad(w)
            room = to_float(xp.sum(d * d)) / (2 * s.step)
            if room <= noise:
                enough = to_float(xp.sum((after - g) * d)) <= 2 * room
            else:
                enough = to_float(value) - f - to_float(xp.sum(g * d)) <= room
            if enough:
                return w
            s.step *= SHORTER
        return None


def _first_step(problem: Any, w: Any) -> float:
    """Nearly one over the curvature along the gradient, from a difference of two."""
    xp = problem.xp
    _, g = problem.smooth_value_grad(w)
    norm = to_float(xp.linalg.vector_norm(g))
    if not 0 < norm < math.inf:
        return 1.0
    root = float(xp.finfo(problem.dtype).eps) ** 0.5
    h = root * (1 + to_float(xp.linalg.vector_norm(w))) / norm
    _, ahead = problem.smooth_value_grad(w - h * g)
    curvature = to_float(xp.sum((g - ahead) * g)) / (h * norm**2)
    # A little less: at the inverse itself the first test is an equality, which rounding decides.
    return FIRST / curvature if 0 < curvature < math.inf else 1 / norm
