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

from skopt_dl.kernels import generic_prox, kernels_of
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
        return kernels_of(v).prox_mcp(v, step, per_coefficient(self.alpha, v), self.gamma)

    def prox_coordinate(self, v: Any, step: Any, j: int) -> Any:
        return generic_prox.prox_mcp(v, step, entry(self.alpha, j), self.gamma)

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

    def value(self, w: Any) -> Any:
        xp = namespace_of(w)
        return xp.sum(generic_prox.scad(xp.abs(w), per_coefficient(self.alpha, w), self.a))

    def prox(self, v: Any, step: Any) -> Any:
        return kernels_of(v).prox_scad(v, step, per_coefficient(self.alpha, v), self.a)

    def prox_coordinate(self, v: Any, step: Any, j: int) -> Any:
        return generic_prox.prox_scad(v, step, entry(self.alpha, j), self.a)

    def distance(self, w: Any, g: Any) -> Any:
        """How far the slope is from 0, or beyond the strength where the coefficient is 0."""
        xp = namespace_of(w)
        alpha, size = per_coefficient(self.alpha, w), xp.abs(w)
        falling = xp.clip((self.a * alpha - size) / (self.a - 1), 0, None)
        slope = xp.sign(w) * xp.minimum(falling, alpha + xp.zeros_like(w))
        return xp.where(w == 0, xp.clip(xp.abs(g) - alpha, 0, None), xp.abs(g + slope))
