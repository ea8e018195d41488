r"""The ridge penalty, :math:`\Omega(w) = \tfrac12 \sum_j \alpha_j w_j^2`: smooth, and so a class of
its own: it offers the derivatives that the elastic net cannot."""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.kernels.namespace import device_of, namespace_of
from skopt_dl.penalties.base import Penalty, check_strength, per_coefficient
from skopt_dl.penalties.elastic_net import entry


class L2(Penalty):
    """``alpha/2 |w|_2^2``; ``alpha = 0`` is no penalty at all.

    Parameters
    ----------
    alpha : float or array of shape (size,)
        Strength, per coordinate where an array.
    """

    label: ClassVar[str] = "the L2 penalty"
    strengths: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, alpha: Any = 1.0) -> None:
        self.alpha = alpha

    def check(self, size: int, outputs: int = 1) -> None:
        check_strength(self, "alpha", size, outputs)

    def value(self, w: Any) -> Any:
        return 0.5 * ((self._terms(w) * w) @ w)

    def _terms(self, like: Any) -> Any:
        return per_coefficient(self.alpha, like)

    def grad(self, w: Any) -> Any:
        return self._terms(w) * w

    def curvature(self, w: Any) -> Any:
        return self._terms(w) * namespace_of(w).ones_like(w)

    def prox(self, v: Any, step: Any) -> Any:
        return v / (1 + step * self._terms(v))

    def prox_coordinate(self, v: Any, step: Any, j: int) -> Any:
        return v / (1 + step * entry(self.alpha, j))

    def elastic_net(self, size: int, xp: Any, dtype: Any, device: Any) -> tuple[Any, Any, bool]:
        zeros = xp.zeros(size, dtype=dtype, device=device)
        return zeros, zeros + self._terms(zeros), False

    def conjugate(self, v: Any) -> Any:
        xp = namespace_of(v)
        alpha = self._terms(v) + xp.zeros_like(v)
        free = alpha <= 0
        hard = xp.where(v != 0, xp.full_like(v, xp.inf), xp.zeros_like(v))
        return xp.sum(xp.where(free, hard, v**2 / (2 * xp.where(free, 1 + alpha, alpha))))

    def feasible_scale(self, v: Any) -> Any:
        """0 where an unpenalised coordinate has a slope (only 0 is dual feasible), else 1."""
        xp = namespace_of(v)
        one = xp.ones((), dtype=v.dtype, device=device_of(v))
        return xp.where(xp.any((self._terms(v) + xp.zeros_like(v) <= 0) & (v != 0)), 0 * one, one)

    def distance(self, w: Any, g: Any) -> Any:
        return namespace_of(w).abs(g + self._terms(w) * w)
