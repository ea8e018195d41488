"""Factorisations of symmetric matrices, scaled to a unit diagonal first.

Columns of very different units make a Gram matrix look singular that is not. Scaling to a unit
diagonal removes the units, so that a small pivot means dependent columns and nothing else
(A. van der Sluis, "Condition numbers and equilibration of matrices", Numer. Math. 14 (1969)).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from skopt_dl.kernels import kernels_of
from skopt_dl.kernels.namespace import device_of, is_numpy, namespace_of, to_float
from skopt_dl.linops.aside import aside, eigh

# Rows of a matrix whose factor takes a quarter of a second.
MANY_ROWS = 3000


class NotPositiveDefiniteError(ArithmeticError):
    """A matrix that has no Cholesky factor at its precision."""


class PositiveFactor:
    """The Cholesky factor of a symmetric positive definite matrix.

    Parameters
    ----------
    G : array of shape (m, m)
        Not written, unless ``overwrite``.
    ridge : float
        Added to the unit diagonal: a multiple of rounding makes parallel columns solvable.
    overwrite : bool
        Whether G may be written over: it is as large as the factor.

    Attributes
    ----------
    smallest : float
        The smallest squared pivot, at most 1: relative errors of a solve are about the precision
        over this.
    ridge : float
        As given.

    Raises
    ------
    NotPositiveDefiniteError
        If a pivot is not clear of rounding.
    """

    def __init__(self, G: Any, ridge: float = 0.0, overwrite: bool = False) -> None:
        xp = self.xp = namespace_of(G)
        self.ridge = ridge
        m = G.shape[0]
        diagonal = xp.linalg.diagonal(G)
        positive = diagonal > 0
        self.unit = xp.sqrt(xp.where(positive, diagonal, xp.ones_like(diagonal)))
        if m == 0:
            self.L, self.smallest = G, 1.0
            return
        scaled = G if overwrite else xp.asarray(G, copy=True)
        scaled /= self.unit[:, None]
        scaled /= self.unit
        if ridge > 0:
            scaled = with_diagonal(scaled, ridge)
        self.L = _cholesky(xp, scaled)
        # The pivots of a unit diagonal are at most 1; NaN (CuPy's way to fail) fails the test too.
        smallest = xp.min(xp.linalg.diagonal(self.L)) ** 2
        if not bool(smallest > 4 * m * xp.finfo(G.dtype).eps):
            raise NotPositiveDefiniteError
        self.smallest = to_float(smallest)

    def solve(self, b: Any) -> Any:
        """``G^-1 b`` for a vector or several right-hand sides."""
        unit = self.unit if b.ndim == 1 else self.unit[:, None]
        return self._solve(b / unit) / unit

    def _solve(self, b: Any) -> Any:
        return self._half(self._half(b), transposed=True)

    def _half(self, b: Any, *, transposed: bool = False) -> Any:
        """``L^-1 b``, or ``L'^-1 b``."""
        if is_numpy(self.xp):
            trans = "T" if transposed else "N"
            return solve_triangular(self.L, b, lower=True, trans=trans, check_finite=False)
        column = b if b.ndim > 1 else b[:, None]
        x = self.xp.linalg.solve(self.L.T if transposed else self.L, column)
        return x if b.ndim > 1 else x[:, 0]

    @cached_property
    def _inverse(self) -> Any:
        """``L^-1``, for factors that serve many vectors: elsewhere than on the host a triangular
        solve is one with a general matrix."""
        m = self.L.shape[0]
        return self._half(self.xp.eye(m, dtype=self.L.dtype, device=device_of(self.L)))

    # With C = diag(unit) L, so that G = C C':

    def whiten(self, g: Any) -> Any:
        """``C^-1 g`` of a vector: a gradient in the variables ``C' w``, whose unit G measures."""
        if is_numpy(self.xp):
            return self._half(g / self.unit)
        return self._inverse @ (g / self.unit)

    def whitened_step(self, s: Any) -> Any:
        """``C' s`` of a vector: a step in those variables."""
        return self.L.T @ (self.unit * s)

    def unwhitened_step(self, s: Any) -> Any:
        """``C'^-1 s``: the step whose `whitened_step` is ``s``."""
        if is_numpy(self.xp):
            return self._half(s, transposed=True) / self.unit
        return (self._inverse.T @ s) / self.unit


class DiagonalFactor:
    """The square root of a positive diagonal matrix, as `PositiveFactor` has one of any.

    Parameters
    ----------
    diagonal : array of shape (m,)
        Positive.
    """

    def __init__(self, diagonal: Any) -> None:
        self.unit = namespace_of(diagonal).sqrt(diagonal)

    def whiten(self, g: Any) -> Any:
        """``C^-1 g`` of a vector, for ``C = diag(unit)``."""
        return g / self.unit

    def whitened_step(self, s: Any) -> Any:
        """``C' s`` of a vector."""
        return self.unit * s

    def unwhitened_step(self, s: Any) -> Any:
        """``C'^-1 s``: the step whose `whitened_step` is ``s``."""
        return s / self.unit


def nearest_factor(G: Any, ridge: float = 0.0) -> PositiveFactor:
    """The factor of ``G``; where rounding leaves none, as of parallel columns, that of ``G`` with a
    multiple of rounding added to its unit diagonal. A ``ridge`` says that it is known to.

    Raises
    ------
    NotPositiveDefiniteError
        If there is none then, either.
    """
    try:
        return PositiveFactor(G, ridge)
    except NotPositiveDefiniteError:
        eps = float(namespace_of(G).finfo(G.dtype).eps)
        return PositiveFactor(G, ridge=16 * G.shape[0] * eps)


def with_diagonal(G: Any, d: Any) -> Any:
    """``G + diag(d)`` for a number or a vector ``d``; in place where the namespace can."""
    xp, m = namespace_of(G), G.shape[0]
    if is_numpy(xp):
        diagonal = np.einsum("ii->i", G)
        diagonal += d
        return G
    return G + d * xp.eye(m, dtype=G.dtype, device=device_of(G))


def _cholesky(xp: Any, G: Any) -> Any:
    """The lower Cholesky factor of ``G``, which may be written over."""
    factor = kernels_of(G).lower_factor
    try:
        return aside(factor, G) if is_numpy(xp) and G.shape[0] > MANY_ROWS else factor(G)
    except np.linalg.LinAlgError:
        raise NotPositiveDefiniteError from None


class PseudoInverse:
    """The least-norm solve with a symmetric positive semi-definite matrix, by eigenvalues.

    Eigenvalues within rounding of zero count as zero.
    """

    # It serves where `PositiveFactor` has no clear pivot.
    smallest = 0.0

    def __init__(self, G: Any) -> None:
        xp = namespace_of(G)
        values, self.vectors = eigh(G)
        self.inverse = values
        if values.shape[0]:
            real = values > G.shape[0] * xp.finfo(G.dtype).eps * values[-1]
            one = xp.ones((), dtype=G.dtype, device=device_of(G))
            self.inverse = xp.where(real, 1 / xp.where(real, values, one), 0 * values)

    def solve(self, b: Any) -> Any:
        """``G^+ b`` for a vector or several right-hand sides."""
        inverse = self.inverse if b.ndim == 1 else self.inverse[:, None]
        return self.vectors @ (inverse * (self.vectors.T @ b))
