r"""The column factors of a matrix whose rows lie in blocks; the row factors are functions of them.

.. math:: F(V) = \min_U \frac{1}{\sum \omega} \sum_{\text{blocks}} \sum_{(i,j)} \omega_{ij}
    \Big[ \tfrac12 (u_i'v_j - x_{ij})^2 + \tfrac\alpha2 (|u_i|^2 + |v_j|^2) \Big]

In one pass each block solves its rows and returns, for each column, the Gram matrix and the right
side of its ridge regression. A turn of alternating least squares, balancing included, is then the
same as on the whole matrix, and costs that pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skopt_dl.engine import Certificate, Oracle, Problem, Trait, offers
from skopt_dl.kernels import bind
from skopt_dl.matrix_completion.balance import mixed
from skopt_dl.matrix_completion.observe import observe
from skopt_dl.matrix_completion.problem import FactorProblem
from skopt_dl.matrix_completion.rank import rank_for
from skopt_dl.matrix_completion.starts import START_FLOOR, START_ITERATIONS

Sums = tuple[Any, ...]


class ColumnProblem(Problem):
    """Ridge-penalised factors of a matrix that is summed over.

    Parameters
    ----------
    total : callable
        ``total(function, *args)``, the sums of ``function(block, *args)``, a tuple of arrays, over
        the blocks.
    n_components : int or "auto"
        Rank, at most the smaller side of the matrix.
    alpha : float
        Strength of the penalty, per observed entry; positive.
    n_columns : int
    seed : int
        Of the starting point.
    description : str
        Names estimator and data in messages.

    Attributes
    ----------
    passes : int
        Times that each block was asked.
    """

    def __init__(
        self,
        total: Callable[..., Sums],
        n_components: Any,
        alpha: float,
        n_columns: int,
        *,
        seed: int,
        description: str,
    ) -> None:
        super().__init__()
        self._total, self.alpha, self.seed = total, alpha, seed
        self.description, self.passes = description, 0
        self.xp, self.dtype, self.device = np, np.dtype(np.float64), "cpu"
        self.kernels = bind(np, self.dtype, "dense")
        self.traits = frozenset({Trait.FINITE_SUM})
        sizes, self.col_weight = self._sum(_sizes, n_columns)
        self.total, self.squares, self.values = sizes[:3]
        if not self.total > 0:
            raise ValueError(
                "skopt_dl.dask.MatrixCompletion: X has no observed entry, so there is nothing to "
                "fit; NaN marks the missing ones"
            )
        self.n_samples, self.n_rows = int(sizes[3]), int(sizes[4])
        shape = (self.n_rows, n_columns)
        self.k = rank_for("skopt_dl.dask.MatrixCompletion", n_components, shape)
        self.size = n_columns * self.k
        self.blocks = {"cols": slice(0, self.size)}
        self.shapes = {"cols": (n_columns, self.k)}
        self._known: tuple[Any, Sums] | None = None

    def _sum(self, function: Callable[..., Sums], *args: Any) -> Sums:
        self.passes += 1
        return self._total(function, *args)

    def columns_of(self, w: Any) -> Any:
        """The column factors."""
        return np.reshape(w, self.shapes["cols"])

    def start(self) -> Any:
        """The leading right singular vectors of the zero-filled matrix, as `FactorProblem` has."""
        V = np.random.default_rng(self.seed).standard_normal(self.shapes["cols"])
        for _ in range(START_ITERATIONS):
            V = np.linalg.qr(self._sum(_turned, V)[0]).Q
        size, turn = np.linalg.eigh(V.T @ self._sum(_turned, V)[0])
        size = np.sqrt(np.clip(size, 0.0, None))
        norm = np.linalg.norm(size)
        share = np.clip(size / norm if norm > 0 else np.ones_like(size), 0.0, None)
        share = np.clip(share, START_FLOOR * np.max(share), None)
        Q = V @ turn * np.sqrt(share * len(V)) * (self.squares / self.total) ** 0.25
        return np.ravel(Q * (self.col_weight > 0)[:, None])

    def sums(self, w: Any) -> Sums:
        """Grams, right sides, the rows' weighted Gram and the squared residual; the last are kept.

        One pass.
        """
        if self._known is None or not np.array_equal(self._known[0], w):
            self._known = (w.copy(), self._sum(_columns, self.columns_of(w), self.alpha))
        return self._known[1]

    def value(self, w: Any) -> Any:
        rows, square = self.sums(w)[2:]
        Q = self.columns_of(w)
        penalty = np.trace(rows) + self.col_weight @ np.sum(Q * Q, axis=1)
        return 0.5 * (square[0] + self.alpha * penalty) / self.total

    def _mixed(self, w: Any, *, ordered: bool) -> tuple[Any, Any]:
        """``(C, V)``: the best mixing of the row factors, and the columns' after it."""
        size, axes = np.linalg.eigh(self.sums(w)[2])
        root = np.sqrt(np.clip(size, 0.0, None))[:, None] * axes.T
        # Rows of weight zero follow the mixing and do not decide it: they show C itself.
        rows = np.concatenate([root, np.eye(self.k)])
        weight = np.repeat([1.0, 0.0], self.k)
        turned, V = mixed(np, rows, self.columns_of(w), weight, self.col_weight, ordered)
        return turned[self.k :], V

    @offers(Oracle.BLOCK_SOLVE)
    def block_solve(self, w: Any, block: str) -> None:
        """Balance the factors, then minimise over the columns given the rows, in place."""
        grams, sides = self.sums(w)[:2]
        C, _ = self._mixed(w, ordered=False)
        ridge = np.where(self.col_weight > 0, self.alpha * self.col_weight, 1.0)
        systems = C.T @ grams @ C + ridge[:, None, None] * np.eye(self.k)
        w[...] = np.ravel(np.linalg.solve(systems, (sides @ C)[:, :, None]))

    def ordered(self, w: Any) -> Any:
        """Column factors of orthogonal components in decreasing order."""
        return self._mixed(w, ordered=True)[1]

    def noise(self, w: Any) -> float:
        """The mean squared residual."""
        return float(self.sums(w)[3][0] / self.total)

    def certificate(self, w: Any) -> Certificate:
        """As `FactorProblem` has it; the rows are at their minimum."""
        grams, sides, rows, _ = self.sums(w)
        Q, weight = self.columns_of(w), self.col_weight[:, None]
        grad = (grams @ Q[:, :, None])[:, :, 0] - sides + self.alpha * weight * Q
        slope = np.sqrt(np.sum(grad**2 / np.where(weight > 0, weight, 1.0)) / self.total)
        length = np.sqrt((np.trace(rows) + np.sum(weight * Q * Q)) / self.total)
        null = 0.5 * self.squares / self.total
        value = float(slope * length / (null if null > 0 else 1.0))
        return Certificate("stationarity", value, float(self.value(w)))


