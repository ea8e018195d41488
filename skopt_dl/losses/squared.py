r"""Squared loss, :math:`\ell(y, z) = (z - y)^2 / 2`, summed over outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.losses.base import Loss


class Squared(Loss):
    """Half the squared error, of one or of several outputs."""

    smoothness: ClassVar[float] = 1.0
    quadratic: ClassVar[bool] = True
    continuous_curvature: ClassVar[bool] = True
    kernel_id: ClassVar[int | None] = 0

    def value(self, y: Any, z: Any) -> Any:
        # In place: with many targets these are the largest arrays of a fit.
        half = z - y
        half *= half
        half *= 0.5
        return half if half.ndim == 1 else namespace_of(half).sum(half, axis=1)

    def slope(self, y: Any, z: Any) -> Any:
        return z - y

    def curvature(self, y: Any, z: Any) -> Any:
        return namespace_of(z).ones_like(z)

    def curvature_map(self, y: Any, z: Any) -> Callable[[Any], Any]:
        return lambda d: d

    def curvature_root(self, y: Any, z: Any) -> list[Any]:
        """The unit vectors."""
        roots = [namespace_of(z).zeros_like(z) for _ in range(z.shape[1])]
        for k, root in enumerate(roots):
            root[:, k] = 1
        return roots

    def conjugate(self, y: Any, u: Any) -> Any:
        each = 0.5 * u**2 + u * y
        return each if each.ndim == 1 else namespace_of(each).sum(each, axis=1)

    def prox(self, y: Any, v: Any, step: Any) -> Any:
        return (v + step * y) / (1 + step)
