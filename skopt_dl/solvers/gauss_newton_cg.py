r"""Gauss-Newton methods: the curvature of the loss, without that of the model.

Letters: w the iterate, g the gradient, G the Gauss-Newton matrix :math:`J' H_L J` plus the
penalty's curvature, s the step, :math:`\lambda` the damping.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

from skopt_dl.engine import Needs, Oracle, Problem, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.factor import NotPositiveDefiniteError, PositiveFactor
from skopt_dl.linops.truncated import residual_below, truncated_cg
from skopt_dl.search import backtrack
from skopt_dl.solvers.curvature import Sampling, check_sampling, check_share, curvature_sample
from skopt_dl.solvers.descent import (
    DescentSolver,
    check_line_search,
    steepest,
    step_along,
)
from skopt_dl.solvers.newton import NewtonCGState, forcing, newton_direction
from skopt_dl.solvers.ratio import GOOD, POOR, try_step

# Up to here a factor of the sample's matrix gains about as much on an ordinary spread (column
# scales 1/j) as it loses on the kindest data (columns alike). Time of "cg" over that of "cholesky"
# to 1e-4 and 1e-8, kind and ordinary: p = 100: 0.69, 0.78 and 1.4, 1.2; 200: 0.53, 0.77 and 1.3,
# 1.5; 400: 0.76, 0.85 and 1.2, 1.2 (benchmarks/sampled_newton_thresholds.py).
DIRECT_BELOW = 200
# The damping of Levenberg and Marquardt grows by 2 and shrinks to a third: growth that is no
# multiple of the shrinking does not cycle.
GROW, SHRINK = 2.0, 1 / 3
LEAST_DAMPING, MOST_DAMPING = 1e-16, 1e16


@dataclass
class SampledState(NewtonCGState):
    """Adds the source of random samples."""

    rng: Any = None


@dataclass
class DampedState(NewtonCGState):
    """Adds the damping, and the matrix at the point as a product or as its root."""

    damping: float = 1.0
    at: Any = None
    matrix: Any = None


class GaussNewtonCG(DescentSolver):
    """Gauss-Newton steps by truncated conjugate gradients, with backtracking.

    .. math:: (J' H_L J)\\, s \\approx -g, \\qquad w \\leftarrow w + t s

    with the Jacobian J of the model's raw outputs and the Hessian :math:`H_L` of the loss in them.

    Needs a gradient of the whole objective and Gauss-Newton products.

    Parameters
    ----------
    max_inner : int
        Products per step at most; what they have found by then is used.
    sufficient_decrease : float
        The constant c1 of the Armijo condition.

    Notes
    -----
    The matrix is positive semi-definite whatever the model, so every direction descends. For a
    linear model it is the Hessian and this is Newton's method. Where residuals vanish at the
    optimum convergence is quadratic. The inner accuracy is that of `NewtonCG`.

    References
    ----------
    N. Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent",
    Neural Comput. 14 (2002); J. Nocedal, S. Wright, "Numerical Optimization" (2006), 10.3.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD, Oracle.GGN)
    default_max_iter: ClassVar[int] = 1000

    def __init__(self, *, max_inner: int = 200, sufficient_decrease: float = 1e-4) -> None:
        self.max_inner, self.sufficient_decrease = max_inner, sufficient_decrease

    def init(self, problem: Problem, w: Any, rng: Any) -> NewtonCGState:
        return _start(self, problem, NewtonCGState(w=w))

    def _iterate(self, problem: Any, state: NewtonCGState) -> Status | None:
        return _newton_step(self, problem, state, problem.ggn(state.point))


