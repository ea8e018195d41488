r"""A least-squares loss in the form :math:`\tfrac12 |B w - t|^2`, and linear systems of its dual.

:math:`B = \Omega^{1/2} A` with the (centred) map A and the curvatures :math:`\Omega` of the
samples, :math:`t = \Omega^{1/2} y`. Only products with A and the columns that are in use are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops import Centred, PositiveFactor

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem

# Up to this many active columns their Gram is factorised; above conjugate gradients do it roughly.
DIRECT_BELOW = 1000
ROUGHLY, MAX_PRODUCTS = 1e-3, 100


class ResidualSystem:
    """Products with B and the Newton systems of augmented Lagrangians.

    Parameters
    ----------
    problem : LinearProblem
        A quadratic loss of one output and an elastic-net penalty.

    Attributes
    ----------
    t : array of shape (n,)
        The target.
    """

    def __init__(self, problem: LinearProblem) -> None:
        xp = self.xp = problem.xp
        self.map, self.base, self.centred = problem.map, problem.base, problem.centred
        self.h = problem.loss.smoothness * problem.omega
        self.root = xp.sqrt(self.h)
        self.t = self.root * problem.y
        _, self.l2, _ = problem.penalty.elastic_net(  # type: ignore[attr-defined]
            problem.size, xp, problem.dtype, problem.device
        )

    def matvec(self, w: Any) -> Any:
        """``B w``."""
        return self.root * self.map.matvec(w)

    def rmatvec(self, r: Any) -> Any:
        """``B' r``."""
        return self.map.rmatvec(self.root * r)

    def column_squares(self) -> Any:
        """The diagonal of ``B'B``."""
        return self.map.column_squares(self.h)

    def solve(self, active: Any, sigma: float, r: Any) -> Any:
        r""":math:`(I + B_J D^{-1} B_J')^{-1} r` with the columns J where ``active``.

        :math:`D = (1 + \sigma l_2)/\sigma`. By Woodbury's formula the matrix that is factorised,
        :math:`D + B_J'B_J`, has as many rows as there are active columns.
        """
        xp = self.xp
        J = xp.nonzero(active)[0]
        if J.shape[0] == 0:
            return r
        columns: Any = self.base.take_columns(J)
        if self.centred:
            columns = Centred(columns, xp.take(self.map.mean, J))
        D = 1 / sigma + xp.take(self.l2, J)
        if J.shape[0] > DIRECT_BELOW:
            return self._roughly(columns, D, r)
        eye = xp.eye(J.shape[0], dtype=r.dtype, device=r.device)
        factor = PositiveFactor(columns.gram(self.h) + D[:, None] * eye)
        inner = factor.solve(columns.rmatvec(self.root * r))
        return r - self.root * columns.matvec(inner)

    def _roughly(self, columns: Any, D: Any, r: Any) -> Any:
        """The same by conjugate gradients, to a residual of a thousandth."""
        xp, root = self.xp, self.root
        d, p = xp.zeros_like(r), r
        square = first = to_float(r @ r)
        for _ in range(MAX_PRODUCTS):
            if square <= ROUGHLY**2 * first:
                break
            q = p + root * columns.matvec(columns.rmatvec(root * p) / D)
            a = square / to_float(p @ q)
            d, r = d + a * p, r - a * q
            before, square = square, to_float(r @ r)
            p = r + (square / before) * p
        return d
