r"""The Fisher matrix of a linear model as a Kronecker product: a network of one layer.

With the inputs a of a sample (a one among them where there is an intercept) and the second
derivative :math:`H_i` of its loss in the raw outputs,

.. math:: F = E[a a' \otimes H_i] \approx E[a a'] \otimes E[H_i] = A \otimes G

which is exact for a squared loss. :math:`H_i = \sum_k r_k r_k'` with the columns of a root
(`curvature_root` of a loss of several outputs); the sum of the columns with random signs is a draw
whose expected outer product is :math:`H_i`, whatever the loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops import along_rows

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem


@dataclass(frozen=True)
class Layer:
    """One layer: where it lies in the flat array, and what the samples of a batch say of it.

    Attributes
    ----------
    coef, intercept : slice
        Its blocks; the second is empty where there is no intercept.
    a : array of shape (n, rows) or (n, rows + 1)
        Inputs, with a column of ones last where there is an intercept.
    d : array of shape (m, n, columns)
        Derivatives of the loss of single samples in its raw outputs, times ``root``;
        :math:`E[d d']` is their sum over the first two axes.
    root : array of shape (n, 1)
        Roots of the weights of the samples, which sum to one.
    """

    coef: slice
    intercept: slice
    a: Any
    d: Any
    root: Any


class LinearKronecker:
    """The Fisher matrix of a batch of a linear problem: its layer, and products with all of it.

    Parameters
    ----------
    problem : LinearProblem
        With a smooth penalty.
    w : array of shape (size,)
        The point.
    index : array of int
        The samples.
    """

    def __init__(self, problem: LinearProblem, w: Any, index: Any) -> None:
        self.problem, self.w, self.index = problem, w, index
        self._value, self.rows, self.y, self.omega, self.z = problem.on_batch(w, index)

    @cached_property
    def diagonal(self) -> Any:
        """The penalty's curvature, of each parameter."""
        return self.problem.on_coef(self.problem.penalty.curvature, self.w)  # type: ignore[attr-defined]

    @property
    def ridge(self) -> float:
        """Its mean over the coefficients."""
        p = self.problem
        return to_float(p.xp.sum(self.diagonal)) / max(p.n_coef, 1)

    def first(self, count: int) -> LinearKronecker:
        """That of the first ``count`` samples of the batch."""
        return LinearKronecker(self.problem, self.w, self.index[:count])

    def value_grad(self) -> tuple[Any, Any]:
        """What `LinearProblem.sample_grad` returns."""
        rows, y, omega, z = self.rows, self.y, self.omega, self.z
        return self._value, self.problem.batch_grad(self.w, rows, y, omega, z)

    def value(self) -> Any:
        """The objective on the batch."""
        return self._value

    def value_at(self, w: Any) -> Any:
        """The objective on the batch at ``w``."""
        return self.problem.sample_value(w, self.index)

    def layers(self, rng: Any = None) -> list[Layer]:
        """What the samples say of the one layer; by drawn signs, or exactly without ``rng``."""
        p, xp = self.problem, self.problem.xp
        roots = self._roots()
        if rng is not None and len(roots) > 1:
            signs = xp.asarray(
                rng.choice([-1.0, 1.0], (len(roots), roots[0].shape[0], 1)),
                dtype=p.dtype,
                device=p.device,
            )
            roots = [sum(signs[k, ...] * root for k, root in enumerate(roots))]
        root = xp.sqrt(self.omega)[:, None]
        coef, intercept = p.blocks["coef"], p.blocks["intercept"]
        a = self.rows.to_dense()
        return [Layer(coef, intercept, a, root * xp.stack(roots), root)]

    def _roots(self) -> list[Any]:
        """The columns of a root of each sample's curvature, arrays of shape ``(n, K)``."""
        loss: Any = self.problem.loss
        if self.y.ndim == 1:
            return [self.problem.xp.sqrt(loss.curvature(self.y, self.z))[:, None]]
        return loss.curvature_root(self.y, self.z)

    def products(self, vectors: Any) -> Any:
        """``u' (F + ridge) v`` for each pair of rows of ``vectors``, shape ``(m, m)``."""
        xp, m = self.problem.xp, vectors.shape[0]
        pairs = [self._bent(vectors[i, :]) for i in range(m)]
        dots, curved = (xp.reshape(xp.stack(part), (m, -1)) for part in zip(*pairs, strict=True))
        return dots @ curved.T + vectors @ (self.diagonal * vectors).T

    def _bent(self, v: Any) -> tuple[Any, Any]:
        """What ``v`` does to the outputs of the batch, and to the derivatives of the loss there."""
        loss: Any = self.problem.loss
        dot = self.rows.matvec(self.problem.matrix(v))
        if self.y.ndim == 1:
            return dot, self.omega * loss.curvature(self.y, self.z) * dot
        return dot, along_rows(self.omega, loss.curvature_map(self.y, self.z)(dot))
