"""An activation with a number of its own for each unit, which is trained with the weights."""

from __future__ import annotations

from typing import Any

from skopt_dl.activations.base import Activation
from skopt_dl.activations.rectified import ReLU
from skopt_dl.kernels.namespace import namespace_of


class Parametric(Activation):
    r"""A mixture of the identity and another activation, with a share that every unit learns.

    .. math:: f_j(z) = z + c_j \big(g(z) - z\big)

    At :math:`c_j = 1` it is g, at 0 the identity. Of ``ReLU`` it is the parametric rectifier, whose
    slope below zero is :math:`1 - c_j`.

    Parameters
    ----------
    activation : Activation, optional
        g; ``ReLU()`` without.
    share : float
        Where the shares start. As an activation without training it is the mixture with this
        share.

    Notes
    -----
    The shares follow coefficients and intercepts in the flat parameters of a network, and the
    penalty leaves them out. Networks with them have a gradient, for all first-order methods, but no
    curvature.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015; D. Holzmüller, L.
    Grinsztajn, I. Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees on tabular
    data", NeurIPS 2024.
    """

    def __init__(self, activation: Activation | None = None, share: float = 1.0) -> None:
        self.activation, self.share = activation, share

    @property
    def inner(self) -> Activation:
        """g.

        Raises
        ------
        TypeError
            If it is no activation, or itself one with trained numbers.
        ValueError
            If the share is no number.
        """
        g = ReLU() if self.activation is None else self.activation
        if not isinstance(g, Activation) or isinstance(g, Parametric):
            raise TypeError(f"Parametric: activation={g!r}, but it must be a plain Activation")
        if not (isinstance(self.share, int | float) and abs(self.share) < float("inf")):
            raise ValueError(f"Parametric: share={self.share!r}, but it must be a number")
        return g

    @property
    def kernel_id(self) -> int | None:  # type: ignore[override]
        """That of the inner activation: the kernels mix it in."""
        return self.inner.kernel_id

    @property
    def strength(self) -> float:  # type: ignore[override]
        """That of the inner activation."""
        return self.inner.strength

    @property
    def glorot_factor(self) -> float:  # type: ignore[override]
        """That of the inner activation."""
        return self.inner.glorot_factor

    def value(self, z: Any) -> Any:
        return mixed(self.inner, self.share, z)

    def slope(self, z: Any, a: Any) -> Any:
        return mixed_slope(self.inner, self.share, z)


def mixed(g: Activation, share: Any, z: Any) -> Any:
    """``z + share (g(z) - z)``, the share a number or one a unit."""
    return z + share * (g.value(+z) - z)


def mixed_slope(g: Activation, share: Any, z: Any) -> Any:
    """The derivative of `mixed` in ``z``."""
    return 1 + share * (g.slope(z, g.value(+z)) - 1)


class Mixed:
    """A `Parametric` at given shares: the activation of one layer at one point of a training.

    Parameters
    ----------
    activation : Parametric
        The activation.
    shares : array of shape (units,)
        Its numbers.
    """

    def __init__(self, activation: Parametric, shares: Any) -> None:
        self.inner, self.shares = activation.inner, shares

    def value(self, z: Any) -> Any:
        """``f(z)`` for rows ``z`` of shape (n, units)."""
        return mixed(self.inner, self.shares, z)

    def slope(self, z: Any, a: Any) -> Any:
        """``f'(z)``."""
        return mixed_slope(self.inner, self.shares, z)

    def share_slope(self, z: Any, d: Any) -> Any:
        """The derivative in the shares, shape (units,), of what has the derivative ``d`` in the
        values."""
        return namespace_of(z).sum(d * (self.inner.value(+z) - z), axis=0)
