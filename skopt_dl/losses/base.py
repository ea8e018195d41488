r"""Losses: what a prediction costs.

Convention, stated once: an objective is the weighted **mean** over samples,

.. math:: \sum_i \omega_i\, \ell(y_i, z_i) + \Omega(w), \qquad \omega_i = s_i / \sum_j s_j,

with sample weights ``s`` and raw predictions ``z = Xw + b`` (one number per sample, or one row of
``n_outputs`` numbers). A loss answers per sample; it never sees weights or sums.

The base class has no stubs. `Loss` asks for the three methods below; what else an instance
implements (``curvature``, ``conjugate``, ``prox``) is found out by looking, so it cannot lie.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from skopt_dl.engine.settings import Settings


class Loss(Settings, ABC):
    """A convex function of the raw prediction, per sample.

    Methods a loss may add, each vectorised over samples:

    - ``curvature(y, z)``: second derivative, shape ``(n,)``; for a loss of several outputs the
      product ``curvature_product(y, z, d)`` of the per-sample Hessian with rows ``d``.
    - ``conjugate(y, u)``: the Fenchel conjugate ``sup_z u z - loss(y, z)``, shape ``(n,)``.
    - ``prox(y, v, step)``: ``argmin_z loss(y, z) + (z - v)^2 / (2 step)``; ``step`` may be an array
      of shape ``(n,)`` (or ``(n, 1)`` for several outputs).

    Attributes
    ----------
    smoothness : float
        Bound on the second derivative in ``z`` (``inf`` where there is none).
    quadratic : bool
        Whether the second derivative is the constant ``smoothness``.
    kernel_id : int or None
        Number of the slope formula in the compiled kernels (``kernels/cython/_slopes.pxd``); a loss
        without one runs on the generic kernels.
    """

    smoothness: ClassVar[float] = float("inf")
    quadratic: ClassVar[bool] = False
    kernel_id: ClassVar[int | None] = None

    @abstractmethod
    def value(self, y: Any, z: Any) -> Any:
        """Loss of each sample, shape ``(n,)``."""

    @abstractmethod
    def slope(self, y: Any, z: Any) -> Any:
        """Derivative in ``z``, the shape of ``z``."""
