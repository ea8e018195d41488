"""Kernels of a package of modules, of which a fit imports those that it runs."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class LazyKernels:
    """Kernels as attributes; a module is imported when one of its kernels is first asked for.

    Parameters
    ----------
    package : str
        Name of the package that has the modules.
    modules : dict of str to str
        For each kernel the module that has it.
    """

    def __init__(self, package: str, **modules: str) -> None:
        self._package, self._modules = package, modules

    def __getattr__(self, kernel: str) -> Any:
        # Underscores first: a copy asks for them before it has its modules.
        if kernel.startswith("_") or kernel not in self._modules:
            raise AttributeError(kernel)
        name = f"{self._package}.{self._modules[kernel]}"
        try:
            return getattr(import_module(name), kernel)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            raise ImportError(
                f"the compiled module {name} is missing: the kernels of this source tree were not "
                "built. Run `pip install -e .` in it, or start Python elsewhere with the package "
                "installed",
                name=name,
            ) from error
