"""How a category is presented to a network: one column, one per level, or a code of signs."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from typing import Any

import numpy as np

# The level that stands for a missing value; `None` can be no string of the data.
MISSING = None


class LevelCode:
    """The rows that stand for the levels of one category.

    Parameters
    ----------
    values : array of shape (n,)
        Strings, ``None`` where missing.
    max_levels : int
        More levels than this are coded by signs.
    n_codes : int
        Signs of a code.

    Attributes
    ----------
    levels : list of str or None
        The known levels, the most frequent first.
    codes : array of shape (levels + 1, columns)
        A row per level, and one of zeros for unknown levels.
    columns : list of str
        What each column stands for.
    """

    def __init__(self, values: np.ndarray, max_levels: int, n_codes: int) -> None:
        counts = Counter(values)
        # Equal counts in the order of the alphabet: the order of the rows changes nothing.
        self.levels = sorted(counts, key=lambda v: (-counts[v], v is MISSING, str(v)))
        self._row = {level: k for k, level in enumerate(self.levels)}
        names = ["missing" if level is MISSING else level for level in self.levels]
        K = len(names)
        if K < 2:
            self.codes, self.columns = np.zeros((K + 1, 0)), []
        elif K == 2:
            self.codes, self.columns = np.array([[-1.0], [1.0], [0.0]]), [names[1]]
        elif max_levels >= K:
            self.codes, self.columns = np.eye(K + 1, K), names
        else:
            share = np.log([counts[level] for level in self.levels])
            spread = share.std()
            frequency = (share - share.mean()) / (spread if spread > 0 else 1.0)
            self.codes = np.zeros((K + 1, n_codes + 1))
            self.codes[:K, :n_codes] = [signs(level, n_codes) for level in self.levels]
            self.codes[:K, n_codes] = frequency
            self.columns = [*(f"code{j}" for j in range(n_codes)), "frequency"]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        unknown = len(self.levels)
        rows = [self._row.get(v, unknown) for v in values]
        return self.codes[rows]


def signs(level: Any, n: int) -> np.ndarray:
    """``n`` signs drawn by a hash of the level's name: the same in every process."""
    name = b"\0" if level is MISSING else b"\1" + level.encode(errors="surrogatepass")
    bits: list[np.ndarray] = []
    for block in range(-(-n // 512)):
        digest = blake2b(name, digest_size=64, salt=block.to_bytes(4, "big")).digest()
        bits.append(np.unpackbits(np.frombuffer(digest, np.uint8)))
    return 2.0 * np.concatenate(bits)[:n] - 1
