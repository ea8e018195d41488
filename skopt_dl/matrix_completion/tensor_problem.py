r"""A partly observed tensor as a multilinear function of rows of factors.

.. math::

    F = \frac{1}{\sum\omega} \sum_t \omega_t \Big[
        \tfrac12 \big(\langle f^d_t, u^d_{i_{td}} \rangle - x_t\big)^2
        + \tfrac\alpha2 \sum_d |u^d_{i_{td}}|^2 \Big]

a mean over observed entries, the penalty included, as for a matrix. The features :math:`f^d_t` are
made of the rows of all modes but d: by products in the CP form, through a core in Tucker's.

Letters: t numbers the entries, d the modes; ``U[d]`` of shape (n_d, k_d) are the factors,
:math:`\rho^d_i` the weights of the entries of index i. Given all modes but d, each row of ``U[d]``
is a ridge regression on the features: the rows of a sparse matrix whose columns are the entries.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
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
    """The factors of a partly observed tensor; a subclass says how their rows meet.

    Parameters
    ----------
    index : array of int, shape (q, D)
        Position of each entry along each mode.
    values, weights : arrays of shape (q,)
        The entries and their positive weights.
    shape : tuple of int
        Length of each mode.
    ranks : tuple of int
        Number of columns of each factor.
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
        ranks: tuple[int, ...],
        alpha: float,
        *,
        n_threads: int = 1,
        description: str = "this tensor completion",
    ) -> None:
        super().__init__()
        # One array a mode, in one piece each, as the kernels read them.
        self.at = np.ascontiguousarray(index.T)
        self.values, self.weights = values, weights
        self.ranks, self.alpha, self.n_threads = ranks, alpha, n_threads
        self.description, self.n_samples = description, len(values)
        self.xp, self.dtype, self.device = np, values.dtype, "cpu"
        self.kernels = bind(np, self.dtype, "sparse")
        modes = {f"mode {d}": each for d, each in enumerate(zip(shape, ranks, strict=True))}
        self.n_modes, self.shapes = len(modes), modes | self._further_shapes()
        ends = np.cumsum([0, *(n * k for n, k in self.shapes.values())])
        self.blocks = {
            name: slice(int(a), int(b))
            for name, (a, b) in zip(self.shapes, itertools.pairwise(ends), strict=True)
        }
        self.size, self.total, self.seed = int(ends[-1]), float(np.sum(weights)), 0
        self.traits = frozenset({Trait.FINITE_SUM, Trait.SMOOTH, Trait.MATRICES})
        self.mode_weight = [
            np.bincount(i, weights, minlength=n).astype(self.dtype)
            for i, n in zip(self.at, shape, strict=True)
        ]
        self._null = 0.5 * float(np.sum(weights * values * values)) / self.total

    # --- how rows meet ------------------------------------------------------------------------

    def _further_shapes(self) -> dict[str, tuple[int, int]]:
        """Blocks of parameters beside the factors."""
        return {}

    @abstractmethod
    def features(self, w: Any, rows: list[Any], d: int) -> Any:
        """What the rows of mode d meet, of shape (q, k_d), given the ``rows`` of the others."""

    def _further_slopes(self, e: Any, rows: list[Any]) -> list[Any]:
        """Derivatives of the further blocks from those of the entries, flat."""
        return []

    def _further_change(self, v: Any, rows: list[Any]) -> Any:
        """What a change of the further blocks adds to the entries."""
        return 0.0

    def _further_penalty(self, w: Any) -> Any:
        """The squares of the further blocks, which the penalty has besides."""
        tail = w[self._end :]
        return tail @ tail

    # --- parameters ---------------------------------------------------------------------------

    @property
    def _end(self) -> int:
        """Where the factors end among the parameters."""
        return self.blocks[f"mode {self.n_modes - 1}"].stop

    def unpack(self, w: Any) -> list[Any]:
        """The factors as matrices, views of ``w``."""
        names = list(self.blocks)[: self.n_modes]
        return [np.reshape(w[self.blocks[name]], self.shapes[name]) for name in names]

    def start(self) -> Any:
        """Seeded Gaussian factors whose products are as large as the entries."""
        w = np.random.default_rng(self.seed).standard_normal(self.size)
        size = (2 * self._null / self._spread) ** (0.5 / len(self.shapes))
        return (w * (size if size > 0 else 1.0)).astype(self.dtype)

    @property
    @abstractmethod
    def _spread(self) -> float:
        """The variance of an entry where all parameters have variance 1."""

    def _rows(self, U: list[Any], at: Any) -> list[Any]:
        """The factors' rows at the positions ``at``, an array of shape (q, k_d) a mode."""
        return [u[i] for u, i in zip(U, at, strict=True)]

    @cached_property
    def _shares(self) -> Any:
        """The share of the penalty that each parameter's row has; further blocks have all of it."""
        rows = [np.repeat(r, k) for r, k in zip(self.mode_weight, self.ranks, strict=True)]
        return np.concatenate([*rows, np.full(self.size - self._end, self.total)]) / self.total

    # --- values -------------------------------------------------------------------------------

    def _entries(self, w: Any, rows: list[Any]) -> Any:
        return np.sum(self.features(w, rows, 0) * rows[0], axis=1)

    def residual(self, w: Any) -> Any:
        """The model minus the entries."""
        return self._entries(w, self._rows(self.unpack(w), self.at)) - self.values

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
        for d, weight in enumerate(self.mode_weight):
            each = e[:, None] * self.features(w, rows, d)
            part = self.kernels.segment_sum(each, self.at[d], len(weight))
            parts.append(np.reshape(part, (-1,)))
        return np.concatenate([*parts, *self._further_slopes(e, rows)])

    @offers(Oracle.GGN)
    def ggn(self, point: Point) -> Callable[[Any], Any]:
        """Products with the Hessian without the bending of the model: positive semi-definite."""
        rows = self._rows(self.unpack(point.w), self.at)
        others = [self.features(point.w, rows, d) for d in range(self.n_modes)]

        def product(v: Any) -> Any:
            moved = self._rows(self.unpack(v), self.at)
            change = sum(np.sum(a * b, axis=1) for a, b in zip(moved, others, strict=True))
            change = change + self._further_change(v, rows)
            slope = self._chain(self.weights * change / self.total, point.w)
            return slope + self.alpha * self._shares * v

        return product

    @offers(Oracle.SAMPLE_GRAD)
    def sample_grad(self, w: Any, index: Any) -> tuple[Any, Any]:
        """Value and gradient of the mean over the entries ``index``, unbiased for the objective."""
        at, U = np.ascontiguousarray(self.at[:, index]), self.unpack(w)
        weights = self.weights[index] * (len(self.values) / (self.total * len(index)))
        rows = self._rows(U, at)
        e = self._entries(w, rows) - self.values[index]
        squares = sum(np.sum(u * u, axis=1) for u in rows)
        value = np.sum(weights * (0.5 * e * e + 0.5 * self.alpha * squares))
        value = value + 0.5 * self.alpha * self._further_penalty(w)
        parts = []
        for d, weight in enumerate(self.mode_weight):
            each = e[:, None] * self.features(w, rows, d) + self.alpha * rows[d]
            part = self.kernels.segment_sum(weights[:, None] * each, at[d], len(weight))
            parts.append(np.reshape(part, (-1,)))
        grad = np.concatenate([*parts, *self._further_slopes(weights * e, rows)])
        grad[self._end :] += self.alpha * w[self._end :]
        return value, grad

    @offers(Oracle.SAMPLE_VALUE)
    def sample_value(self, w: Any, index: Any) -> Any:
        """The value that `sample_grad` has the gradient of; it costs one."""
        return self.sample_grad(w, index)[0]

    @cached_property
    def _incidence(self) -> list[tuple[Any, Any]]:
        """For each mode: which entries each index has, as sparse matrices of the weights, and
        of the weights times the values."""
        found = []
        for i, weight in zip(self.at, self.mode_weight, strict=True):
            n = len(weight)
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
        F = self.features(w, self._rows(self.unpack(w), self.at), d)
        W, T = self._incidence[d]
        ridge = self.alpha * self.mode_weight[d]
        solved = self.kernels.ridge_rows(W, T, F, ridge, n_threads=self.n_threads)
        w[self.blocks[block]] = np.reshape(solved, (-1,))

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
