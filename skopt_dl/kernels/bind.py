"""Which kernels serve a problem: bound once per solve, named in the report.

The functions of `skopt_dl.kernels.generic` and of the ``generic_...`` modules beside it are the
specification. A compiled twin has the same name and signature and is tested against it; where there
is none the generic function runs.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from skopt_dl.kernels import (
    cupy,
    cython,
    generic,
    generic_entries,
    generic_gram,
    generic_losses,
    generic_network,
    generic_nonnegative,
    generic_observed,
    generic_passes,
    generic_prox,
    generic_random,
    generic_rows,
    generic_updates,
)
from skopt_dl.kernels.namespace import is_numpy, namespace_of

GENERIC: tuple[Any, ...] = (
    generic,
    generic_entries,
    generic_gram,
    generic_losses,
    generic_network,
    generic_nonnegative,
    generic_observed,
    generic_passes,
    generic_prox,
    generic_random,
    generic_rows,
    generic_updates,
)


COMPILED = {layout: (*modules, *GENERIC) for layout, modules in cython.MODULES.items()}


class KernelSet:
    """The kernels of one namespace, dtype and layout, as attributes.

    Attributes
    ----------
    name : str
        "cython", "cuda" or "generic".
    n_fallbacks : int
        How often `serving` gave the generic kernels instead.
    """

    def __init__(self, name: str, modules: tuple[Any, ...]) -> None:
        self.name, self.n_fallbacks = name, 0
        self._modules = modules

    def __getattr__(self, kernel: str) -> Any:
        if kernel.startswith("_"):
            raise AttributeError(kernel)
        function = _find(self._modules, kernel)
        setattr(self, kernel, function)
        return function

    def serving(self, compiled: bool) -> KernelSet:
        """These kernels, or the generic ones where no compiled kernel reads the loss and penalty.

        The second case is counted, so that the report names what ran.
        """
        if compiled:
            return self
        self.n_fallbacks += 1
        return PLAIN


PLAIN = KernelSet("generic", GENERIC)


@cache
def _find(modules: tuple[Any, ...], kernel: str) -> Any:
    for module in modules:
        if hasattr(module, kernel):
            return getattr(module, kernel)
    raise AttributeError(f"there is no kernel named {kernel!r}")


def bind(xp: Any, dtype: Any, layout: str = "dense") -> KernelSet:
    """The kernels for arrays of namespace ``xp``, of ``dtype``, with designs of ``layout``.

    Parameters
    ----------
    xp : module
        Array namespace.
    dtype : dtype
        Floating dtype; the compiled kernels know float32 and float64.
    layout : {"dense", "sparse"}
        Layout of the design matrix.
    """
    # NumPy's dtypes are CuPy's too.
    if is_numpy(xp) and np.dtype(dtype).char in "fd":
        return KernelSet("cython", COMPILED[layout])
    if xp.__name__ == "cupy" and np.dtype(dtype).char in "fd":
        return KernelSet("cuda", (*cupy.MODULES, *GENERIC))
    return KernelSet("generic", GENERIC)


def kernels_of(a: Any) -> KernelSet:
    """The kernels for arrays like ``a``, where no problem has bound any."""
    return _bound(namespace_of(a), a.dtype)


_bound = cache(bind)