class SubsampledNewton(DescentSolver):
    """Newton steps whose curvature is that of a random part of the samples, with backtracking.

    .. math:: H_S\\, s \\approx -g, \\qquad w \\leftarrow w + t s

    Needs a gradient of the whole objective, and Gauss-Newton products, of all samples and on
    batches.

    Parameters
    ----------
    share : float
        Part of the samples in S, above 0 and at most 1; never fewer than 256 samples, and all of
        them where there are no more.
    sampling : {"auto", "uniform", "scores"}
        Uniform, or by how much each sample bends the objective,
        :math:`|\\ell''_i|\\,|x_i|^2`; "auto" takes the scores where the problem has them.
    linear_solver : {"auto", "cg", "cholesky"}
        Conjugate gradients, stopped early, or a factor of the matrix :math:`H_S`, for linear models
        only; "auto" takes the factor up to 200 parameters.
    max_inner : int
        Products per step at most, of "cg"; what they have found by then is used.
    sufficient_decrease : float
        The constant c1 of the Armijo condition.

    Notes
    -----
    The gradient is exact: a product costs ``share`` of one with the whole Hessian, and convergence
    is linear, at a rate that falls as the sample grows. The curvature is Gauss-Newton's, which is
    the Hessian of a linear model. With all samples and "cg" this is `GaussNewtonCG`. A matrix of
    few rows is cheap, and exact steps leave no error but the sample's; where it has no Cholesky
    factor the step is taken by conjugate gradients.

    References
    ----------
    R. Byrd, G. Chin, W. Neveitt, J. Nocedal, "On the use of stochastic Hessian information in
    optimization methods for machine learning", SIAM J. Optim. 21 (2011); F. Roosta, M. Mahoney,
    "Sub-sampled Newton methods", Math. Programming 174 (2019).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD, Oracle.GGN, Oracle.SAMPLE_GGN)
    default_max_iter: ClassVar[int] = 1000

    def __init__(
        self,
        *,
        share: float = 0.05,
        sampling: Sampling = "auto",
        linear_solver: Literal["auto", "cg", "cholesky"] = "auto",
        max_inner: int = 200,
        sufficient_decrease: float = 1e-4,
    ) -> None:
        self.share, self.sampling, self.linear_solver = share, sampling, linear_solver
        self.max_inner, self.sufficient_decrease = max_inner, sufficient_decrease

    def init(self, problem: Problem, w: Any, rng: Any) -> SampledState:
        check_share(self, "share")
        check_sampling(self, problem)
        if self.linear_solver not in ("auto", "cg", "cholesky"):
            raise ValueError(
                f"SubsampledNewton: linear_solver={self.linear_solver!r}, but it must be 'auto', "
                "'cg' or 'cholesky'"
            )
        reason = problem.why_not(Oracle.SAMPLE_HESSIAN)
        if self.linear_solver == "cholesky" and reason is not None:
            raise ValueError(
                f"SubsampledNewton: linear_solver='cholesky' needs {Oracle.SAMPLE_HESSIAN}, and "
                f"{reason or 'this problem has none'}; take 'cg'"
            )
        return _start(self, problem, SampledState(w=w, rng=rng))

    def _iterate(self, problem: Any, state: SampledState) -> Status | None:
        point: Any = state.point
        drawn = curvature_sample(problem, point, state.rng, self.share, self.sampling)
        if self._factorises(problem):
            d = _exact_step(problem, point, drawn)
            if d is not None:
                search = partial(backtrack, decrease=self.sufficient_decrease)
                slope = to_float(point.grad @ d)
                if slope < 0 and step_along(problem, state, d, slope, 1.0, search).ok:
                    return None
        product = problem.ggn(point) if drawn is None else problem.sample_ggn(point.w, *drawn)
        return _newton_step(self, problem, state, product)

    def _factorises(self, problem: Any) -> bool:
        if self.linear_solver != "auto":
            return self.linear_solver == "cholesky"
        return problem.size <= DIRECT_BELOW and problem.why_not(Oracle.SAMPLE_HESSIAN) is None


class LevenbergMarquardt(DescentSolver):
    """Gauss-Newton steps with a damping that is learned from what they gain.

    .. math::

        (J' H_L J + \\lambda I)\\, s = -g, \\qquad
        \\rho = \\frac{F(w) - F(w + s)}{-g's - \\tfrac12 s'Gs}

    :math:`\\lambda` doubles for :math:`\\rho < 1/4` and falls to a third for :math:`\\rho > 3/4`;
    the step is taken if :math:`\\rho` exceeds ``acceptance``.

    Needs a gradient of the whole objective and Gauss-Newton products.

    Parameters
    ----------
    initial_damping : float
        :math:`\\lambda` at the start, positive.
    acceptance : float
        The least ratio of a step that is taken, below 1/4.
    linear_solver : {"cg", "samples"}
        Conjugate gradients, or an exact solve in the space of the samples' outputs,
        :math:`s = -D^{-1}(g - R'(I + R D^{-1} R')^{-1} R D^{-1} g)` with :math:`G + \\lambda I =
        R'R + D`: for fewer samples times outputs than parameters, where the rows R fit in memory.
    max_inner : int
        Products per step at most, of "cg".

    Notes
    -----
    The damping is that of a trust region with the multiplier as its variable. The systems of "cg"
    are solved to :math:`\\min(1/2, \\sqrt{|g|/|g_0|})\\,|g|`.

    References
    ----------
    K. Levenberg (1944); D. Marquardt, "An algorithm for least-squares estimation of nonlinear
    parameters", J. SIAM 11 (1963); J. Moré, "The Levenberg-Marquardt algorithm: implementation and
    theory" (1978); Y. Ren, D. Goldfarb, "Efficient subsampled Gauss-Newton and natural gradient
    methods for training neural networks" (2019), for the space of the samples.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD, Oracle.GGN)
    default_max_iter: ClassVar[int] = 1000

    def __init__(
        self,
        *,
        initial_damping: float = 1e-3,
        acceptance: float = 1e-4,
        linear_solver: Literal["cg", "samples"] = "cg",
        max_inner: int = 200,
    ) -> None:
        self.initial_damping, self.acceptance = initial_damping, acceptance
        self.linear_solver, self.max_inner = linear_solver, max_inner

    def init(self, problem: Problem, w: Any, rng: Any) -> DampedState:
        if not self.initial_damping > 0:
            raise ValueError(
                f"LevenbergMarquardt: initial_damping={self.initial_damping!r}, but it must be "
                "positive"
            )
        if not 0 <= self.acceptance < POOR:
            raise ValueError(
                f"LevenbergMarquardt: acceptance={self.acceptance!r}, but it must be at least 0 "
                f"and below {POOR}"
            )
        if self.linear_solver not in ("cg", "samples"):
            raise ValueError(
                f"LevenbergMarquardt: linear_solver={self.linear_solver!r}, but it must be 'cg' or "
                "'samples'"
            )
        if self.linear_solver == "samples":
            reason = problem.why_not(Oracle.GGN_ROOT)
            if reason is not None:
                raise ValueError(
                    "LevenbergMarquardt: linear_solver='samples' needs "
                    f"{Oracle.GGN_ROOT}, and {reason or 'this problem has none'}; take 'cg'"
                )
        return _start(self, problem, DampedState(w=w, damping=float(self.initial_damping)))

    def _iterate(self, problem: Any, state: DampedState) -> Status | None:
        point: Any = state.point
        by_samples = self.linear_solver == "samples"
        if state.at is not point:
            state.at = point
            state.matrix = problem.ggn_root(point) if by_samples else problem.ggn(point)
        if by_samples:
            R, diagonal = state.matrix
            s = _by_samples(problem.xp, R, diagonal, point.grad, state.damping)

            def product(d: Any) -> Any:
                return R.T @ (R @ d) + diagonal * d

        else:
            product = state.matrix
            s = self._by_products(problem, state)
        promised = -to_float(point.grad @ s) - 0.5 * to_float(s @ product(s))
        ratio, verdict = try_step(problem, state, s, promised, self.acceptance)
        if ratio < POOR:
            state.damping = min(GROW * state.damping, MOST_DAMPING)
        elif ratio > GOOD:
            state.damping = max(SHRINK * state.damping, LEAST_DAMPING)
        return verdict

    def _by_products(self, problem: Any, state: DampedState) -> Any:
        g, damping, product = state.point.grad, state.damping, state.matrix  # type: ignore[union-attr]
        goal = forcing(problem, g, state.first_norm) * to_float(problem.xp.linalg.vector_norm(g))
        return truncated_cg(
            lambda d: product(d) + damping * d,
            g,
            stop=residual_below(goal),
            max_iter=self.max_inner,
        ).s


def _exact_step(problem: Any, point: Any, drawn: Any) -> Any:
    """``-H_S^-1 g``; ``None`` where the matrix is singular to rounding."""
    H = problem.hessian(point) if drawn is None else problem.sample_hessian(point.w, *drawn)
    try:
        return -PositiveFactor(H).solve(point.grad)
    except NotPositiveDefiniteError:
        return None


def _by_samples(xp: Any, R: Any, diagonal: Any, g: Any, damping: float) -> Any:
    """The exact damped step by Woodbury's identity."""
    D = diagonal + damping
    scaled = R / D
    core = R @ scaled.T
    core = core + xp.eye(R.shape[0], dtype=R.dtype, device=R.device)
    v = g / D
    return scaled.T @ PositiveFactor(core).solve(R @ v) - v


def _start(solver: Any, problem: Any, state: Any) -> Any:
    if hasattr(solver, "sufficient_decrease"):
        check_line_search(solver, needs_curvature=False)
    if solver.max_inner < 1:
        raise ValueError(
            f"{type(solver).__name__}: max_inner={solver.max_inner!r}, but it must be at least 1"
        )
    point = problem.point(state.w)
    state.stand_at(problem, point)
    state.first_norm = to_float(problem.xp.linalg.vector_norm(point.grad))
    return state


def _newton_step(solver: Any, problem: Any, state: Any, product: Any) -> Status | None:
    """A truncated step with the curvature ``product``, and backtracking along it."""
    point: Any = state.point
    search = partial(backtrack, decrease=solver.sufficient_decrease)
    eta = forcing(problem, point.grad, state.first_norm)
    d, bent = newton_direction(problem, point.grad, product, eta=eta, max_inner=solver.max_inner)
    slope = to_float(point.grad @ d)
    if bent and slope < 0 and step_along(problem, state, d, slope, 1.0, search).ok:
        return None
    return steepest(problem, state, search)
