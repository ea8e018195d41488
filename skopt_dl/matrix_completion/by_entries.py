r"""What a problem of factors offers to methods that draw its entries.

The mean over the entries of a batch, the share of the penalty that each entry brings included; with
each entry times its weight it is unbiased for the objective. Letters: :math:`l, r` the rows of L
and R that an entry meets, :math:`\dot l, \dot r` their changes, e its residual.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skopt_dl.engine import Oracle, offers
from skopt_dl.matrix_completion.reasons import why_not_curved, why_not_smooth
from skopt_dl.problems.agents import SmoothAgents


class ByEntries:
    """The oracles of a `FactorProblem` that read some of the entries."""

    @offers(Oracle.SAMPLE_GRAD, lacks=why_not_smooth)
    def sample_grad(self: Any, w: Any, index: Any) -> tuple[Any, Any]:
        """Value and gradient of the mean over the entries ``index``, unbiased for the objective."""
        return Batch(self, w, index).value_grad()

    @offers(Oracle.SAMPLE_VALUE, lacks=why_not_smooth)
    def sample_value(self: Any, w: Any, index: Any) -> Any:
        """The value that `sample_grad` has the gradient of."""
        return Batch(self, w, index).value()

    @offers(Oracle.SAMPLE_HVP, lacks=why_not_curved)
    def sample_hvp(
        self: Any, w: Any, index: Any, weights: Any = None, memory: Any = None
    ) -> Callable[[Any], Any]:
        """``d -> H d`` of what `sample_grad` differentiates, each entry times its weight."""
        return Batch(self, w, index, weights).product(bending=True)

    @offers(Oracle.SAMPLE_GGN, lacks=why_not_curved)
    def sample_ggn(self: Any, w: Any, index: Any, weights: Any = None) -> Callable[[Any], Any]:
        """The same without the bending of the model ``L R'``: positive semi-definite."""
        return Batch(self, w, index, weights).product(bending=False)

    @offers(Oracle.SAMPLE_CURVATURE, lacks=why_not_curved)
    def sample_curvature(self: Any, w: Any, index: Any, memory: Any = None) -> Any:
        """Diagonal of the Hessian of what `sample_value` returns, to which the bending of the
        model adds nothing, shape ``(size,)``."""
        return Batch(self, w, index).diagonal()

    @offers(Oracle.AGENTS, lacks=why_not_smooth)
    def agents(self: Any, parts: Any, w: Any) -> SmoothAgents:
        """The mean over agents that the objective is, agent i with the entries ``parts[i]``."""

        def gradient(part: Any) -> Callable[[Any], Any]:
            share = len(parts) * part.shape[0] / self.n_samples
            return lambda v: share * Batch(self, v, part).value_grad()[1]

        return SmoothAgents([gradient(part) for part in parts], w)


class Batch:
    """The entries ``index`` at ``w``; each counts by its weight in the data and in ``weights``.

    Attributes
    ----------
    rows, cols : index arrays of shape (b,)
        Where the entries are.
    left, right : arrays of shape (b, k)
        What of L and R they meet.
    e, omega : arrays of shape (b,)
        Their residuals, and what they count.
    """

    def __init__(self, problem: Any, w: Any, index: Any, weights: Any = None) -> None:
        xp, obs = problem.xp, problem.observed
        self.problem, self.w = problem, w
        self.rows, self.cols, x, omega = obs.entries(index)
        omega = omega * (obs.n_entries / (obs.total * index.shape[0]))
        self.omega = omega if weights is None else omega * weights
        self.left, self.right = self._met(problem.factors(w))
        self.e = xp.sum(self.left * self.right, axis=1) - x

    def _met(self, factors: tuple[Any, Any]) -> tuple[Any, Any]:
        take, (left, right) = self.problem.xp.take, factors
        return take(left, self.rows, axis=0), take(right, self.cols, axis=0)

    def _penalties(self) -> tuple[Any, Any]:
        """What the entries bring of the penalties of their rows and columns."""
        problem, omega = self.problem, self.problem.alpha * self.omega
        if not problem.nuclear:
            return omega, omega
        # The penalty of a row is the same whatever its entries weigh together.
        obs, take = problem.observed, problem.xp.take
        of_row = take(problem.row_penalty, self.rows) / take(obs.row_weight, self.rows)
        of_col = take(problem.col_penalty, self.cols) / take(obs.col_weight, self.cols)
        return omega * of_row, omega * of_col

    def value(self) -> Any:
        """Mean of the losses and of the penalties."""
        return self._value(*self._met(self.problem.unpack(self.w)), *self._penalties())

    def _value(self, p: Any, q: Any, of_row: Any, of_col: Any) -> Any:
        xp, e, robust = self.problem.xp, self.e, self.problem.robust
        lost = 0.5 * e * e if robust is None else robust.value(e)
        squares = of_row * xp.sum(p * p, axis=1) + of_col * xp.sum(q * q, axis=1)
        return xp.sum(self.omega * lost + 0.5 * squares)

    def value_grad(self) -> tuple[Any, Any]:
        """The value and its gradient."""
        problem = self.problem
        p, q = self._met(problem.unpack(self.w))
        of_row, of_col = self._penalties()
        slope = (self.omega * problem.slopes(self.e))[:, None]
        to_rows = slope * problem.of_rows(self.right) + of_row[:, None] * p
        to_cols = slope * problem.of_cols(self.left) + of_col[:, None] * q
        return self._value(p, q, of_row, of_col), self._summed(to_rows, to_cols)

    def _summed(self, to_rows: Any, to_cols: Any) -> Any:
        """What the entries say to the parameters of their rows and columns."""
        problem = self.problem
        add, (m, n) = problem.kernels.segment_sum, problem.observed.shape
        return problem.pack(add(to_rows, self.rows, m), add(to_cols, self.cols, n))

    def diagonal(self) -> Any:
        """The diagonal of the Hessian, that of the Gauss-Newton matrix."""
        problem = self.problem
        bend = (self.omega * problem.bent(self.e, problem.xp.ones_like(self.e)))[:, None]
        of_row, of_col = (share[:, None] for share in self._penalties())
        to_rows = bend * problem.of_rows(self.right) ** 2 + of_row
        return self._summed(to_rows, bend * problem.of_cols(self.left) ** 2 + of_col)

    def product(self, *, bending: bool) -> Callable[[Any], Any]:
        r"""``d -> H d``; the loss's curvature times :math:`\dot l'r + l'\dot r` to both sides, and,
        with the bending of the model, its slope times :math:`\dot r` and :math:`\dot l`."""
        problem, left, right, xp = self.problem, self.left, self.right, self.problem.xp
        of_row, of_col = (share[:, None] for share in self._penalties())
        slope = (self.omega * problem.slopes(self.e))[:, None]

        def product(d: Any) -> Any:
            d_left, d_right = self._met(problem.changes(d))
            p, q = self._met(problem.unpack(d))
            change = xp.sum(d_left * right, axis=1) + xp.sum(left * d_right, axis=1)
            curved = (self.omega * problem.bent(self.e, change))[:, None]
            to_rows = curved * problem.of_rows(right) + of_row * p
            to_cols = curved * problem.of_cols(left) + of_col * q
            if bending:
                to_rows = to_rows + slope * problem.of_rows(d_right)
                to_cols = to_cols + slope * problem.of_cols(d_left)
            return self._summed(to_rows, to_cols)

        return product
