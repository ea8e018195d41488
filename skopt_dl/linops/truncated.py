r"""Conjugate gradients for the minimum of a quadratic model, ended early.

Letters: H the matrix, known by its products, g the gradient, s the step, r the residual
:math:`H s + g`, y the residual after the preconditioner, d the direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skopt_dl.kernels.namespace import namespace_of, to_float

Product = Callable[[Any], Any]
StopRule = Callable[[Any, Any, Any], bool]


@dataclass
class Truncated:
    """What conjugate gradients have found when they end.

    Attributes
    ----------
    s : array of shape (p,)
        The step.
    end : {"stop", "radius", "curvature", "budget"}
        What ended them: the rule, the radius, a direction of no positive curvature (which is
        followed to the radius where there is one), or the number of products.
    n : int
        Steps of conjugate gradients that are in ``s``.
    """

    s: Any
    end: str
    n: int


def residual_below(tol: float) -> StopRule:
    """Stop where ``|r| <= tol``."""
    return lambda s, r, square: to_float(square) ** 0.5 <= tol


class ModelProgress:
    r"""Stop where the quadratic model has long stopped falling (Martens).

    With :math:`\phi_i` the model after i steps and :math:`k = \max(10, i/10)`: stop at the first i
    with :math:`\phi_i < 0` and :math:`(\phi_i - \phi_{i-k}) / \phi_i < k\,\text{tol}`. Steps at
    i = 1, 2, ... growing by 1.3 are kept, for a search back.

    Source: J. Martens, "Deep learning via Hessian-free optimization", ICML 2010, section 4.4.
    """

    GROWTH = 1.3

    def __init__(self, g: Any, tol: float, least: int = 1) -> None:
        self.g, self.tol, self.least = g, tol, least
        self.values: list[float] = []
        self.kept: list[Any] = []
        self._next = 1.0

    def __call__(self, s: Any, r: Any, square: Any) -> bool:
        # s'Hs = s'(r - g), so the model is s'(r + g) / 2.
        self.values.append(0.5 * to_float(s @ (r + self.g)))
        i = len(self.values)
        if i >= self._next:
            self.kept.append(s)
            self._next = max(i + 1, self.GROWTH * i)
        k = max(10, i // 10)
        if i <= k or i < self.least:
            return False
        now, before = self.values[-1], self.values[-1 - k]
        return now < 0 and (now - before) / now < k * self.tol


def truncated_cg(
    product: Product,
    g: Any,
    *,
    stop: StopRule,
    max_iter: int,
    radius: float = math.inf,
    start: Any = None,
    precondition: Product | None = None,
    floor: float = 0.0,
) -> Truncated:
    r"""Conjugate gradients on :math:`H s = -g`, ended early.

    Parameters
    ----------
    product : callable
        ``d -> H d``.
    g : array of shape (p,)
        Minus the right-hand side.
    stop : callable
        ``(s, r, r'r) -> bool``, asked after each step.
    max_iter : int
        Products at most.
    radius : float
        The length of ``s`` at most (Steihaug), without a preconditioner.
    start : array of shape (p,), optional
        First ``s``; zeros without, at no product.
    precondition : callable, optional
        ``r -> y``, an approximate solve with a positive definite matrix.
    floor : float
        Curvature up to this share of the steepest one met counts as none: rounding, beside it.

    References
    ----------
    T. Steihaug, "The conjugate gradient method and trust regions in large scale optimization", SIAM
    J. Numer. Anal. 20 (1983).
    """
    xp = namespace_of(g)
    s = xp.zeros_like(g) if start is None else start
    r = g if start is None else product(start) + g
    y = r if precondition is None else precondition(r)
    d, square = -y, r @ y
    steepest = 0.0
    for n in range(max_iter):
        q = product(d)
        bend = d @ q
        bent, length = to_float(bend), to_float(d @ d)
        if length == 0.0:
            return Truncated(s, "stop", n)
        if not bent > floor * steepest * length:
            if radius < math.inf:
                return Truncated(_lower_end(product, g, s, d, radius), "curvature", n)
            return Truncated(s, "curvature", n)
        steepest = max(steepest, bent / length)
        a = square / bend
        longer = s + a * d
        if radius < math.inf and not to_float(xp.linalg.vector_norm(longer)) < radius:
            return Truncated(s + _to_radius(s, d, radius)[1] * d, "radius", n)
        s, r = longer, r + a * q
        y = r if precondition is None else precondition(r)
        before, square = square, r @ y
        if stop(s, r, square if precondition is None else r @ r):
            return Truncated(s, "stop", n + 1)
        d = (square / before) * d - y
    return Truncated(s, "budget", max_iter)


def _lower_end(product: Product, g: Any, s: Any, d: Any, radius: float) -> Any:
    """Where the line through ``s`` along ``d`` meets the radius, at the lower of the ends."""

    def model(step: Any) -> float:
        return to_float(g @ step) + 0.5 * to_float(step @ product(step))

    return min((s + t * d for t in _to_radius(s, d, radius)), key=model)


def _to_radius(s: Any, d: Any, radius: float) -> tuple[float, float]:
    """The two t with ``|s + t d| = radius``, without cancellation."""
    a, b, c = to_float(d @ d), 2 * to_float(s @ d), to_float(s @ s) - radius**2
    far = b + math.copysign(math.sqrt(b * b - 4 * a * c), b)
    low, high = sorted((-far / (2 * a), -2 * c / far))
    return low, high
