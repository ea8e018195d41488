r"""The elastic net on rows: coefficients of several outputs are zero or nonzero together.

.. math:: \Omega(W) = a \sum_j \|W_j\|_2 + \tfrac{b}{2} \|W\|_F^2

with :math:`W_j` the coefficients of feature j for all outputs, which lie side by side in the flat
array.

Source: G. Obozinski, B. Taskar, M. Jordan, "Joint covariate selection and joint subspace selection
for multiple classification problems", Statistics and Computing 20 (2010).
"""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.kernels import kernels_of
from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.penalties.base import Penalty


class RowElasticNet(Penalty):
    """``l1 sum_j |W_j|_2 + l2/2 |W|_F^2`` of an ``(n_features, n_outputs)`` matrix.

    Parameters
    ----------
    n_outputs : int
        Length of a row.
    l1, l2 : float
        Strengths.
    """

    label: ClassVar[str] = "the row-wise elastic-net penalty"
    strengths: ClassVar[tuple[str, ...]] = ("l1", "l2")

    def __init__(self, n_outputs: int = 1, l1: float = 1.0, l2: float = 0.0) -> None:
        self.n_outputs, self.l1, self.l2 = n_outputs, l1, l2

    def _rows(self, w: Any) -> Any:
        return namespace_of(w).reshape(w, (-1, self.n_outputs))

    def _norms(self, w: Any) -> Any:
        """Norm of each row, as a column."""
        return namespace_of(w).linalg.vector_norm(self._rows(w), axis=1, keepdims=True)

    def value(self, w: Any) -> Any:
        xp = namespace_of(w)
        return self.l1 * xp.sum(self._norms(w)) + 0.5 * self.l2 * xp.sum(w**2)

    def prox(self, v: Any, step: Any) -> Any:
        return kernels_of(v).prox_rows(v, self.n_outputs, step, self.l1, self.l2)

    def prox_row(self, v: Any, step: Any, j: int) -> Any:
        """The prox of row ``j`` alone."""
        xp = namespace_of(v)
        norm = xp.linalg.vector_norm(v)
        if not norm > step * self.l1:
            return 0 * v
        return (1 - step * self.l1 / norm) * v / (1 + step * self.l2)

    def conjugate(self, v: Any) -> Any:
        """``sum_j max(|V_j| - l1, 0)^2 / (2 l2)``, infinite if ``l2 = 0`` and a row is longer."""
        xp, norms = namespace_of(v), self._norms(v)
        over = xp.clip(norms - self.l1, 0, None)
        if self.l2 > 0:
            return xp.sum(over**2) / (2 * self.l2)
        # A point scaled to the border by feasible_scale overshoots by rounding only.
        tiny = 64 * xp.finfo(v.dtype).eps * (self.l1 + norms)
        return xp.sum(xp.where(over > tiny, xp.full_like(over, xp.inf), xp.zeros_like(over)))

    def feasible_scale(self, v: Any) -> Any:
        xp, norms = namespace_of(v), self._norms(v)
        excess = (norms > self.l1) & (self.l2 <= 0)
        one = xp.ones_like(norms)
        return xp.min(xp.where(excess, self.l1 / xp.where(excess, norms, one), one))

    def distance(self, w: Any, g: Any) -> Any:
        """The components of ``g`` plus the nearest subgradient."""
        xp, norms = namespace_of(w), self._norms(w)
        d = g + self.l2 * w
        safe = xp.where(norms > 0, norms, xp.ones_like(norms))
        smooth = self._rows(d) + self.l1 * self._rows(w) / safe
        at_zero = self._rows(kernels_of(d).prox_rows(d, self.n_outputs, 1.0, self.l1, 0.0))
        return xp.reshape(xp.abs(xp.where(norms > 0, smooth, at_zero)), (-1,))
