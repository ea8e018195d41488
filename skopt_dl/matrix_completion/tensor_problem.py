r"""A partly observed tensor as a sum of products of vectors (CP, canonical polyadic form).

.. math::

    F = \frac{1}{\sum\omega} \sum_t \omega_t \Big[
        \tfrac12 \Big(\sum_l \prod_d u^d_{i_{td}\,l} - x_t\Big)^2
        + \tfrac\alpha2 \sum_d |u^d_{i_{td}}|^2 \Big]

a mean over observed entries, the penalty included, as for a matrix, which is the case of two modes.

Letters: t numbers the entries, d the modes, l the components; ``U[d]`` of shape (n_d, k) are the
factors, :math:`\rho^d_i` the weights of the entries of index i. Given all modes but d, each row of
``U[d]`` is a ridge regression on the products of the others: the rows of a sparse matrix whose
columns are the entries.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from skopt_dl.engine import Certificate, Oracle, Point, Problem, Trait, offers
from skopt_dl.kernels import bind
from skopt_dl.kernels.namespace import to_float
from skopt_dl.problems.line import GradientLine


class TensorProblem(Problem):
    """The factors of a partly observed tensor.

    Parameters
    ----------
    index : array of int, shape (q, D)
        Position of each entry along each mode.
    values, weights : arrays of shape (q,)
        The entries and their positive weights.
    shape : tuple of int
        Length of each mode.
    n_components : int
        Number of components k.
    alpha : float
        Strength of the penalty, per observed entry.
    n_threads : int
        Threads of the compiled row solves.
    description : str
        Names estimator and data in messages.
    """

    def __init__(
        self,
        index: Any,
        values: Any,
        weights: Any,
        shape: tuple[int, ...],
        n_components: int,
        alpha: float,
        *,
        n_threads: int = 1,
        description: str = "this tensor completion",
    ) -> None:
        super().__init__()
        # One array a mode, in one piece each, as the kernels read them.
        self.at = np.ascontiguousarray(index.T)
        self.values, self.weights = values, weights
        self.k, self.alpha, self.n_threads = n_components, alpha, n_threads
        self.description, self.n_samples = description, len(values)
        self.xp, self.dtype, self.device = np, values.dtype, "cpu"
        self.kernels = bind(np, self.dtype, "sparse")
        names = [f"mode {d}" for d in range(len(shape))]
        ends = np.cumsum([0, *(n * self.k for n in shape)])
        self.blocks = {
            name: slice(int(a), int(b))
            for name, (a, b) in zip(names, itertools.pairwise(ends), strict=True)
        }
        self.shapes = {name: (n, self.k) for name, n in zip(names, shape, strict=True)}
        self.size, self.total, self.seed = int(ends[-1]), float(np.sum(weights)), 0
        self.traits = frozenset({Trait.FINITE_SUM, Trait.SMOOTH, Trait.MATRICES})
        self.mode_weight = [
            np.bincount(i, weights, minlength=n).astype(self.dtype)
            for i, n in zip(self.at, shape, strict=True)
        ]
        self._null = 0.5 * float(np.sum(weights * values * values)) / self.total

    # --- parameters ---------------------------------------------------------------------------

    def unpack(self, w: Any) -> list[Any]:
        """The factors as matrices, views of ``w``."""
        return [np.reshape(w[s], self.shapes[name]) for name, s in self.blocks.items()]

    def start(self) -> Any:
        """Seeded Gaussian factors whose products are as large as the entries."""
        size = (2 * self._null / self.k) ** (0.5 / len(self.shapes))
        w = np.random.default_rng(self.seed).standard_normal(self.size)
        return (w * (size if size > 0 else 1.0)).astype(self.dtype)

    def _rows(self, U: list[Any], at: Any) -> list[Any]:
        """The factors' rows at the positions ``at``, an array of shape (q, k) a mode."""
        return [u[i] for u, i in zip(U, at, strict=True)]

    @cached_property
    def _shares(self) -> Any:
        """The share of the penalty that each parameter's row has."""
        return np.concatenate([np.repeat(r, self.k) for r in self.mode_weight]) / self.total

    # --- values -------------------------------------------------------------------------------

    def residual(self, w: Any) -> Any:
        """The model minus the entries."""
        return np.sum(_product(self._rows(self.unpack(w), self.at)), axis=1) - self.values

    def _value(self, w: Any, e: Any) -> Any:
        misfit = 0.5 * np.sum(self.weights * e * e) / self.total
        return misfit + 0.5 * self.alpha * np.sum(self._shares * w * w)

    def value(self, w: Any) -> Any:
        return self._value(w, self.residual(w))

    @offers(Oracle.GRAD)
    def point(self, w: Any) -> Point:
        """Value and gradient; the cache is the residual."""
        e = self.residual(w)
        grad = self._chain(self.weights * e / self.total, w) + self.alpha * self._shares * w
        return Point(w, self._value(w, e), grad, e)

    def along(self, point: Point, d: Any) -> GradientLine:
        """The objective along ``point.w + t d``; a trial costs a value and a gradient."""
        return GradientLine(self, point, d)

    def _chain(self, e: Any, w: Any) -> Any:
        """Derivatives of the parameters from those of the entries."""
        rows = self._rows(self.unpack(w), self.at)
        parts = []
        for d, (name, (n, _)) in enumerate(self.shapes.items()):
            each = e[:, None] * _product(rows, without=d)
            part = self.kernels.segment_sum(each, self.at[d], n)
            parts.append(np.reshape(part, (self.blocks[name].stop - self.blocks[name].start,)))
        return np.concatenate(parts)

    @offers(Oracle.GGN)
    def ggn(self, point: Point) -> Callable[[Any], Any]:
        """Products with the Hessian without the bending of the model: positive semi-definite."""
        rows = self._rows(self.unpack(point.w), self.at)
        others = [_product(rows, without=d) for d in range(len(rows))]

        def product(v: Any) -> Any:
            moved = self._rows(self.unpack(v), self.at)
            change = sum(np.sum(a * b, axis=1) for a, b in zip(moved, others, strict=True))
            slope = self._chain(self.weights * change / self.total, point.w)
            return slope + self.alpha * self._shares * v

        return product

    @offers(Oracle.SAMPLE_GRAD)
    def sample_grad(self, w: Any, index: Any) -> tuple[Any, Any]:
        """Value and gradient of the mean over the entries ``index``, unbiased for the objective."""
        at, U = np.ascontiguousarray(self.at[:, index]), self.unpack(w)
        weights = self.weights[index] * (len(self.values) / (self.total * len(index)))
        rows = self._rows(U, at)
        e = np.sum(_product(rows), axis=1) - self.values[index]
        squares = sum(np.sum(u * u, axis=1) for u in rows)
        value = np.sum(weights * (0.5 * e * e + 0.5 * self.alpha * squares))
        parts = []
        for d, (n, _) in enumerate(self.shapes.values()):
            each = e[:, None] * _product(rows, without=d) + self.alpha * rows[d]
            part = self.kernels.segment_sum(weights[:, None] * each, at[d], n)
            parts.append(np.reshape(part, (-1,)))
        return value, np.concatenate(parts)

    @offers(Oracle.SAMPLE_VALUE)
    def sample_value(self, w: Any, index: Any) -> Any:
        """The value that `sample_grad` has the gradient of; it costs one."""
        return self.sample_grad(w, index)[0]

    @cached_property
    def _incidence(self) -> list[tuple[Any, Any]]:
        """For each mode: which entries each index has, as sparse matrices of the weights, and
        of the weights times the values."""
        found = []
        for i, (n, _) in zip(self.at, self.shapes.values(), strict=True):
            order = np.argsort(i, kind="stable").astype(np.int64)
            ptr = np.concatenate([[0], np.cumsum(np.bincount(i, minlength=n))]).astype(np.int64)
            shape = (n, self.n_samples)
            W = csr_array((self.weights[order], order, ptr), shape=shape)
            T = csr_array(((self.weights * self.values)[order], order, ptr), shape=shape)
            found.append((W, T))
        return found

    @offers(Oracle.BLOCK_SOLVE)
    def block_solve(self, w: Any, block: str) -> None:
        """Minimise over the factor of one mode exactly, in place: a ridge regression a row."""
        d = list(self.blocks).index(block)
        F = _product(self._rows(self.unpack(w), self.at), without=d)
        W, T = self._incidence[d]
        ridge = self.alpha * self.mode_weight[d]
        solved = self.kernels.ridge_rows(W, T, F, ridge, n_threads=self.n_threads)
        w[self.blocks[block]] = np.reshape(solved, (-1,))

    def balance(self, w: Any) -> None:
        """Give each component equal parts of the penalty in all modes, in place: the least sum."""
        U = self.unpack(w)
        sizes = np.stack([np.sqrt(r @ (u * u)) for r, u in zip(self.mode_weight, U, strict=True)])
        alive = np.all(sizes > 0, axis=0)
        safe = np.where(alive, sizes, 1.0)
        mean = np.exp(np.mean(np.log(safe), axis=0))
        for u, size in zip(U, safe, strict=True):
            u *= np.where(alive, mean / size, 1.0)

    def certificate(self, w: Any) -> Certificate:
        r"""Stationarity ``|gradient|* |w| / F0``, with F0 the objective of all-zero factors.

        In the norm where each row counts by its share of the weights, and its dual: as for a
        matrix.
        """
        point, shares = self.point(w), self._shares
        grad = point.grad / np.sqrt(np.where(shares > 0, shares, 1.0))
        slope = np.linalg.norm(grad) * np.linalg.norm(np.sqrt(shares) * w)
        unit = self._null if self._null > 0 else 1.0
        return Certificate("stationarity", float(slope) / unit, to_float(point.value))


def _product(rows: list[Any], without: int = -1) -> Any:
    """The product of the factors' rows, of all modes but one."""
    kept = [u for d, u in enumerate(rows) if d != without]
    total = kept[0]
    for u in kept[1:]:
        total = total * u
    return total
