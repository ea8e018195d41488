r"""SLOPE, the sorted L1 norm: the larger a coefficient among the others, the more it costs.

.. math:: \Omega(w) = \alpha \sum_i \lambda_i\, |w|_{(i)}, \qquad
   |w|_{(1)} \ge |w|_{(2)} \ge \dots, \qquad \lambda_1 \ge \lambda_2 \ge \dots \ge 0

The prox sorts, subtracts the weights, makes the result non-increasing by isotonic regression and
cuts it at zero.

Source: M. Bogdan, E. van den Berg, C. Sabatti, W. Su, E. Candès, "SLOPE: adaptive variable
selection via convex optimization", Ann. Appl. Stat. 9 (2015); the norm is also known as OWL, and
with linear weights as OSCAR.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, ClassVar

from skopt_dl.kernels.namespace import device_of, namespace_of
from skopt_dl.penalties.base import Penalty, check_strength
from skopt_dl.penalties.isotonic import isotonic_decreasing


class SLOPE(Penalty):
    """Sorted L1 norm.

    Parameters
    ----------
    alpha : float
        Strength.
    weights : array of shape (n_coefficients,), optional
        The :math:`\\lambda_i`, non-increasing and not negative. Default: the normal quantiles
        :math:`\\Phi^{-1}(1 - i q / (2 p))` of Bogdan et al.; equal weights are the lasso.
    q : float
        The target false discovery rate in the default weights, between 0 and 1.
    """

    label: ClassVar[str] = "the SLOPE penalty"
    strengths: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, alpha: float = 1.0, weights: Any = None, q: float = 0.1) -> None:
        self.alpha, self.weights, self.q = alpha, weights, q

    def check(self, size: int, outputs: int = 1) -> None:
        if not self.alpha >= 0:
            raise ValueError(f"SLOPE: alpha={self.alpha!r}, but it must be >= 0")
        if not 0 < self.q < 1:
            raise ValueError(f"SLOPE: q={self.q!r}, but it must lie strictly between 0 and 1")
        if self.weights is None:
            return
        if len(self.weights) != size:
            raise ValueError(
                f"SLOPE: weights has {len(self.weights)} entries, but there are {size} coefficients"
            )
        check_strength(self, "weights", size)
        for i in range(size - 1):
            if self.weights[i] < self.weights[i + 1]:
                raise ValueError(
                    f"SLOPE: weights increase from {self.weights[i]:g} to {self.weights[i + 1]:g} "
                    f"at place {i + 1}, but they must not increase; sort them"
                )

    def _lambdas(self, like: Any) -> Any:
        """The weights times the strength, as an array beside ``like``."""
        xp, size, device = namespace_of(like), like.shape[0], device_of(like)
        if self.weights is not None:
            return self.alpha * xp.asarray(self.weights, dtype=like.dtype, device=device)
        key = (self.q, size, type(like), like.dtype, device)
        if getattr(self, "_kept", (None,))[0] != key:
            quantile = NormalDist().inv_cdf
            values = [quantile(1 - (i + 1) * self.q / (2 * size)) for i in range(size)]
            self._kept = (key, xp.asarray(values, dtype=like.dtype, device=device))
        return self.alpha * self._kept[1]

    def _sorted(self, w: Any) -> Any:
        xp = namespace_of(w)
        return xp.flip(xp.sort(xp.abs(w)))

    def value(self, w: Any) -> Any:
        return namespace_of(w).sum(self._lambdas(w) * self._sorted(w))

    def prox(self, v: Any, step: Any) -> Any:
        xp = namespace_of(v)
        order = xp.argsort(-xp.abs(v))
        shrunk = xp.take(xp.abs(v), order) - step * self._lambdas(v)
        x = xp.clip(isotonic_decreasing(shrunk), 0, None)
        return xp.sign(v) * xp.take(x, xp.argsort(order))

    def conjugate(self, v: Any) -> Any:
        """0 where no sum of the k largest ``|v|`` exceeds that of the weights, else infinite."""
        xp, most = namespace_of(v), namespace_of(v).cumulative_sum(self._lambdas(v))
        # A point scaled to the border by feasible_scale overshoots by rounding of the sums only.
        tiny = 64 * xp.finfo(v.dtype).eps * v.shape[0] ** 0.5
        inside = xp.all(xp.cumulative_sum(self._sorted(v)) <= (1 + tiny) * most)
        zero = xp.sum(xp.zeros_like(v))
        return xp.where(inside, zero, xp.full_like(zero, xp.inf))

    def feasible_scale(self, v: Any) -> Any:
        xp, most = namespace_of(v), namespace_of(v).cumulative_sum(self._lambdas(v))
        total = xp.cumulative_sum(self._sorted(v))
        excess = total > most
        ones = xp.ones_like(total)
        return xp.min(xp.where(excess, most / xp.where(excess, total, ones), ones))
