r"""Trust region methods: the second-order model is believed within a radius.

Letters: w the iterate, g the gradient, H the Hessian there, s the step, :math:`\Delta` the radius.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from skopt_dl.engine import Needs, Oracle, Problem, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.truncated import truncated_cg
from skopt_dl.search import trust_step
from skopt_dl.solvers.curvature import Sampling, check_sampling, check_share, sampled_product
from skopt_dl.solvers.descent import DescentSolver, DescentState, check_choice
from skopt_dl.solvers.eigenspace import Eigenspace
from skopt_dl.solvers.ratio import GOOD, POOR, try_step
from skopt_dl.solvers.units import check_metric, measured_by_diagonal, units_at

# The radius shrinks to a quarter where less than a quarter of the promised decrease came, and
# doubles where more than three quarters came and the step ended at the radius.
SHRINK, GROW = 0.25, 2.0
# With a sampled model: the ratio from which the radius doubles, and its growth below that.
SURE, HESITANT = 0.8, 1.2


@dataclass
class TrustRegionState(DescentState):
    """Adds the radius and its metric, the curvature at the point, and a source of samples."""

    radius: float = 1.0
    by_diagonal: bool = False
    space: Eigenspace | None = None
    rng: Any = None


class TrustRegion(DescentSolver):
    """Newton steps within a trust region.

    .. math::

        s \\approx \\operatorname{argmin}_{|s| \\le \\Delta}\\ g's + \\tfrac12 s'Hs, \\qquad
        \\rho = \\frac{F(w) - F(w + s)}{-g's - \\tfrac12 s'Hs}

    The step is taken if :math:`\\rho` exceeds ``acceptance``; the radius shrinks to a quarter for
    :math:`\\rho < 1/4` and doubles for :math:`\\rho > 3/4` where the step ends at it.

    Needs a gradient of the whole objective and Hessian-vector products.

    Parameters
    ----------
    initial_radius, max_radius : float
        The radius at the start and at most.
    acceptance : float
        The least ratio of a step that is taken, below 1/4.
    max_inner : int
        Hessian products per step at most; what they have found by then is used.
    subproblem : {"steihaug", "krylov", "exact"}
        How the model is minimised: by truncated conjugate gradients that end at the radius; exactly
        over the Krylov space of the gradient; or exactly, in the eigenvectors of the whole Hessian
        (made of as many products as there are parameters).
    preconditioner : {"auto", "diagonal", "none"}
        With "diagonal", steps are measured by :math:`|s|_D = \\sqrt{s'Ds}` and the model is
        minimised in the variables :math:`D^{1/2} s`, with D the diagonal of H over the geometric
        mean of its entries, on problems that know it (`Oracle.HESSIAN_DIAGONAL`). "auto" does so
        on convex problems whose entries differ by more than thirty at the start.

    Notes
    -----
    The conjugate gradients end where the residual is :math:`\\min(1/2, \\sqrt{|g|})\\,|g|`, at the
    radius, or along a direction of no positive curvature, which is followed to the radius: on
    non-convex objectives the method leaves saddles that it does not start on exactly. Every inner
    iteration counts none, every step tried, taken or not, counts one. Where rounding hides the
    decrease it is measured by the slopes, :math:`-\\tfrac12 (g + g^+)'s`. Apart from that the
    iterates of "steihaug" without a preconditioner are those of SciPy's "trust-ncg". Steps of
    "krylov" and "exact" also go along the lowest eigenvector where the gradient has no part in it
    (the hard case), "exact" always, "krylov" within its space.

    References
    ----------
    T. Steihaug, "The conjugate gradient method and trust regions in large scale optimization", SIAM
    J. Numer. Anal. 20 (1983); A. Conn, N. Gould, P. Toint, "Trust Region Methods" (2000), 7.5.1 and
    17.4; J. Moré, D. Sorensen, "Computing a trust region step", SIAM J. Sci. Stat. Comput. 4
    (1983); N. Gould, S. Lucidi, M. Roma, P. Toint, "Solving the trust-region subproblem using the
    Lanczos method", SIAM J. Optim. 9 (1999).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD, Oracle.HVP)
    default_max_iter: ClassVar[int] = 1000

    def __init__(
        self,
        *,
        initial_radius: float = 1.0,
        max_radius: float = 1000.0,
        acceptance: float = 0.15,
        max_inner: int = 200,
        subproblem: Literal["steihaug", "krylov", "exact"] = "steihaug",
        preconditioner: Literal["auto", "diagonal", "none"] = "auto",
    ) -> None:
        self.initial_radius, self.max_radius = initial_radius, max_radius
        self.acceptance, self.max_inner, self.subproblem = acceptance, max_inner, subproblem
        self.preconditioner = preconditioner

    def init(self, problem: Problem, w: Any, rng: Any) -> TrustRegionState:
        _check(self)
        state = TrustRegionState(w=w, radius=float(self.initial_radius))
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        state.by_diagonal = measured_by_diagonal(self, problem, state.point)
        return state

    def _iterate(self, problem: Any, state: TrustRegionState) -> Status | None:
        point: Any = state.point
        if state.space is None or not state.space.belongs_to(point):
            units = units_at(problem, state)
            state.space = Eigenspace(problem, point, problem.hvp(point), units)
        s, promised, bounded = _model_step(self, state)
        ratio, verdict = try_step(problem, state, s, promised, self.acceptance)
        if ratio < POOR:
            state.radius *= SHRINK
        elif ratio > GOOD and bounded:
            state.radius = min(GROW * state.radius, self.max_radius)
        return verdict


