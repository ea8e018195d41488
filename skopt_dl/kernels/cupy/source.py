"""CUDA sources of this package, compiled by CuPy for one floating type each."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

# The floating type that REAL stands for.
TYPES = {"float32": "float", "float64": "double"}
# Bytes of shared memory that a block may have on every device.
SHARED = 48 * 1024


@cache
def module(name: str, dtype: str) -> Any:
    """The compiled source ``name`` with REAL for ``dtype``."""
    import cupy

    code = files(__package__).joinpath(f"{name}.cu").read_text(encoding="utf-8")
    return cupy.RawModule(code=code, options=(f"-DREAL={TYPES[dtype]}",))


def kernel(source: str, name: str, like: Any) -> Any:
    """A kernel for arrays of the dtype of ``like``."""
    return module(source, str(like.dtype)).get_function(name)
