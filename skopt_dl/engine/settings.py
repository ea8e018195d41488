"""Settings: an object that is fully described by the arguments of its ``__init__``.

Solvers, losses and penalties are settings. They follow scikit-learn's parameter protocol
(`get_params`, `set_params`, comparable by parameters, a repr that shows what was changed), so
`clone` copies them and ``solver__learning_rate`` tunes them, while the engine itself stays free
of scikit-learn.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any, Self


class Settings:
    """Base of everything that is configured once and then only read."""

    @classmethod
    @functools.cache
    def _signature(cls) -> dict[str, inspect.Parameter]:
        parameters = inspect.signature(cls.__init__).parameters
        return {
            name: p
            for name, p in parameters.items()
            if name != "self" and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        }

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name; with ``deep`` those of nested settings too."""
        params = {name: getattr(self, name) for name in self._signature()}
        if deep:
            for name, value in list(params.items()):
                if hasattr(value, "get_params") and not isinstance(value, type):
                    params |= {f"{name}__{k}": v for k, v in value.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set arguments by name, ``outer__inner`` for nested settings.

        Raises
        ------
        ValueError
            If a name is not an argument of the constructor.
        """
        valid = self._signature()
        for key, value in params.items():
            name, _, inner = key.partition("__")
            if name not in valid:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {sorted(valid)}"
                )
            if inner:
                getattr(self, name).set_params(**{inner: value})
            else:
                setattr(self, name, value)
        return self

    def adopt(self, settings: Mapping[str, Any]) -> None:
        """Set those of ``settings`` that are arguments of the constructor; leave out the others."""
        valid = self._signature()
        for name, value in settings.items():
            if name in valid:
                setattr(self, name, value)

    def __repr__(self) -> str:
        changed = []
        for name, p in self._signature().items():
            value = getattr(self, name)
            if p.default is p.empty or repr(value) != repr(p.default):
                changed.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(changed)})"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        mine, theirs = self.get_params(deep=False), other.get_params(deep=False)  # type: ignore[attr-defined]
        return all(_same(mine[name], theirs[name]) for name in mine)

    def __hash__(self) -> int:
        return hash((type(self), repr(self)))


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if getattr(a, "ndim", 0) or getattr(b, "ndim", 0):
        return getattr(a, "shape", ()) == getattr(b, "shape", ()) and bool((a == b).all())
    return bool(a == b)
