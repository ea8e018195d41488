r"""The alternating direction method of multipliers on the graph of a linear model.

Letters: w coefficients and z = A w predictions on the graph, u and v their copies that the penalty
and the loss move, (a, b) the scaled multipliers of u and v, rho the weight of the copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Solver, State, Status, Trait
from skopt_dl.solvers.spectral_admm import SpectralADMM, SpectralADMMState

# rho is reconsidered at these distances; they grow, so that it settles and the theory applies.
ADAPT_EVERY = 10
ADAPT_GROWTH = 1.2
# It moves by the square root of how far the two residuals are apart, at most by this factor.
ADAPT_MOST = 10.0


@dataclass
class ADMMState(State):
    """Adds the projection, the copies, the multipliers and rho; numbers stay on the device."""

    project: Any = None
    u: Any = None
    v: Any = None
    a: Any = None
    b: Any = None
    rho: Any = None
    adapt_at: int = ADAPT_EVERY
    adapt_gap: float = ADAPT_EVERY


class ADMM(Solver):
    """ADMM with over-relaxation and an adaptive penalty parameter.

    .. math::

        (w, z) &= \\Pi_{\\{z = A w\\}}(u - a,\\ v - b), \\qquad
        (\\hat w, \\hat z) = \\alpha (w, z) + (1 - \\alpha)(u, v) \\\\
        u^+ &= \\operatorname{prox}_{\\Omega/(\\rho\\sigma)}(\\hat w + a), \\qquad
        v^+ = \\operatorname{prox}_{\\ell/\\rho}(\\hat z + b) \\\\
        a &\\leftarrow a + \\hat w - u^+, \\qquad b \\leftarrow b + \\hat z - v^+

    Needs a linear model with projections onto its graph, a prox of the loss in the predictions, and
    a prox of the penalty. Neither need be smooth. Or a prox of the nuclear norm at a low-rank plus
    sparse matrix: there the copies are the observed entries, and `SpectralADMM` takes the steps.

    Parameters
    ----------
    rho : float
        First weight of the copies, in units of the loss's curvature (the metric has the weights of
        the samples, so 1 suits data of any size).
    adaptive : bool
        Move rho towards equal primal and dual residuals, at growing distances.
    relaxation : float
        The alpha above, in (0, 2); 1.5 to 1.8 is faster than plain 1.

    Notes
    -----
    The answer is u, which has the penalty's exact zeros or lies exactly in its set. The projection
    does not depend on rho: one factorisation serves the whole solve. Residuals are compared
    relative to the copies and to the multipliers, which makes the rule free of units.

    References
    ----------
    S. Boyd, N. Parikh, E. Chu, B. Peleato, J. Eckstein, "Distributed optimization and statistical
    learning via the alternating direction method of multipliers", Found. Trends Mach. Learn. 3
    (2011); relative residuals: B. Wohlberg, "ADMM penalty parameter selection by residual
    balancing", arXiv:1704.06209 (2017).
    """

    needs: ClassVar[Needs] = Needs.of(
        Oracle.GRAPH, Oracle.SPLIT, Oracle.PROX, Trait.LINEAR_MODEL, Trait.CONVEX
    ).or_else(SpectralADMM.needs)
    default_max_iter: ClassVar[int] = 20_000
    chunk: ClassVar[int] = 10

    def __init__(self, *, rho: float = 1.0, adaptive: bool = True, relaxation: float = 1.6) -> None:
        self.rho, self.adaptive, self.relaxation = rho, adaptive, relaxation

    def _in_factors(self) -> SpectralADMM:
        """The same splitting where the parameters are factors of a matrix."""
        return SpectralADMM(rho=self.rho, adaptive=self.adaptive, relaxation=self.relaxation)

    def init(self, problem: Any, w: Any, rng: Any) -> State:
        if not self.rho > 0:
            raise ValueError(f"ADMM: rho={self.rho!r}, but it must be positive")
        if not 0 < self.relaxation < 2:
            raise ValueError(
                f"ADMM: relaxation={self.relaxation!r}, but it must lie strictly between 0 and 2"
            )
        if not SpectralADMM.needs.missing(problem):
            return self._in_factors().init(problem, w, rng)
        project, v = problem.graph_projection(), problem.predict_raw(w)
        rho = self.rho * problem.xp.ones_like(project.scale)
        # What the multipliers are at an optimum: a solve that starts from its answer rests there.
        a = -problem.loss_grad(v) / (rho * project.scale)
        b = problem.loss_slope(v) / rho
        return ADMMState(w=w, project=project, u=w, v=v, a=a, b=b, rho=rho)

    def advance(self, problem: Any, state: Any, n: int) -> Status:
        if isinstance(state, SpectralADMMState):
            return self._in_factors().advance(problem, state, n)
        alpha, project = self.relaxation, state.project
        s = state
        for _ in range(n):
            w, z = project(problem.matrix(s.u - s.a), s.v - s.b)
            w = problem.flat(w)
            hat_w, hat_z = alpha * w + (1 - alpha) * s.u, alpha * z + (1 - alpha) * s.v
            u = problem.prox(hat_w + s.a, 1 / (s.rho * project.scale))
            v = problem.loss_prox(hat_z + s.b, 1 / s.rho)
            s.a, s.b = s.a + hat_w - u, s.b + hat_z - v
            primal, dual = project.square(w - u, z - v), project.square(u - s.u, v - s.v)
            s.u, s.v = u, v
            s.n_iter += 1
            if self.adaptive and s.n_iter >= s.adapt_at:
                self._adapt(problem.xp, s, primal, dual)
        s.w = s.u
        s.indicator = problem.xp.sqrt(primal + dual)
        return Status.RUNNING

    def _adapt(self, xp: Any, s: ADMMState, primal: Any, dual: Any) -> None:
        """Balance the residuals relative to the copies and to the multipliers, all squared."""
        size, force = s.project.square(s.u, s.v), s.project.square(s.a, s.b)
        ratio = (primal * force) / xp.where(size * dual > 0, size * dual, xp.ones_like(dual))
        known = (primal * force > 0) & (size * dual > 0)
        factor = xp.clip(ratio**0.25, 1 / ADAPT_MOST, ADAPT_MOST)
        # The multipliers are scaled by 1 / rho: what they stand for must not move.
        factor = xp.where(known, factor, xp.ones_like(factor))
        s.rho, s.a, s.b = s.rho * factor, s.a / factor, s.b / factor
        s.adapt_gap *= ADAPT_GROWTH
        s.adapt_at = s.n_iter + int(s.adapt_gap)