class SubsampledTrustRegion(DescentSolver):
    """A trust region whose curvature is that of a random part of the samples.

    .. math::

        s \\approx \\operatorname{argmin}_{|s| \\le \\Delta}\\ g's + \\tfrac12 s'H_S s, \\qquad
        \\rho = \\frac{F(w) - F(w + s)}{-g's - \\tfrac12 s'H_S s}

    The step is taken if :math:`\\rho` exceeds ``acceptance``. The radius doubles for
    :math:`\\rho \\ge 0.8`, grows by 1.2 for a smaller one from 1/4 on, and below that shrinks to a
    quarter of the step.

    Needs a gradient of the whole objective and Hessian products, of all samples and on batches.

    Parameters
    ----------
    share : float
        Part of the samples in S, above 0 and at most 1; never fewer than 256 samples, and all of
        them where there are no more.
    sampling : {"auto", "uniform", "scores"}
        Uniform, or by how much each sample bends the objective,
        :math:`|\\ell''_i|\\,|x_i|^2`; "auto" takes the scores where the problem has them.
    initial_radius, max_radius : float
        The radius at the start and at most.
    acceptance : float
        The least ratio of a step that is taken, below 1/4.
    max_inner : int
        Hessian products per step at most; what they have found by then is used.
    subproblem, preconditioner
        As for `TrustRegion`; D is the diagonal for all samples.

    Notes
    -----
    The paper lets the radius grow after every step that is taken: from a first radius that is far
    too long it then takes many steps that bring next to nothing. Gradient, values and D are exact,
    so the certificate is too; only the model is sampled, anew after each step. With all samples the
    steps are those of a trust region method without samples.

    References
    ----------
    P. Xu, F. Roosta, M. Mahoney, "Second-order optimization for non-convex machine learning: an
    empirical study", SDM 2020; "Newton-type methods for non-convex optimization under inexact
    Hessian information", Math. Programming 184 (2020).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD, Oracle.HVP, Oracle.SAMPLE_HVP)
    default_max_iter: ClassVar[int] = 1000

    def __init__(
        self,
        *,
        share: float = 0.05,
        sampling: Sampling = "auto",
        initial_radius: float = 10.0,
        max_radius: float = 1e10,
        acceptance: float = 1e-4,
        max_inner: int = 250,
        subproblem: Literal["steihaug", "krylov", "exact"] = "steihaug",
        preconditioner: Literal["auto", "diagonal", "none"] = "auto",
    ) -> None:
        self.share, self.sampling = share, sampling
        self.initial_radius, self.max_radius = initial_radius, max_radius
        self.acceptance, self.max_inner, self.subproblem = acceptance, max_inner, subproblem
        self.preconditioner = preconditioner

    def init(self, problem: Problem, w: Any, rng: Any) -> TrustRegionState:
        _check(self)
        check_share(self, "share")
        check_sampling(self, problem)
        state = TrustRegionState(w=w, radius=float(self.initial_radius), rng=rng)
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        state.by_diagonal = measured_by_diagonal(self, problem, state.point)
        return state

    def _iterate(self, problem: Any, state: TrustRegionState) -> Status | None:
        point: Any = state.point
        if state.space is None or not state.space.belongs_to(point):
            product = sampled_product(
                problem, point, state.rng, self.share, self.sampling, gauss_newton=False
            )
            state.space = Eigenspace(problem, point, product, units_at(problem, state))
        space: Any = state.space
        s, promised, _ = _model_step(self, state)
        ratio, verdict = try_step(problem, state, s, promised, self.acceptance)
        if ratio < POOR:
            # A radius far beyond the step would refuse the same step again and again.
            state.radius = SHRINK * min(state.radius, space.length(s))
        else:
            growth = GROW if ratio >= SURE else HESITANT
            state.radius = min(growth * state.radius, self.max_radius)
        return verdict


def _check(solver: Any) -> None:
    name = type(solver).__name__
    if not 0 < solver.initial_radius <= solver.max_radius:
        raise ValueError(
            f"{name}: initial_radius={solver.initial_radius!r}, but it must be above 0 and at most "
            f"max_radius={solver.max_radius!r}"
        )
    if not 0 <= solver.acceptance < POOR:
        raise ValueError(
            f"{name}: acceptance={solver.acceptance!r}, but it must be at least 0 and below {POOR}"
        )
    if solver.max_inner < 1:
        raise ValueError(f"{name}: max_inner={solver.max_inner!r}, but it must be at least 1")
    check_choice(solver, "subproblem", ("steihaug", "krylov", "exact"))
    check_metric(solver)


def _model_step(solver: Any, state: TrustRegionState) -> tuple[Any, float, bool]:
    """The step, what the model promises for it, and whether it ends at the radius."""
    space: Any = state.space
    if solver.subproblem != "steihaug":
        return space.minimise(
            lambda spectrum: trust_step(spectrum.values, spectrum.c, state.radius),
            solver.max_inner,
            exact=solver.subproblem == "exact",
        )
    size = to_float(space.grad @ space.grad) ** 0.5
    enough = min(0.5, size**0.5) * size
    found = truncated_cg(
        space.product,
        space.grad,
        stop=lambda s, r, square: to_float(square) ** 0.5 < enough,
        max_iter=solver.max_inner,
        radius=state.radius,
    )
    promised = -to_float(space.grad @ found.s) - 0.5 * to_float(found.s @ space.product(found.s))
    return space.step(found.s), promised, found.end in ("radius", "curvature")
