r"""Penalties that stop growing: MCP and SCAD. Large coefficients are not shrunk.

With the strength :math:`\lambda` and a second number, for :math:`t = |w_j|`:

.. math::

    \text{MCP:}\quad & \lambda t - \frac{t^2}{2\gamma}\ (t \le \gamma\lambda), \qquad
                       \frac{\gamma\lambda^2}{2}\ \text{beyond} \\
    \text{SCAD:}\quad & \lambda t\ (t \le \lambda), \qquad
        \frac{2 a \lambda t - t^2 - \lambda^2}{2 (a - 1)}\ (t \le a\lambda), \qquad
        \frac{(a + 1) \lambda^2}{2}\ \text{beyond}

Neither is convex: a solve ends at a stationary point, which depends on the start.

Sources: C.-H. Zhang, "Nearly unbiased variable selection under minimax concave penalty", Ann.
Stat. 38 (2010); J. Fan, R. Li, "Variable selection via nonconcave penalized likelihood and its
oracle properties", JASA 96 (2001). Proxes: P. Breheny, J. Huang, "Coordinate descent algorithms for
nonconvex penalized regression", Ann. Appl. Stat. 5 (2011), continued here to steps beyond those for
which a coordinate's problem is convex.
"""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.penalties.base import Penalty, check_strength, per_coefficient
from skopt_dl.penalties.elastic_net import entry


class MCP(Penalty):
    """Minimax concave penalty, separable and not convex.

    Parameters
    ----------
    alpha : float or array of shape (n_features,)
        Strength, the slope at zero.
    gamma : float
        ``gamma alpha`` is where the penalty is flat, ``> 0``. Infinite is the lasso; towards 1 it
        is a hard threshold (of columns of unit length).
    """

    label: ClassVar[str] = "the MCP penalty"
    convex: ClassVar[bool] = False
    strengths: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, alpha: Any = 1.0, gamma: float = 3.0) -> None:
        self.alpha, self.gamma = alpha, gamma

    def check(self, size: int, outputs: int = 1) -> None:
        check_strength(self, "alpha", size, outputs)
        if not 0 < self.gamma < float("inf"):
            raise ValueError(f"MCP: gamma={self.gamma!r}, but it must be a number > 0")

    def value(self, w: Any) -> Any:
        xp, gamma = namespace_of(w), self.gamma
        alpha = per_coefficient(self.alpha, w)
        t = xp.minimum(xp.abs(w), gamma * alpha + xp.zeros_like(w))
        return xp.sum(alpha * t - t**2 / (2 * gamma))

    def prox(self, v: Any, step: Any) -> Any:
        return self._prox(v, step, per_coefficient(self.alpha, v))

    def prox_coordinate(self, v: Any, step: Any, j: int) -> Any:
        return self._prox(v, step, entry(self.alpha, j))

    def _prox(self, v: Any, step: Any, alpha: Any) -> Any:
        """Shrink up to the flat part; a longer step makes the shrunk part concave, and then what
        is left is to keep ``v`` or to drop it."""
        xp, gamma = namespace_of(v), self.gamma
        step, size = step + 0 * v, xp.abs(v)
        short = step < gamma
        room = xp.where(short, 1 - step / gamma, xp.ones_like(v))
        shrunk = xp.sign(v) * xp.clip(size - step * alpha, 0, None) / room
        inner = xp.where(short & (size <= gamma * alpha), shrunk, v)
        dropped = ~short & (size <= xp.sqrt(gamma * step) * alpha)
        return xp.where(dropped, xp.zeros_like(v), inner)

    def distance(self, w: Any, g: Any) -> Any:
        """How far the slope is from 0, or beyond the strength where the coefficient is 0."""
        xp = namespace_of(w)
        alpha, size = per_coefficient(self.alpha, w), xp.abs(w)
        slope = xp.sign(w) * xp.clip(alpha - size / self.gamma, 0, None)
        return xp.where(w == 0, xp.clip(xp.abs(g) - alpha, 0, None), xp.abs(g + slope))


class SCAD(Penalty):
    """Smoothly clipped absolute deviation, separable and not convex.

    Parameters
    ----------
    alpha : float or array of shape (n_features,)
        Strength, the slope up to ``alpha``.
    a : float
        ``a alpha`` is where the penalty is flat, ``> 1``; the authors suggest 3.7.
    """

    label: ClassVar[str] = "the SCAD penalty"
    convex: ClassVar[bool] = False
    strengths: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, alpha: Any = 1.0, a: float = 3.7) -> None:
        self.alpha, self.a = alpha, a

    def check(self, size: int, outputs: int = 1) -> None:
        check_strength(self, "alpha", size, outputs)
        if not 1 < self.a < float("inf"):
            raise ValueError(f"SCAD: a={self.a!r}, but it must be a number > 1")

    def _each(self, size: Any, alpha: Any) -> Any:
        """The penalty of coefficients of absolute values ``size``."""
        xp, a = namespace_of(size), self.a
        low = xp.minimum(size, alpha + xp.zeros_like(size))
        middle = xp.clip(xp.minimum(size, a * alpha + xp.zeros_like(size)) - alpha, 0, None)
        return alpha * (low + middle) - middle**2 / (2 * (a - 1))

    def value(self, w: Any) -> Any:
        xp = namespace_of(w)
        return xp.sum(self._each(xp.abs(w), per_coefficient(self.alpha, w)))

    def prox(self, v: Any, step: Any) -> Any:
        return self._prox(v, step, per_coefficient(self.alpha, v))

    def prox_coordinate(self, v: Any, step: Any, j: int) -> Any:
        return self._prox(v, step, entry(self.alpha, j))

    def _prox(self, v: Any, step: Any, alpha: Any) -> Any:
        """Three pieces for a short step. A longer one makes the middle piece concave; the better
        one of the minimisers on the two others is then the answer."""
        xp, a = namespace_of(v), self.a
        step, size = step + 0 * v, xp.abs(v)
        soft = xp.clip(size - step * alpha, 0, None)
        short = step < a - 1
        room = xp.where(short, a - 1 - step, xp.ones_like(v))
        middle = ((a - 1) * size - a * step * alpha) / room
        three = xp.where(size <= a * alpha, middle, size)
        three = xp.where(size <= (1 + step) * alpha, soft, three)
        low = xp.minimum(soft, alpha + xp.zeros_like(v))
        high = xp.maximum(size, a * alpha + xp.zeros_like(v))

        def cost(t: Any) -> Any:
            return step * self._each(t, alpha) + 0.5 * (t - size) ** 2

        two = xp.where(cost(low) <= cost(high), low, high)
        return xp.sign(v) * xp.where(short, three, two)

    def distance(self, w: Any, g: Any) -> Any:
        """How far the slope is from 0, or beyond the strength where the coefficient is 0."""
        xp = namespace_of(w)
        alpha, size = per_coefficient(self.alpha, w), xp.abs(w)
        falling = xp.clip((self.a * alpha - size) / (self.a - 1), 0, None)
        slope = xp.sign(w) * xp.minimum(falling, alpha + xp.zeros_like(w))
        return xp.where(w == 0, xp.clip(xp.abs(g) - alpha, 0, None), xp.abs(g + slope))
