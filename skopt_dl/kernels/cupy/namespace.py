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

from skopt_dl.kernels.cupy.linalg import StandardLinalg

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
        self.linalg = StandardLinalg(module)
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


@cache
def cupy_namespace() -> StandardNamespace:
    """CuPy's namespace; imports CuPy."""
    import cupy

    return StandardNamespace(cupy, cupy.cuda.Device)
