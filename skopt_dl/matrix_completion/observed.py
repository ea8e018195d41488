r"""The observed entries of a matrix and their weights: what every layout of them answers.

Two layouts pay: `skopt_dl.matrix_completion.masked` keeps full arrays, and
`skopt_dl.matrix_completion.entries` the observed entries alone, in CSR order. Both answer the same
few questions, so that the objective is written once. "Entry values" below are arrays in the layout
of the values themselves: ``(m, n)`` or ``(q,)``.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, ClassVar, Self

from skopt_dl.kernels import KernelSet, bind
from skopt_dl.kernels.namespace import device_of


class ObservedMatrix(ABC):
    """Observed entries of an ``m x n`` matrix.

    Attributes
    ----------
    values, weights : arrays of entry values
        The entries and their non-negative weights; both are zero where nothing is observed.
    shape : tuple of int
        ``(m, n)``.
    n_entries : int
        Number of observed entries q.
    total : 0-d array
        Sum of the weights.
    row_weight, col_weight : arrays of shape (m,) and (n,)
        Sums of the weights by row and by column, zero for one without entries.
    xp, dtype, device, kernels
        Where and by what it is computed.
    n_threads : int
        Threads of the compiled kernels; results do not depend on it.
    """

    xp: Any
    values: Any
    weights: Any
    shape: tuple[int, int]
    n_entries: int
    total: Any
    row_weight: Any
    col_weight: Any
    kernels: KernelSet
    n_threads: int = 1
    layout: ClassVar[str]

    @abstractmethod
    def products(self, L: Any, R: Any) -> Any:
        """Entry values of ``L R'``."""

    @abstractmethod
    def matrix(self, E: Any) -> Any:
        """The ``m x n`` matrix of the entry values ``E`` times the weights, for products."""

    @abstractmethod
    def matrix_t(self, E: Any) -> Any:
        """The transpose of `matrix`, an ``n x m`` matrix."""

    @abstractmethod
    def unweighted(self, E: Any) -> Any:
        """The ``m x n`` matrix of the entry values ``E`` as they are, zero where weights are."""

    def masked(self, A: Any, B: Any, F: Any) -> Any:
        """``(weights * (A B')) F`` for factors A (of the rows) and B, F (of the columns)."""
        return self.kernels.masked_product(self.pattern, A, B, F, self.n_threads)

    def masked_t(self, A: Any, B: Any, F: Any) -> Any:
        """``(weights * (A B'))' F`` for factors A, F (of the rows) and B (of the columns)."""
        return self.kernels.masked_product(self.pattern_t, B, A, F, self.n_threads)

    def gram_rows(self, F: Any) -> Any:
        """``sum_j weight_ij f_j f_j'`` for each row i, an array of shape (m, k, k)."""
        return self.kernels.gram_rows(self.pattern, F)

    def gram_cols(self, F: Any) -> Any:
        """The same for each column, with features of the rows."""
        return self.kernels.gram_rows(self.pattern_t, F)

    @cached_property
    def pattern(self) -> Any:
        """The ``m x n`` matrix of the weights, for products."""
        return self.matrix(self.xp.ones_like(self.values))

    @cached_property
    def pattern_t(self) -> Any:
        """Its transpose."""
        return self.matrix_t(self.xp.ones_like(self.values))

    @abstractmethod
    def entries(self, index: Any) -> tuple[Any, Any, Any, Any]:
        """``(rows, cols, values, weights)`` of the entries ``index``, numbered 0 .. q-1."""

    @abstractmethod
    def filled(self, M: Any) -> Any:
        """The full array ``M`` with the observed cells in their places."""

    @abstractmethod
    def _row_ranks(self, keys: Any) -> Any:
        """Entry values: how many entries of the same row have a smaller key."""

    @abstractmethod
    def _sums(self) -> tuple[Any, Any]:
        """Sums of the weights by row and by column."""

    def _forget(self) -> None:
        """What was kept of the weights, which are others now."""
        for name in ("pattern", "pattern_t", "uniform", "_plain"):
            vars(self).pop(name, None)

    def _measure(self) -> None:
        self.row_weight, self.col_weight = self._sums()
        self.total = self.xp.sum(self.weights)

    @property
    def dtype(self) -> Any:
        """The floating dtype of everything computed from it."""
        return self.values.dtype

    @property
    def device(self) -> Any:
        """The device of its arrays."""
        return device_of(self.values)

    @cached_property
    def uniform(self) -> bool:
        """Whether all observed entries have weight one."""
        return not bool(self.xp.any((self.weights != 0) & (self.weights != 1)))

    def dot(self, E: Any, D: Any) -> Any:
        """``sum of weights * E * D``, a 0-d array."""
        return self.xp.sum(self.weights * E * D)

    def mean(self) -> Any:
        """Weighted mean of the values, a 0-d array."""
        return self.xp.sum(self.weights * self.values) / self.total

    def shifted(self, offset: Any) -> Self:
        """The same entries with ``offset`` subtracted from each value."""
        other, xp = copy.copy(self), self.xp
        other.values = xp.where(self.weights > 0, self.values - offset, xp.zeros_like(self.values))
        return other

    def converted(self, dtype: Any) -> Self:
        """The same entries in another floating dtype, by name or as the namespace has it."""
        other, xp = copy.copy(self), self.xp
        kind = getattr(xp, dtype) if isinstance(dtype, str) else dtype
        for name in ("values", "weights", "row_weight", "col_weight", "total"):
            setattr(other, name, xp.astype(xp.asarray(getattr(self, name)), kind))
        other.kernels = bind(xp, other.values.dtype, self.layout)
        other._forget()
        return other

    def divided(self, unit: Any) -> Self:
        """The same entries, those of each column divided by its ``unit``."""
        other, xp = copy.copy(self), self.xp
        one = xp.ones((self.shape[0], 1), dtype=self.dtype, device=self.device)
        other.values = self.values / self.products(one, unit[:, None])
        return other

    def column_deviations(self) -> Any:
        """Weighted standard deviation of each column; one where rounding is all of it."""
        xp, ones = self.xp, self.xp.ones_like(self.row_weight)
        safe = xp.where(self.col_weight > 0, self.col_weight, xp.ones_like(self.col_weight))
        centre = (self.matrix_t(self.values) @ ones) / safe
        one = xp.ones((self.shape[0], 1), dtype=self.dtype, device=self.device)
        E = self.values - self.products(one, centre[:, None])
        spread = xp.sqrt((self.matrix_t(E * E) @ ones) / safe)
        # The mean of equal values is off by rounding, which is no deviation of theirs.
        least = self.shape[0] * xp.finfo(self.dtype).eps * xp.abs(centre)
        return xp.where(spread > least, spread, xp.ones_like(spread))

    def without(self, hidden: Any) -> Self:
        """The same entries with the weights ``hidden`` taken away from theirs."""
        kept = copy.copy(self)
        kept._forget()
        kept.weights = self.weights - hidden
        kept._measure()
        return kept

    def hide(self, share: float) -> tuple[Self, Any]:
        """Hide a share of each row, at least one entry of two or more.

        Which entries is a pseudo-random function of their positions alone: the same ones at every
        call, in every layout and on every device.

        Parameters
        ----------
        share : float
            Share of each row's entries.

        Returns
        -------
        kept : ObservedMatrix
            The same entries with weight zero where they are hidden.
        hidden : array of entry values
            The weights of the hidden entries, zero elsewhere.
        """
        xp = self.xp
        present = xp.astype(self.weights > 0, self.dtype)
        count = self._per_row(present)
        wanted = xp.where(count > 1, xp.maximum(xp.round(share * count), xp.ones_like(count)), 0.0)
        ranks = xp.astype(self._row_ranks(self._keys()), self.dtype)
        hidden = xp.where(ranks < self._spread(wanted), self.weights, xp.zeros_like(self.weights))
        return self.without(hidden), hidden

    def folds(self, n: int, seed: int) -> Any:
        """Entry values 0 .. n-1: which part each entry belongs to, with each row spread evenly.

        A pseudo-random function of the positions and the seed, as in `hide`.
        """
        xp, rows = self.xp, self._positions()[0]
        ranks = xp.astype(self._row_ranks(self._keys(seed)), self.dtype)
        return xp.remainder(ranks + xp.astype(rows, self.dtype), n)

    def _keys(self, seed: int = 0) -> Any:
        """Pseudo-random entry values in [0, 1): the digits of a sine far behind the point."""
        xp = self.xp
        rows, cols = (xp.astype(a, xp.float64) for a in self._positions())
        phase = 0.618034 * (seed % 65536)
        noise = 43758.5453 * xp.sin(12.9898 * (rows + 1.0) + 78.233 * (cols + 1.0) + phase)
        return noise - xp.floor(noise)

    @abstractmethod
    def _positions(self) -> tuple[Any, Any]:
        """Row and column numbers, arrays that broadcast to entry values."""

    @abstractmethod
    def _per_row(self, E: Any) -> Any:
        """Sums of entry values by row, without the weights."""

    @abstractmethod
    def _spread(self, a: Any) -> Any:
        """Entry values (or an array that broadcasts to them) of one number per row."""
