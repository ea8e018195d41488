r"""Trust regions on the manifold of matrices of fixed rank.

Letters: :math:`U, s, V` the singular triplets of the iterate X, T its tangent space, r the entries
that it leaves, g the gradient in T, H the Riemannian Hessian, t the step in T.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Problem
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.truncated import truncated_cg
from skopt_dl.solvers.riemannian import RiemannianSolver, RiemannianState, stand_at, start_at

# Ratios of the decrease to the promised one below and above which the radius changes.
POOR, GOOD = 0.25, 0.75
# The radius at the start and at most, in lengths of the iterate.
FIRST, MOST = 0.125, 1.0
# Below this length of the iterate a radius is rounding.
LEAST = 1e-13


@dataclass
class RiemannianTrustState(RiemannianState):
    """Adds the radius and the first gradient's length."""

    radius: float = 0.0
    steepest: float = 0.0


class RiemannianTrustRegion(RiemannianSolver):
    """Newton steps within a trust region on the matrices of fixed rank.

    .. math::

        t \\approx \\operatorname{argmin}_{|t| \\le \\Delta}\\ \\langle g, t \\rangle
        + \\tfrac12 \\langle t, H t \\rangle, \\qquad X^+ = R_X(t)

    by truncated conjugate gradients, with the exact Riemannian Hessian: the projection of the
    observed entries of t, and the bending of the manifold, :math:`P_U^\\perp G N S^{-1}` and
    :math:`P_V^\\perp G' L S^{-1}` at the sides L, N of t with G the gradient in the entries.

    Needs tangent spaces of matrices of fixed rank.

    Parameters
    ----------
    acceptance : float
        The least ratio of decrease and promise of a step that is taken, below 1/4.
    max_inner : int
        Hessian products per step at most.

    Notes
    -----
    It starts as ``riemannian_cg`` does. The conjugate gradients end where the residual has fallen
    by :math:`\\min(1/10, |g| / |g_0|)`, which makes the last steps quadratic. Every step tried
    counts one iteration. The indicator is the norm of the gradient over that of the data.

    References
    ----------
    P.-A. Absil, C. Baker, K. Gallivan, "Trust-region methods on Riemannian manifolds", Found.
    Comput. Math. 7 (2007); B. Vandereycken, "Low-rank matrix completion by Riemannian
    optimization", SIAM J. Optim. 23 (2013), proposition 2.3 of the extended version.
    """

    default_max_iter: ClassVar[int] = 1000

    def __init__(self, *, acceptance: float = 0.1, max_inner: int = 200) -> None:
        self.acceptance, self.max_inner = acceptance, max_inner

    def init(self, problem: Problem, w: Any, rng: Any) -> RiemannianTrustState:
        if not 0 <= self.acceptance < POOR:
            raise ValueError(
                f"RiemannianTrustRegion: acceptance={self.acceptance!r}, but it must be at least 0 "
                f"and below {POOR}"
            )
        if self.max_inner < 1:
            raise ValueError(
                f"RiemannianTrustRegion: max_inner={self.max_inner!r}, but it must be at least 1"
            )
        state = RiemannianTrustState(w=w)
        start_at(problem, state, rng)
        norm = problem.xp.linalg.vector_norm
        state.radius = FIRST * to_float(norm(state.s))
        state.steepest = to_float(norm(state.g))
        return state

    def _iterate(self, problem: Any, state: RiemannianTrustState) -> bool:
        xp, norm = problem.xp, problem.xp.linalg.vector_norm
        length, shape = to_float(norm(state.s)), state.g.shape
        if not state.radius > LEAST * length:
            return False
        g, hessian = xp.reshape(state.g, (-1,)), _hessian(problem, state)

        def product(d: Any) -> Any:
            return xp.reshape(hessian(xp.reshape(d, shape)), (-1,))

        steep = to_float(norm(g))
        enough = steep * min(0.1, steep / state.steepest if state.steepest > 0 else 0.0)
        found = truncated_cg(
            product,
            g,
            stop=lambda s, r, square: to_float(square) ** 0.5 <= enough,
            max_iter=self.max_inner,
            radius=state.radius,
        )
        promised = -to_float(g @ found.s) - 0.5 * to_float(found.s @ product(found.s))
        trial = RiemannianTrustState(w=state.w)
        stand_at(problem, trial, *state.T.retracted(state.s, xp.reshape(found.s, shape)))
        before, after = (0.5 * to_float(problem.observed.dot(s.r, s.r)) for s in (state, trial))
        hidden = float(xp.finfo(problem.dtype).eps) * 100 * before
        if promised > hidden:
            ratio = (before - after) / promised
        else:
            # Rounding hides the decrease: what counts is the gradient.
            ratio = 1.0 if to_float(norm(trial.g)) < steep else 0.0
        if ratio < POOR:
            state.radius *= 0.25
        elif ratio > GOOD and found.end in ("radius", "curvature"):
            state.radius = min(2 * state.radius, MOST * max(length, to_float(norm(trial.s))))
        if ratio > self.acceptance:
            for name in ("U", "s", "V", "r", "T", "g", "w", "indicator"):
                setattr(state, name, getattr(trial, name))
        return True


def _hessian(problem: Any, state: RiemannianState) -> Any:
    """The product with the Riemannian Hessian at the state's point."""
    xp, T = problem.xp, state.T
    G, Gt = problem.observed.matrix(-state.r), problem.observed.matrix_t(-state.r)
    tiny = float(xp.finfo(problem.dtype).eps) * to_float(state.s[0])
    inverse = 1 / xp.clip(state.s, tiny if tiny > 0 else 1.0, None)

    def product(t: Any) -> Any:
        _, L, N = T.parts(t)
        top = xp.zeros((T.k, T.k), dtype=problem.dtype, device=problem.device)
        bent = xp.concat([top, (G @ N) * inverse, (Gt @ L) * inverse], axis=0)
        return T.gram(t) + T.gauge(bent)

    return product
