r"""The elastic-net family: L1, L2, their sum, nothing at all, each optionally with ``w >= 0``.

.. math:: \Omega(w) = \sum_j c_j \big(a_j |w_j| + \tfrac12 b_j w_j^2\big)

Sources: H. Zou and T. Hastie, "Regularization and variable selection via the elastic net",
JRSS B 67 (2005); weights of features: H. Zou, "The adaptive lasso and its oracle properties",
JASA 101 (2006).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from skopt_dl.kernels import kernels_of
from skopt_dl.kernels.namespace import device_of, namespace_of, to_float
from skopt_dl.penalties.base import Penalty, check_strength, is_array, per_coefficient


def entry(strength: Any, j: int) -> Any:
    """Strength of coordinate ``j``, of a number or of an array of them."""
    return strength[j] if is_array(strength) else strength


class ElasticNet(Penalty):
    """``l1 |w|_1 + l2/2 |w|_2^2``, with weights of the features and ``w >= 0`` on request.

    Parameters
    ----------
    l1, l2 : float or array of shape (n_features,)
        Strengths, per feature where arrays.
    positive : bool
        Restrict to non-negative coefficients.
    weights : array of shape (n_features,), optional
        What both strengths are multiplied by, feature by feature; 0 leaves a feature unpenalised.
    """

    strengths: ClassVar[tuple[str, ...]] = ("l1", "l2")

    def __init__(
        self, l1: Any = 1.0, l2: Any = 0.0, positive: bool = False, weights: Any = None
    ) -> None:
        self.l1, self.l2, self.positive, self.weights = l1, l2, positive, weights

    @property
    def label(self) -> str:  # type: ignore[override]
        """The common name of this case."""
        pure = not is_array(self.l2) and self.l2 == 0
        return "the L1 penalty" if pure else "the elastic-net penalty"

    def check(self, size: int, outputs: int = 1) -> None:
        for name in ("l1", "l2"):
            check_strength(self, name, size, outputs)
        if self.weights is not None:
            check_strength(self, "weights", size, outputs)

    def _terms(self, like: Any) -> tuple[Any, Any]:
        """l1 and l2 with their weights, as numbers or arrays with an entry for each of ``like``."""
        l1, l2 = per_coefficient(self.l1, like), per_coefficient(self.l2, like)
        if self.weights is None:
            return l1, l2
        weights = per_coefficient(self.weights, like)
        return l1 * weights, l2 * weights

    def value(self, w: Any) -> Any:
        xp, (l1, l2) = namespace_of(w), self._terms(w)
        total = xp.sum(l1 * xp.abs(w))
        if is_array(l2) or l2 > 0:
            total = total + 0.5 * (w @ (l2 * w))
        if not self.positive:
            return total
        return xp.where(xp.any(w < 0), xp.full_like(total, xp.inf), total)

    def prox(self, v: Any, step: Any) -> Any:
        return kernels_of(v).prox_elastic_net(v, step, *self._terms(v), self.positive)

    def prox_coordinate(self, v: Any, step: Any, j: int) -> Any:
        l1, l2 = entry(self.l1, j), entry(self.l2, j)
        if self.weights is not None:
            l1, l2 = l1 * self.weights[j], l2 * self.weights[j]
        size = v - step * l1 if self.positive else abs(v) - step * l1
        if not size > 0:
            return 0 * v
        return (size if self.positive or v > 0 else -size) / (1 + step * l2)

    def subgradient(self, w: Any) -> Any:
        """``l1 sign(w) + l2 w``, with 0 for the sign of 0."""
        l1, l2 = self._terms(w)
        return l1 * namespace_of(w).sign(w) + l2 * w

    def grad_inside(self, w: Any) -> Any:
        """Gradient where ``w >= 0``; with ``positive`` that is everywhere it counts."""
        l1, l2 = self._terms(w)
        return l1 + l2 * w

    def elastic_net(self, size: int, xp: Any, dtype: Any, device: Any) -> tuple[Any, Any, bool]:
        ones = xp.ones(size, dtype=dtype, device=device)
        l1, l2 = self._terms(ones)
        return l1 * ones, l2 * ones, self.positive

    def conjugate(self, v: Any) -> Any:
        """``sum_j max(|v_j| - l1_j, 0)^2 / (2 l2_j)``, infinite if ``l2 = 0``, ``|v| > l1``."""
        xp, (l1, l2) = namespace_of(v), self._terms(v)
        size = v if self.positive else xp.abs(v)
        if not is_array(l2) and l2 > 0:
            return xp.sum(xp.clip(size - l1, 0, None) ** 2) / (2 * l2)
        # A point scaled to the border by feasible_scale overshoots by rounding only.
        rounding = 64 * xp.finfo(v.dtype).eps
        if not (is_array(l1) or is_array(l2)) and v.shape[0]:
            largest = to_float(xp.max(size))
            return math.inf if largest > l1 + rounding * (l1 + largest) else 0.0
        tiny = rounding * (l1 + xp.abs(v))
        hard = xp.where(size > l1 + tiny, xp.full_like(v, xp.inf), xp.zeros_like(v))
        if not is_array(l2):
            return xp.sum(hard)
        soft, over = l2 > 0, xp.clip(size - l1, 0, None)
        return xp.sum(xp.where(soft, over**2 / (2 * xp.where(soft, l2, xp.ones_like(l2))), hard))

    def feasible_scale(self, v: Any) -> Any:
        xp, (l1, l2) = namespace_of(v), self._terms(v)
        if v.shape[0] == 0 or (not is_array(l2) and l2 > 0):
            return 1.0
        size = v if self.positive else xp.abs(v)
        if not (is_array(l1) or is_array(l2)):
            largest = to_float(xp.max(size))
            return l1 / largest if largest > l1 else 1.0
        one = xp.ones((), dtype=v.dtype, device=device_of(v))
        excess = (size > l1) & (l2 <= 0)
        ratio = xp.where(excess, l1 / xp.where(excess, size, one), one)
        return xp.min(ratio)

    def distance(self, w: Any, g: Any) -> Any:
        xp, (l1, l2) = namespace_of(w), self._terms(w)
        d = g + l2 * w
        at_zero = xp.clip((-d if self.positive else xp.abs(d)) - l1, 0, None)
        return xp.where(w == 0, at_zero, xp.abs(d + l1 * xp.sign(w)))


def L1(alpha: Any = 1.0, positive: bool = False, weights: Any = None) -> ElasticNet:  # noqa: N802
    """The lasso penalty ``alpha sum_j weights_j |w_j|``: `ElasticNet` without a quadratic part."""
    return ElasticNet(l1=alpha, l2=0.0, positive=positive, weights=weights)
