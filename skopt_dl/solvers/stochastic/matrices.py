"""The blocks of a flat array that are matrices, and the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def on_matrices(problem: Any, flat: Any, act: Callable[[str, Any], Any]) -> Any:
    """A copy of ``flat`` in which ``act(name, matrix)`` has taken the place of each matrix."""
    xp = problem.xp
    out = xp.asarray(flat, copy=True)
    for name, shape in problem.shapes.items():
        part = problem.blocks[name]
        out[part] = xp.reshape(act(name, xp.reshape(flat[part], shape)), (-1,))
    return out


def the_rest(problem: Any) -> dict[str, slice]:
    """The blocks that are no matrix."""
    return {name: part for name, part in problem.blocks.items() if name not in problem.shapes}
