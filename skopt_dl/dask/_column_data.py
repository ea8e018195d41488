"""A partly observed matrix in blocks of rows: its sizes, and where a factorisation begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skopt_dl.dask._column_tasks import Sums, centred_squares, column_sums, sizes, turned
from skopt_dl.matrix_completion.rank import rank_for
from skopt_dl.matrix_completion.starts import START_FLOOR, START_ITERATIONS

NAME = "skopt_dl.dask.MatrixCompletion"


class ColumnData:
    """What all problems on the blocks share.

    Parameters
    ----------
    total : callable
        ``total(function, *args)``, the sums of ``function(block, *args)``, a tuple of arrays, over
        the blocks.
    n_components : int or "auto"
        Rank, at most the smaller side of the matrix.
    n_columns : int
    bias : {False, "rows", "cols", "both"}
        Which biases the model has; with some it has a constant too.
    seed : int
        Of the starting point.

    Attributes
    ----------
    passes : int
        Times that each block was asked.
    total, squares : float
        Entries, and the sum of their squares about the constant.
    n_entries, n_rows, n_seen : int
        Entries, rows, and rows that have an entry.
    average, mean : float
        Mean of the entries, and the constant of the model.
    k : int
        Rank.
    col_weight : array of shape (n_columns,)
        Entries of each column.
    """

    def __init__(
        self,
        total: Callable[..., Sums],
        n_components: Any,
        n_columns: int,
        *,
        bias: Any,
        seed: int,
    ) -> None:
        self._total, self.bias, self.seed, self.passes = total, bias, seed, 0
        counts, self.col_weight = self.sum(sizes, n_columns)
        self.total, self.squares, values = counts[:3]
        if not self.total > 0:
            raise ValueError(
                f"{NAME}: X has no observed entry, so there is nothing to fit; NaN marks the "
                "missing ones, and those that a sparse matrix does not store are missing too"
            )
        self.n_entries, self.n_rows, self.n_seen = (int(c) for c in counts[[0, 3, 4]])
        self.k = rank_for(NAME, n_components, (self.n_rows, n_columns))
        self.average = float(values / self.total)
        self.mean = self.average if bias else 0.0
        if bias:
            self.squares = self.sum(centred_squares, self.mean)[0][0]

    def sum(self, function: Callable[..., Sums], *args: Any) -> Sums:
        """Sums over the blocks: one pass."""
        self.passes += 1
        return self._total(function, *args)

    @property
    def row_width(self) -> int:
        """Parameters of a row."""
        return self.k + (self.bias in ("rows", "both"))

    @property
    def column_shape(self) -> tuple[int, int]:
        """Shape of the columns' parameters."""
        return len(self.col_weight), self.k + (self.bias in ("cols", "both"))

    def start(self) -> Any:
        """Columns from leading singular vectors, as `FactorProblem` has them."""
        n, c = len(self.col_weight), self._first_column_biases()
        V = np.random.default_rng(self.seed).standard_normal((n, self.k))
        given = self.mean, self.bias, c
        for _ in range(START_ITERATIONS):
            V = np.linalg.qr(self.sum(turned, V, *given)[0]).Q
        size, turn = np.linalg.eigh(V.T @ self.sum(turned, V, *given)[0])
        size = np.sqrt(np.clip(size, 0.0, None))
        norm = np.linalg.norm(size)
        share = np.clip(size / norm if norm > 0 else np.ones_like(size), 0.0, None)
        share = np.clip(share, START_FLOOR * np.max(share), None)
        Q = V @ turn * np.sqrt(share * n) * (self.squares / self.total) ** 0.25
        Q = Q * (self.col_weight > 0)[:, None]
        return np.column_stack([Q, c]) if self.column_shape[1] > self.k else Q

    def _first_column_biases(self) -> Any:
        """Those of rows and columns alone, by a few turns of means; zeros where there are none."""
        c = np.zeros(len(self.col_weight))
        if self.bias in ("cols", "both"):
            for turn in range(START_ITERATIONS):
                known = None if turn == 0 else c
                (sums,) = self.sum(column_sums, self.mean, self.bias, known)
                c = sums / np.maximum(self.col_weight, 1.0)
        return c
