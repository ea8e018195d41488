"""Linear maps: what a model does to its coefficients, ``z = A w``.

Centring, an intercept column, sparsity and the device live here and nowhere else. A map acts on a
vector ``(p,)`` or on a matrix of several right-hand sides ``(p, K)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class LinearMap(ABC):
    """A linear map from ``shape[1]`` coefficients to ``shape[0]`` samples.

    Attributes
    ----------
    shape : tuple of int
        ``(n_samples, n_coefficients)``.
    layout : {"dense", "sparse"}
        What the kernels are bound to.
    """

    shape: tuple[int, int]
    layout: str
    xp: Any

    @abstractmethod
    def matvec(self, w: Any) -> Any:
        """``A w``."""

    @abstractmethod
    def rmatvec(self, r: Any) -> Any:
        """``A' r``."""

    @abstractmethod
    def take_rows(self, index: Any) -> LinearMap:
        """The map of the samples ``index``."""

    @abstractmethod
    def gram(self, weights: Any) -> Any:
        """``A' diag(weights) A`` as a dense array of shape ``(p, p)``; weights of any sign."""

    @abstractmethod
    def column_squares(self, weights: Any) -> Any:
        """The diagonal of `gram`, without forming it."""

    @abstractmethod
    def row_gram(self) -> Any:
        """``A A'`` as a dense array of shape ``(n, n)``."""

    @abstractmethod
    def to_dense(self) -> Any:
        """The matrix of the map as a dense array (for direct methods on small problems)."""
