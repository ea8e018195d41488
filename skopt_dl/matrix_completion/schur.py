r"""The Gauss-Newton system of the row factors once the column factors are eliminated.

With the model ``L R'`` linear in either factor, the curvature that ignores the residual is

.. math::

    \begin{pmatrix} A & B \\ B' & D \end{pmatrix}, \qquad
    A = \operatorname{diag}_i \sum_j \omega_{ij} f_j f_j' + \alpha\rho_i I, \qquad
    D = \operatorname{diag}_j \sum_i \omega_{ij} h_i h_i' + \alpha\kappa_j I

with f the features of a row's problem and h those of a column's. Its Schur complement
:math:`S = A - B D^{-1} B'` acts on the rows alone (G. Golub, V. Pereyra, "The differentiation of
pseudo-inverses and nonlinear least squares problems whose variables separate", SIAM J. Numer.
Anal. 10, 1973, with L. Kaufman's simplification of 1975).
"""

from __future__ import annotations

from typing import Any

# Ridge that keeps the systems of single rows and columns regular, relative to their trace.
FLOOR = 1e-14


class ReducedSystem:
    """``S`` at one point, times the sum of the weights.

    Attributes
    ----------
    rhs : array of shape (m, kp)
        Minus the gradient in P: the gradient in Q must vanish, so solve that block before. Without
        a penalty it is orthogonal to the features h, along which S vanishes (Q undoes such a
        change): what rounding leaves there would be divided by the damping alone.
    scale : 0-d array
        Mean of the diagonal of A, the unit of a damping.
    """

    def __init__(self, problem: Any, point: Any) -> None:
        obs, xp = problem.observed, problem.xp
        self.xp, self.observed = xp, obs
        L, R = problem.factors(point.w)
        self._f, self._h = problem.of_rows(R), problem.of_cols(L)
        self._ridge = problem.alpha * problem.row_penalty[:, None]
        self._A = _grams(xp, obs.gram_rows(self._f), problem.alpha * problem.row_penalty)
        self._Dinv = xp.linalg.inv(
            _grams(xp, obs.gram_cols(self._h), problem.alpha * problem.col_penalty)
        )
        self.rhs = -obs.total * problem.unpack(point.grad)[0]
        self.scale = xp.mean(xp.linalg.diagonal(self._A))
        if problem.alpha == 0:
            free = xp.linalg.qr(self._h).Q
            self.rhs = self.rhs - free @ (free.T @ self.rhs)

    def product(self, X: Any, damping: float) -> Any:
        """``(S + damping scale I) X``."""
        xp, obs, f, h = self.xp, self.observed, self._f, self._h
        Y = _each(self._Dinv, obs.masked_t(X, f, h))
        bent = obs.masked(xp.concat([X, h], axis=1), xp.concat([f, -Y], axis=1), f)
        return bent + (self._ridge + damping * self.scale) * X

    def promise(self, X: Any, damping: float) -> Any:
        """The decrease of the objective that the undamped model foretells for the step ``X``.

        Of conjugate gradients from zero: their residual is orthogonal to X, which saves a product.
        """
        twice = self.xp.sum(X * (self.rhs + (damping * self.scale) * X))
        return 0.5 * twice / self.observed.total

    def preconditioner(self, damping: float) -> Any:
        """``r -> (A + damping scale I)^{-1} r``: the systems of single rows."""
        k = self.rhs.shape[1]
        eye = self.xp.eye(k, dtype=self.rhs.dtype, device=self.observed.device)
        inverse = self.xp.linalg.inv(self._A + (damping * self.scale) * eye)
        return lambda r: _each(inverse, r)


def _grams(xp: Any, G: Any, ridge: Any) -> Any:
    """The matrices with their ridge, regular also where few entries are observed."""
    k = G.shape[1]
    least = FLOOR * xp.sum(xp.linalg.diagonal(G), axis=1)
    shift = xp.maximum(ridge, least)
    shift = xp.where(shift > 0, shift, xp.ones_like(shift))
    return G + shift[:, None, None] * xp.eye(k, dtype=G.dtype, device=ridge.device)


def _each(matrices: Any, rows: Any) -> Any:
    """Each matrix times its row."""
    return (matrices @ rows[:, :, None])[:, :, 0]
