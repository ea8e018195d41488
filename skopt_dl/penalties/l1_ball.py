r"""The l1 ball :math:`\{w : |w|_1 \le r\}`, with the exact Euclidean projection.

The projection soft-thresholds by the one threshold that puts the point on the sphere. Dividing by
the norm, which one also finds in print, is not a projection and does not give zeros.

Source: J. Duchi, S. Shalev-Shwartz, Y. Singer, T. Chandra, "Efficient projections onto the
l1-ball for learning in high dimensions", ICML 2008 (the sorting form).
"""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.kernels.generic_prox import soft_threshold
from skopt_dl.kernels.namespace import device_of, namespace_of
from skopt_dl.penalties.base import Penalty
from skopt_dl.penalties.simplex import check_radius, simplex_threshold


class L1Ball(Penalty):
    """Coefficients whose absolute values sum to at most ``radius``.

    Parameters
    ----------
    radius : float
        Radius of the ball, positive.
    """

    label: ClassVar[str] = "the l1-ball constraint"
    constraint: ClassVar[bool] = True

    def __init__(self, radius: float = 1.0) -> None:
        self.radius = radius

    def value(self, w: Any) -> Any:
        xp = namespace_of(w)
        norm = xp.sum(xp.abs(w))
        # Rounding of the sum itself, so that a projected point counts as inside.
        slack = 16 * xp.finfo(w.dtype).eps * max(w.shape[0], 1) ** 0.5 * self.radius
        inside = norm <= self.radius + slack
        return xp.where(inside, xp.zeros_like(norm), xp.full_like(norm, xp.inf))

    def check(self, size: int, outputs: int = 1) -> None:
        check_radius(self)

    def prox(self, v: Any, step: Any) -> Any:
        xp = namespace_of(v)
        return soft_threshold(v, xp.clip(simplex_threshold(xp.abs(v), self.radius), 0, None))

    def linear_minimiser(self, g: Any) -> Any:
        """The vertex ``-radius sign(g_j) e_j`` of the largest ``|g_j|``."""
        xp = namespace_of(g)
        at = xp.arange(g.shape[0], device=device_of(g)) == xp.argmax(xp.abs(g))
        return xp.where(at, -self.radius * xp.sign(g), xp.zeros_like(g))

    def conjugate(self, v: Any) -> Any:
        """The support function ``radius max |v_j|``, finite everywhere."""
        xp = namespace_of(v)
        return self.radius * xp.max(xp.abs(v))

    def feasible_scale(self, v: Any) -> Any:
        xp = namespace_of(v)
        return xp.ones_like(xp.sum(v))
