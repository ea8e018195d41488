r"""Adaptive cubic regularisation: the second-order model with a cubic term that is learned.

Letters: w the iterate, g the gradient, H the Hessian there, s the step, :math:`\sigma` the weight
of the cubic term.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from skopt_dl.engine import Needs, Oracle, Problem, Status
from skopt_dl.search import cubic_step
from skopt_dl.solvers.curvature import Sampling, check_sampling, check_share, sampled_product
from skopt_dl.solvers.descent import DescentSolver, DescentState, check_choice
from skopt_dl.solvers.eigenspace import Eigenspace
from skopt_dl.solvers.ratio import try_step
from skopt_dl.solvers.units import check_metric, measured_by_diagonal, units_at

# Ratios from which a step is very successful, and from which it is taken.
SURE = 0.9
# The weight halves or doubles by the ratio alone; what the objective's own third-order behaviour
# asks for may take it further, down to LOWEST and up to JUMP times itself in one iteration.
SHRINK, GROW, LOWEST, JUMP = 0.5, 2.0, 0.1, 1e4
LEAST_WEIGHT = 1e-12


@dataclass
class CubicState(DescentState):
    """Adds the weight and the metric of lengths, the curvature at the point, and the source of
    random samples."""

    weight: float = 1.0
    by_diagonal: bool = False
    space: Eigenspace | None = None
    rng: Any = None


class ARC(DescentSolver):
    """Adaptive regularisation with cubics: Newton steps from a model with a cubic term.

    .. math::

        s \\approx \\operatorname{argmin}_s\\ g's + \\tfrac12 s'Hs + \\tfrac\\sigma3 |s|^3, \\qquad
        \\text{so}\\quad (H + \\sigma|s| I)\\, s = -g

    The step is taken if enough of the model's decrease comes; :math:`\\sigma` falls after very good
    steps and grows after refused ones.

    Needs a gradient of the whole objective and Hessian-vector products.

    Parameters
    ----------
    initial_weight : float
        :math:`\\sigma` at the start, positive.
    acceptance : float
        The least ratio of a step that is taken, below 0.9.
    max_inner : int
        Dimensions of the Krylov space at most, a Hessian product each.
    subproblem : {"krylov", "exact"}
        Whether the model is minimised over the Krylov space of the gradient, or exactly, in the
        eigenvectors of the whole Hessian (made of as many products as there are parameters).
    preconditioner : {"auto", "diagonal", "none"}
        How :math:`|s|` is measured, as for `TrustRegion`: with "diagonal" the model is minimised in
        the variables :math:`D^{1/2} s`, so that columns may have any unit.

    Notes
    -----
    The cubic term bounds the third derivative, so the weight has a right size. What the value at
    the trial says of it, :math:`\\hat\\sigma = 3\\,(F(w + s) - F(w) - g's - \\tfrac12 s'Hs)/|s|^3`,
    replaces many doublings from a weight that is far too small, and many halvings from one that is
    too large (Gould, Porcelli & Toint).

    References
    ----------
    C. Cartis, N. Gould, P. Toint, "Adaptive cubic regularisation methods for unconstrained
    optimization. Part I", Math. Programming 127 (2011); N. Gould, M. Porcelli, P. Toint, "Updating
    the regularization parameter in the adaptive cubic regularization algorithm", Comput. Optim.
    Appl. 53 (2012); Y. Nesterov, B. Polyak, "Cubic regularization of Newton method and its global
    performance", Math. Programming 108 (2006).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD, Oracle.HVP)
    default_max_iter: ClassVar[int] = 1000

    def __init__(
        self,
        *,
        initial_weight: float = 1e-4,
        acceptance: float = 1e-4,
        max_inner: int = 200,
        subproblem: Literal["krylov", "exact"] = "krylov",
        preconditioner: Literal["auto", "diagonal", "none"] = "auto",
    ) -> None:
        self.initial_weight, self.acceptance = initial_weight, acceptance
        self.max_inner, self.subproblem = max_inner, subproblem
        self.preconditioner = preconditioner

    def init(self, problem: Problem, w: Any, rng: Any) -> CubicState:
        return _start(self, problem, w, rng)

    def _iterate(self, problem: Any, state: CubicState) -> Status | None:
        point: Any = state.point
        if state.space is None or not state.space.belongs_to(point):
            units = units_at(problem, state)
            state.space = Eigenspace(problem, point, problem.hvp(point), units)
        return _cubic_iteration(self, problem, state)


