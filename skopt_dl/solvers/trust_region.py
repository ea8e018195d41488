r"""A trust region method: the second-order model is believed within a radius.

Letters: w the iterate, g the gradient, H the Hessian there, s the step, :math:`\Delta` the radius,
r the residual and d the direction of the conjugate gradients inside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.search import rounding
from skopt_dl.solvers.descent import GROWTH, DescentSolver, DescentState

# The radius shrinks to a quarter where less than a quarter of the promised decrease came, and
# doubles where more than three quarters came and the step ended at the radius.
POOR, GOOD = 0.25, 0.75
SHRINK, GROW = 0.25, 2.0


@dataclass
class TrustRegionState(DescentState):
    """Adds the radius."""

    radius: float = 1.0


class TrustRegion(DescentSolver):
    """Newton steps within a trust region, by truncated conjugate gradients (Steihaug).

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

    Notes
    -----
    The conjugate gradients end where the residual is :math:`\\min(1/2, \\sqrt{|g|})\\,|g|`, at the
    radius, or along a direction of no positive curvature, which is followed to the radius: on
    non-convex objectives the method leaves saddles that it does not start on exactly. Every inner
    iteration counts none, every step tried, taken or not, counts one. Where rounding hides the
    decrease it is measured by the slopes, :math:`-\\tfrac12 (g + g^+)'s`. Apart from that the
    iterates are those of SciPy's "trust-ncg".

    References
    ----------
    T. Steihaug, "The conjugate gradient method and trust regions in large scale optimization", SIAM
    J. Numer. Anal. 20 (1983); A. Conn, N. Gould, P. Toint, "Trust Region Methods" (2000), 7.5.1 and
    17.4; J. Nocedal, S. Wright, "Numerical Optimization" (2006), Algorithms 4.1 and 7.2.
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
    ) -> None:
        self.initial_radius, self.max_radius = initial_radius, max_radius
        self.acceptance, self.max_inner = acceptance, max_inner

    def init(self, problem: Problem, w: Any, rng: Any) -> TrustRegionState:
        if not 0 < self.initial_radius <= self.max_radius:
            raise ValueError(
                f"TrustRegion: initial_radius={self.initial_radius!r}, but it must be above 0 and "
                f"at most max_radius={self.max_radius!r}"
            )
        if not 0 <= self.acceptance < POOR:
            raise ValueError(
                f"TrustRegion: acceptance={self.acceptance!r}, but it must be at least 0 and below "
                f"{POOR}"
            )
        if self.max_inner < 1:
            raise ValueError(
                f"TrustRegion: max_inner={self.max_inner!r}, but it must be at least 1"
            )
        state = TrustRegionState(w=w, radius=float(self.initial_radius))
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        return state

    def _iterate(self, problem: Any, state: TrustRegionState) -> Status | None:
        point: Any = state.point
        progress, value = state.progress, to_float(point.value)
        eps = float(problem.xp.finfo(problem.dtype).eps)
        progress.doubt = max(progress.doubt, rounding(1.0, eps))
        product = problem.hvp(point)
        s, bounded = self._model_step(problem, point, product, state.radius)
        slope = to_float(point.grad @ s)
        promised = -slope - 0.5 * to_float(s @ product(s))
        if not promised > 0:
            return Status.STALLED
        line = problem.along(point, s)
        after, end_slope = line(1.0)
        by_slopes = -0.5 * (slope + end_slope)
        ratio = _ratio(value - after, by_slopes, promised, progress.noise(value))
        state.n_iter += 1
        if ratio < POOR:
            state.radius *= SHRINK
        elif ratio > GOOD and bounded:
            state.radius = min(GROW * state.radius, self.max_radius)
        if ratio > self.acceptance:
            trial = line.accept(1.0)
            state.stand_at(problem, trial)
            progress.note(trial, after, to_float(state.indicator), rounding(value, eps))
            return None
        return _refused(problem, state, s, promised, value, eps)

    def _model_step(
        self, problem: Any, point: Any, product: Any, radius: float
    ) -> tuple[Any, bool]:
        """The step by truncated conjugate gradients, and whether it ends at the radius."""
        r = point.grad
        s, d = problem.xp.zeros_like(r), -r
        square = to_float(r @ r)
        size = square**0.5
        enough = min(0.5, size**0.5) * size
        for _ in range(self.max_inner):
            q = product(d)
            bend = to_float(d @ q)
            if not bend > 0:
                return self._lower_end(problem, point, product, s, d, radius), True
            a = square / bend
            longer = s + a * d
            if not to_float(problem.xp.linalg.vector_norm(longer)) < radius:
                return s + _to_radius(s, d, radius)[1] * d, True
            s, r = longer, r + a * q
            before, square = square, to_float(r @ r)
            if square**0.5 < enough:
                break
            d = (square / before) * d - r
        return s, False

    def _lower_end(
        self, problem: Any, point: Any, product: Any, s: Any, d: Any, radius: float
    ) -> Any:
        """Where the line through ``s`` along ``d`` meets the radius, at the lower of the ends."""

        def model(step: Any) -> float:
            return to_float(point.grad @ step) + 0.5 * to_float(step @ product(step))

        ends = [s + t * d for t in _to_radius(s, d, radius)]
        return min(ends, key=model)


def _ratio(gain: float, by_slopes: float, promised: float, noise: float) -> float:
    """What came of what was promised; by the slopes where the values do not tell."""
    if not (math.isfinite(gain) and math.isfinite(by_slopes)):
        return -math.inf
    return (by_slopes if abs(gain) <= noise else gain) / promised


def _to_radius(s: Any, d: Any, radius: float) -> tuple[float, float]:
    """The two t with ``|s + t d| = radius``, without cancellation."""
    a, b, c = to_float(d @ d), 2 * to_float(s @ d), to_float(s @ s) - radius**2
    far = b + math.copysign(math.sqrt(b * b - 4 * a * c), b)
    low, high = sorted((-far / (2 * a), -2 * c / far))
    return low, high


def _refused(
    problem: Any, state: TrustRegionState, s: Any, promised: float, value: float, eps: float
) -> Status | None:
    """After a step that was not taken: trust values less, or give up where no step is left."""
    progress, xp = state.progress, problem.xp
    limit = eps**0.5
    if promised <= limit * abs(value):
        progress.doubt = min(limit, GROWTH * progress.doubt)
    state.progress.idle += 1
    reach = to_float(xp.linalg.vector_norm(state.w)) + eps
    if to_float(xp.linalg.vector_norm(s)) <= eps * reach:
        return Status.STALLED
    return None
