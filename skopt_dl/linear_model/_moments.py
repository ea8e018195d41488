r"""Second moments of blocks of rows: what cross-validation on tall data needs of them.

With the columns moved by one common origin, a block of rows :math:`T` is
:math:`G = Z'\Omega Z,\ c = Z'\Omega t,\ a = Z'\Omega 1,\ \dots` Those of a training set are the
sum over the blocks of the others (a difference to the total would lose the digits of small rows
beside large ones), and the squared error of a model on a block follows from its moments alone. So
all folds cost one pass over X.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg.blas import dger

from skopt_dl.kernels.namespace import device_of, namespace_of, rows_of, to_numpy
from skopt_dl.linops import in_double
from skopt_dl.linops.design import as_slice
from skopt_dl.linops.products import blocks_of, gram, leaves_cache, product, products_by_parts

# An error below this share of the block's sum of squares has lost digits to cancellation: it is
# computed from the rows.
CANCELLED = 1e-5
# Entries of X that are converted at a time; at least as many rows as make their products worth
# adding. Milliseconds for 2^21, 2^19, 2^18 and 2^17 entries: 100 000 x 100 in float64 39, 34, 34,
# 34, in float32 54, 44, 44, 48; 100 000 x 20 in float32 5.8, 5.5, 4.4, 4.7
# (python -m benchmarks.row_blocks).
BLOCK = 2**18


@dataclass
class Moments:
    """Weighted sums over rows of ``z``, ``t`` and their products.

    Attributes
    ----------
    G, c, a : arrays of shape (p, p), (p,) and (p,)
        Sums of ``z z'``, ``z t`` and ``z``.
    tt, t, weight : float
        Sums of ``t^2``, ``t`` and 1.
    """

    G: Any
    c: Any
    a: Any
    tt: float
    t: float
    weight: float

    @classmethod
    def of_rows(cls, X: Any, y: Any, omega: Any, rows: Any, origin: tuple[Any, Any]) -> Moments:
        """The moments of ``rows`` of a dense ``X``, in float64, about ``origin``.

        They are summed where X lives, and are the host's.
        """
        xp, p, (x0, y0) = namespace_of(X), X.shape[1], origin
        rows = as_slice(rows)
        w = xp.astype(rows_of(omega, rows), xp.float64)
        t = xp.astype(rows_of(y, rows), xp.float64) - y0
        plain = X.dtype == xp.float64 and not bool(xp.any(x0 != 0))
        if plain and isinstance(rows, slice) and not bool(xp.any(w != w[0])):
            # Rows that are neither converted nor weighed one by one are read where they lie.
            return cls._of_part(X[rows, :], t, xp.ones_like(t), w, w[0])._on_host()
        G, c, a = (xp.zeros(s, dtype=xp.float64, device=device_of(X)) for s in ((p, p), (p,), (p,)))
        total = cls(G, c, a, 0.0, 0.0, 0.0)
        length = t.shape[0]
        for some in blocks_of(length, p, BLOCK) if length else ():
            if isinstance(rows, slice):
                part: Any = slice(rows.start + some.start, min(rows.start + some.stop, rows.stop))
            else:
                part = rows[some]
            v, u, Z = w[some], t[some], rows_of(X, part)
            Z = Z if plain else in_double(Z, x0)
            scale, ones = v[0], xp.ones_like(u)
            if bool(xp.any(v != scale)):
                # Unequal weights go into the rows.
                scale, ones = 1.0, xp.sqrt(v)
                u = ones * u
                if plain:
                    Z = ones[:, None] * Z
                else:
                    Z *= ones[:, None]
            total.add(cls._of_part(Z, u, ones, v, scale))
        return total._on_host()

    def _on_host(self) -> Moments:
        G, c, a = (to_numpy(s) for s in (self.G, self.c, self.a))
        return Moments(G, c, a, self.tt, self.t, self.weight)

    @classmethod
    def _of_part(cls, Z: Any, t: Any, ones: Any, w: Any, scale: Any) -> Moments:
        """The sums of ``scale`` times the products of ``Z``, ``t`` and ``ones``, where Z lives."""
        xp, G = namespace_of(Z), gram(Z)
        if leaves_cache(Z):
            c, a = products_by_parts(Z, xp.stack([t, ones], axis=1)).T
        else:
            c, a = Z.T @ t, ones @ Z
        if scale != 1:
            G, c, a = scale * G, scale * c, scale * a
        tt, total, weight = float(scale * (t @ t)), float(scale * (ones @ t)), float(xp.sum(w))
        return cls(G, c, a, tt, total, weight)

    def add(self, other: Moments) -> None:
        """Add the sums of other rows about the same origin, in place."""
        self.G += other.G
        self.c, self.a = self.c + other.c, self.a + other.a
        self.tt, self.t = self.tt + other.tt, self.t + other.t
        self.weight += other.weight

    def centred(self, fit_intercept: bool) -> tuple[Any, Any, float]:
        """``(G, q, square)`` of the mean over the rows, about their own mean with an intercept."""
        s = self.weight
        G, square = self.G / s, self.tt / s
        if fit_intercept:
            a = self.a / s
            G = dger(-1.0, a, a, a=G.T, overwrite_a=True).T
            square -= (self.t / s) ** 2
        return G, self.correlations(fit_intercept), square

    def correlations(self, fit_intercept: bool) -> Any:
        """The ``q`` of `centred`."""
        s, q = self.weight, self.c / self.weight
        return q - (self.a / s) * (self.t / s) if fit_intercept else q

    def intercepts(self, W: Any) -> Any:
        """The best intercept about the origin for each column of coefficients ``W``."""
        return (self.t - self.a @ W) / self.weight

    def errors(self, W: Any, b: Any) -> tuple[Any, Any]:
        """Mean squared errors of models ``(W, b)``, and which of them have lost their digits."""
        GW = product(self.G, W)
        squares = self.tt + np.sum(W * (GW - 2 * self.c[:, None]), axis=0)
        squares = squares - 2 * b * (self.t - self.a @ W) + b**2 * self.weight
        scale = self.tt + np.sum(W * GW, axis=0) + b**2 * self.weight
        return squares / self.weight, squares <= CANCELLED * scale


def sum_of_others(blocks: list[Moments], k: int) -> Moments:
    """The moments of all rows but those of block ``k``; of all rows for ``k = -1``."""
    others = [m for i, m in enumerate(blocks) if i != k]
    first, *rest = others
    G = first.G + rest[0].G if rest else first.G.copy()
    for m in rest[1:]:
        G += m.G
    return Moments(
        G,
        sum(m.c for m in others),
        sum(m.a for m in others),
        sum(m.tt for m in others),
        sum(m.t for m in others),
        sum(m.weight for m in others),
    )
