r"""The column factors of a matrix whose rows lie in blocks; the row factors are functions of them.

.. math:: F(V) = \min_U \frac{1}{\sum \omega} \sum_{\text{blocks}} \sum_{(i,j)} \omega_{ij}
    \Big[ \tfrac12 (u_i'v_j - x_{ij})^2 + \tfrac\alpha2 (|u_i|^2 + |v_j|^2) \Big]

In one pass each block solves its rows and returns, for each column, the Gram matrix and the right
side of its ridge regression. A turn of alternating least squares, balancing included, is then the
same as on the whole matrix, and costs that pass. Biases are parameters of rows and columns as the
factors are, see `skopt_dl.matrix_completion.problem`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.dask._column_balance import Balance, balanced
from skopt_dl.dask._column_data import ColumnData
from skopt_dl.dask._column_tasks import Sums, columns
from skopt_dl.engine import Certificate, Oracle, Problem, Trait, offers
from skopt_dl.kernels import bind


class ColumnProblem(Problem):
    """Ridge-penalised factors of a matrix that is summed over.

    Parameters
    ----------
    data : ColumnData
        The blocks, and what is known of them.
    alpha : float
        Strength of the penalty, per observed entry; positive.
    description : str
        Names estimator and data in messages.
    """

    def __init__(self, data: ColumnData, alpha: float, *, description: str) -> None:
        super().__init__()
        self.data, self.alpha, self.description = data, alpha, description
        self.xp, self.dtype, self.device = np, np.dtype(np.float64), "cpu"
        self.kernels = bind(np, self.dtype, "dense")
        self.traits = frozenset({Trait.FINITE_SUM})
        self.n_samples = data.n_entries
        shape = data.column_shape
        self.size = shape[0] * shape[1]
        self.blocks, self.shapes = {"cols": slice(0, self.size)}, {"cols": shape}
        self._known: tuple[Any, Sums] | None = None

    def columns_of(self, w: Any) -> Any:
        """The columns' parameters."""
        return np.reshape(w, self.shapes["cols"])

    def start(self) -> Any:
        return np.ravel(self.data.start())

    def sums(self, w: Any) -> Sums:
        """Grams, right sides, the rows' weighted Gram and the squared residual; the last are kept.

        One pass.
        """
        if self._known is None or not np.array_equal(self._known[0], w):
            d = self.data
            given = self.columns_of(w), d.k, self.alpha, d.mean, d.bias
            self._known = (w.copy(), d.sum(columns, *given))
        return self._known[1]

    def _penalty(self, w: Any) -> float:
        """Weighted squares of all parameters."""
        rows, Q = self.sums(w)[2], self.columns_of(w)
        kp = self.data.row_width
        return float(np.trace(rows[:kp, :kp]) + self.data.col_weight @ np.sum(Q * Q, axis=1))

    def value(self, w: Any) -> Any:
        square = self.sums(w)[3][0]
        return 0.5 * (square + self.alpha * self._penalty(w)) / self.data.total

    def _systems(self, w: Any, at: Balance) -> tuple[Any, Any]:
        """Gram matrices and right sides of the columns' regressions on the rows ``at``."""
        grams, sides = self.sums(w)[:2]
        A = at.unknowns(self.data.bias)
        return A.T @ grams @ A, (sides - grams @ at.b) @ A

    def _best(self, w: Any, *, ordered: bool) -> Balance:
        d = self.data
        start = Balance.of(self.columns_of(w), d.k, d.bias)
        return balanced(start, self.sums(w)[2], d.col_weight, d.total, d.bias, ordered=ordered)

    @offers(Oracle.BLOCK_SOLVE)
    def block_solve(self, w: Any, block: str) -> None:
        """Balance the factors, then minimise over the columns given the rows, in place."""
        grams, sides = self._systems(w, self._best(w, ordered=False))
        weight = self.data.col_weight
        ridge = np.where(weight > 0, self.alpha * weight, 1.0)
        systems = grams + ridge[:, None, None] * np.eye(grams.shape[1])
        w[...] = np.ravel(np.linalg.solve(systems, sides[:, :, None]))

    def ordered(self, w: Any) -> Any:
        """Columns of orthogonal components in decreasing order."""
        return self._best(w, ordered=True).columns(self.data.bias)

    def noise(self, w: Any) -> float:
        """The mean squared residual."""
        return float(self.sums(w)[3][0] / self.data.total)

    def certificate(self, w: Any) -> Certificate:
        """As `FactorProblem` has it; the rows are at their minimum."""
        d, Q = self.data, self.columns_of(w)
        grams, sides = self._systems(w, Balance.of(Q, d.k, d.bias))
        weight = d.col_weight[:, None]
        grad = (grams @ Q[:, :, None])[:, :, 0] - sides + self.alpha * weight * Q
        slope = np.sqrt(np.sum(grad**2 / np.where(weight > 0, weight, 1.0)) / d.total)
        length = np.sqrt(self._penalty(w) / d.total)
        null = 0.5 * d.squares / d.total
        value = float(slope * length / (null if null > 0 else 1.0))
        return Certificate("stationarity", value, float(self.value(w)))
