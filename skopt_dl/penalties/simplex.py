r"""The simplex :math:`\{w : w \ge 0,\ \sum_j w_j = r\}`: mixtures, portfolios, probabilities.

Source: J. Duchi, S. Shalev-Shwartz, Y. Singer, T. Chandra, "Efficient projections onto the
l1-ball for learning in high dimensions", ICML 2008 (the sorting form of the projection).
"""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.kernels.namespace import device_of, namespace_of
from skopt_dl.penalties.base import Penalty


def simplex_threshold(a: Any, radius: float) -> Any:
    """The number whose subtraction leaves positive parts of ``a`` that sum to ``radius``."""
    xp = namespace_of(a)
    a = xp.flip(xp.sort(a))
    k = xp.cumulative_sum(xp.ones_like(a))
    excess = xp.cumulative_sum(a) - radius
    # The threshold is excess/k at the last k that still leaves a_k above it.
    return xp.max(xp.where(a * k > excess, excess / k, xp.full_like(a, -xp.inf)))


def check_radius(penalty: Any) -> None:
    """Raise unless the radius is positive and finite."""
    if not 0 < penalty.radius < float("inf"):
        raise ValueError(
            f"{type(penalty).__name__}: radius={penalty.radius!r}, but it must be a number > 0"
        )


class Simplex(Penalty):
    """Non-negative coefficients that sum to ``radius``.

    Parameters
    ----------
    radius : float
        The sum, positive.
    """

    label: ClassVar[str] = "the simplex constraint"
    constraint: ClassVar[bool] = True

    def __init__(self, radius: float = 1.0) -> None:
        self.radius = radius

    def check(self, size: int, outputs: int = 1) -> None:
        check_radius(self)

    def value(self, w: Any) -> Any:
        xp = namespace_of(w)
        total = xp.sum(w)
        # Rounding of the sum itself, so that a projected point counts as inside.
        slack = 16 * xp.finfo(w.dtype).eps * max(w.shape[0], 1) ** 0.5 * self.radius
        inside = xp.all(w >= 0) & (xp.abs(total - self.radius) <= slack)
        return xp.where(inside, xp.zeros_like(total), xp.full_like(total, xp.inf))

    def prox(self, v: Any, step: Any) -> Any:
        return namespace_of(v).clip(v - simplex_threshold(v, self.radius), 0, None)

    def linear_minimiser(self, g: Any) -> Any:
        """The vertex ``radius e_j`` of the smallest ``g_j``."""
        xp = namespace_of(g)
        at = xp.arange(g.shape[0], device=device_of(g)) == xp.argmin(g)
        return xp.where(at, xp.full_like(g, self.radius), xp.zeros_like(g))

    def conjugate(self, v: Any) -> Any:
        """The support function ``radius max v_j``, finite everywhere."""
        return self.radius * namespace_of(v).max(v)

    def feasible_scale(self, v: Any) -> Any:
        xp = namespace_of(v)
        return xp.ones_like(xp.sum(v))