class SubsampledARC(DescentSolver):
    """Adaptive cubic regularisation with the curvature of a random part of the samples.

    .. math::

        s \\approx \\operatorname{argmin}_s\\ g's + \\tfrac12 s'H_S s + \\tfrac\\sigma3 |s|^3

    Needs a gradient of the whole objective and Hessian products, of all samples and on batches.

    Parameters
    ----------
    share : float
        Part of the samples in S, above 0 and at most 1; never fewer than 256 samples, and all of
        them where there are no more.
    sampling : {"auto", "uniform", "scores"}
        Uniform, or by how much each sample bends the objective,
        :math:`|\\ell''_i|\\,|x_i|^2`; "auto" takes the scores where the problem has them.
    initial_weight, acceptance, max_inner, subproblem, preconditioner
        As for `ARC`; D is the diagonal for all samples.

    Notes
    -----
    Gradient, values and D are exact; only the model is sampled, anew after each step.

    References
    ----------
    P. Xu, F. Roosta, M. Mahoney, "Second-order optimization for non-convex machine learning: an
    empirical study", SDM 2020; J. Kohler, A. Lucchi, "Sub-sampled cubic regularization for
    non-convex optimization", ICML 2017.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD, Oracle.HVP, Oracle.SAMPLE_HVP)
    default_max_iter: ClassVar[int] = 1000

    def __init__(
        self,
        *,
        share: float = 0.05,
        sampling: Sampling = "auto",
        initial_weight: float = 1e-4,
        acceptance: float = 1e-4,
        max_inner: int = 250,
        subproblem: Literal["krylov", "exact"] = "krylov",
        preconditioner: Literal["auto", "diagonal", "none"] = "auto",
    ) -> None:
        self.share, self.sampling = share, sampling
        self.initial_weight, self.acceptance = initial_weight, acceptance
        self.max_inner, self.subproblem = max_inner, subproblem
        self.preconditioner = preconditioner

    def init(self, problem: Problem, w: Any, rng: Any) -> CubicState:
        check_share(self, "share")
        check_sampling(self, problem)
        return _start(self, problem, w, rng)

    def _iterate(self, problem: Any, state: CubicState) -> Status | None:
        point: Any = state.point
        if state.space is None or not state.space.belongs_to(point):
            product = sampled_product(
                problem, point, state.rng, self.share, self.sampling, gauss_newton=False
            )
            state.space = Eigenspace(problem, point, product, units_at(problem, state))
        return _cubic_iteration(self, problem, state)


def _start(solver: Any, problem: Any, w: Any, rng: Any) -> CubicState:
    name = type(solver).__name__
    if not 0 < solver.initial_weight < math.inf:
        raise ValueError(
            f"{name}: initial_weight={solver.initial_weight!r}, but it must be positive and finite"
        )
    if not 0 <= solver.acceptance < SURE:
        raise ValueError(
            f"{name}: acceptance={solver.acceptance!r}, but it must be at least 0 and below {SURE}"
        )
    if solver.max_inner < 1:
        raise ValueError(f"{name}: max_inner={solver.max_inner!r}, but it must be at least 1")
    check_choice(solver, "subproblem", ("krylov", "exact"))
    check_metric(solver)
    state = CubicState(w=w, weight=float(solver.initial_weight), rng=rng)
    state.stand_at(problem, problem.point(w))
    state.by_diagonal = measured_by_diagonal(solver, problem, state.point)
    return state


def _cubic_iteration(solver: Any, problem: Any, state: CubicState) -> Status | None:
    """One step tried, and the weight that follows from it."""
    space: Any = state.space
    s, quadratic, _ = space.minimise(
        lambda spectrum: cubic_step(spectrum.values, spectrum.c, state.weight),
        solver.max_inner,
        exact=solver.subproblem == "exact",
    )
    cube = space.length(s) ** 3
    promised = quadratic - state.weight / 3 * cube
    ratio, verdict = try_step(problem, state, s, promised, solver.acceptance)
    # F(w + s) - F(w) + the quadratic model's decrease is what the cubic term has to make up for.
    missing = quadratic - ratio * promised
    seen = 3 * missing / cube if math.isfinite(ratio) and cube > 0 else math.inf
    if ratio <= solver.acceptance:
        state.weight *= min(max(GROW, seen / state.weight), JUMP)
    elif ratio >= SURE:
        wanted = min(max(seen, 0.0), SHRINK * state.weight)
        state.weight = max(wanted, LOWEST * state.weight, LEAST_WEIGHT)
    return verdict
