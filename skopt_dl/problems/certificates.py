r"""How far from optimal a point of a linear model is at most.

**Duality gap.** With :math:`F(w) = \sum_i \omega_i \ell_i((A w)_i) + \Omega(w)` and any dual point
:math:`u`, weak duality (Fenchel) gives

.. math:: F(w) - F^\star \le F(w) + \sum_i \omega_i\, \ell_i^*(u_i) + \Omega^*(-A'(\omega u)).

The dual point is the slope of the loss at ``w``, scaled into the domain of :math:`\Omega^*`. Where
only the origin is in reach (a coefficient without penalty has a slope) this says nothing.

**Stationarity.** Where there is no gap: the largest component of the minimal subgradient, or of the
prox-gradient map where the penalty cannot tell its subgradients.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from skopt_dl.engine import Certificate
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops import along_rows, largest_eigenvalue
from skopt_dl.problems.intercept import balanced_slopes, best_intercept

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem

GAP, STATIONARITY = "duality gap", "stationarity"


def certify(problem: LinearProblem, w: Any, units: dict[str, float]) -> Certificate:
    """The certificate of ``problem`` at ``w``; ``units`` keeps what values are divided by.

    With an intercept that is not eliminated the dual point is taken at the best intercept for
    these coefficients: only there is it feasible. The gap still bounds the suboptimality of ``w``
    itself, whose own objective is the primal value.
    """
    z, g, value = problem.known_at(w)
    if z is None and g is None and not (problem.intercept_in_map and problem.criterion == GAP):
        z, value, g = problem.loss_at(w)
        # A path begins its next problem here.
        problem.keep(w, z, g, value)
    elif z is None and (g is None or value is None or problem.criterion == GAP):
        z = problem.predict_raw(w)
    value = problem.loss_value(z) if value is None else value
    objective = to_float(value + problem.nonsmooth_value(w))
    bound: Any = None
    if problem.criterion == GAP:
        bound = _gap(problem, z, objective, g)
        if bound is not None:
            return Certificate(GAP, bound / _unit(problem, GAP, units), objective, bound)
    g = problem.loss_grad(z) if g is None else g
    if problem.criterion != GAP:
        # No rule looks at it here, and the best intercept of a dual point is not free.
        bound = partial(_later_gap, problem, w, z, objective, g)
    unit = _unit(problem, STATIONARITY, units)
    return Certificate(STATIONARITY, _stationarity(problem, w, z, g) / unit, objective, bound)


def _unit(problem: LinearProblem, kind: str, known: dict[str, float]) -> float:
    """What a criterion is divided by: it makes ``tol`` a pure number. ``known`` keeps it.

    A gap is measured by the loss of the null model above that of perfect predictions, which is
    the negative conjugate at 0; stationarity by the problem's ``scale``, or by the gradient at zero
    where it stands in for a gap.
    """
    if kind in known:
        return known[kind]
    if kind == GAP:
        z = problem.xp.zeros_like(problem.y)
        best = best_intercept(problem, z) if problem.intercept_in_map else z
        lowest = -(problem.omega @ problem.loss.conjugate(problem.y, z))  # type: ignore[attr-defined]
        size = to_float(problem.loss_value(z if best is None else best) - lowest)
    elif problem.scale == "null" or problem.criterion == GAP:
        size = to_float(problem.xp.max(problem.xp.abs(problem.at_zero()[1]))) if problem.size else 1
    else:
        size = float(problem.scale)
    known[kind] = size if 0 < size < math.inf else 1.0
    return known[kind]


def _later_gap(problem: LinearProblem, w: Any, z: Any, objective: float, g: Any) -> float | None:
    """The gap where another criterion decides.

    At the slopes of the loss themselves the loss and its conjugate meet (Fenchel--Young), and what
    is left is of the size of w: ``Omega(w) + Omega*(v) - w'v``.
    """
    penalty = problem.penalty
    if not problem.intercept_in_map and hasattr(penalty, "feasible_scale"):
        conjugate = to_float(penalty.conjugate(-g))  # type: ignore[attr-defined]
        if 0 < conjugate < math.inf and hasattr(problem.loss, "conjugate"):
            return max(to_float(problem.nonsmooth_value(w) + conjugate + w @ g), 0.0)
    return _gap(problem, problem.predict_raw(w) if z is None else z, objective, g)


def _gap(problem: LinearProblem, z: Any, objective: float, g: Any) -> float | None:
    """The duality gap, ``None`` where a conjugate or a feasible dual point is missing.

    ``g`` is the gradient of the loss at ``z`` if it is known: it saves a product with the data.
    """
    found = dual_point(problem, z, objective, g)
    return None if found is None else found[0]


def dual_point(
    problem: LinearProblem, z: Any, objective: float, g: Any = None
) -> tuple[float, Any] | None:
    """The gap of the dual point that belongs to ``z``, and ``-A'(omega u)`` there."""
    penalty, loss = problem.penalty, problem.loss
    if not (hasattr(loss, "conjugate") and hasattr(penalty, "conjugate")):
        return None
    if problem.intercept_in_map:
        z = best_intercept(problem, z)
        slope = None if z is None else balanced_slopes(problem, z)
        if slope is None:
            return None
    else:
        slope = loss.slope(problem.y, z)
    if g is not None and not problem.intercept_in_map:
        v = -g
    else:
        v = -problem.flat(problem.base_rmatvec(along_rows(problem.omega, slope)))
    scale = to_float(penalty.feasible_scale(v))  # type: ignore[attr-defined]
    if scale == 0:
        return None
    conjugate = to_float(penalty.conjugate(scale * v))  # type: ignore[attr-defined]
    if loss.quadratic and conjugate == 0:
        # The dual is a parabola along the ray: its maximum, clipped to what is feasible, and the
        # penalty's conjugate stays 0 towards the origin.
        ascent, square = -_total(problem, slope * problem.y), _total(problem, slope**2)
        scale = min(max(ascent / square, 0.0), scale) if square > 0 else scale
    gap = objective + conjugate
    gap += to_float(problem.omega @ loss.conjugate(problem.y, scale * slope))
    if math.isfinite(gap):
        return max(gap, 0.0), scale * v
    # The slopes have left the domain of the conjugate: for want of a best intercept, or far out.
    return None if problem.intercept_in_map else (math.inf, scale * v)


