"""Linear maps: what a model does to its coefficients, ``z = A w``.

Centring, an intercept column, sparsity and the device live here and nowhere else. A map acts on a
vector ``(p,)`` or on a matrix of several right-hand sides ``(p, K)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
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

    def reads_once(self, w: Any) -> bool:
        """Whether `there_and_back` reads a large matrix once where two products read it twice."""
        return False

    def there_and_back(self, w: Any, respond: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
        """``(A w, A' r)`` with ``r = respond(A w, rows)`` for parts of the rows, one by one.

        Parameters
        ----------
        w : array of shape (p,) or (p, K)
            Coefficients.
        respond : callable
            From the predictions of some rows and the slice that says which, to an array of their
            shape. It is asked once for each row, in their order.
        """
        z = self.matvec(w)
        return z, self.rmatvec(respond(z, slice(None)))

    @abstractmethod
    def take_rows(self, index: Any) -> LinearMap:
        """The map of the samples ``index``."""

    @abstractmethod
    def gram(self, weights: Any) -> Any:
        """``A' diag(weights) A`` as a dense array of shape ``(p, p)``; weights of any sign."""

    @abstractmethod
    def column_squares(self, weights: Any) -> Any:
        """The diagonal of `gram`, without forming it; of weights of shape ``(n, K)`` one a
        column."""

    @abstractmethod
    def row_gram(self) -> Any:
        """``A A'`` as a dense array of shape ``(n, n)``."""

    @abstractmethod
    def to_dense(self) -> Any:
        """The matrix of the map as a dense array (for direct methods on small problems)."""
