r"""Leave-one-out errors of ridge regression, for all strengths from one decomposition.

With ``A`` the centred rows times the roots of their weights s, the model without row i errs by

.. math:: e_i = \frac{y_i - \hat y_i}{1 - h_i - s_i / \sum s}, \qquad
          h_i = \big(A (A'A + \alpha)^{-1} A'\big)_{ii}

(the last term of the denominator only with an intercept). With :math:`A'A = V L V'` and
:math:`Z = A V` all strengths together are two products: :math:`h = (Z \circ Z) S` and
:math:`\hat y = Z (S \circ Z'y)`, where :math:`S_{ja} = 1 / (L_j + \alpha_a)`. Where columns
outnumber rows the same comes from :math:`AA' = U L U'`: with :math:`G = AA' + \alpha`,
:math:`e = G^{-1} y / \operatorname{diag}(G^{-1})`.

R. Rifkin, R. Lippert, "Notes on regularized least squares", MIT-CSAIL-TR-2007-025 (2007).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from skopt_dl.linear_model._ridge_data import CentredRows, accurate
from skopt_dl.linops.aside import eigh, thin_svd

# Entries of the arrays that are held at a time. Milliseconds of a fit for 2^21, 2^19, 2^18, 2^17:
# 100 000 x 100 in float32 180, 136, 122, 119; 100 000 x 20 in float64 27, 22, 19, 19; 20 000 x 1000
# 1450, 1369, 1400, 1463 (python -m benchmarks.row_blocks).
BLOCK = 2**18


class PrimalErrors:
    """Leave-one-out errors by the decomposition of the columns' products.

    Parameters
    ----------
    data : CentredRows
        Rows, targets and weights.
    alphas : array of shape (A,)
        Positive strengths.
    svd : bool or None
        Decompose the rows instead of their products: more accurate, and slower. ``None`` does so
        where the smallest strength needs it and the data are dense.
    """

    def __init__(self, data: CentredRows, alphas: Any, svd: bool | None) -> None:
        xp = data.xp
        self.data, self.alphas = data, alphas
        wanted = bool(svd)
        if not wanted:
            values, self.V = eigh(data.map.gram(data.s))
            self.L = xp.clip(values, 0, None)
            self.q = self.V.T @ data.map.rmatvec(data.s[:, None] * data.Y)
            enough = accurate(self.L[0] + xp.min(alphas), self.L[-1])
            wanted = svd is None and data.map.layout == "dense" and not enough
        if wanted:
            A = data.root[:, None] * data.map.to_dense()
            U, sigma, Vt = thin_svd(A)
            self.V, self.L = Vt.T, sigma**2
            self.q = sigma[:, None] * (U.T @ (data.root[:, None] * data.Y))
        self.S = 1 / (self.L[:, None] + alphas)

    def __iter__(self) -> Iterator[tuple[slice, slice, Any]]:
        """Blocks ``(rows, strengths, errors)``, the errors of shape (rows, strengths, targets)."""
        data, K, A = self.data, self.data.n_targets, self.alphas.shape[0]
        n, p = data.map.shape
        T = data.xp.reshape(self.S[:, :, None] * self.q[:, None, :], (p, A * K))
        size = max(1, BLOCK // (p + A * (K + 1)))
        for i in range(0, n, size):
            rows = slice(i, min(i + size, n))
            Z = data.product(rows, self.V)
            fitted = data.xp.reshape(Z @ T, (-1, A, K))
            room = 1 - data.s[rows, None] * (Z * Z @ self.S) - data.shares[rows, None]
            yield rows, slice(0, A), (data.Y[rows, None, :] - fitted) / room[:, :, None]

    def coef(self, index: Any) -> Any:
        """Coefficients (p, K) with the strength number ``index[k]`` for target k."""
        return self.V @ (self.data.xp.take(self.S, index, axis=1) * self.q)


class DualErrors:
    r"""Leave-one-out errors by the decomposition of the rows' products; see `PrimalErrors`.

    Centred rows have no part along the roots of the weights: that eigenvalue is zero, and its
    share :math:`s_i / (\alpha \\sum s)` of the diagonal has to be taken away. A positive number in
    its place makes it as small as the others, so that nothing cancels.
    """

    def __init__(self, data: CentredRows, alphas: Any, svd: bool | None) -> None:
        xp, root = data.xp, data.root
        self.data, self.alphas = data, alphas
        self.K = data.map.row_gram()
        products = root[:, None] * self.K * root
        self.lift = xp.mean(xp.linalg.diagonal(products)) if data.fit_intercept else 0.0
        along = root / xp.sum(data.s) ** 0.5
        wanted = bool(svd)
        if not wanted:
            values, self.U = eigh(products + self.lift * along[:, None] * along)
            self.L = xp.clip(values, 0, None)
            enough = accurate(self.L[0] + xp.min(alphas), self.L[-1])
            wanted = svd is None and data.map.layout == "dense" and not enough
        if wanted:
            A = root[:, None] * data.map.to_dense()
            if data.fit_intercept:
                A = xp.concat([A, (self.lift**0.5 * along)[:, None]], axis=1)
            self.U, sigma, _ = thin_svd(A)
            self.L = sigma**2
        self.q = self.U.T @ (root[:, None] * data.Y)
        self.S = 1 / (self.L[:, None] + alphas)

    def __iter__(self) -> Iterator[tuple[slice, slice, Any]]:
        """Blocks ``(rows, strengths, errors)``, the errors of shape (rows, strengths, targets)."""
        data, xp = self.data, self.data.xp
        n, K = data.Y.shape
        squares, size = self.U * self.U, max(1, BLOCK // (n * K))
        used = data.root > 0
        for a in range(0, self.alphas.shape[0], size):
            part = slice(a, min(a + size, self.alphas.shape[0]))
            S, alphas = self.S[:, part], self.alphas[part]
            c = self.U @ xp.reshape(S[:, :, None] * self.q[:, None, :], (S.shape[0], -1))
            diagonal = squares @ S - data.shares[:, None] / (self.lift + alphas)
            scale = xp.where(used[:, None], data.root[:, None] * diagonal, diagonal)
            errors = xp.reshape(c, (n, -1, K)) / scale[:, :, None]
            if not bool(xp.all(used)):
                # A row of no weight is not in the model: its error is that of the model itself.
                fitted = xp.reshape(self.K @ (data.root[:, None] * c), (n, -1, K))
                errors = xp.where(used[:, None, None], errors, data.Y[:, None, :] - fitted)
            yield slice(0, n), part, errors

    def coef(self, index: Any) -> Any:
        """Coefficients (p, K) with the strength number ``index[k]`` for target k."""
        c = self.U @ (self.data.xp.take(self.S, index, axis=1) * self.q)
        return self.data.map.rmatvec(self.data.root[:, None] * c)


def leave_one_out(
    data: CentredRows, alphas: Any, svd: bool | None = None
) -> PrimalErrors | DualErrors:
    """The errors by the decomposition of the smaller side."""
    n, p = data.map.shape
    return (DualErrors if n <= p else PrimalErrors)(data, alphas, svd)
