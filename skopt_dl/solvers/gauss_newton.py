r"""Variable projection: damped Gauss-Newton steps in one block, the other always at its minimum.

Letters: P the block that is kept, Q the one that is eliminated, S the Gauss-Newton system of P
after elimination, A its block diagonal, g the gradient in P, :math:`\mu` the damping.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.krylov import pcg
from skopt_dl.search import rounding
from skopt_dl.search.trial import ULPS

# A step that gains most of what the model promised lets the damping fall, a poor one raises it.
POOR, GOOD = 0.25, 0.75
SHRINK, GROW = 8.0, 8.0
LEAST = 1e-12
TRIALS = 12
# The conjugate gradients end when their residual has fallen by this much at least.
LOOSE = 1e-2
# The eliminated block stands at its minimum where its gradient is this small beside the other's.
AT_REST = 1e-3


@dataclass
class GaussNewtonState(State):
    """Adds the point at ``w``, the damping and the first value."""

    point: Any = None
    damping: float = 0.0
    first: float = 0.0


class GaussNewton(Solver):
    """Gauss-Newton on one block with the other eliminated (variable projection), damped.

    .. math::

        (S + \\mu \\bar a I)\\, X \\approx -g, \\qquad
        P^+ = P + X, \\qquad Q^+ = \\operatorname{argmin}_Q F(P^+, Q)

    by conjugate gradients, preconditioned by the blocks of :math:`A + \\mu\\bar a I`, where
    :math:`\\bar a` is the mean diagonal of A.

    Needs a Gauss-Newton system of one block with the other eliminated, exact minimisation over a
    block of parameters and a gradient of the whole objective.

    Parameters
    ----------
    damping : float
        First :math:`\\mu`. It falls by 8 where a step gains more than three quarters of what its
        model promised, and grows by 8 where it gains less than a quarter.
    sweeps : int
        Turns of alternating minimisation before the first step: far from a solution they cost
        less and find the way as well.
    max_inner : int
        Products with S per step at most.

    Notes
    -----
    Converges fast where the residual is small, whatever the condition of the factors; alternating
    minimisation only linearly. The conjugate gradients end at a hundredth of the first residual,
    measured through the preconditioner, and later, as long as rounding leaves room, where it has
    fallen as much as the residuals of the fit: then the steps converge quadratically to a fit
    without an error. Each step begins at the balanced one of the points that are equivalent, where
    a problem knows it. The objective never increases, and the method ends where all that a step
    promises is below rounding, which for a sum of squares near zero is that of the residuals. The
    indicator is the gradient's largest component.

    References
    ----------
    G. Golub, V. Pereyra, "Separable nonlinear least squares: the variable projection method and its
    applications", Inverse Problems 19 (2003); J. Hong, A. Fitzgibbon, "Secrets of matrix
    factorization: approximations, numerics, manifold optimization and random restarts", ICCV 2015.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.REDUCED_SYSTEM, Oracle.BLOCK_SOLVE, Oracle.GRAD)
    default_max_iter: ClassVar[int] = 300

    def __init__(self, *, damping: float = 1e-2, sweeps: int = 3, max_inner: int = 300) -> None:
        self.damping, self.sweeps, self.max_inner = damping, sweeps, max_inner

    def init(self, problem: Problem, w: Any, rng: Any) -> GaussNewtonState:
        if not self.damping > 0:
            raise ValueError(f"GaussNewton: damping={self.damping!r}, but it must be above 0")
        if self.max_inner < 1:
            raise ValueError(
                f"GaussNewton: max_inner={self.max_inner!r}, but it must be at least 1"
            )
        if self.sweeps < 0:
            raise ValueError(f"GaussNewton: sweeps={self.sweeps!r}, but it must be at least 0")
        return GaussNewtonState(w=w, damping=float(self.damping))

    def advance(self, problem: Problem, state: GaussNewtonState, n: int) -> Status:
        p: Any = problem
        if state.point is None:
            _stand(p, state, point := p.point(state.w))
            state.first = to_float(point.value)
        for _ in range(n):
            if to_float(state.indicator) <= state.target:
                return Status.RUNNING
            if state.n_iter < self.sweeps:
                _sweep(p, state)
            elif not self._step(p, _balanced(p, state)):
                return Status.STALLED
            state.n_iter += 1
        return Status.RUNNING

    def _step(self, problem: Any, state: GaussNewtonState) -> bool:
        """One damped step; false where none lowers the objective."""
        xp = problem.xp
        kept, eliminated = list(problem.blocks)
        system = problem.reduced_system(state.point)
        value = to_float(state.point.value)
        # Where rounding hides the decrease the gradient tells. Half squares of residuals r, each
        # wrong by eps |x|, are wrong by eps |r| |x|, and half squares of x they were at first.
        known = math.sqrt(value * max(value, state.first)) if value > 0 else 0.0
        noise = rounding(known, eps := float(xp.finfo(problem.dtype).eps))
        inner = _forcing(value, state.first, eps)
        for _ in range(TRIALS):
            mu = state.damping
            X, products = pcg(
                xp,
                partial(system.product, damping=mu),
                system.rhs,
                precondition=system.preconditioner(mu),
                tol=inner,
                max_iter=self.max_inner,
            )
            state.n_epochs += products
            promised = to_float(system.promise(X, mu))
            w = xp.asarray(state.w, copy=True)
            w[problem.blocks[kept]] = w[problem.blocks[kept]] + xp.reshape(X, (-1,))
            problem.block_solve(w, eliminated)
            trial = problem.point(w)
            gain = value - to_float(trial.value)
            ratio = gain / promised if promised > 0 else -1.0
            if ratio < POOR:
                state.damping = GROW * max(state.damping, LEAST)
            elif ratio > GOOD:
                state.damping = max(state.damping / SHRINK, LEAST)
            flatter = gain >= -noise and _steepness(xp, trial) < 0.5 * state.indicator
            if flatter or (gain > 0 and promised > eps * known):
                _stand(problem, state, trial)
                return True
            if promised <= noise:
                break
        return False


def _forcing(value: float, first: float, eps: float) -> float:
    """How far the conjugate gradients of a step go: as the fit has come, and as it still can."""
    fallen = math.sqrt(value / first) if 0 < value < first else 1.0
    return min(LOOSE, max(fallen, ULPS * eps / fallen))


def _sweep(problem: Any, state: GaussNewtonState) -> None:
    w = problem.xp.asarray(state.w, copy=True)
    for block in problem.blocks:
        problem.block_solve(w, block)
    _stand(problem, state, problem.point(w))


def _balanced(problem: Any, state: GaussNewtonState) -> GaussNewtonState:
    """The state at an equivalent point where the damping is fair to all directions."""
    if not hasattr(problem, "balanced_point"):
        return state
    xp, point = problem.xp, problem.balanced_point(state.point)
    kept, eliminated = (xp.max(xp.abs(point.grad[at])) for at in problem.blocks.values())
    if to_float(eliminated) > AT_REST * to_float(kept):
        problem.block_solve(point.w, list(problem.blocks)[1])
        point = problem.point(point.w)
    state.point, state.w = point, point.w
    return state


def _stand(problem: Any, state: GaussNewtonState, point: Any) -> None:
    state.point, state.w = point, point.w
    state.indicator = _steepness(problem.xp, point)


def _steepness(xp: Any, point: Any) -> float:
    return to_float(xp.max(xp.abs(point.grad)))
