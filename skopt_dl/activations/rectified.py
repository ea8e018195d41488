"""Rectifiers: the identity for positive inputs, something smaller for negative ones."""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.activations.base import Activation
from skopt_dl.kernels.namespace import namespace_of

# The fixed point of mean 0 and variance 1 (Klambauer et al., equation 14).
SELU_ALPHA = 1.6732632423543772848
SELU_SCALE = 1.0507009873554804934


class ReLU(Activation):
    r"""The rectified linear unit, :math:`f(z) = \max(z, 0)`; its slope at 0 is 0.

    References
    ----------
    V. Nair, G. Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.
    """

    kernel_id: ClassVar[int | None] = 3

    def value(self, z: Any) -> Any:
        return namespace_of(z).clip(z, 0, None)

    def slope(self, z: Any, a: Any) -> Any:
        return namespace_of(a).astype(a > 0, a.dtype)

    def curvature(self, z: Any, a: Any) -> Any:
        """The second derivative, 0 almost everywhere."""
        return namespace_of(z).zeros_like(z)


class LeakyReLU(Activation):
    r"""A rectifier that lets a share c of negative inputs through, :math:`f(z) = \max(z, c z)`.

    Parameters
    ----------
    negative_slope : float
        c, in [0, 1).

    References
    ----------
    A. Maas, A. Hannun, A. Ng, "Rectifier nonlinearities improve neural network acoustic models",
    ICML 2013.
    """

    kernel_id: ClassVar[int | None] = 4

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    @property
    def strength(self) -> float:  # type: ignore[override]
        """``negative_slope``, if it is in range.

        Raises
        ------
        ValueError
            If it is not.
        """
        c = self.negative_slope
        if not (isinstance(c, int | float) and 0 <= c < 1):
            raise ValueError(f"LeakyReLU: negative_slope={c!r}, but it must be >= 0 and < 1")
        return float(c)

    def value(self, z: Any) -> Any:
        return namespace_of(z).where(z > 0, z, self.strength * z)

    def slope(self, z: Any, a: Any) -> Any:
        xp = namespace_of(z)
        return xp.where(z > 0, xp.ones_like(z), xp.full_like(z, self.strength))

    def curvature(self, z: Any, a: Any) -> Any:
        """The second derivative, 0 almost everywhere."""
        return namespace_of(z).zeros_like(z)


class ELU(Activation):
    r"""The exponential linear unit, :math:`f(z) = z` above 0, :math:`c\,(e^z - 1)` below.

    Parameters
    ----------
    saturation : float
        c, positive: what very negative inputs give, with a minus.

    References
    ----------
    D.-A. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep network learning by
    exponential linear units", ICLR 2016.
    """

    kernel_id: ClassVar[int | None] = 5

    def __init__(self, saturation: float = 1.0) -> None:
        self.saturation = saturation

    @property
    def strength(self) -> float:  # type: ignore[override]
        """``saturation``, if it is in range.

        Raises
        ------
        ValueError
            If it is not.
        """
        c = self.saturation
        if not (isinstance(c, int | float) and 0 < c < float("inf")):
            raise ValueError(f"ELU: saturation={c!r}, but it must be a number > 0")
        return float(c)

    def value(self, z: Any) -> Any:
        xp = namespace_of(z)
        return xp.where(z > 0, z, self.strength * xp.expm1(xp.clip(z, None, 0)))

    def slope(self, z: Any, a: Any) -> Any:
        xp = namespace_of(z)
        return xp.where(z > 0, xp.ones_like(z), a + self.strength)

    def curvature(self, z: Any, a: Any) -> Any:
        """The second derivative (at 0 that from below)."""
        xp = namespace_of(z)
        return xp.where(z > 0, xp.zeros_like(z), a + self.strength)


class SELU(Activation):
    r"""The self-normalising unit, :math:`\lambda` times an ELU with :math:`c = 1.673\ldots`

    The constants make mean 0 and variance 1 a fixed point from layer to layer, for inputs and
    weights that are standardised.

    References
    ----------
    G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter, "Self-normalizing neural networks", NIPS
    2017.
    """

    kernel_id: ClassVar[int | None] = 7

    def value(self, z: Any) -> Any:
        xp = namespace_of(z)
        below = SELU_SCALE * SELU_ALPHA * xp.expm1(xp.clip(z, None, 0))
        return xp.where(z > 0, SELU_SCALE * z, below)

    def slope(self, z: Any, a: Any) -> Any:
        xp = namespace_of(z)
        return xp.where(z > 0, xp.full_like(z, SELU_SCALE), a + SELU_SCALE * SELU_ALPHA)

    def curvature(self, z: Any, a: Any) -> Any:
        """The second derivative (at 0 that from below)."""
        xp = namespace_of(z)
        return xp.where(z > 0, xp.zeros_like(z), a + SELU_SCALE * SELU_ALPHA)
