"""Entries that share an index, where the arrays live and without sparse matrices."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

from skopt_dl.kernels.namespace import device_of, namespace_of
from skopt_dl.linops.aside import argsort
from skopt_dl.matrix_completion.entries import integer_for


class Stored(NamedTuple):
    """What compiled kernels read of a matrix in CSR format."""

    data: Any
    indices: Any
    indptr: Any
    shape: tuple[int, int]


class Groups:
    """Entries by the index that they have along a mode.

    Parameters
    ----------
    index : array of int, shape (q,)
        The group of each entry.
    weights, values : arrays of shape (q,)
        The entries' weights and values.
    n : int
        Number of groups.

    Attributes
    ----------
    targets : array of shape (q,)
        Weights times values.
    stored_weights, stored_targets : Stored
        Weights and targets as CSR matrices of shape (n, q), in which an entry is a column.
    """

    def __init__(self, index: Any, weights: Any, values: Any, n: int) -> None:
        self.index, self.weights, self.n = index, weights, n
        self.targets = weights * values

    @cached_property
    def _layout(self) -> tuple[Any, Any]:
        """The entries, group by group, and where each group begins."""
        xp, index = namespace_of(self.index), self.index
        order = argsort(index)
        dtype = integer_for(xp, max(self.n, index.shape[0]))
        bounds = xp.arange(self.n + 1, dtype=index.dtype, device=device_of(index))
        starts = xp.searchsorted(xp.take(index, order), bounds)
        return xp.astype(order, dtype), xp.astype(starts, dtype)

    def _stored(self, data: Any) -> Stored:
        order, starts = self._layout
        data = namespace_of(data).take(data, order)
        return Stored(data, order, starts, (self.n, order.shape[0]))

    @cached_property
    def stored_weights(self) -> Stored:
        return self._stored(self.weights)

    @cached_property
    def stored_targets(self) -> Stored:
        return self._stored(self.targets)
