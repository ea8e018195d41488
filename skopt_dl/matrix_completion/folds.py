"""Splitting the entries of a partly observed matrix."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state

from skopt_dl._sklearn.arrays import on_host
from skopt_dl.matrix_completion.pairs import check_pairs


class EntryKFold(BaseCrossValidator):
    """K folds of (row, column) pairs in which every row is spread over the folds.

    Unlike `sklearn.model_selection.KFold` no row loses more than its share of entries to the test
    set (one of ``n_splits``, rounded up): what is tested is the completion of rows that are known.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    random_state : int, RandomState instance or None, default=None
        Which entries of a row go to which fold.

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl.matrix_completion import EntryKFold
    >>> pairs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> for train, test in EntryKFold(2, random_state=0).split(pairs):
    ...     print(sorted(pairs[test, 0]))
    [np.int64(0), np.int64(1)]
    [np.int64(0), np.int64(1)]
    """

    def __init__(self, n_splits: int = 5, *, random_state: Any = None) -> None:
        self.n_splits = n_splits
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """The number of folds."""
        return self.n_splits

    def _iter_test_indices(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[Any]:
        n = self.n_splits
        if not isinstance(n, Integral) or isinstance(n, bool) or n < 2:
            raise ValueError(f"EntryKFold: n_splits={n!r}, but it must be an integer of at least 2")
        rows = check_pairs("EntryKFold.split", on_host(X))[:, 0]
        if len(rows) < n:
            raise ValueError(
                f"EntryKFold: n_splits={n!r} folds of {len(rows)} entries, which must be at least "
                "as many"
            )
        rng = check_random_state(self.random_state)
        order = np.lexsort((rng.random_sample(len(rows)), rows))
        fold = np.empty(len(rows), dtype=np.int64)
        fold[order] = np.arange(len(rows)) % n
        for k in range(n):
            yield np.flatnonzero(fold == k)
