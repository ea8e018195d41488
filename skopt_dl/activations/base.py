r"""Activations: functions of one number that a network applies to each unit.

Letters: z what is applied to, ``a = f(z)``. A slope may be computed from either, whichever is
cheaper. The array code here is the specification; the common ones have compiled twins.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from skopt_dl.engine.settings import Settings


class Activation(Settings, ABC):
    """A function of one number, with its slope.

    An activation may add ``curvature(z, a)``, the second derivative: methods that multiply by the
    Hessian of the network then work.

    Attributes
    ----------
    kernel_id : int or None
        Number of the formula in the compiled kernels (``kernels/cython/_elementwise.h``); an
        activation without one runs on the generic kernels.
    strength : float
        The parameter of that formula.
    glorot_factor : float
        Glorot's initial weights are uniform within ``sqrt(glorot_factor / (fan_in + fan_out))``.
    """

    kernel_id: ClassVar[int | None] = None
    strength: float = 1.0
    glorot_factor: ClassVar[float] = 6.0

    @abstractmethod
    def value(self, z: Any) -> Any:
        """``f(z)``, a new array of the shape and dtype of ``z``."""

    @abstractmethod
    def slope(self, z: Any, a: Any) -> Any:
        """``f'(z)``, where ``a`` is ``f(z)``."""
