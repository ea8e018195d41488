r"""The box :math:`\{w : l \le w \le u\}`: bounds of the coefficients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.penalties.base import Penalty, check_strength, is_array, per_coefficient
from skopt_dl.penalties.elastic_net import entry


class Box(Penalty):
    """Coefficients between two bounds.

    Parameters
    ----------
    lower, upper : float or array of shape (n_features,)
        The bounds, per feature where arrays; infinite where there is none.

    Notes
    -----
    With bounds that are all finite the certificate is a duality gap, otherwise stationarity. For
    ``w >= 0`` alone ``ElasticNet(0.0, 0.0, positive=True)`` is the same set, and compiled
    coordinate descent knows it.
    """

    label: ClassVar[str] = "the box constraint"
    constraint: ClassVar[bool] = True

    def __init__(self, lower: Any = 0.0, upper: Any = 1.0) -> None:
        self.lower, self.upper = lower, upper

    def check(self, size: int, outputs: int = 1) -> None:
        for name in ("lower", "upper"):
            check_strength(self, name, size, outputs, low=-float("inf"))
        lower, upper = _entries(self.lower, size), _entries(self.upper, size)
        for j, (low, high) in enumerate(zip(lower, upper, strict=True)):
            if not (low <= high and low < float("inf") and high > -float("inf")):
                raise ValueError(
                    f"Box: coefficient {j} has the bounds {low:g} and {high:g}, but lower must not "
                    "be above upper, and a number must fit between them"
                )

    def bounds(self, like: Any) -> tuple[Any, Any]:
        """Both bounds of each coefficient, arrays such as ``like``."""
        xp = namespace_of(like)
        lower = per_coefficient(self.lower, like) + xp.zeros_like(like)
        return lower, per_coefficient(self.upper, like) + xp.zeros_like(like)

    def value(self, w: Any) -> Any:
        xp, (lower, upper) = namespace_of(w), self.bounds(w)
        zero = xp.sum(xp.zeros_like(w))
        inside = xp.all((w >= lower) & (w <= upper))
        return xp.where(inside, zero, xp.full_like(zero, xp.inf))

    def grad_inside(self, w: Any) -> Any:
        """Zeros: inside nothing is penalised."""
        return namespace_of(w).zeros_like(w)

    def prox(self, v: Any, step: Any) -> Any:
        return namespace_of(v).clip(v, *self.bounds(v))

    def prox_coordinate(self, v: Any, step: Any, j: int) -> Any:
        low, high = entry(self.lower, j), entry(self.upper, j)
        # Adding to zero times v keeps the number's dtype and device.
        return 0 * v + low if v < low else 0 * v + high if v > high else v

    @property
    def conjugate(self) -> Callable[[Any], Any]:
        """The support function ``sum_j max(lower_j v_j, upper_j v_j)``, of a bounded box."""
        return self._of_bounded(self._support)

    @property
    def linear_minimiser(self) -> Callable[[Any], Any]:
        """The vertex at which a linear function is smallest, of a bounded box."""
        return self._of_bounded(self._vertex)

    def _of_bounded(self, method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The method, which is there only if all bounds are finite: that is how others look."""
        if not (_is_finite(self.lower) and _is_finite(self.upper)):
            raise AttributeError(f"{method.__name__.strip('_')} of a box without an end")
        return method

    def _support(self, v: Any) -> Any:
        xp, (lower, upper) = namespace_of(v), self.bounds(v)
        return xp.sum(xp.where(v > 0, upper, lower) * v)

    def _vertex(self, g: Any) -> Any:
        lower, upper = self.bounds(g)
        return namespace_of(g).where(g > 0, lower, upper)

    def feasible_scale(self, v: Any) -> Any:
        xp = namespace_of(v)
        return xp.ones_like(xp.sum(v))

    def distance(self, w: Any, g: Any) -> Any:
        """``|g|`` inside; at a bound, where the other bound is not met, what points inwards."""
        xp, (lower, upper) = namespace_of(w), self.bounds(w)
        zero = xp.zeros_like(g)
        inwards = xp.where(w <= lower, xp.clip(-g, 0, None), xp.abs(g))
        inwards = xp.where(w >= upper, xp.minimum(inwards, xp.clip(g, 0, None)), inwards)
        return xp.where(lower == upper, zero, inwards)


def _entries(bound: Any, size: int) -> list[float]:
    """A bound for each of ``size`` coefficients."""
    if is_array(bound):
        return [float(b) for b in bound for _ in range(size // len(bound))]
    return [float(bound)] * size


def _is_finite(bound: Any) -> bool:
    if getattr(bound, "ndim", 0):
        xp = namespace_of(bound)
        return bool(xp.all(xp.isfinite(bound)))
    return all(map(math.isfinite, bound if is_array(bound) else [bound]))
