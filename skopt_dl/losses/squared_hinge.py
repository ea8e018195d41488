r"""The squared hinge loss of support vector machines, with y in {0, 1}.

.. math:: \ell(y, z) = \tfrac12 \max(0,\ 1 - s z)^2, \qquad s = 2 y - 1

Source: C.-C. Chang, C.-J. Hsieh, C.-J. Lin, "Coordinate descent method for large-scale L2-loss
linear support vector machines", JMLR 9 (2008).
"""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.losses.base import Loss, check_targets


class SquaredHinge(Loss):
    """Half the square of what a margin lacks to 1; ``y`` in {0, 1}.

    Notes
    -----
    scikit-learn's `LinearSVC` and liblinear leave out the half: their ``C`` is half of ours.
    """

    smoothness: ClassVar[float] = 1.0

    def check(self, y: Any) -> None:
        check_targets(self, y, (y == 0) | (y == 1), "0 or 1")

    @staticmethod
    def _lack(y: Any, z: Any) -> tuple[Any, Any]:
        """The sign of the class and what the margin lacks to 1."""
        sign = 2 * y - 1
        return sign, namespace_of(z).clip(1 - sign * z, 0, None)

    def value(self, y: Any, z: Any) -> Any:
        return 0.5 * self._lack(y, z)[1] ** 2

    def slope(self, y: Any, z: Any) -> Any:
        sign, lack = self._lack(y, z)
        return -sign * lack

    def curvature(self, y: Any, z: Any) -> Any:
        xp = namespace_of(z)
        return xp.astype(self._lack(y, z)[1] > 0, z.dtype)

    def conjugate(self, y: Any, u: Any) -> Any:
        """``t + t^2/2`` with ``t = s u``, infinite for ``t > 0``."""
        xp = namespace_of(u)
        t = (2 * y - 1) * u
        value = t + 0.5 * t**2
        return xp.where(t <= 16 * xp.finfo(u.dtype).eps, value, xp.full_like(value, xp.inf))

    def prox(self, y: Any, v: Any, step: Any) -> Any:
        """A margin below 1 moves to ``(s v + step) / (1 + step)``."""
        sign, lack = self._lack(y, v)
        return v + sign * lack * (step / (1 + step))
