r"""The Poisson loss of counts with a log link: half the deviance at the mean :math:`e^z`.

.. math:: \ell(y, z) = e^z - y z + y \log y - y \ \ge 0, \qquad y \ge 0

The terms without z make the loss of a perfect prediction zero, so that the value of the null model
is half its deviance.

Source: P. McCullagh, J. Nelder, "Generalized linear models" (1989), chapters 2 and 6.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.losses.base import Loss, check_targets
from skopt_dl.losses.logistic import xlogx

PROX_STEPS = 8


def _exp(z: Any) -> Any:
    """``exp(z)``, infinite where it overflows, without a warning."""
    xp = namespace_of(z)
    largest = math.log(float(xp.finfo(z.dtype).max)) - 1e-3
    return xp.where(z > largest, xp.full_like(z, xp.inf), xp.exp(xp.clip(z, None, largest)))


class Poisson(Loss):
    """Half the Poisson deviance of counts (or rates) ``y >= 0``; ``exp(z)`` predicts their mean.

    Notes
    -----
    The second derivative :math:`e^z` has no bound: methods with a line search apply, those with a
    constant step do not.
    """

    differentiable: ClassVar[bool] = True
    continuous_curvature: ClassVar[bool] = True

    def check(self, y: Any) -> None:
        check_targets(self, y, y >= 0, ">= 0")

    def inverse_link(self, z: Any) -> Any:
        """The predicted mean."""
        return _exp(z)

    def value(self, y: Any, z: Any) -> Any:
        return _exp(z) - y * z + (xlogx(y) - y)

    def slope(self, y: Any, z: Any) -> Any:
        return _exp(z) - y

    def curvature(self, y: Any, z: Any) -> Any:
        return _exp(z)

    def conjugate(self, y: Any, u: Any) -> Any:
        """``m log m - m - (y log y - y)`` with the mean ``m = u + y``, infinite for ``m < 0``."""
        xp = namespace_of(u)
        m = u + y
        inside = m >= -16 * xp.finfo(u.dtype).eps * (1 + y)
        m = xp.clip(m, 0, None)
        value = xlogx(m) - m - (xlogx(y) - y)
        return xp.where(inside, value, xp.full_like(value, xp.inf))

    def prox(self, y: Any, v: Any, step: Any) -> Any:
        r"""``z = a - m`` with ``a = v + step y`` and ``m = step e^z``, which is Lambert's W.

        Newton's method for :math:`m + \log m = x` with ``x = a + log(step)``: the left side is
        concave, so from below the root every step stays below it.
        """
        xp = namespace_of(v)
        step = step + xp.zeros_like(v)
        a = v + step * y
        x = a + xp.log(step)
        tiny = xp.finfo(v.dtype).smallest_normal
        above = xp.clip(x, 1, None)
        m = xp.where(x > 1, above - xp.log(above), xp.exp(xp.clip(x, None, 1)))
        for _ in range(PROX_STEPS):
            m = xp.clip(m, tiny, None)
            m = m * (1 + x - xp.log(m)) / (1 + m)
        # The same number twice: each form is exact where the other loses digits.
        m = xp.clip(m, tiny, None)
        return xp.where(m > 1, xp.log(m) - xp.log(step), a - m)