def _total(problem: LinearProblem, each: Any) -> float:
    """The weighted sum over samples (and outputs)."""
    total = problem.omega @ each
    return to_float(total if total.ndim == 0 else problem.xp.sum(total))


def _stationarity(problem: LinearProblem, w: Any, z: Any, g: Any) -> float:
    """Largest component of the minimal subgradient (or of the prox-gradient map); ``g`` is the
    gradient of the loss at ``z``."""
    xp = problem.xp
    head, tail = g[: problem.n_coef], g[problem.n_coef :]
    coef = w[: problem.n_coef]
    if hasattr(problem.penalty, "distance"):
        residual = problem.penalty.distance(coef, head)
    else:
        z = problem.predict_raw(w) if z is None else z
        step = 1.0 / max(to_float(_curvature_bound(problem, z)), 1e-300)
        residual = xp.abs(coef - problem.penalty.prox(coef - step * head, step)) / step
    return to_float(xp.max(xp.abs(xp.concat([residual, tail])))) if problem.size else 0.0


def _curvature_bound(problem: LinearProblem, z: Any) -> Any:
    """The Lipschitz constant of the gradient, or the largest curvature here where it has none."""
    loss = problem.loss
    if loss.smoothness < math.inf or not hasattr(loss, "curvature"):
        return problem.lipschitz()
    return largest_eigenvalue(problem.map, problem.omega * loss.curvature(problem.y, z))
