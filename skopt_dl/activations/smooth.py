"""Smooth activations with a dip below zero: an input times a gate that depends on it."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from skopt_dl.activations.base import Activation
from skopt_dl.kernels.generic_losses import sigmoid
from skopt_dl.kernels.namespace import namespace_of

GELU_SCALE = math.sqrt(2 / math.pi)
GELU_CUBE = 0.044715
# Beyond it the gate is 0 or 1 to the last bit; within it no cube overflows.
GELU_END = 30.0


class GELU(Activation):
    r"""The Gaussian error linear unit in its form by tanh.

    .. math:: f(z) = \tfrac{z}{2} \big(1 + \tanh u\big), \qquad
       u = \sqrt{2 / \pi}\,\big(z + 0.044715\, z^3\big)

    Notes
    -----
    The approximation of the paper, and the default of JAX; PyTorch's default has the normal
    distribution function in place of it, which differs by less than 5e-4.

    References
    ----------
    D. Hendrycks, K. Gimpel, "Gaussian error linear units", 2016.
    """

    kernel_id: ClassVar[int | None] = 8

    def _gate(self, z: Any) -> tuple[Any, Any]:
        """tanh u, and the derivative of u."""
        xp = namespace_of(z)
        z = xp.clip(z, -GELU_END, GELU_END)
        u = GELU_SCALE * (z + GELU_CUBE * z * z * z)
        return xp.tanh(u), GELU_SCALE * (1 + 3 * GELU_CUBE * z * z)

    def value(self, z: Any) -> Any:
        t, _ = self._gate(z)
        return 0.5 * z * (1 + t)

    def slope(self, z: Any, a: Any) -> Any:
        t, du = self._gate(z)
        return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * du

    def curvature(self, z: Any, a: Any) -> Any:
        """The second derivative."""
        t, du = self._gate(z)
        s = 1 - t * t
        return s * du + 0.5 * z * s * (6 * GELU_SCALE * GELU_CUBE * z - 2 * t * du * du)


class SiLU(Activation):
    r"""The sigmoid linear unit (swish), :math:`f(z) = z / (1 + e^{-z})`.

    References
    ----------
    S. Elfwing, E. Uchibe, K. Doya, "Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning", Neural Networks 107 (2018).
    """

    kernel_id: ClassVar[int | None] = 9

    def value(self, z: Any) -> Any:
        return z * sigmoid(z)

    def slope(self, z: Any, a: Any) -> Any:
        s = sigmoid(z)
        return s * (1 + z * (1 - s))

    def curvature(self, z: Any, a: Any) -> Any:
        """The second derivative."""
        s = sigmoid(z)
        return s * (1 - s) * (2 + z * (1 - 2 * s))


class Mish(Activation):
    r"""Mish, :math:`f(z) = z \tanh(\log(1 + e^z))`.

    References
    ----------
    D. Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020.
    """

    kernel_id: ClassVar[int | None] = 10

    def _gate(self, z: Any) -> tuple[Any, Any]:
        """tanh(softplus(z)), a rational function of exp(z), and the logistic sigmoid of z."""
        xp = namespace_of(z)
        # e = exp(-|z|) in both, so that nothing overflows.
        e = xp.exp(-xp.abs(z))
        above, below = (1 + 2 * e) / (1 + 2 * e + 2 * e * e), e * (e + 2) / (e * (e + 2) + 2)
        return xp.where(z > 0, above, below), sigmoid(z)

    def value(self, z: Any) -> Any:
        return z * self._gate(z)[0]

    def slope(self, z: Any, a: Any) -> Any:
        t, s = self._gate(z)
        return t + z * (1 - t * t) * s

    def curvature(self, z: Any, a: Any) -> Any:
        """The second derivative."""
        t, s = self._gate(z)
        bend = 1 - t * t
        return 2 * bend * s + z * bend * s * (1 - s - 2 * t * s)
