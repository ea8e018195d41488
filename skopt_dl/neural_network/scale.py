"""Features (and targets) in units of their standard deviation, while the user sees his own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skopt_dl.kernels.namespace import namespace_of


@dataclass(frozen=True)
class Scale:
    """``(a - mean) / deviation`` of each column, as it was when the scale was made.

    Attributes
    ----------
    mean : array of shape (p,) or None
        What is subtracted; ``None`` of sparse data, which stay sparse.
    deviation : array of shape (p,)
        What is divided by; 1 of a constant column.
    """

    mean: Any
    deviation: Any

    @classmethod
    def of(cls, a: Any) -> Scale:
        """The scale of an array or a sparse matrix of shape (n, p)."""
        if hasattr(a, "tocsc"):
            xp, ones = namespace_of(a.data), namespace_of(a.data).ones(a.shape[0], dtype=a.dtype)
            mean = (a.T @ ones) / a.shape[0]
            variance = (a.multiply(a).T @ ones) / a.shape[0] - mean * mean
        else:
            xp = namespace_of(a)
            mean = xp.mean(a, axis=0)
            variance = xp.mean((a - mean) ** 2, axis=0)
        # What rounding makes of a constant column is no deviation.
        noise = (10 * float(xp.finfo(a.dtype).eps)) ** 2 * (mean * mean)
        spread = variance > noise
        root = xp.sqrt(xp.where(spread, variance, xp.ones_like(variance)))
        return cls(None if hasattr(a, "tocsc") else mean, root)

    def apply(self, a: Any) -> Any:
        """``a`` in these units; a new array."""
        if hasattr(a, "tocsc"):
            return a.multiply(1 / self.deviation).tocsr()
        return (a - (0 if self.mean is None else self.mean)) / self.deviation

    def undo(self, a: Any) -> Any:
        """What ``apply`` made ``a`` of."""
        return a * self.deviation + self.mean
