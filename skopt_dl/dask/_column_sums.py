"""Sums over blocks of rows, and numbers of their own for the rows of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skopt_dl.dask._collections import Cluster, summed
from skopt_dl.dask._column_tasks import extent
from skopt_dl.dask._install import dask


@dataclass(frozen=True)
class ByRows:
    """One number a row of all blocks, of which each block is given its own."""

    values: Any

    def parts(self, lengths: list[int]) -> list[Any]:
        """Those of blocks of so many rows."""
        return np.split(self.values, np.cumsum(lengths)[:-1])


class BlockSums:
    """``sums(function, *args)``: tuples of arrays ``function(block, *args)``, added up.

    Lists of arrays are joined in the order of the blocks. An argument `ByRows` gives each block
    the part of its rows.

    Attributes
    ----------
    extents : list of pair of int
        Rows and entries of each block, known after the first sum.
    """

    def __init__(self, cluster: Cluster, blocks: list[Any]) -> None:
        self._cluster, self._blocks = cluster, blocks
        self.extents: list[tuple[int, int]] = []

    def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        delayed = dask().delayed
        call, n = delayed(function), len(self._blocks)
        # How large the blocks are comes along with the first sum.
        asked = [] if self.extents else [delayed(extent, pure=True)(b) for b in self._blocks]
        lengths, given = [rows for rows, _ in self.extents], []
        for a in args:
            own = isinstance(a, ByRows)
            given.append([delayed(p) for p in a.parts(lengths)] if own else [delayed(a)] * n)
        each = (call(*all_of) for all_of in zip(self._blocks, *given, strict=True))
        sums, *found = self._cluster.compute(summed(list(each), _added), *asked)
        self.extents.extend(found)
        return sums


def _added(parts: list[Any]) -> Any:
    return tuple(sum(arrays[1:], arrays[0]) for arrays in zip(*parts, strict=True))
