"""Bytes that a task of a fit with many passes holds at most: blocks, vectors, matrices.

Counted are a block as it came and what a task makes of it, as if all its entries were stored and
observed; then the parts that a sum adds. The tests compare them with what is allocated. Before the
lengths of blocks are known there is no bound, and a function returns ``None``.
"""

from __future__ import annotations

from typing import Any

from skopt_dl.dask._collections import FAN_IN
from skopt_dl.solvers.stochastic.sampling import batch_size

FLOAT = 8
# Rows that the compiled passes of a network take at a time.
CHUNK = 1024


def _longest(lengths: tuple[int, ...]) -> int:
    return max(lengths, default=0)


def logistic_bytes(rows: Any, outputs: int, *, hessian: bool) -> int | None:
    """Of a sum over blocks of ``outputs`` predictions a row, with Hessians or without.

    A Hessian needs the rows beside their means and, weighted, once more.
    """
    if rows.lengths is None:
        return None
    n, p, K = _longest(rows.lengths), rows.n_features + 1, outputs
    copies = 3 if hessian else 1
    vectors = 10 + 6 * K + (2 * K * K if hessian else 0)
    parameters = K * p
    part = parameters**2 if hessian else 2 * parameters
    block = n * p * (rows.dtype.itemsize + copies * FLOAT)
    return int(block + FLOAT * (n * vectors + (FAN_IN + 1) * part))


def network_bytes(rows: Any, net: Any, batch: Any) -> int | None:
    """Of epochs of a network on a block: besides it copies of the parameters (gradient, moments,
    sums), and four numbers a unit for the rows that the passes take at a time."""
    if rows.lengths is None:
        return None
    n, outputs = _longest(rows.lengths), net.sizes[-1]
    block = 2 * n * rows.n_features * rows.dtype.itemsize
    units = 4 * max(CHUNK, batch_size(batch, n)) * sum(net.sizes)
    copies = (2 * FAN_IN + 4) * net.size
    return int(block + FLOAT * (n * (10 + 3 * outputs) + units + copies))


def completion_bytes(blocks: list[tuple[int, int]], n_columns: int, width: int, size: int) -> int:
    """Of a turn of alternating least squares with ``width`` numbers a row and column.

    ``blocks`` are the rows and entries of each, ``size`` is that of an entry as it came. Entries
    stand by rows and by columns, each with its place; every row has a Gram matrix.
    """
    n, stored = (max((block[k] for block in blocks), default=0) for k in (0, 1))
    entries = stored * (size + 8 * FLOAT)
    each = n * (width**2 + 6 * width) + (FAN_IN + 1) * n_columns * (width**2 + 2 * width)
    return int(entries + FLOAT * each)
