"""A partly observed matrix as full arrays, computed by dense products on any namespace."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from skopt_dl.kernels import bind
from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.matrix_completion.observed import ObservedMatrix


class Masked(ObservedMatrix):
    """All cells of the matrix, with weight zero where nothing is observed.

    Parameters
    ----------
    values, weights : arrays of shape (m, n)
        Finite everywhere; zero where nothing is observed.
    """

    layout = "dense"

    def __init__(self, values: Any, weights: Any) -> None:
        xp = self.xp = namespace_of(values)
        self.values, self.weights, self.shape = values, weights, values.shape
        self._measure()
        self.n_entries = int(xp.sum(xp.astype(weights > 0, xp.int64)))
        self.kernels = bind(xp, values.dtype, self.layout)

    def _sums(self) -> tuple[Any, Any]:
        return self.xp.sum(self.weights, axis=1), self.xp.sum(self.weights, axis=0)

    def _positions(self) -> tuple[Any, Any]:
        rows, cols = (self.xp.arange(size, device=self.device) for size in self.shape)
        return rows[:, None], cols[None, :]

    def _per_row(self, E: Any) -> Any:
        return self.xp.sum(E, axis=1)

    def _spread(self, a: Any) -> Any:
        return a[:, None]

    def _row_ranks(self, keys: Any) -> Any:
        xp = self.xp
        keys = xp.where(self.weights > 0, keys, xp.full_like(keys, 2.0))
        return xp.argsort(xp.argsort(keys, axis=1), axis=1)

    def products(self, L: Any, R: Any) -> Any:
        return L @ R.T

    def matrix(self, E: Any) -> Any:
        return self.weights * E

    def matrix_t(self, E: Any) -> Any:
        return (self.weights * E).T

    def unweighted(self, E: Any) -> Any:
        return self.xp.where(self.weights > 0, E, self.xp.zeros_like(E))

    def filled(self, M: Any) -> Any:
        return self.xp.where(self.weights > 0, self.values, M)

    @cached_property
    def _cells(self) -> Any:
        """Number of the cell (row by row) of each observed entry."""
        return self.xp.nonzero(self.xp.reshape(self.weights, (-1,)))[0]

    def entries(self, index: Any) -> tuple[Any, Any, Any, Any]:
        xp = self.xp
        cells = xp.take(self._cells, index)
        values = xp.take(xp.reshape(self.values, (-1,)), cells)
        weights = xp.take(xp.reshape(self.weights, (-1,)), cells)
        return cells // self.shape[1], cells % self.shape[1], values, weights
