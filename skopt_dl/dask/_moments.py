r"""Least squares from one pass: sums over blocks, and the small problem that they leave.

Each block of rows gives its second moments (see `skopt_dl.linear_model._moments`), for each fold
that it has rows of; they are added by a tree. With :math:`R'R = G` and :math:`R'c = q` of the
centred means, :math:`|c - Rw|^2` differs from the mean square over all rows by a constant: any
solver then works on p + 1 rows, for any strength, without another pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from skopt_dl.dask._collections import Cluster, Rows, summed
from skopt_dl.dask._install import dask
from skopt_dl.linear_model._moments import Moments
from skopt_dl.linops import root_of

# The rows of a block that belong to a fold: (fold, first, last + 1).
Part = tuple[int, int, int]


def moments_of(
    cluster: Cluster, rows: Rows, *, fit_intercept: bool, parts: Sequence[Sequence[Part]] | None
) -> tuple[dict[int, Moments], tuple[Any, float]]:
    """The moments of each fold (of fold 0 without ``parts``), about the origin also returned.

    The origin is the mean of the first block, which is close enough to that of all rows for sums
    of squares to keep their digits; without an intercept it is zero.
    """
    delayed = dask().delayed
    p = rows.n_features
    origin: Any = (np.zeros(p), 0.0)
    if fit_intercept:
        origin = delayed(_origin, pure=True)(rows.blocks[0])
    of_block = delayed(_of_block, pure=True)
    given = [None] * len(rows.blocks) if parts is None else parts
    each = [of_block(b, origin, part) for b, part in zip(rows.blocks, given, strict=True)]
    total, origin = cluster.compute(summed(each, _added), origin)
    return total, origin


def _origin(block: tuple[Any, Any, Any]) -> tuple[Any, float]:
    X, y, _ = block
    if not len(X):
        return np.zeros(X.shape[1]), 0.0
    return np.mean(X, axis=0, dtype=np.float64), float(np.mean(y))


def _of_block(
    block: tuple[Any, Any, Any], origin: tuple[Any, float], parts: Sequence[Part] | None
) -> dict[int, Moments]:
    X, y, w = block
    w = np.ones(len(X)) if w is None else w
    parts = [(0, 0, len(X))] if parts is None else parts
    return {
        fold: Moments.of_rows(X, y, w, np.arange(first, end), origin) for fold, first, end in parts
    }


def _added(parts: Sequence[Mapping[int, Moments]]) -> dict[int, Moments]:
    """The sums of each fold; the parts are left as they are."""
    total: dict[int, Moments] = {}
    for part in parts:
        for fold, m in part.items():
            if fold not in total:
                total[fold] = replace(m, G=m.G.copy())
                continue
            sums = total[fold]
            sums.G += m.G
            sums.c, sums.a = sums.c + m.c, sums.a + m.a
            sums.tt, sums.t = sums.tt + m.tt, sums.t + m.t
            sums.weight += m.weight
    return total


class SmallProblem:
    """Rows and targets whose least squares is that of the moments.

    Parameters
    ----------
    moments : Moments
        Of the training rows.
    origin : tuple of (array of shape (p,), float)
        About which they were taken.
    fit_intercept : bool
        Whether to centre.
    per_sample : bool
        Whether the plain estimator takes the mean over its rows (lasso) or their sum (ridge).

    Attributes
    ----------
    rows : array of shape (p + 1, p)
    targets : array of shape (p + 1,)
    """

    def __init__(
        self, moments: Moments, origin: tuple[Any, float], *, fit_intercept: bool, per_sample: bool
    ) -> None:
        self.moments, self.origin, self.fit_intercept = moments, origin, fit_intercept
        G, q, square = moments.centred(fit_intercept)
        R, c = root_of(G, q[:, None])
        rest = np.sqrt(max(square - float(np.sum(c**2)), 0.0))
        m = R.shape[0] + 1
        size = m if per_sample else moments.weight
        self.rows = np.sqrt(size) * np.concatenate([R, np.zeros((1, R.shape[1]))])
        self.targets = np.sqrt(size) * np.concatenate([c[:, 0], [rest]])

    def intercept(self, coef: Any) -> float:
        """The intercept beside the raw data."""
        if not self.fit_intercept:
            return 0.0
        x0, y0 = self.origin
        return float(y0 - x0 @ coef + self.moments.intercepts(coef))


def fold_parts(lengths: Sequence[int], n_folds: int) -> list[list[Part]]:
    """The rows of each block by consecutive folds of all rows, as `sklearn.model_selection.KFold`.

    Raises
    ------
    ValueError
        For more folds than rows.
    """
    n = sum(lengths)
    if not 2 <= n_folds <= n:
        raise ValueError(f"cv={n_folds!r}, but it must be at least 2 and at most {n}, the rows")
    ends = np.cumsum([n // n_folds + (k < n % n_folds) for k in range(n_folds)])
    starts = np.concatenate([[0], ends[:-1]])
    parts, first = [], 0
    for length in lengths:
        mine = []
        for k in range(n_folds):
            low, high = max(first, starts[k]), min(first + length, ends[k])
            if low < high:
                mine.append((k, int(low - first), int(high - first)))
        parts.append(mine)
        first += length
    return parts
