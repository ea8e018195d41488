r"""The best intercept for given predictions: the shift that minimises the loss term.

A dual point is feasible only where the slopes sum to zero, which is where the intercept is best;
and it is what the null model predicts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from skopt_dl.kernels.namespace import to_float

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem

STEPS = 100
# The Newton method of several outputs is damped; the damping vanishes with the gradient.
DAMPING = 1e-3
# How far the first step goes where the loss is flat, and how much further each next one.
REACH, FURTHER = 1.0, 4.0
# Slopes that sum to this many units of rounding sum to zero.
ULPS = 64


def best_intercept(problem: LinearProblem, z: Any) -> Any:
    """``z`` moved by the best intercept, or ``None`` if there is no way to find it."""
    if z.ndim == 1:
        return z + _best_shift(problem, z)
    return _best_row(problem, z) if hasattr(problem.loss, "curvature_map") else None


def balanced_slopes(problem: LinearProblem, z: Any) -> Any:
    r"""Slopes of the loss at ``z``, where the intercept is best, that sum to zero to rounding.

    What the sum :math:`g` of a single output still misses goes to the samples with curvature,
    :math:`u_i - g\,\ell''_i / \sum_j \omega_j \ell''_j`: their slopes have room on both sides. It
    is ``None`` if there are none, or if several outputs do not sum to zero.
    """
    xp, slope = problem.xp, problem.loss.slope(problem.y, z)
    g = problem.omega @ slope
    eps = float(xp.finfo(problem.dtype).eps)
    missing = to_float(xp.max(xp.abs(g)))
    if z.ndim == 1 and hasattr(problem.loss, "curvature"):
        curvature = problem.loss.curvature(problem.y, z)
        total = problem.omega @ curvature
        if to_float(total) > 0:
            return slope - (g / total) * curvature
    return slope if missing <= ULPS * eps else None


def _best_shift(problem: LinearProblem, z: Any) -> float:
    """The root of the slopes' sum, which increases with the shift: Newton within a bracket."""
    loss, y, omega, xp = problem.loss, problem.y, problem.omega, problem.xp
    small = ULPS * float(xp.finfo(problem.dtype).eps)
    b, low, high, reach, last = 0.0, -math.inf, math.inf, REACH, math.inf
    for _ in range(STEPS):
        slope = loss.slope(y, z + b)
        g = to_float(omega @ slope)
        if abs(g) <= small * to_float(omega @ xp.abs(slope)):
            break
        if g < 0:
            low = b
        else:  # a sum that has overflowed is on this side
            high = b
        h = to_float(omega @ loss.curvature(y, z + b)) if hasattr(loss, "curvature") else 0.0
        newton = b - g / h if h > 0 else math.nan
        if newton == b:
            break
        if math.isinf(low) or math.isinf(high):
            near = abs(newton - b) < reach
            b = newton if near else b + math.copysign(reach, -g if g == g else -1.0)
            reach *= FURTHER
        elif low < newton < high and abs(g) < 0.5 * abs(last):
            b = newton
        else:
            b = (low + high) / 2
            if b in (low, high):
                break
        last = g
    return b


def _best_row(problem: LinearProblem, z: Any) -> Any:
    """Newton's method with backtracking; ``None`` if it does not get there."""
    xp = problem.xp
    eps = float(xp.finfo(problem.dtype).eps)
    value = to_float(problem.loss_value(z))
    for _ in range(STEPS):
        g = problem.omega @ problem.loss.slope(problem.y, z)
        size = to_float(xp.max(xp.abs(g)))
        if size <= ULPS * eps:
            return z
        d = _row_step(problem, z, g, DAMPING * size)
        t, promised = 1.0, to_float(xp.sum(g * d))
        while True:
            after = to_float(problem.loss_value(z - t * d))
            if after <= value - 1e-4 * t * promised + 8 * eps * abs(value) or t < eps:
                break
            t /= 2
        z, value = z - t * d, after
    return None


def _row_step(problem: LinearProblem, z: Any, g: Any, damping: float) -> Any:
    """The Newton step of the intercepts; ``damping`` keeps it finite where the loss is flat."""
    xp, K = problem.xp, problem.n_outputs
    eye = xp.eye(K, dtype=z.dtype, device=problem.device)
    if hasattr(problem.loss, "softmax_curvature"):
        p = problem.loss.softmax_curvature(problem.y, z)
        weighted = problem.omega[:, None] * p
        H = xp.sum(weighted, axis=0) * eye - weighted.T @ p
    else:
        curve = problem.curvature_map(z)
        H = xp.stack([problem.omega @ curve(xp.ones_like(z) * eye[k, :]) for k in range(K)])
    # The softmax Hessian is singular along equal shifts: 1/K of its own size fixes that gauge.
    # Where classes are far apart it is singular along more, to rounding.
    size = to_float(xp.max(xp.abs(H)))
    rounding = 4 * K * float(xp.finfo(z.dtype).eps) * size
    return xp.linalg.solve(H + size / K + (damping + rounding) * eye, g)
