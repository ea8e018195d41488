r"""Proximal gradient methods: a gradient step on the smooth part, a prox of the rest.

Letters: w the iterate, z the extrapolated point, g the gradient of the smooth part there,
s the step, L its Lipschitz constant, t the momentum counter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status, Trait
from skopt_dl.kernels.namespace import to_float
from skopt_dl.solvers.bounded_gradient import (
    WITHIN_BOUNDS,
    BoundedState,
    step_within_bounds,
    within_bounds,
)
from skopt_dl.solvers.soft_impute import SoftImpute, SoftImputeState


@dataclass
class ProxState(State):
    """Adds the extrapolated point, the momentum counter and the step, all on the device."""

    z: Any = None
    t: Any = None
    step: Any = None


def _start(problem: Any, w: Any) -> ProxState:
    L = problem.lipschitz()
    xp = problem.xp
    step = 1 / xp.where(L > 0, L, xp.ones_like(L))
    return ProxState(w=w, z=w, t=xp.ones_like(step), step=step)


def _prox_step(problem: Any, state: ProxState, z: Any) -> Any:
    _, g = problem.smooth_value_grad(z)
    return problem.prox(z - state.step * g, state.step)


# The same steps where the parameters are factors of a matrix: it is the matrix that moves, and the
# problem makes the step.
IN_FACTORS = Needs.of(Oracle.SPECTRAL_PROX)


def _in_factors(problem: Problem) -> bool:
    return problem.why_not(Oracle.SPECTRAL_PROX) is None


def _length(problem: Any, state: ProxState, d: Any) -> Any:
    """Size of the gradient map, the indicator: stays on the device."""
    return problem.xp.max(problem.xp.abs(d)) / state.step


class ISTA(Solver):
    """Proximal gradient with the constant step 1/L (iterative shrinkage-thresholding).

    .. math:: w \\leftarrow \\operatorname{prox}_{\\Omega/L}\\big(w - \\nabla f(w)/L\\big)

    Needs a gradient of the smooth part, a bound of its Lipschitz constant and a prox; or shrinkage
    of the singular values of a low-rank plus sparse matrix, whose steps `SoftImpute` then takes.

    References
    ----------
    A. Beck, M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse
    problems", SIAM J. Imaging Sci. 2 (2009).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SMOOTH_GRAD, Oracle.LIPSCHITZ, Oracle.PROX).or_else(
        IN_FACTORS
    )
    default_max_iter: ClassVar[int] = 100_000
    chunk: ClassVar[int] = 10

    def init(self, problem: Problem, w: Any, rng: Any) -> State:
        if _in_factors(problem):
            return SoftImpute(momentum=False).init(problem, w, rng)
        return _start(problem, w)

    def advance(self, problem: Problem, state: Any, n: int) -> Status:
        if isinstance(state, SoftImputeState):
            return SoftImpute(momentum=False).advance(problem, state, n)
        d = state.w
        for _ in range(n):
            w = _prox_step(problem, state, state.w)
            d, state.w = w - state.w, w
            state.n_iter += 1
        state.indicator = _length(problem, state, d)
        return Status.RUNNING


