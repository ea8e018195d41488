r"""STORM: a trust region method whose values, gradients and curvature all come from samples.

Letters: w the iterate, g the gradient and H the curvature of the sample, s the step, :math:`\Delta`
the radius, :math:`\rho` the ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from skopt_dl.engine import Needs, Oracle, Problem, Solver, Status, Trait
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.truncated import truncated_cg
from skopt_dl.search.schedules import schedule_of
from skopt_dl.solvers.newton import made_positive
from skopt_dl.solvers.stochastic.base import StochasticState
from skopt_dl.solvers.stochastic.sampling import batch_size, on_device, probe
from skopt_dl.solvers.units import check_metric, is_uneven, units_of

# A radius beyond this says nothing; one below it leaves no step at this precision.
MOST = 1e6


@dataclass
class StormState(StochasticState):
    """Adds the radius, and the units of lengths where they are not Euclidean."""

    radius: float = 1.0
    units: Any = None


class STORM(Solver):
    """A stochastic trust region: samples grow as the radius shrinks (STORM).

    .. math::

        s \\approx \\operatorname{argmin}_{|s| \\le \\Delta}\\ g_B's + \\tfrac12 s'G_B s, \\qquad
        \\rho = \\frac{F_C(w) - F_C(w + s)}{-g_B's - \\tfrac12 s'G_B s}

    with values on a second sample C. For :math:`\\rho \\ge 0.1` the step is taken, and the radius
    doubles where also :math:`|g_B| \\ge \\eta\\Delta`; otherwise it halves.

    Needs gradients, values and Gauss-Newton products on batches of samples and a smooth objective.

    Parameters
    ----------
    initial_radius : float
        :math:`\\Delta` at the start, positive.
    trust : float
        :math:`\\eta`, positive: how small a gradient may be beside the radius.
    batch_size : int or "auto"
        Samples of a step at the start; "auto" is ``min(200, n_samples)``.
    max_inner : int
        Products per step at most.
    preconditioner : {"auto", "diagonal", "none"}
        As for `TrustRegion`, for linear models; D is the diagonal for a sample at the start, so
        that the radius means the same throughout.

    Notes
    -----
    A step has :math:`b / \\min(1, \\Delta/\\Delta_0)^2` samples, b those of the first, and at most
    all: the errors of value and gradient then shrink with the radius as the analysis asks. Near the
    optimum every sample takes part, and this is a trust region method. The sample of the values is
    not that of the model, which its own step would flatter. An iteration is an epoch.

    References
    ----------
    R. Chen, M. Menickelly, K. Scheinberg, "Stochastic optimization using a trust-region method and
    random models", Math. Programming 169 (2018).
    """

    needs: ClassVar[Needs] = Needs.of(
        Oracle.SAMPLE_GRAD, Oracle.SAMPLE_VALUE, Oracle.SAMPLE_GGN, Trait.SMOOTH
    )
    unit: ClassVar = "epoch"

    def __init__(
        self,
        *,
        initial_radius: float = 1.0,
        trust: float = 1e-3,
        batch_size: int | str = "auto",
        max_inner: int = 100,
        preconditioner: Literal["auto", "diagonal", "none"] = "auto",
    ) -> None:
        self.initial_radius, self.trust = initial_radius, trust
        self.batch_size, self.max_inner = batch_size, max_inner
        self.preconditioner = preconditioner

    def init(self, problem: Problem, w: Any, rng: Any) -> StormState:
        for name in ("initial_radius", "trust", "max_inner"):
            if not getattr(self, name) > 0:
                raise ValueError(f"STORM: {name}={getattr(self, name)!r}, but it must be positive")
        check_metric(self)
        size = batch_size(self.batch_size, problem.n_samples)  # type: ignore[arg-type]
        return StormState(
            w=w,
            units=_units(self, problem, w, size),
            radius=float(self.initial_radius),
            rng=rng,
            rate=1.0,
            initial_rate=1.0,
            schedule=schedule_of("constant"),
        )

    def advance(self, problem: Any, state: StormState, n: int) -> Status:
        samples = problem.n_samples
        for _ in range(n):
            seen, total = 0, 0.0
            while seen < samples:
                size = self._step(problem, state)
                seen += size
                total += size * to_float(state.loss)
            state.loss = total / seen
            state.n_iter += 1
            state.n_epochs += seen / samples
            state.n_samples += seen
        return Status.RUNNING

    def _step(self, problem: Any, state: StormState) -> int:
        """One step tried; the size of its sample."""
        xp, samples = problem.xp, problem.n_samples
        shrunk = min(1.0, state.radius / self.initial_radius)
        least = batch_size(self.batch_size, samples)
        size = samples if shrunk < 1e-3 else min(samples, math.ceil(least / shrunk**2))
        index = on_device(problem, state.rng.permutation(samples)[:size])
        g = xp.asarray(problem.sample_grad(state.w, index)[1], copy=True)
        product = problem.sample_ggn(state.w, index)
        state.indicator = xp.max(xp.abs(g))
        if state.units is not None:
            g, product = g / state.units, _scaled(product, state.units)
        norm = to_float(xp.linalg.vector_norm(g))
        enough = min(0.1, norm**0.5) * norm
        found = truncated_cg(
            product,
            g,
            stop=lambda s, r, square: to_float(square) ** 0.5 <= enough,
            max_iter=self.max_inner,
            radius=state.radius,
        )
        promised = -to_float(g @ found.s) - 0.5 * to_float(found.s @ product(found.s))
        index = on_device(problem, state.rng.permutation(samples)[:size])
        before = to_float(problem.sample_value(state.w, index))
        state.loss = before
        if not promised > 0:
            return size
        trial = state.w + (found.s if state.units is None else found.s / state.units)
        ratio = (before - to_float(problem.sample_value(trial, index))) / promised
        if ratio >= 0.1:
            state.w = trial
            if norm >= self.trust * state.radius:
                state.radius = min(2 * state.radius, MOST)
        else:
            state.radius = max(state.radius / 2, 1 / MOST * self.initial_radius)
        return size


def _units(solver: STORM, problem: Any, w: Any, size: int) -> Any:
    """The units of lengths, from the samples that `probe` looks at; ``None`` if Euclidean."""
    known = problem.why_not(Oracle.SAMPLE_CURVATURE) is None
    # Of other models a sample's diagonal is an estimate that leaves out how the model bends.
    if solver.preconditioner == "none" or not known or Trait.LINEAR_MODEL not in problem.traits:
        return None
    xp, index = problem.xp, probe(problem, size, 1)[0]
    D = made_positive(xp, problem.sample_curvature(w, index))
    automatic, convex = solver.preconditioner == "auto", Trait.CONVEX in problem.traits
    if D is None or (automatic and not (convex and is_uneven(xp, D))):
        return None
    return units_of(xp, D)


def _scaled(product: Any, units: Any) -> Any:
    return lambda d: product(d / units) / units
