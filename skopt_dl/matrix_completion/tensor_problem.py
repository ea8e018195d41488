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

from skopt_dl.engine import Certificate, Oracle, Point, Problem, Trait, offers
from skopt_dl.kernels import bind
from skopt_dl.kernels.namespace import device_of, namespace_of, to_float
from skopt_dl.matrix_completion.groups import Groups
from skopt_dl.problems.line import GradientLine


class TensorProblem(Problem):
    """The factors of a partly observed tensor; a subclass says how their rows meet.

    Parameters
    ----------
    at : list of D arrays of int, shape (q,)
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
        at: list[Any],
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
        self.at, self.values, self.weights = at, values, weights
        self.ranks, self.alpha, self.n_threads = ranks, alpha, n_threads
        self.description, self.n_samples = description, values.shape[0]
        xp = self.xp = namespace_of(values)
        self.dtype, self.device = values.dtype, device_of(values)
        self.kernels = bind(xp, self.dtype, "sparse")
        modes = {f"mode {d}": each for d, each in enumerate(zip(shape, ranks, strict=True))}
        self.n_modes, self.shapes = len(modes), modes | self._further_shapes()
        ends = np.cumsum([0, *(n * k for n, k in self.shapes.values())])
        self.blocks = {
            name: slice(int(a), int(b))
            for name, (a, b) in zip(self.shapes, itertools.pairwise(ends), strict=True)
        }
        self.size, self.total, self.seed = int(ends[-1]), to_float(xp.sum(weights)), 0
        self.traits = frozenset({Trait.FINITE_SUM, Trait.SMOOTH, Trait.MATRICES})
        each = xp.astype(weights, xp.float64)[:, None]
        self.mode_weight = [
            xp.astype(self.kernels.segment_sum(each, i, n)[:, 0], self.dtype)
            for i, n in zip(at, shape, strict=True)
        ]
        self._null = 0.5 * to_float(xp.sum(weights * values * values)) / self.total

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
        return [self.xp.reshape(w[self.blocks[name]], self.shapes[name]) for name in names]

    def start(self) -> Any:
        """Seeded Gaussian factors whose products are as large as the entries; drawn on the host,
        equal on every device."""
        w = np.random.default_rng(self.seed).standard_normal(self.size)
        size = (2 * self._null / self._spread) ** (0.5 / len(self.shapes))
        w *= size if size > 0 else 1.0
        return self.xp.asarray(w, dtype=self.dtype, device=self.device)

    @property
    @abstractmethod
    def _spread(self) -> float:
        """The variance of an entry where all parameters have variance 1."""

    def _rows(self, U: list[Any], at: Any) -> list[Any]:
        """The factors' rows at the positions ``at``, an array of shape (q, k_d) a mode."""
        return [self.xp.take(u, i, axis=0) for u, i in zip(U, at, strict=True)]

    @cached_property
    def _shares(self) -> Any:
        """The share of the penalty that each parameter's row has; further blocks have all of it."""
        xp, more = self.xp, self.size - self._end
        rows = [xp.repeat(r, k) for r, k in zip(self.mode_weight, self.ranks, strict=True)]
        rows.append(xp.full(more, self.total, dtype=self.dtype, device=self.device))
        return xp.concat(rows) / self.total

    # --- values -------------------------------------------------------------------------------

    def _entries(self, w: Any, rows: list[Any]) -> Any:
        return self.xp.sum(self.features(w, rows, 0) * rows[0], axis=1)

    def residual(self, w: Any) -> Any:
        """The model minus the entries."""
        return self._entries(w, self._rows(self.unpack(w), self.at)) - self.values

    def _value(self, w: Any, e: Any) -> Any:
        misfit = 0.5 * self.xp.sum(self.weights * e * e) / self.total
        return misfit + 0.5 * self.alpha * self.xp.sum(self._shares * w * w)

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
        parts = [
            self._sums(e[:, None] * self.features(w, rows, d), self.at[d], d)
            for d in range(self.n_modes)
        ]
        return self.xp.concat([*parts, *self._further_slopes(e, rows)])

    def _sums(self, each: Any, at: Any, d: int) -> Any:
        """What the rows of mode d have of the entries at ``at``, flat."""
        total = self.kernels.segment_sum(each, at, self.mode_weight[d].shape[0])
        return self.xp.reshape(total, (-1,))

    @offers(Oracle.GGN)
    def ggn(self, point: Point) -> Callable[[Any], Any]:
        """Products with the Hessian without the bending of the model: positive semi-definite."""
        rows = self._rows(self.unpack(point.w), self.at)
        others = [self.features(point.w, rows, d) for d in range(self.n_modes)]

        def product(v: Any) -> Any:
            moved = self._rows(self.unpack(v), self.at)
            change = sum(self.xp.sum(a * b, axis=1) for a, b in zip(moved, others, strict=True))
            change = change + self._further_change(v, rows)
            slope = self._chain(self.weights * change / self.total, point.w)
            return slope + self.alpha * self._shares * v

        return product

    @offers(Oracle.SAMPLE_GRAD)
    def sample_grad(self, w: Any, index: Any) -> tuple[Any, Any]:
        """Value and gradient of the mean over the entries ``index``, unbiased for the objective."""
        xp = self.xp
        at = [xp.take(i, index) for i in self.at]
        weights = xp.take(self.weights, index) * (self.n_samples / (self.total * index.shape[0]))
        rows = self._rows(self.unpack(w), at)
        e = self._entries(w, rows) - xp.take(self.values, index)
        squares = sum(xp.sum(u * u, axis=1) for u in rows)
        value = xp.sum(weights * (0.5 * e * e + 0.5 * self.alpha * squares))
        value = value + 0.5 * self.alpha * self._further_penalty(w)
        parts = []
        for d in range(self.n_modes):
            each = e[:, None] * self.features(w, rows, d) + self.alpha * rows[d]
            parts.append(self._sums(weights[:, None] * each, at[d], d))
        grad = xp.concat([*parts, *self._further_slopes(weights * e, rows)])
        grad[self._end :] += self.alpha * w[self._end :]
        return value, grad

    @offers(Oracle.SAMPLE_VALUE)
    def sample_value(self, w: Any, index: Any) -> Any:
        """The value that `sample_grad` has the gradient of; it costs one."""
        return self.sample_grad(w, index)[0]

    @cached_property
    def _groups(self) -> list[Groups]:
        """For each mode: which entries each index has."""
        return [
            Groups(i, self.weights, self.values, weight.shape[0])
            for i, weight in zip(self.at, self.mode_weight, strict=True)
        ]

    @offers(Oracle.BLOCK_SOLVE)
    def block_solve(self, w: Any, block: str) -> None:
        """Minimise over the factor of one mode exactly, in place: a ridge regression a row."""
        d = list(self.blocks).index(block)
        F = self.features(w, self._rows(self.unpack(w), self.at), d)
        ridge = self.alpha * self.mode_weight[d]
        solved = self.kernels.ridge_groups(self._groups[d], F, ridge, n_threads=self.n_threads)
        w[self.blocks[block]] = self.xp.reshape(solved, (-1,))

    def certificate(self, w: Any) -> Certificate:
        r"""Stationarity ``|gradient|* |w| / F0``, with F0 the objective of all-zero factors.

        In the norm where each row counts by its share of the weights, and its dual: as for a
        matrix.
        """
        xp, point, shares = self.xp, self.point(w), self._shares
        grad = point.grad / xp.sqrt(xp.where(shares > 0, shares, xp.ones_like(shares)))
        norm = xp.linalg.vector_norm
        slope = norm(grad) * norm(xp.sqrt(shares) * w)
        unit = self._null if self._null > 0 else 1.0
        return Certificate("stationarity", to_float(slope) / unit, to_float(point.value))
