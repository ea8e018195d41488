"""Maps that carry the intercept, so that no solver and no penalty has to know it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scipy.linalg import get_blas_funcs

from skopt_dl.kernels.namespace import is_numpy
from skopt_dl.linops.base import LinearMap
from skopt_dl.linops.products import blocks_of, weighted_gram


class Centred(LinearMap):
    """``(X - 1 mean') w``: the intercept of least squares, eliminated. X is neither copied nor
    densified.

    Parameters
    ----------
    base : LinearMap
        The design.
    mean : array of shape (p,)
        What is subtracted from each column (the weighted column means).
    """

    def __init__(self, base: Any, mean: Any) -> None:
        self.base, self.mean = base, mean
        self.shape, self.layout, self.xp = base.shape, base.layout, base.xp

    def matvec(self, w: Any) -> Any:
        z = self.base.matvec(w)
        z -= self.mean @ w
        return z

    def rmatvec(self, r: Any) -> Any:
        total = self.xp.sum(r, axis=0)
        g = self.base.rmatvec(r)
        by_columns = is_numpy(self.xp) and g.ndim == 2 and g.flags.f_contiguous
        if by_columns and g.size and g.dtype == total.dtype:
            # In place: the product of the two would be as large as the answer.
            (ger,) = get_blas_funcs(("ger",), (g,))
            return ger(-1.0, self.mean, total, a=g, overwrite_a=True)
        g -= self._shift(total)
        return g

    def reads_once(self, w: Any) -> bool:
        return bool(self.base.reads_once(w))

    def there_and_back(self, w: Any, respond: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
        shift, sums = self.mean @ w, []

        def centred(z: Any, rows: Any) -> Any:
            z -= shift
            r = respond(z, rows)
            sums.append(self.xp.sum(r, axis=0))
            return r

        z, g = self.base.there_and_back(w, centred)
        total = sum(sums[1:], sums[0])
        g -= self._shift(total)
        return z, g

    def _shift(self, total: Any) -> Any:
        """``mean total'``, in the memory order of a product: see `Dense.rmatvec`."""
        return self.mean * total if total.ndim == 0 else (total[:, None] * self.mean).T

    def take_rows(self, index: Any) -> Centred:
        return Centred(self.base.take_rows(index), self.mean)

    @property
    def _is_far(self) -> bool:
        """Whether moments about zero would lose digits to those about the means."""
        if self.layout != "dense":
            return False
        return not self.base.is_nearly_centred(self.mean)

    def gram(self, weights: Any) -> Any:
        if self._is_far:
            return weighted_gram(self.base.to_dense(), weights, self.mean)
        total, sums = self.xp.sum(weights), self.base.column_means(weights)
        gram = self.base.gram(weights)
        # The correction by blocks of rows: no second array of this size.
        for rows in blocks_of(*gram.shape):
            if sums is self.mean:
                gram[rows, :] -= (2 - total) * self.mean[rows, None] * self.mean
            else:
                gram[rows, :] -= self.mean[rows, None] * sums
                gram[rows, :] -= (sums - total * self.mean)[rows, None] * self.mean
        return gram

    def column_squares(self, weights: Any) -> Any:
        sums, total = self.base.column_sums(weights), self.xp.sum(weights, axis=0)
        mean = self.mean if weights.ndim == 1 else self.mean[:, None]
        squares = self.base.column_squares(weights) - mean * (2 * sums - total * mean)
        return self.xp.clip(squares, 0, None)

    def row_gram(self) -> Any:
        if self._is_far:
            X, products = self.base.to_dense(), 0.0
            n, p = self.shape
            for block in blocks_of(p, n):
                columns = X[:, block] - self.mean[block]
                products = products + columns @ columns.T
            return products
        shift = self.base.matvec(self.mean) - 0.5 * (self.mean @ self.mean)
        gram = self.base.row_gram()
        gram -= shift[:, None]
        gram -= shift
        return gram

    def to_dense(self) -> Any:
        return self.base.to_dense() - self.mean


class WithIntercept(LinearMap):
    """``X w + b``: the design with a column of ones behind it (the last coefficient)."""

    def __init__(self, base: Any) -> None:
        self.base, self.layout, self.xp = base, base.layout, base.xp
        self.shape = (base.shape[0], base.shape[1] + 1)

    def matvec(self, w: Any) -> Any:
        return self.base.matvec(w[:-1, ...]) + w[-1, ...]

    def rmatvec(self, r: Any) -> Any:
        xp = self.xp
        return xp.concat([self.base.rmatvec(r), xp.sum(r, axis=0)[None, ...]])

    def reads_once(self, w: Any) -> bool:
        return bool(self.base.reads_once(w[:-1, ...]))

    def there_and_back(self, w: Any, respond: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
        intercept, sums = w[-1, ...], []

        def shifted(z: Any, rows: Any) -> Any:
            z += intercept
            r = respond(z, rows)
            sums.append(self.xp.sum(r, axis=0))
            return r

        z, g = self.base.there_and_back(w[:-1, ...], shifted)
        return z, self.xp.concat([g, sum(sums[1:], sums[0])[None, ...]])

    def take_rows(self, index: Any) -> WithIntercept:
        return WithIntercept(self.base.take_rows(index))

    def gram(self, weights: Any) -> Any:
        xp = self.xp
        sums = self.base.column_sums(weights)
        top = xp.concat([self.base.gram(weights), sums[:, None]], axis=1)
        total = xp.sum(weights)
        return xp.concat([top, xp.concat([sums, total[None]])[None, :]])

    def column_squares(self, weights: Any) -> Any:
        total = self.xp.sum(weights, axis=0)
        return self.xp.concat([self.base.column_squares(weights), total[None, ...]])

    def row_gram(self) -> Any:
        return self.base.row_gram() + 1

    def to_dense(self) -> Any:
        X = self.base.to_dense()
        ones = self.xp.ones((X.shape[0], 1), dtype=X.dtype, device=X.device)
        return self.xp.concat([X, ones], axis=1)
