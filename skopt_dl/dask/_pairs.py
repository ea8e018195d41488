"""Entries given as (row, column) pairs, brought together by rows.

A block of a factorisation has to hold all entries of its rows. Each block of pairs deals its
entries out by a hash of their rows, and each group collects its share: for B blocks these are
B x B pieces, each of which travels once. Ids are numbered on the host, and the entries of a group
are put where its pairs lived.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skopt_dl._sklearn.arrays import Place, moved, on_host
from skopt_dl.dask._collections import Cluster, summed
from skopt_dl.dask._install import dask
from skopt_dl.matrix_completion.beliefs import Draws
from skopt_dl.matrix_completion.columns import Columns
from skopt_dl.matrix_completion.entries import Entries, sorted_entries
from skopt_dl.matrix_completion.pairs import check_pairs

NAME = "skopt_dl.dask.MatrixCompletion"


@dataclass(frozen=True)
class Group:
    """The entries of some rows.

    Attributes
    ----------
    entries : Entries
        Rows in the order of ``row_ids``.
    row_ids : array of int
        Sorted.
    """

    entries: Entries
    row_ids: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and columns of the whole matrix."""
        return self.entries.shape


def groups_of(cluster: Cluster, parts: list[Any], values: Any) -> tuple[list[Any], Any]:
    """Delayed groups of the blocks of pairs, and the sorted ids of all columns (one pass)."""
    delayed, count = dask().delayed, len(parts)
    checked = delayed(_checked, pure=True)
    blocks = [checked(i, *both) for i, both in enumerate(zip(parts, values, strict=True))]
    ids = delayed(_column_ids, pure=True)
    (col_ids,) = cluster.compute(summed([ids(block) for block in blocks], _union))
    deal, collect = delayed(_dealt, pure=True, nout=count), delayed(_collected, pure=True)
    dealt, known = [deal(block, count) for block in blocks], delayed(col_ids)
    return [collect(known, [pieces[g] for pieces in dealt]) for g in range(count)], col_ids


def _checked(i: int, pairs: Any, y: Any) -> tuple[Any, Any, Place]:
    place = Place.of(pairs)
    pairs, y = check_pairs(NAME, on_host(pairs)), np.asarray(on_host(y), dtype=np.float64)
    if len(pairs) != len(y):
        raise ValueError(f"{NAME}: block {i} has {len(pairs)} pairs but {len(y)} values")
    if not np.all(np.isfinite(y)):
        raise ValueError(f"{NAME}: y contains NaN or infinity in block {i}; drop those pairs first")
    return pairs, y, place


def _column_ids(block: tuple[Any, Any, Place]) -> Any:
    return np.unique(block[0][:, 1])


def _union(parts: list[Any]) -> Any:
    return np.unique(np.concatenate(parts))


def _dealt(block: tuple[Any, Any, Place], count: int) -> tuple[Any, ...]:
    """The entries of a block by the group of their row."""
    pairs, y, place = block
    # Multiplicative hashing: consecutive ids spread out, and a row goes to one group from all
    # blocks.
    mixed = pairs[:, 0].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    group = (mixed >> np.uint64(33)) % np.uint64(count)
    return tuple((pairs[group == g], y[group == g], place) for g in range(count))


def _collected(col_ids: Any, pieces: list[tuple[Any, Any, Place]]) -> Group:
    pairs = np.concatenate([piece[0] for piece in pieces])
    values = np.concatenate([piece[1] for piece in pieces])
    row_ids, rows = np.unique(pairs[:, 0], return_inverse=True)
    cols, shape = np.searchsorted(col_ids, pairs[:, 1]), (len(row_ids), len(col_ids))
    place, given = pieces[0][2], sorted_entries(rows, cols, values, np.ones_like(values), shape)
    return Group(Entries(*map(place.put, given)), row_ids)


def rows_attributes(
    cluster: Cluster, groups: list[Any], columns: Columns, prior: Any
) -> dict[str, Any]:
    """What the plain estimator keeps of rows, which come to the client: one pass.

    ``prior`` are the means and variances of unseen rows' and columns' parameters, where they were
    learned.
    """
    solve, given = dask().delayed(_rows), dask().delayed(columns)
    found = cluster.compute(*[solve(group, given) for group in groups])
    ids, P, spread, weight = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.argsort(ids)
    P, spread, k = P[order], spread[order], columns.k
    draws = None
    if prior is not None:
        draws = Draws(P[None], columns.Q[None], spread[None], columns.spread[None], *prior)
    return {
        "row_ids_": ids[order],
        "row_factors_": P[:, :k].copy(),
        "row_bias_": np.sum(P[:, k:], axis=1),
        "_row_weight": weight[order],
        "_draws": draws,
    }


def _rows(group: Group, columns: Columns) -> tuple[Any, ...]:
    """Ids of a group; parameters of its rows, variances (zeros if not learned), weights."""
    entries = group.entries
    if not entries.shape[0]:
        width = columns.k + (columns.bias in ("rows", "both"))
        return group.row_ids, np.zeros((0, width)), np.zeros((0, width)), np.zeros(0)
    rows = moved(columns, Place.of(entries.values), host_arrays=True).fold_in(entries)
    P, spread = on_host(rows.P), rows.spread
    spread = np.zeros_like(P) if spread is None else on_host(spread)
    return group.row_ids, P, spread, on_host(entries.row_weight)
