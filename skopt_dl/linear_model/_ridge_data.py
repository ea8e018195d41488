"""Rows, targets and weights of ridge regression in float64, centred where there is an intercept."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels.namespace import device_of, namespace_of, to_float
from skopt_dl.linops import Centred, Doubled, design

# Relative accuracy asked of the inverse eigenvalues of a Gram matrix; where its condition number
# does not leave that the rows themselves are decomposed.
ACCURACY = 1e-9


def accurate(smallest: Any, largest: Any) -> bool:
    """Whether eigenvalues of products are known well enough: their errors are eps * largest."""
    eps = float(np.finfo(np.float64).eps)
    return to_float(smallest) * ACCURACY > eps * to_float(largest)


class CentredRows:
    """The data of a ridge regression whose strengths stand beside a weighted sum of squares.

    Parameters
    ----------
    X : array or sparse matrix of shape (n, p)
        Validated; never written.
    y : array of shape (n,) or (n, K)
        Targets.
    weights : array of shape (n,), optional
        Sample weights.
    fit_intercept : bool
        Whether to centre.

    Attributes
    ----------
    map : LinearMap of shape (n, p)
        The centred rows; data that are far from zero are moved first (see `Dense.near_zero`), and
        those in single precision are converted by blocks.
    Y : array of shape (n, K)
        The centred targets.
    x_mean, y_mean : array of shape (p,), array of shape (K,)
        What was subtracted; no ``x_mean`` without an intercept.
    s, root, shares : array of shape (n,)
        Weights, their roots, and what the intercept adds to each leverage.
    """

    def __init__(self, X: Any, y: Any, weights: Any, *, fit_intercept: bool) -> None:
        y = as_float64(y)
        self.fit_intercept = fit_intercept
        xp = self.xp = namespace_of(y)
        base: Any
        if hasattr(X, "tocsc"):
            base = design(X.astype(np.float64))
        else:
            base = design(X) if X.dtype == xp.float64 else Doubled(X)
        n = base.shape[0]
        if weights is None:
            self.s = xp.ones(n, dtype=xp.float64, device=device_of(y))
        else:
            self.s = as_float64(weights)
        self.root, omega = xp.sqrt(self.s), self.s / xp.sum(self.s)
        Y = xp.reshape(y, (n, -1))
        self.n_targets = Y.shape[1]
        self.x_mean: Any = None
        self.map: Any
        if not fit_intercept:
            self.map, self.y_mean, self.shares = base, 0.0 * Y[0, :], 0.0 * omega
        elif isinstance(base, Doubled):
            # Each block is converted anyway, so that its means leave it at no cost.
            self.x_mean = base.column_sums(omega)
            self.map = base = base.moved(self.x_mean)
            self.y_mean, self.shares = omega @ Y, omega
        else:
            base, shift = base.near_zero(omega)
            self.map = Centred(base, base.column_sums(omega))
            self.x_mean = self.map.mean if shift is None else self.map.mean + shift
            self.y_mean, self.shares = omega @ Y, omega
        self.base, self.Y = base, Y - self.y_mean

    def index(self, rows: np.ndarray) -> Any:
        """Row numbers beside the data."""
        return self.xp.asarray(rows, device=device_of(self.Y))

    def product(self, rows: slice, V: Any) -> Any:
        """Consecutive rows of the map times ``V``; dense rows are centred first."""
        if self.map is self.base:
            return self._block(rows) @ V
        if self.base.layout == "dense":
            return (self._block(rows) - self.map.mean) @ V
        return self._block(rows) @ V - self.map.mean @ V

    def _block(self, rows: slice) -> Any:
        if isinstance(self.base, Doubled):
            return self.base.block(rows)
        return (self.base.X if self.base.layout == "dense" else self.base.rows)[rows, :]


def as_float64(a: Any) -> Any:
    """``a`` in float64, itself if it is."""
    xp = namespace_of(a)
    return xp.astype(a, xp.float64, copy=False)
