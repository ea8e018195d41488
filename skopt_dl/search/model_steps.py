r"""Steps to the minimum of a quadratic model, in its eigenvectors: within a radius, with a cubic
term, with absolute curvature.

Letters: :math:`\lambda_i` the eigenvalues and :math:`c_i` the gradient's coefficients, a the
step's, :math:`\mu` the shift of the eigenvalues.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from skopt_dl.kernels.namespace import device_of, namespace_of, to_float

MAX_TURNS = 200


def trust_step(values: Any, c: Any, radius: float) -> tuple[Any, float]:
    r"""The global minimiser of the model over :math:`|a| \le \Delta`, and its shift.

    .. math:: a = -(\lambda + \mu)^{-1} c, \qquad \mu \ge 0, \qquad \mu\,(\Delta - |a|) = 0, \qquad
              \lambda + \mu \ge 0

    where there is such a :math:`\mu`; in the hard case (no gradient along the lowest eigenvector)
    that vector is added up to the radius.

    References
    ----------
    J. Moré, D. Sorensen, "Computing a trust region step", SIAM J. Sci. Stat. Comput. 4 (1983).
    """
    return _shifted(values, c, lambda mu: radius, _norm(c) / radius, inside=radius)


def cubic_step(values: Any, c: Any, sigma: float) -> tuple[Any, float]:
    r"""The global minimiser of the model plus :math:`\tfrac\sigma3 |a|^3`, and its shift.

    .. math:: a = -(\lambda + \mu)^{-1} c, \qquad \mu = \sigma |a|, \qquad \lambda + \mu \ge 0

    References
    ----------
    C. Cartis, N. Gould, P. Toint, "Adaptive cubic regularisation methods for unconstrained
    optimization. Part I", Math. Programming 127 (2011), section 6.1.
    """
    return _shifted(values, c, lambda mu: mu / sigma, math.sqrt(sigma * _norm(c)), inside=0.0)


def absolute_step(values: Any, c: Any, floor: float) -> Any:
    r""":math:`-c / \max(|\lambda|, \text{floor})`: away from saddles, Newton's elsewhere."""
    xp = namespace_of(values)
    size = xp.abs(values)
    return -c / xp.where(size > floor, size, xp.full_like(size, floor))


def model_decrease(values: Any, c: Any, a: Any) -> float:
    r""":math:`-c'a - \tfrac12 \sum_i \lambda_i a_i^2`, what the quadratic model promises."""
    return -to_float(c @ a) - 0.5 * to_float(values @ (a * a))


def _norm(c: Any) -> float:
    return to_float(namespace_of(c).linalg.vector_norm(c))


def _shifted(
    values: Any, c: Any, target: Callable[[float], float], reach: float, *, inside: float
) -> tuple[Any, float]:
    """The shift at which the step is as long as the target, by Newton on the inverse lengths.

    ``low`` is the least shift that leaves no negative eigenvalue, ``reach`` what has to be added to
    it at most. A Newton step that leaves the bracket is replaced by its middle.
    """
    xp = namespace_of(values)
    eps = float(xp.finfo(values.dtype).eps)
    least = to_float(values[0])
    scale = max(abs(least), abs(to_float(values[-1])), 1e-300)
    low = max(0.0, -least)
    if least > eps * scale:
        a = -c / values
        if _norm(a) <= inside:
            return a, 0.0
    else:
        # At the least shift, without the lowest eigenvectors.
        lowest = values - least <= eps * scale * values.shape[0]
        gap = xp.where(lowest, xp.ones_like(values), values + low)
        a = xp.where(lowest, xp.zeros_like(c), -c / gap)
        there = to_float(xp.linalg.vector_norm(xp.where(lowest, c, xp.zeros_like(c))))
        short = target(low) ** 2 - _norm(a) ** 2
        if there <= eps * max(_norm(c), 1e-300) and short >= 0:
            first = xp.astype(xp.arange(c.shape[0], device=device_of(c)) == 0, c.dtype)
            return a + math.sqrt(short) * first, low
    high = low + reach * (1 + 4 * eps) + eps * scale
    bottom, mu = low, low + 0.5 * (high - low)
    a = -c / (values + mu)
    for _ in range(MAX_TURNS):
        length, wanted = _norm(a), target(mu)
        if abs(length - wanted) <= 4 * eps * wanted or high - bottom <= eps * high:
            break
        if length > wanted:
            bottom = mu
        else:
            high = mu
        # 1/|a| is nearly linear in the shift; its slope is sum(a^2 / (values + mu)) / |a|^3.
        slope = to_float((a * a) @ (1 / (values + mu))) / length**3
        step = _newton(length, wanted, slope, mu, inside)
        mu = mu + step if bottom < mu + step < high else 0.5 * (bottom + high)
        a = -c / (values + mu)
    return a, mu


def _newton(length: float, wanted: float, slope: float, mu: float, inside: float) -> float:
    """Newton's step for 1/|a| = 1/target, with the target constant (a radius) or mu / sigma."""
    if inside > 0:
        return (1 / wanted - 1 / length) / slope
    # 1/|a| - sigma/mu, and sigma/mu = 1/wanted has the slope -1/(wanted mu).
    return (1 / wanted - 1 / length) / (slope + 1 / (wanted * mu))
