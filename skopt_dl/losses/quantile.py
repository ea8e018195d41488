r"""The pinball loss of a quantile, smoothed around its kink.

With the residual :math:`r = y - z`, the quantile :math:`q` and the smoothing :math:`\mu`,

.. math::

    \ell(y, z) = \max_{q - 1 \le u \le q}\ u r - \tfrac{\mu}{2} u^2 = \begin{cases}
        q r - \mu q^2 / 2                & r > q \mu \\
        r^2 / (2 \mu)                    & (q - 1) \mu \le r \le q \mu \\
        (q - 1) r - \mu (1 - q)^2 / 2    & r < (q - 1) \mu \end{cases}

which lies below the pinball loss :math:`\max(q r, (q - 1) r)` by at most
:math:`\mu \max(q, 1 - q)^2 / 2`.

Sources: R. Koenker, G. Bassett, "Regression quantiles", Econometrica 46 (1978); the smoothing:
Yu. Nesterov, "Smooth minimization of non-smooth functions", Math. Program. 103 (2005).
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.losses.base import Loss, check_setting


class Quantile(Loss):
    """Pinball loss whose kink is rounded off, for conditional quantiles.

    Parameters
    ----------
    quantile : float
        The quantile, strictly between 0 and 1; one half is the median.
    smoothing : float
        Width of the rounded part, in units of the target, ``> 0``. A small number approaches the
        pinball loss and takes more iterations.
    """

    def __init__(self, quantile: float = 0.5, smoothing: float = 0.1) -> None:
        self.quantile, self.smoothing = quantile, smoothing

    @property
    def smoothness(self) -> float:  # type: ignore[override]
        """Bound on the second derivative, one over the smoothing."""
        return 1.0 / self.smoothing

    def check(self, y: Any) -> None:
        check_setting(self, "quantile", 0, 1)
        check_setting(self, "smoothing", 0)

    def value(self, y: Any, z: Any) -> Any:
        u = self.slope(y, z)
        return u * (z - y) - 0.5 * self.smoothing * u**2

    def slope(self, y: Any, z: Any) -> Any:
        q = self.quantile
        return namespace_of(z).clip((z - y) / self.smoothing, -q, 1 - q)

    def curvature(self, y: Any, z: Any) -> Any:
        xp = namespace_of(z)
        u, q = (z - y) / self.smoothing, self.quantile
        return xp.astype((u >= -q) & (u <= 1 - q), z.dtype) / self.smoothing

    def conjugate(self, y: Any, u: Any) -> Any:
        """``smoothing u^2/2 + u y`` for u in [-q, 1 - q], infinite elsewhere."""
        xp, q = namespace_of(u), self.quantile
        value = 0.5 * self.smoothing * u**2 + u * y
        slack = 16 * xp.finfo(u.dtype).eps
        inside = (u >= -q - slack) & (u <= 1 - q + slack)
        return xp.where(inside, value, xp.full_like(value, xp.inf))

    def prox(self, y: Any, v: Any, step: Any) -> Any:
        """``v`` minus the step times the slope at the answer, which is linear up to its bounds."""
        q = self.quantile
        return v - step * namespace_of(v).clip((v - y) / (self.smoothing + step), -q, 1 - q)
