r"""The elastic-net family: L1, L2, their sum, nothing at all, each optionally with ``w >= 0``.

.. math:: \Omega(w) = \sum_j a_j |w_j| + \tfrac12 \sum_j b_j w_j^2

Source: H. Zou and T. Hastie, "Regularization and variable selection via the elastic net",
JRSS B 67 (2005).
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.namespace import device_of, namespace_of
from skopt_dl.penalties.base import Penalty


def soft_threshold(v: Any, t: Any) -> Any:
    """``sign(v) max(|v| - t, 0)``."""
    xp = namespace_of(v)
    return xp.sign(v) * xp.clip(xp.abs(v) - t, 0, None)


def entry(strength: Any, j: int) -> Any:
    """Strength of coordinate ``j``, of a number or of an array of them."""
    return strength[j] if getattr(strength, "ndim", 0) else strength


class ElasticNet(Penalty):
    """``l1 |w|_1 + l2/2 |w|_2^2``, with ``w >= 0`` on request.

    Parameters
    ----------
    l1, l2 : float or array of shape (size,)
        Strengths, per coordinate where arrays.
    positive : bool
        Restrict to non-negative coefficients.
    """

    def __init__(self, l1: Any = 1.0, l2: Any = 0.0, positive: bool = False) -> None:
        self.l1, self.l2, self.positive = l1, l2, positive

    @property
    def label(self) -> str:  # type: ignore[override]
        """The common name of this case."""
        pure = not getattr(self.l2, "ndim", 0) and self.l2 == 0
        return "the L1 penalty" if pure else "the elastic-net penalty"

    def value(self, w: Any) -> Any:
        xp = namespace_of(w)
        total = xp.sum(self.l1 * xp.abs(w)) + 0.5 * xp.sum(self.l2 * w**2)
        if not self.positive:
            return total
        return xp.where(xp.any(w < 0), xp.full_like(total, xp.inf), total)

    def prox(self, v: Any, step: Any) -> Any:
        if self.positive:
            shrunk = namespace_of(v).clip(v - step * self.l1, 0, None)
        else:
            shrunk = soft_threshold(v, step * self.l1)
        return shrunk / (1 + step * self.l2)

    def prox_coordinate(self, v: Any, step: Any, j: int) -> Any:
        l1, l2 = entry(self.l1, j), entry(self.l2, j)
        size = v - step * l1 if self.positive else abs(v) - step * l1
        if not size > 0:
            return 0 * v
        return (size if self.positive or v > 0 else -size) / (1 + step * l2)

    def grad_inside(self, w: Any) -> Any:
        """Gradient where ``w >= 0``; with ``positive`` that is everywhere it counts."""
        return self.l1 + self.l2 * w

    def elastic_net(self, size: int, xp: Any, dtype: Any, device: Any) -> tuple[Any, Any, bool]:
        ones = xp.ones(size, dtype=dtype, device=device)
        return self.l1 * ones, self.l2 * ones, self.positive

    def conjugate(self, v: Any) -> Any:
        """``sum_j max(|v_j| - l1_j, 0)^2 / (2 l2_j)``, infinite if ``l2 = 0``, ``|v| > l1``."""
        xp = namespace_of(v)
        over = xp.clip((v if self.positive else xp.abs(v)) - self.l1, 0, None)
        l2 = self.l2 + xp.zeros_like(v)
        soft = l2 > 0
        # A point scaled to the border by feasible_scale overshoots by rounding only.
        tiny = 64 * xp.finfo(v.dtype).eps * (self.l1 + xp.abs(v))
        hard = xp.where(over > tiny, xp.full_like(v, xp.inf), xp.zeros_like(v))
        return xp.sum(xp.where(soft, over**2 / (2 * xp.where(soft, l2, xp.ones_like(l2))), hard))

    def feasible_scale(self, v: Any) -> Any:
        xp = namespace_of(v)
        size = v if self.positive else xp.abs(v)
        excess = (self.l2 + xp.zeros_like(v) <= 0) & (size > self.l1)
        one = xp.ones_like(v)
        ratio = xp.where(excess, self.l1 / xp.where(excess, size, one), one)
        return xp.min(ratio) if v.shape[0] else xp.ones((), dtype=v.dtype, device=device_of(v))

    def distance(self, w: Any, g: Any) -> Any:
        xp = namespace_of(w)
        d = g + self.l2 * w
        at_zero = xp.clip((-d if self.positive else xp.abs(d)) - self.l1, 0, None)
        return xp.where(w == 0, at_zero, xp.abs(d + self.l1 * xp.sign(w)))


def L1(alpha: Any = 1.0, positive: bool = False) -> ElasticNet:  # noqa: N802
    """The lasso penalty ``alpha |w|_1``: an `ElasticNet` without its quadratic part."""
    return ElasticNet(l1=alpha, l2=0.0, positive=positive)
