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
from skopt_dl.kernels.namespace import namespace_of, to_float


class Loss(Settings, ABC):
    """A convex function of the raw prediction, per sample.

    Methods a loss may add, each vectorised over samples:

    - ``curvature(y, z)``: second derivative, shape ``(n,)``; for a loss of several outputs
      ``curvature_map(y, z)``, a function from rows ``d`` to each sample's Hessian times its row.
    - ``curvature_root(y, z)``: of several outputs, the columns of a root R of each sample's Hessian
      ``R R'``: a list of arrays of shape ``(n, K)``.
    - ``value_slope(y, z)``: both at once, where they share work.
    - ``conjugate(y, u)``: the Fenchel conjugate ``sup_z u z - loss(y, z)``, shape ``(n,)``.
    - ``prox(y, v, step)``: ``argmin_z loss(y, z) + (z - v)^2 / (2 step)``; ``step`` may be an array
      of shape ``(n,)`` (or ``(n, 1)`` for several outputs).
    - ``inverse_link(z)``: the target that the raw prediction stands for, where it is not z itself.
    - ``check(y)``: raises a `ValueError` for settings or targets that are not valid; asked once,
      when a problem is made.

    Attributes
    ----------
    smoothness : float
        Bound on the second derivative in ``z`` (``inf`` where there is none).
    differentiable : bool
        Whether the slope is continuous although ``smoothness`` is infinite. Methods that search for
        their step can then use it; without either there is a kink.
    convex : bool
        Whether it is convex in ``z``.
    quadratic : bool
        Whether the second derivative is the constant ``smoothness``.
    continuous_curvature : bool
        Whether the second derivative has no jumps, as steps without a line search want it.
    kernel_id : int or None
        Number of the slope formula in the compiled kernels (``kernels/cython/_slopes.pxd``); a loss
        without one runs on the generic kernels.
    """

    smoothness: ClassVar[float] = float("inf")
    differentiable: ClassVar[bool] = False
    convex: ClassVar[bool] = True
    quadratic: ClassVar[bool] = False
    continuous_curvature: ClassVar[bool] = False
    kernel_id: ClassVar[int | None] = None

    @abstractmethod
    def value(self, y: Any, z: Any) -> Any:
        """Loss of each sample, shape ``(n,)``."""

    @abstractmethod
    def slope(self, y: Any, z: Any) -> Any:
        """Derivative in ``z``, the shape of ``z``."""


def check_setting(part: Settings, name: str, low: float, high: float = float("inf")) -> None:
    """Raise unless the setting ``name`` is a number strictly between ``low`` and ``high``.

    Raises
    ------
    ValueError
        Naming the class, the setting, its value and the range.
    """
    value = getattr(part, name)
    if not (isinstance(value, (int, float)) and low < value < high):
        bounds = f"> {low:g}" + (f" and < {high:g}" if high < float("inf") else "")
        raise ValueError(
            f"{type(part).__name__}: {name}={value!r}, but it must be a number {bounds}"
        )


def check_targets(loss: Loss, y: Any, allowed: Any, what: str) -> None:
    """Raise unless the mask ``allowed`` holds for every target.

    Raises
    ------
    ValueError
        Naming the loss, the first target that it cannot take and ``what`` it can.
    """
    xp = namespace_of(y)
    if not bool(xp.all(allowed)):
        wrong = xp.reshape(y, (-1,))[
            int(xp.argmax(xp.astype(~xp.reshape(allowed, (-1,)), xp.int8)))
        ]
        raise ValueError(
            f"{type(loss).__name__}: a target is {to_float(wrong):g}, but targets must be {what}"
        )
