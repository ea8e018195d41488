r"""The second-order model of a softmax loss plus an elastic net, seen by single coefficients.

With the probabilities P of the samples at ``w`` and the change :math:`D = A d` of their scores, the
model is

.. math::

    m(d) = g'd + \tfrac12 \sum_i \omega_i \Big(\sum_k p_{ik} D_{ik}^2 - s_i^2\Big) + \Omega(w + d),
    \qquad s_i = \sum_k p_{ik} D_{ik}

whose slope at the coefficient of column j and output k is
:math:`g_{jk} + \sum_i x_{ij} \omega_i p_{ik} (D_{ik} - s_i)`: a step costs the entries of a column,
however many outputs there are, and no Hessian is formed. The intercepts take an exact step after
each sweep. Coefficients at zero whose slope is far below the strength of the penalty rest until the
next model.

Source: the partial Newton steps of J. Friedman, T. Hastie, R. Tibshirani, "Regularization paths for
generalized linear models via coordinate descent", J. Stat. Softw. 33 (2010), with all classes at
once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skopt_dl.kernels.namespace import to_float
from skopt_dl.problems.coordinates import CoordinateModel

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem

# A coefficient at zero is in the model where its slope exceeds this share of what holds it there.
NEAR = 0.8
# Share of the columns beyond which all of X is read, not a copy of those in the model.
MOST_COLUMNS = 0.5


class EntryModel:
    """The model at ``w``; its methods are those of `SecondOrderModel`.

    Parameters
    ----------
    problem : LinearProblem
        Of several outputs whose loss has a ``softmax_curvature``, with an elastic net, on the host.
    w : array of shape (size,)
        Where the model is made; never written.
    damping : float
        What the curvature is multiplied by, ``>= 1``.

    Attributes
    ----------
    map : LinearMap
        The columns that have coefficients in the model.
    columns, outputs : arrays of shape (m,)
        Where these stand: column of ``map``, and output.
    v, slope, curvature, l1, l2 : arrays of shape (m,)
        The coefficients, changed in place, the slope of the loss at ``w``, and its curvature.
    P, Q, D : arrays of shape (n, K)
        Probabilities, times weight and damping, and the change of the scores.
    s : array of shape (n,)
        ``sum_k P_ik D_ik``.
    b, slope_b, inverse : arrays of shape (K,), (K,), (K, K), or None
        Change of the intercepts, their slopes at ``w``, and the inverse of their curvature.
    """

    MAX_ACTIVE, AGAIN = CoordinateModel.MAX_ACTIVE, CoordinateModel.AGAIN

    def __init__(self, problem: LinearProblem, w: Any, damping: float = 1.0) -> None:
        xp = self.xp = problem.xp
        self.problem, self.w, n_coef = problem, w, problem.n_coef
        self.z, g, value = problem.terms_at(w)
        problem.keep(w, self.z, g, value)
        self.g = g
        self.value0 = to_float(value + problem.nonsmooth_value(w))
        self.P = xp.asarray(problem.loss.softmax_curvature(problem.y, self.z), order="C")  # type: ignore[attr-defined]
        self.Q = xp.asarray((damping * problem.omega)[:, None] * self.P, order="C")
        self.D, self.s = xp.zeros_like(self.P), xp.zeros_like(problem.omega)
        penalty: Any = problem.penalty
        l1, l2, self.positive = penalty.elastic_net(n_coef, xp, w.dtype, problem.device)
        coef, K = w[:n_coef], problem.n_outputs
        size = -g[:n_coef] if self.positive else xp.abs(g[:n_coef])
        self.at = xp.nonzero((coef != 0) | (size > NEAR * l1))[0]
        columns, self.outputs = self.at // K, self.at % K
        used, self.columns = xp.unique_inverse(columns)
        self.map = problem.base
        if used.shape[0] <= MOST_COLUMNS * problem.n_features:
            self.map = problem.base.take_columns(used)
        else:
            self.columns = columns
        self.v, self.l1, self.l2 = (xp.take(a, self.at) for a in (coef, l1, l2))
        self.slope, self.curvature = xp.take(g[:n_coef], self.at), self._curvature()
        self.b: Any = None
        if problem.intercept_in_map:
            self.b, self.slope_b = xp.zeros_like(g[n_coef:]), g[n_coef:]
            self.inverse = _inverse(xp, xp.diag(xp.sum(self.Q, axis=0)) - self.P.T @ self.Q)
        self.full_indicator, self.active_left = float("inf"), 0
        self.d: Any = None
        self.end: Any = None
        self.decrease = 0.0

    def _curvature(self) -> Any:
        """``sum_i Q_ik (1 - P_ik) x_ij^2`` of each coefficient."""
        xp = self.xp
        # A floor: where the loss is flat a step must not go out of sight.
        least = float(xp.finfo(self.P.dtype).eps) ** 0.5
        H = self.Q * xp.clip(1 - self.P, least, None)
        found = self.map.column_squares(H)[self.columns, self.outputs]
        return xp.where(found > 0, found, xp.ones_like(found))

    def epochs(self, order: Any, n: int, target: float) -> tuple[int, float]:
        """Up to ``n`` epochs over the coefficients in the model: ``(epochs done, indicator)``.

        Those of ``order`` that are not in it rest.
        """
        return self.problem.kernels.entry_epochs(self, n, target)

    def subspace_step(self, most: int) -> None:
        """Nothing: the curvature of many coefficients together is not formed."""

    def close(self) -> None:
        """End the minimisation: fix the step ``d`` and what it promises."""
        p, xp = self.problem, self.xp
        self.end = xp.asarray(self.w, copy=True)
        self.end[self.at] = self.v
        if self.b is not None:
            self.end[p.n_coef :] += self.b
        self.d = self.end - self.w
        change = p.nonsmooth_value(self.end) - p.nonsmooth_value(self.w)
        self.decrease = to_float(self.g @ self.d + change)

    def point(self, t: float) -> Any:
        """``w + t d``; at ``t = 1`` the model's own minimiser, which rounding must not move."""
        return self.end if t == 1 else self.w + t * self.d

    def value(self, t: float) -> float:
        """The true objective at ``w + t d``: O(n K), no product with X."""
        p = self.problem
        if t == 0:
            return self.value0
        return to_float(p.loss_value(self.z + t * self.D) + p.nonsmooth_value(self.point(t)))


def _inverse(xp: Any, A: Any) -> Any:
    """The pseudo-inverse of a curvature of intercepts: all of them may move alike, and classes that
    are certain do not bend. Scaled first, so that a rare class is not taken for one of these."""
    unit = xp.sqrt(xp.linalg.diagonal(A))
    unit = xp.where(unit > 0, unit, xp.ones_like(unit))
    rtol = float(xp.finfo(A.dtype).eps) ** 0.5
    inverse = xp.linalg.pinv(A / unit / unit[:, None], rtol=rtol)
    return xp.asarray(inverse / unit / unit[:, None], order="C")
