r"""Penalties: what a coefficient costs. A constraint set is the penalty that is 0 on it.

A penalty is a function :math:`\Omega(w)` of a flat array (it never sees the intercept), convex
unless it says otherwise. With several outputs the array is a flattened ``(p, K)`` matrix.
The base class asks for a value and a prox. What else an instance implements is found out by
looking, so a capability cannot be declared without being there:

- ``grad(w)`` and ``curvature(w)``: derivative and diagonal second derivative, where it is smooth;
- ``conjugate(v)``: :math:`\Omega^*(v)` with ``feasible_scale(v)``, the largest ``c <= 1`` for which
  ``conjugate(c v)`` is finite: together they give duality gaps;
- ``subgradient(w)``: one of its subgradients, where it is finite everywhere and has kinks;
- ``grad_inside(w)``: the derivative on ``w >= 0``, for a penalty with an attribute ``positive``, or
  within ``bounds(w)``, a pair of arrays;
- ``distance(w, g)``: per coordinate, how far ``-g`` is from the subdifferential at ``w``;
- ``elastic_net(size, xp, dtype, device)``: ``(l1, l2, positive)`` with arrays of weights, for a
  penalty that is one: the compiled coordinate descent reads these;
- ``prox_coordinate(v, step, j)``: the prox of coordinate ``j``, where the penalty is separable;
- ``blocks(size)`` and ``prox_block(v, step, b)``: the coefficients of each block and the prox of
  block ``b``, where the penalty is a sum over blocks;
- ``prox_row(v, step, j)``: the prox of row ``j`` of a ``(p, K)`` matrix, where its rows are;
- ``linear_minimiser(g)``: a vertex of a bounded constraint set at which ``g's`` is smallest;
- ``check(size, outputs)``: raises a `ValueError` for settings that are not valid or do not fit
  ``size`` coefficients, ``outputs`` of them for each feature; asked once, when a problem is made.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from skopt_dl.engine.settings import Settings
from skopt_dl.kernels.namespace import device_of, namespace_of, to_numpy


class Penalty(Settings, ABC):
    """A penalty of the coefficients.

    Attributes
    ----------
    label : str
        The name in messages: "the L1 penalty".
    constraint : bool
        Whether it is the indicator of a set (its prox is then the projection).
    convex : bool
        Whether it is convex. If not, the certificate is stationarity, and methods that rely on
        convexity are not offered.
    strengths : tuple of str
        Names of the settings that are strengths: what an estimator's ``alpha`` multiplies.
    """

    label: ClassVar[str] = "this penalty"
    constraint: ClassVar[bool] = False
    convex: ClassVar[bool] = True
    strengths: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def value(self, w: Any) -> Any:
        """The penalty at ``w``, a 0-d array; ``inf`` outside a constraint set."""

    @abstractmethod
    def prox(self, v: Any, step: Any) -> Any:
        """``argmin_w Omega(w) + |w - v|^2 / (2 step)``, a new array."""

    def scaled(self, factor: float) -> Self:
        """A copy with its `strengths` times ``factor``."""
        other = copy.copy(self)
        for name in self.strengths:
            strength = getattr(self, name)
            entries = isinstance(strength, (list, tuple))
            setattr(other, name, [factor * s for s in strength] if entries else factor * strength)
        return other


def per_coefficient(setting: Any, like: Any) -> Any:
    """A setting as a formula takes it: a number, or an array with an entry for each of ``like``.

    An array with an entry per feature serves all its outputs.
    """
    if not is_array(setting):
        return setting
    xp = namespace_of(like)
    each = xp.asarray(setting, dtype=like.dtype, device=device_of(like))
    n = each.shape[0]
    return each if n == like.shape[0] else xp.repeat(each, like.shape[0] // n)


def check_strength(
    penalty: Penalty, name: str, size: int, outputs: int = 1, *, low: float = 0.0
) -> None:
    """Raise unless ``name`` is a number ``>= low`` or an array of such, one per feature (or one per
    coefficient, where a feature has several outputs).

    Raises
    ------
    ValueError
        Naming the class, the setting, its value and what would do.
    """
    value = getattr(penalty, name)
    who = f"{type(penalty).__name__}: {name}"
    if not is_array(value):
        # Written so that NaN fails.
        if not value >= low:
            raise ValueError(f"{who}={value!r}, but it must be >= {low:g}")
        return
    value = to_numpy(value) if hasattr(value, "ndim") else value
    n = len(value)
    if n not in (size // outputs, size):
        raise ValueError(
            f"{who} has {n} entries, but there are {size // outputs} features; give a number or an "
            "array with one entry per feature"
        )
    worst = min(float(v) for v in value)
    if not worst >= low:
        raise ValueError(f"{who} has an entry {worst:g}, but entries must be >= {low:g}")


def is_array(setting: Any) -> bool:
    """Whether a setting has entries, as an array of any namespace or as a list."""
    if isinstance(setting, (float, int)):
        return False  # nearly every call
    return bool(getattr(setting, "ndim", 0)) or isinstance(setting, (list, tuple))
