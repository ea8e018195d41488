r"""How far from optimal a point of a linear model is at most.

**Duality gap.** With :math:`F(w) = \sum_i \omega_i \ell_i((A w)_i) + \Omega(w)` and any dual point
:math:`u`, weak duality (Fenchel) gives

.. math:: F(w) - F^\star \le F(w) + \sum_i \omega_i\, \ell_i^*(u_i) + \Omega^*(-A'(\omega u)).

The dual point is the slope of the loss at ``w``, scaled into the domain of :math:`\Omega^*`.

**Stationarity.** Where a conjugate is missing: the largest component of the minimal subgradient, or
of the prox-gradient map where the penalty cannot tell its subgradients.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from skopt_dl.engine import Certificate
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops import along_rows

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem

GAP, STATIONARITY = "duality gap", "stationarity"

# The best intercept: a damped Newton method, whose damping vanishes with the gradient.
NEWTON_STEPS = 100
DAMPING = 1e-3


def certify(problem: LinearProblem, w: Any, unit: float) -> Certificate:
    """The certificate of ``problem`` at ``w``, its value divided by ``unit``.

    With an intercept that is not eliminated the dual point is taken at the best intercept for
    these coefficients (a few Newton steps): only there is it feasible. The gap still bounds the
    suboptimality of ``w`` itself, whose own objective is the primal value.
    """
    z = problem.predict_raw(w)
    objective = to_float(problem.loss_value(z) + problem.nonsmooth_value(w))
    gap = _gap(problem, z, objective)
    if problem.criterion == GAP and gap is not None:
        return Certificate(GAP, gap / unit, objective, gap)
    return Certificate(STATIONARITY, _stationarity(problem, w, z) / unit, objective, gap)


def unit(problem: LinearProblem) -> float:
    """What the criterion is divided by: it makes ``tol`` a pure number."""
    z = problem.xp.zeros_like(problem.y)
    if problem.criterion == GAP:
        best = _best_intercept(problem, z) if problem.intercept_in_map else z
        size = abs(to_float(problem.loss_value(z if best is None else best)))
    elif problem.scale == "null":
        size = to_float(problem.xp.max(problem.xp.abs(problem.loss_grad(z)))) if problem.size else 1
    else:
        size = float(problem.scale)
    return size if size > 0 else 1.0


def _gap(problem: LinearProblem, z: Any, objective: float) -> float | None:
    """The duality gap, ``None`` where a conjugate or a feasible dual point is missing."""
    penalty, loss, xp = problem.penalty, problem.loss, problem.xp
    if not (hasattr(loss, "conjugate") and hasattr(penalty, "conjugate")):
        return None
    if problem.intercept_in_map:
        z = _best_intercept(problem, z)
        if z is None:
            return None
    slope = loss.slope(problem.y, z)
    v = -problem.flat(problem.base_rmatvec(along_rows(problem.omega, slope)))
    scale = penalty.feasible_scale(v)  # type: ignore[attr-defined]
    conjugate = penalty.conjugate(scale * v)  # type: ignore[attr-defined]
    if loss.quadratic:
        # The dual is a parabola along the ray: its maximum, clipped to what is feasible.
        conj_slope = xp.sum(along_rows(problem.omega, slope * problem.y))
        square = xp.sum(along_rows(problem.omega, slope**2))
        best = -conj_slope / xp.where(square > 0, square, xp.ones_like(square))
        # Where the penalty's conjugate is 0 it stays 0 towards the origin.
        scale = xp.where(conjugate == 0, xp.clip(best, 0 * scale, scale), scale)
    gap = objective + to_float(problem.omega @ loss.conjugate(problem.y, scale * slope) + conjugate)
    return float("inf") if math.isnan(gap) else max(gap, 0.0)


def _best_intercept(problem: LinearProblem, z: Any) -> Any:
    """``z + b`` with the ``b`` that minimises the loss, or ``None`` if Newton does not get there
    (it then has no dual feasible point to offer)."""
    if not (hasattr(problem.loss, "curvature") or hasattr(problem.loss, "curvature_product")):
        return None
    xp = problem.xp
    # Slopes must sum to zero to rounding, or the dual point is not feasible.
    eps = float(xp.finfo(problem.dtype).eps)
    value = to_float(problem.loss_value(z))
    for _ in range(NEWTON_STEPS):
        g = problem.omega @ problem.loss.slope(problem.y, z)
        size = to_float(xp.max(xp.abs(g)))
        if size <= 64 * eps:
            return z
        d = _intercept_step(problem, z, g, DAMPING * size)
        t, promised = 1.0, to_float(xp.sum(g * d))
        while True:
            after = to_float(problem.loss_value(z - t * d))
            if after <= value - 1e-4 * t * promised + 8 * eps * abs(value) or t < eps:
                break
            t /= 2
        z, value = z - t * d, after
    return None


def _intercept_step(problem: LinearProblem, z: Any, g: Any, damping: float) -> Any:
    """The Newton step of the intercept; ``damping`` keeps it finite where the loss is flat."""
    xp, K = problem.xp, problem.n_outputs
    if z.ndim == 1:
        h = problem.omega @ problem.curvature_product(z, xp.ones_like(z))
        return g / (h + damping)
    eye = xp.eye(K, dtype=z.dtype, device=problem.device)
    H = xp.stack(
        [
            problem.omega @ problem.curvature_product(z, xp.ones_like(z) * eye[k, :])
            for k in range(K)
        ]
    )
    # The softmax Hessian is singular along equal shifts; adding 1/K fixes that gauge.
    return xp.linalg.solve(H + 1.0 / K + damping * eye, g)


def _stationarity(problem: LinearProblem, w: Any, z: Any) -> float:
    """Largest component of the minimal subgradient (or of the prox-gradient map)."""
    xp, g = problem.xp, problem.loss_grad(z)
    head, tail = g[: problem.n_coef], g[problem.n_coef :]
    coef = w[: problem.n_coef]
    if hasattr(problem.penalty, "distance"):
        residual = problem.penalty.distance(coef, head)
    else:
        step = 1.0 / max(to_float(problem.lipschitz()), 1e-300)
        residual = xp.abs(coef - problem.penalty.prox(coef - step * head, step)) / step
    return to_float(xp.max(xp.abs(xp.concat([residual, tail])))) if problem.size else 0.0
