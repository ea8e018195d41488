"""The blocks of a flat array that are matrices, and the others."""

from __future__ import annotations

from typing import Any


def the_rest(problem: Any) -> dict[str, slice]:
    """The blocks that are no matrix."""
    return {name: part for name, part in problem.blocks.items() if name not in problem.shapes}
