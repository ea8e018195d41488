"""How a column of numbers is presented to a network: scaled, and as one of several embeddings.

Each class is fitted by its constructor to an array of shape (n, p) without gaps, and turns another
one into columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# The scale of a column whose middle half of values is one value: half of its range.
HALF = 0.5


class RobustScale:
    r""":math:`u / \sqrt{1 + (u/c)^2}` with :math:`u = (x - m) / q`, m the median, q the
    interquartile range.

    Parameters
    ----------
    X : array of shape (n, p)
        Numbers, NaN where missing; infinities are not allowed.
    clip : float
        The bound c, positive; infinite for none.

    Attributes
    ----------
    center, scale : arrays of shape (p,)
        m and 1/q; 0 where the column does not vary.
    """

    def __init__(self, X: np.ndarray, clip: float) -> None:
        self.clip = clip
        p = X.shape[1]
        self.center, self.scale = np.zeros(p), np.zeros(p)
        for j in range(p):
            x = X[:, j][~np.isnan(X[:, j])]
            if x.shape[0] == 0:
                continue
            low, self.center[j], high = np.percentile(x, [25, 50, 75])
            width = high - low
            if not width > 0:
                width = HALF * (x.max() - x.min())
            # A width that is only rounding would blow noise up.
            if width > np.finfo(float).eps * max(abs(low), abs(high)):
                self.scale[j] = 1 / width

    def __call__(self, X: np.ndarray) -> np.ndarray:
        u = (np.where(np.isnan(X), self.center, X) - self.center) * self.scale
        return u / np.sqrt(1 + (u / self.clip) ** 2)


class PiecewiseLinear:
    """Where a number lies: for each bin 0 below it, 1 above it, linear within.

    Parameters
    ----------
    Z : array of shape (n, p)
        Scaled numbers.
    n_bins : int
        Bins of equally many values, at most. Bins that repeated values leave without a width are
        given to bins of equally many distinct values: the tail of a column that is mostly 0 is
        seen too.
    """

    def __init__(self, Z: np.ndarray, n_bins: int) -> None:
        self.edges = [edges_of(z, n_bins) for z in Z.T]

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        parts = [
            np.clip((z[:, None] - e[:-1]) / (e[1:] - e[:-1]), 0, 1)
            for z, e in zip(Z.T, self.edges, strict=True)
        ]
        return np.concatenate([np.zeros((Z.shape[0], 0)), *parts], axis=1)

    @property
    def widths(self) -> list[int]:
        """Columns of each number."""
        return [e.shape[0] - 1 for e in self.edges]


def edges_of(z: np.ndarray, n_bins: int) -> np.ndarray:
    """Increasing edges of at most ``n_bins`` bins of the values ``z``, see `PiecewiseLinear`."""
    distinct = np.unique(z)
    if distinct.shape[0] <= n_bins + 1:
        return distinct
    edges = np.unique(np.quantile(z, np.linspace(0, 1, n_bins + 1), method="nearest"))
    spare = n_bins + 1 - edges.shape[0]
    if spare:
        shares = np.linspace(0, 1, spare + 2)[1:-1]
        edges = np.union1d(edges, np.quantile(distinct, shares, method="nearest"))
    return edges


class Periodic:
    r""":math:`\sin(2 \pi f z)` and :math:`\cos(2 \pi f z)` of random frequencies f.

    Parameters
    ----------
    Z : array of shape (n, p)
        Scaled numbers.
    n_bins : int
        Columns of a number; half of them sines.
    rng : RandomState
        Draws the frequencies.
    spread : float
        Standard deviation of the frequencies.
    """

    def __init__(self, Z: np.ndarray, n_bins: int, rng: Any, spread: float = 0.3) -> None:
        self.frequencies = spread * rng.standard_normal((Z.shape[1], max(1, n_bins // 2)))

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        angle = 2 * np.pi * Z[:, :, None] * self.frequencies
        waves = np.concatenate([np.sin(angle), np.cos(angle)], axis=2)
        return waves.reshape(Z.shape[0], -1)

    @property
    def widths(self) -> list[int]:
        """Columns of each number."""
        p, half = self.frequencies.shape
        return [2 * half] * p
