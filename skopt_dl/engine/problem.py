"""The problem side of the contract: points, line functions, certificates.

A problem is what can be computed for one set of data: it knows no solver and no estimator. Its
variable is one flat array ``w`` of length ``size``; `blocks` names the slices of it.

Objectives are means over samples (see `skopt_dl.losses.base`), so a value does not grow with n.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from skopt_dl.engine.oracles import Oracle, Trait


@dataclass(frozen=True)
class Certificate:
    """How far from optimal a point is at most.

    Attributes
    ----------
    kind : str
        ``"duality gap"``, ``"stationarity"``, or what else the problem measures.
    value : float
        The scaled number that ``tol`` bounds; dimensionless.
    objective : float
        The objective at the point.
    bound : float, callable or None
        The `gap`, or how to compute it.
    """

    kind: str
    value: float
    objective: float
    bound: float | Callable[[], float | None] | None = field(
        default=None, repr=False, compare=False
    )

    @functools.cached_property
    def gap(self) -> float | None:
        """The duality gap in the objective's own units, an upper bound on the suboptimality.

        ``None`` where there is none. What no stopping rule looks at is computed when it is read.
        """
        return self.bound() if callable(self.bound) else self.bound


class Point:
    """A point with everything known there: ``w``, ``value``, ``grad`` and the problem's cache."""

    __slots__ = ("cache", "grad", "value", "w")

    def __init__(self, w: Any, value: Any, grad: Any, cache: Any = None) -> None:
        self.w, self.value, self.grad, self.cache = w, value, grad, cache


class LineFunction(Protocol):
    """``phi(t)``, the objective along ``w + t d``. A linear model caches ``X d``."""

    def __call__(self, t: float) -> tuple[float, float]:
        """Value and slope of phi at ``t``."""

    def accept(self, t: float) -> Point:
        """The point ``w + t d``, built from what the trials have already computed."""


class Problem(ABC):
    """What can be computed for one set of data.

    Attributes
    ----------
    size : int
        Length of the flat parameter array.
    traits : frozenset of Trait
        Facts: convex, quadratic, a linear model ...
    xp, dtype, device
        The array namespace, floating dtype and device that every array of this problem has.
    kernels : KernelSet
        The kernels bound to them.
    blocks : mapping of str to slice
        Named views into the flat array.
    shapes : mapping of str to tuple of int
        Rows and columns of the blocks that are matrices, for methods that treat them as such.
    description : str
        Completes "cannot fit ..." in messages.
    n_samples : int or None
        Number of samples for a finite sum; an epoch is that many sample gradients.
    """

    size: int
    traits: frozenset[Trait]
    xp: Any
    dtype: Any
    device: Any
    kernels: Any
    blocks: Mapping[str, slice]
    shapes: Mapping[str, tuple[int, int]] = MappingProxyType({})
    description: str = "this problem"
    n_samples: int | None = None

    def __init__(self) -> None:
        self.counts: Counter[Oracle] = Counter()

    @abstractmethod
    def start(self) -> Any:
        """The default starting point, a new array of length ``size``."""

    @abstractmethod
    def value(self, w: Any) -> Any:
        """The objective at ``w``, a 0-d array."""

    @abstractmethod
    def certificate(self, w: Any) -> Certificate:
        """How far from optimal ``w`` is at most; converts scalars to the host."""

    @classmethod
    @functools.cache
    def _declared(cls) -> dict[Oracle, tuple[str, Callable[[Any], str | None] | None]]:
        found = {}
        for klass in reversed(cls.__mro__):
            for name, member in vars(klass).items():
                if hasattr(member, "__oracle__"):
                    oracle, lacks = member.__oracle__
                    found[oracle] = (name, lacks)
        return found

    @property
    def offers(self) -> frozenset[Oracle]:
        """The oracles that this instance answers."""
        return frozenset(o for o in self._declared() if self.why_not(o) is None)

    def why_not(self, oracle: Oracle) -> str | None:
        """``None`` if this instance answers ``oracle``, else the reason (may be empty)."""
        declared = self._declared()
        if oracle not in declared:
            return ""
        lacks = declared[oracle][1]
        return None if lacks is None else lacks(self)
