"""CUDA sources of this package, compiled by CuPy for one floating type each."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

# The floating type that REAL stands for.
TYPES = {"float32": "float", "float64": "double"}
# Bytes of shared memory that a block may have on every device.
SHARED = 48 * 1024


def whole(name: str) -> str:
    """The source ``name``, with what all sources begin with; errors name its own lines."""
    folder = files(__package__)
    common, own = (
        folder.joinpath(file).read_text(encoding="utf-8") for file in ("common.cuh", f"{name}.cu")
    )
    return f'{common}\n#line 1 "{name}.cu"\n{own}'


@cache
def module(name: str, dtype: str) -> Any:
    """The compiled source ``name`` with REAL for ``dtype``."""
    import cupy

    return cupy.RawModule(code=whole(name), options=(f"-DREAL={TYPES[dtype]}",))


def kernel(source: str, name: str, like: Any) -> Any:
    """A kernel for arrays of the dtype of ``like``."""
    return module(source, str(like.dtype)).get_function(name)
