r"""Penalties: what a coefficient costs. A constraint set is the penalty that is 0 on it.

A penalty is a convex function :math:`\Omega(w)` of a flat array (it never sees the intercept).
The base class asks for a value and a prox. What else an instance implements is found out by
looking, so a capability cannot be declared without being there:

- ``grad(w)`` and ``curvature(w)``: derivative and diagonal second derivative, where it is smooth;
- ``conjugate(v)``: :math:`\Omega^*(v)` with ``feasible_scale(v)``, the largest ``c <= 1`` for which
  ``conjugate(c v)`` is finite: together they give duality gaps;
- ``grad_inside(w)``: the derivative on ``w >= 0``, for a penalty with an attribute ``positive``;
- ``distance(w, g)``: per coordinate, how far ``-g`` is from the subdifferential at ``w``;
- ``elastic_net(size, xp, dtype, device)``: ``(l1, l2, positive)`` with arrays of weights, for a
  penalty that is one: the compiled coordinate descent reads these;
- ``prox_coordinate(v, step, j)``: the prox of coordinate ``j``, where the penalty is separable;
- ``linear_minimiser(g)``: a vertex of a bounded constraint set at which ``g's`` is smallest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from skopt_dl.engine.settings import Settings


class Penalty(Settings, ABC):
    """A convex penalty of the coefficients.

    Attributes
    ----------
    label : str
        The name in messages: "the L1 penalty".
    constraint : bool
        Whether it is the indicator of a set (its prox is then the projection).
    """

    label: ClassVar[str] = "this penalty"
    constraint: ClassVar[bool] = False

    @abstractmethod
    def value(self, w: Any) -> Any:
        """The penalty at ``w``, a 0-d array; ``inf`` outside a constraint set."""

    @abstractmethod
    def prox(self, v: Any, step: Any) -> Any:
        """``argmin_w Omega(w) + |w - v|^2 / (2 step)``, a new array."""
