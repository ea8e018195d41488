r"""The dual of a linear model with a strongly convex penalty, one sample at a time.

With weights :math:`\omega_i`, slopes :math:`u_i` and :math:`v = -\sum_i \omega_i (x_i - m)\, u_i'`
the dual is

.. math:: \max_u\ -\sum_i \omega_i\, \ell^*(u_i) - \Omega^*(v), \qquad W = \nabla \Omega^*(v),

and with an elastic net :math:`W = S(v, l_1) / l_2`. For one sample, with the raw prediction
:math:`z_i = (x_i - m)'W` and :math:`\sigma_i = \omega_i \sum_j (x_{ij} - m_j)^2 / l_{2j}`, which
bounds the curvature of :math:`\Omega^*` along it, the best :math:`u_i` is the slope of the loss at

.. math:: \hat z = \operatorname{prox}_{\sigma_i \ell}(z_i + \sigma_i u_i), \qquad
   u_i \leftarrow (z_i + \sigma_i u_i - \hat z) / \sigma_i.

An intercept is eliminated by the shift m, where the loss is quadratic and the data are dense.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skopt_dl.kernels.namespace import is_numpy
from skopt_dl.linops import along_rows

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem

# The losses whose prox the compiled kernel knows, by their ``kernel_id``: squared and logistic.
COMPILED = (0, 1)


class DualModel:
    """State and data of a dual coordinate ascent.

    Parameters
    ----------
    problem : LinearProblem
        Its penalty is an elastic net with ``l2 > 0`` everywhere, its loss has a prox.
    w : array of shape (size,)
        The start. From 0 the dual starts at 0, else at the slopes of the loss.

    Attributes
    ----------
    u : array of shape (n, K)
        Dual variables.
    v : array of shape (p, K)
        What they make of the data.
    sigma : array of shape (n,)
        Bound of the curvature along each of them.
    """

    def __init__(self, problem: LinearProblem, w: Any) -> None:
        xp = self.xp = problem.xp
        self.problem, self.loss, self.base = problem, problem.loss, problem.base
        n, p, K = problem.n_samples, problem.n_features, problem.n_outputs
        self.n, self.omega = n, problem.omega
        self.sparse = self.base.layout == "sparse"
        zeros = xp.zeros(p, dtype=problem.dtype, device=problem.device)
        self.mean = problem.map.mean if problem.centred else zeros
        l1, l2, self.positive = problem.penalty.elastic_net(  # type: ignore[attr-defined]
            p * K, xp, problem.dtype, problem.device
        )
        self.l1, self.l2 = xp.reshape(l1, (p, K)), xp.reshape(l2, (p, K))
        # Read from the class itself: a subclass with another prox must not inherit the number.
        self.kernels, self.loss_id = problem.kernels, vars(type(self.loss)).get("kernel_id")
        self.compiled = self.loss_id in COMPILED
        self.y = self._layout(xp.reshape(problem.y, (n, K)))
        strength = xp.min(self.l2, axis=1)
        self.sigma = problem.omega * self.base.row_squares(self.mean, 1 / strength)
        slopes = xp.reshape(problem.loss.slope(problem.y, problem.predict_raw(w)), (n, K))
        self.u = self._layout(slopes if bool(xp.any(w != 0)) else xp.zeros_like(slopes))
        self.refresh()

    def _layout(self, matrix: Any) -> Any:
        """The rows one behind the other, as the compiled kernels run through them."""
        return self.xp.asarray(matrix, order="C") if is_numpy(self.xp) else matrix

    def refresh(self) -> None:
        """Recompute ``v`` from ``u``, so that rounding does not pile up in it."""
        weighted = along_rows(self.omega, self.u)
        total = self.xp.sum(weighted, axis=0)
        self.v = self._layout(self.mean[:, None] * total - self.base.rmatvec(weighted))

    def coefficients(self, columns: Any) -> Any:
        """``W`` at the rows ``columns``, of shape (..., K)."""
        xp, v, l1 = self.xp, self.v[columns, :], self.l1[columns, :]
        size = xp.clip((v if self.positive else xp.abs(v)) - l1, 0, None)
        return (size if self.positive else xp.sign(v) * size) / self.l2[columns, :]

    def primal(self) -> Any:
        """The point that the dual variables stand for, flat."""
        return self.xp.reshape(self.coefficients(slice(None)), (-1,))

    def epoch(self, order: Any) -> float:
        """A step on each sample of ``order``, in place; the largest change of a variable."""
        return self.kernels.serving(self.compiled).dual_epoch(self, order)

    def row(self, i: int) -> tuple[Any, Any]:
        """``(columns, values)`` of the shifted row i; the columns are a slice where it is dense."""
        if not self.sparse:
            return slice(None), self.base.X[i, :] - self.mean
        rows = self.base.rows
        part = slice(int(rows.indptr[i]), int(rows.indptr[i + 1]))
        return rows.indices[part], rows.data[part]

    def best(self, i: int, shifted: Any) -> Any:
        """The maximiser in the variables of sample i, from ``z_i + sigma_i u_i``."""
        y, sigma = self.problem.y[i : i + 1, ...], self.sigma[i]
        v = self.xp.reshape(shifted, y.shape)
        z = self.loss.prox(y, v, sigma)  # type: ignore[attr-defined]
        # Of a smooth loss the slope at z is the same number, without a difference of neighbours.
        smooth = self.loss.smoothness < float("inf")
        best = self.loss.slope(y, z) if smooth else (v - z) / sigma
        return self.xp.reshape(best, shifted.shape)
