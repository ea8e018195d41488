r"""Huber's loss: quadratic for small residuals :math:`r = z - y`, linear for large ones.

.. math::

    \ell(y, z) = \begin{cases} r^2 / 2 & |r| \le \delta \\
                               \delta |r| - \delta^2 / 2 & |r| > \delta \end{cases}

Source: P. Huber, "Robust estimation of a location parameter", Ann. Math. Stat. 35 (1964).
"""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.losses.base import Loss, check_setting


class Huber(Loss):
    """Squared error of small residuals, absolute error of outliers.

    Parameters
    ----------
    delta : float
        The residual from which on the loss is linear, in units of the target, ``> 0``.

    Notes
    -----
    scikit-learn's `HuberRegressor` also estimates the scale of the residuals, in units of which its
    ``epsilon`` is given; ``delta`` here is fixed.
    """

    smoothness: ClassVar[float] = 1.0

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = delta

    def check(self, y: Any) -> None:
        check_setting(self, "delta", 0)

    def value(self, y: Any, z: Any) -> Any:
        # With c the residual clipped to the quadratic part: c^2/2 there, c r - c^2/2 beyond.
        c = self.slope(y, z)
        return c * (z - y) - 0.5 * c**2

    def slope(self, y: Any, z: Any) -> Any:
        return namespace_of(z).clip(z - y, -self.delta, self.delta)

    def curvature(self, y: Any, z: Any) -> Any:
        xp = namespace_of(z)
        return xp.astype(xp.abs(z - y) <= self.delta, z.dtype)

    def conjugate(self, y: Any, u: Any) -> Any:
        """``u^2/2 + u y``, infinite for ``|u| > delta``."""
        xp = namespace_of(u)
        value = 0.5 * u**2 + u * y
        inside = xp.abs(u) <= self.delta * (1 + 16 * xp.finfo(u.dtype).eps)
        return xp.where(inside, value, xp.full_like(value, xp.inf))

    def prox(self, y: Any, v: Any, step: Any) -> Any:
        """``v`` minus the step times the slope at the answer, which is linear up to delta."""
        return v - step * namespace_of(v).clip((v - y) / (1 + step), -self.delta, self.delta)