# --- what a task does ---------------------------------------------------------------------------


def _sizes(X: Any, n_columns: int) -> Sums:
    """Weight, squares, sum, entries and rows; then the weight of each column."""
    known = ~np.isnan(X)
    values = np.where(known, X, 0.0).astype(np.float64, copy=False)
    count = float(np.sum(known))
    sizes = [count, np.sum(values**2), np.sum(values), count, float(len(X))]
    return np.asarray(sizes), np.sum(known, axis=0, dtype=np.float64).reshape(n_columns)


def _turned(X: Any, V: Any) -> Sums:
    """``X'X V`` of the zero-filled block."""
    filled = np.where(np.isnan(X), 0.0, X).astype(np.float64, copy=False)
    return (filled.T @ (filled @ V),)


def _columns(X: Any, Q: Any, alpha: float) -> Sums:
    n, k = Q.shape
    if not len(X) or np.all(np.isnan(X)):
        return np.zeros((n, k, k)), np.zeros((n, k)), np.zeros((k, k)), np.zeros(1)
    observed = observe(X.astype(np.float64, copy=False), np.nan)
    problem = FactorProblem(observed, k, alpha)
    w = problem.from_cols(Q)
    P, E = problem.unpack(w)[0], problem.residual(w)
    weighted = observed.row_weight[:, None] * P
    sides = observed.matrix_t(observed.values) @ P
    return observed.gram_cols(P), sides, P.T @ weighted, np.asarray([observed.dot(E, E)])
