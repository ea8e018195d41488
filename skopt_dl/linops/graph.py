r"""Projections onto the graph of a linear map, :math:`\{(w, z) : z = A w\}`.

.. math:: w = \operatorname{argmin}_w \tfrac12 \|A w - d\|_\Omega^2
              + \tfrac{\sigma}{2} \|w - c\|^2
            = (A'\Omega A + \sigma)^{-1} (A'\Omega d + \sigma c)

The metric has the row weights :math:`\Omega` on predictions and the mean of the diagonal of
:math:`A'\Omega A` as :math:`\sigma` on coefficients: the two halves weigh alike whatever the units
of the data. The matrix never changes: it is factorised once, on the smaller side (the identity of
Woodbury), or solved by warm-started conjugate gradients where both sides are large.

Source: N. Parikh, S. Boyd, "Block splitting for distributed optimization", Math. Program. Comput. 6
(2014), section 4 (graph projections).
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.namespace import device_of, to_float
from skopt_dl.linops.base import LinearMap
from skopt_dl.linops.design import along_rows
from skopt_dl.linops.factor import PositiveFactor

# A smaller side up to this is factorised: 32 MB of float64 and 3e9 flops, once.
FACTOR_BELOW = 2000
CG_STEPS = 200


class GraphProjection:
    """Projects pairs ``(c, d)`` of coefficients and predictions.

    Parameters
    ----------
    A : LinearMap of shape (n, p)
    omega : array of shape (n,)
        Row weights of the metric.

    Attributes
    ----------
    scale : 0-d array
        The metric sigma of the coefficients.
    """

    def __init__(self, A: LinearMap, omega: Any) -> None:
        xp = self.xp = A.xp
        self.A, self.omega, self.root, (n, p) = A, omega, xp.sqrt(omega), A.shape
        mean = xp.sum(A.column_squares(omega)) / max(p, 1)
        self.scale = xp.where(mean > 0, mean, xp.ones_like(mean))
        self.primal = p <= n
        self.factor: PositiveFactor | None = None
        if min(n, p) <= FACTOR_BELOW:
            G = A.gram(omega) if self.primal else self.root[:, None] * A.row_gram() * self.root
            eye = xp.eye(G.shape[0], dtype=G.dtype, device=device_of(G))
            self.factor = PositiveFactor(G + self.scale * eye)

    def __call__(self, c: Any, d: Any) -> tuple[Any, Any]:
        """The point ``(w, A w)`` of the graph nearest to ``(c, d)``."""
        A = self.A
        if self.factor is not None and not self.primal:
            gap = along_rows(self.root, d - A.matvec(c))
            w = c + A.rmatvec(along_rows(self.root, self.factor.solve(gap)))
        else:
            b = A.rmatvec(along_rows(self.omega, d)) + self.scale * c
            w = self._iterate(c, b) if self.factor is None else self.factor.solve(b)
        return w, A.matvec(w)

    def square(self, c: Any, d: Any) -> Any:
        """The squared length of ``(c, d)`` in the metric, a 0-d array."""
        xp = self.xp
        return self.scale * xp.sum(c * c) + xp.sum(along_rows(self.omega, d * d))

    def _product(self, w: Any) -> Any:
        A = self.A
        return A.rmatvec(along_rows(self.omega, A.matvec(w))) + self.scale * w

    def _iterate(self, w: Any, b: Any) -> Any:
        """Conjugate gradients from ``w``, with step lengths of its own for each right-hand side."""
        xp = self.xp
        r = b - self._product(w)
        d, gamma = r, xp.sum(r * r, axis=0)
        tiny = float(xp.finfo(b.dtype).eps) ** 1.5 * to_float(xp.max(xp.sum(b * b, axis=0)))
        for _ in range(CG_STEPS):
            if to_float(xp.max(gamma)) <= tiny:
                break
            q = self._product(d)
            energy = xp.sum(d * q, axis=0)
            a = gamma / xp.where(energy > 0, energy, xp.ones_like(energy))
            w, r = w + a * d, r - a * q
            after = xp.sum(r * r, axis=0)
            d = r + (after / xp.where(gamma > 0, gamma, xp.ones_like(gamma))) * d
            gamma = after
        return w
