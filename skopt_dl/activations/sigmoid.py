"""The identity, the two sigmoids and the integral of one."""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.activations.base import Activation
from skopt_dl.kernels.generic_losses import sigmoid
from skopt_dl.kernels.namespace import namespace_of


class Identity(Activation):
    """``f(z) = z``: a network of it is a linear model in factors."""

    kernel_id: ClassVar[int | None] = 0

    def value(self, z: Any) -> Any:
        return +z

    def slope(self, z: Any, a: Any) -> Any:
        return namespace_of(z).ones_like(z)

    def curvature(self, z: Any, a: Any) -> Any:
        """The second derivative."""
        return namespace_of(z).zeros_like(z)


class Logistic(Activation):
    r"""The logistic sigmoid, :math:`f(z) = 1 / (1 + e^{-z})`."""

    kernel_id: ClassVar[int | None] = 1
    glorot_factor: ClassVar[float] = 2.0

    def value(self, z: Any) -> Any:
        return sigmoid(z)

    def slope(self, z: Any, a: Any) -> Any:
        return a * (1 - a)

    def curvature(self, z: Any, a: Any) -> Any:
        """The second derivative."""
        return a * (1 - a) * (1 - 2 * a)


class Tanh(Activation):
    r"""The hyperbolic tangent, :math:`f(z) = \tanh z`."""

    kernel_id: ClassVar[int | None] = 2

    def value(self, z: Any) -> Any:
        return namespace_of(z).tanh(z)

    def slope(self, z: Any, a: Any) -> Any:
        return 1 - a * a

    def curvature(self, z: Any, a: Any) -> Any:
        """The second derivative."""
        return -2 * a * (1 - a * a)


class Softplus(Activation):
    r"""The integral of the logistic sigmoid, :math:`f(z) = \log(1 + e^z)`.

    References
    ----------
    C. Dugas, Y. Bengio, F. Bélisle, C. Nadeau, R. Garcia, "Incorporating second-order functional
    knowledge for better option pricing", NIPS 2000.
    """

    kernel_id: ClassVar[int | None] = 6

    def value(self, z: Any) -> Any:
        xp = namespace_of(z)
        return xp.log1p(xp.exp(-xp.abs(z))) + xp.clip(z, 0, None)

    def slope(self, z: Any, a: Any) -> Any:
        return -namespace_of(a).expm1(-a)

    def curvature(self, z: Any, a: Any) -> Any:
        """The second derivative."""
        s = self.slope(z, a)
        return s * (1 - s)