class FISTA(Solver):
    """Accelerated proximal gradient with adaptive restart.

    .. math::

        w^+ &= \\operatorname{prox}_{\\Omega/L}\\big(z - \\nabla f(z)/L\\big), \\qquad
        t^+ = \\tfrac12\\big(1 + \\sqrt{1 + 4 t^2}\\big) \\\\
        z^+ &= w^+ + \\frac{t - 1}{t^+} (w^+ - w)

    Needs a gradient of the smooth part, a bound of its Lipschitz constant, a prox and a convex
    objective; or shrinkage of the singular values of a low-rank plus sparse matrix, whose steps
    `SoftImpute` then takes, which restarts where the objective rises.

    Parameters
    ----------
    restart : bool
        Forget the momentum when it points uphill, ``(z - w+)'(w+ - w) > 0``.
    momentum : bool
        Extrapolate; without it the method is `ISTA`.

    Notes
    -----
    Step, counter and restart decision stay on the device: an iteration waits for nothing. The
    gradient scheme of restart needs no function values.

    References
    ----------
    A. Beck, M. Teboulle, SIAM J. Imaging Sci. 2 (2009); B. O'Donoghue, E. Candès, "Adaptive restart
    for accelerated gradient schemes", Found. Comput. Math. 15 (2015).
    """

    needs: ClassVar[Needs] = Needs.of(
        Oracle.SMOOTH_GRAD, Oracle.LIPSCHITZ, Oracle.PROX, Trait.CONVEX
    ).or_else(IN_FACTORS)
    default_max_iter: ClassVar[int] = 100_000
    chunk: ClassVar[int] = 10

    def __init__(self, *, restart: bool = True, momentum: bool = True) -> None:
        self.restart, self.momentum = restart, momentum

    def init(self, problem: Problem, w: Any, rng: Any) -> State:
        if _in_factors(problem):
            return self._in_factors().init(problem, w, rng)
        return _start(problem, w)

    def _in_factors(self) -> SoftImpute:
        return SoftImpute(momentum=self.momentum, restart=self.restart)

    def advance(self, problem: Problem, state: Any, n: int) -> Status:
        if isinstance(state, SoftImputeState):
            return self._in_factors().advance(problem, state, n)
        z = state.z
        update = problem.kernels.fista_update
        for _ in range(n):
            last, z = state.w, state.z
            state.w = state.z = _prox_step(problem, state, z)
            if self.momentum:
                state.z, state.t = update(state.w, last, z, state.t, self.restart)
            state.n_iter += 1
        state.indicator = _length(problem, state, z - state.w)
        return Status.RUNNING


ON_A_SET = Needs.of(Oracle.SMOOTH_GRAD, Oracle.LIPSCHITZ, Oracle.PROX, Trait.CONSTRAINED)


class ProjectedGradient(Solver):
    """Projected gradient with acceleration: `FISTA` where the prox is a projection.

    .. math:: w^+ = P_C\\big(z - \\nabla f(z)/L\\big)

    Needs a gradient of the smooth part, its Lipschitz bound and a constraint set with projection;
    or such a set of matrices whose steps are made in factors; or a smooth objective with
    bounds, where lengths are spectral instead of 1/L.

    Parameters
    ----------
    acceleration : bool
        Extrapolate with restart (within bounds let the objective rise for a while); without it
        every iterate decreases the objective.

    References
    ----------
    E. Levitin, B. Polyak, "Constrained minimization methods", USSR Comput. Math. 6 (1966); within
    bounds: E. Birgin, J. Martinez, M. Raydan, "Nonmonotone spectral projected gradient methods on
    convex sets", SIAM J. Optim. 10 (2000).
    """

    needs: ClassVar[Needs] = ON_A_SET.or_else(
        Needs.of(Oracle.SPECTRAL_PROX, Trait.CONSTRAINED).or_else(WITHIN_BOUNDS)
    )
    default_max_iter: ClassVar[int] = 100_000
    chunk: ClassVar[int] = 10

    def __init__(self, *, acceleration: bool = True) -> None:
        self.acceleration = acceleration

    def _method(self) -> FISTA:
        return FISTA(restart=self.acceleration, momentum=self.acceleration)

    def init(self, problem: Problem, w: Any, rng: Any) -> State:
        if ON_A_SET.missing(problem) and not WITHIN_BOUNDS.missing(problem):
            return within_bounds(problem, w, monotone=not self.acceleration)
        if not _in_factors(problem):
            w = problem.prox(w, 1.0)  # type: ignore[attr-defined]
        return self._method().init(problem, w, rng)

    def advance(self, problem: Problem, state: Any, n: int) -> Status:
        if not isinstance(state, BoundedState):
            return self._method().advance(problem, state, n)
        for _ in range(n):
            if to_float(state.indicator) <= state.target:
                break
            status = step_within_bounds(problem, state)
            if status is not Status.RUNNING:
                return status
            state.n_iter += 1
        return Status.RUNNING
