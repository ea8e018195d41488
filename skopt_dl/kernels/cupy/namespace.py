"""CuPy under the names and signatures of the array-API standard.

CuPy's arrays have no ``__array_namespace__`` and its creation functions take no ``device`` (seen in
CuPy 14.2), so ``xp.zeros(n, dtype=..., device=...)`` would fail on it. `StandardNamespace` passes
everything through to the module and adds what is missing.

Source of the names: the array API standard 2024.12, https://data-apis.org/array-api/2024.12/.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from types import ModuleType
from typing import Any

# The creation functions of the standard that take `device`.
CREATION = (
    "arange",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "linspace",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
)


class StandardNamespace:
    """A NumPy-like module with the standard's signatures.

    Parameters
    ----------
    module : module
        ``cupy``; anything with NumPy's functions will do.
    on_device : callable
        Takes a device, returns the context manager in which arrays are created on it.
    """

    def __init__(
        self, module: ModuleType, on_device: Callable[[Any], AbstractContextManager[Any]]
    ) -> None:
        self._module, self._on_device = module, on_device
        self.__name__ = module.__name__
        self.linalg = _Linalg(module.linalg)
        for name in CREATION:
            setattr(self, name, self._with_device(getattr(module, name)))

    def _with_device(self, create: Callable[..., Any]) -> Callable[..., Any]:
        def created(*args: Any, device: Any = None, **kwargs: Any) -> Any:
            with nullcontext() if device is None else self._on_device(device):
                return create(*args, **kwargs)

        created.__name__ = create.__name__
        return created

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._module, name)

    def __repr__(self) -> str:
        return f"<{self.__name__} under the array-API names>"


class _Linalg:
    """``linalg`` with the standard's norms."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def vector_norm(self, x: Any, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
        """The norm over ``axis``, or of all entries as one vector."""
        if axis is None:
            norm = self._module.norm(x.reshape(-1), ord=ord)
            return norm.reshape((1,) * x.ndim) if keepdims else norm
        return self._module.norm(x, axis=axis, keepdims=keepdims, ord=ord)

    def matrix_norm(self, x: Any, *, keepdims: bool = False, ord: Any = "fro") -> Any:
        """The norm of the last two axes."""
        return self._module.norm(x, axis=(-2, -1), keepdims=keepdims, ord=ord)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@cache
def cupy_namespace() -> StandardNamespace:
    """CuPy's namespace; imports CuPy."""
    import cupy

    return StandardNamespace(cupy, cupy.cuda.Device)
