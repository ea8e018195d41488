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
        Derivatives of the loss of single samples in its raw outputs; :math:`E[d d']` sums over the
        first axis.
    omega, root : array of shape (n, 1)
        Weights of the samples, which sum to one, and their roots.
    """

    coef: slice
    intercept: slice
    a: Any
    d: Any
    omega: Any
    root: Any


@dataclass(frozen=True)
class Image:
    """A vector, the change of the raw outputs along it, and of the loss's derivatives there."""

    v: Any
    dot: Any
    curved: Any


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
        omega = self.omega[:, None]
        coef, intercept = p.blocks["coef"], p.blocks["intercept"]
        a = self.rows.to_dense()
        return [Layer(coef, intercept, a, xp.stack(roots), omega, xp.sqrt(omega))]

    def _roots(self) -> list[Any]:
        """The columns of a root of each sample's curvature, arrays of shape ``(n, K)``."""
        loss: Any = self.problem.loss
        if self.y.ndim == 1:
            return [self.problem.xp.sqrt(loss.curvature(self.y, self.z))[:, None]]
        return loss.curvature_root(self.y, self.z)

    def image(self, v: Any) -> Image:
        """What ``v`` does to the outputs of the batch: for `inner`."""
        loss: Any = self.problem.loss
        dot = self.rows.matvec(self.problem.matrix(v))
        if self.y.ndim == 1:
            return Image(v, dot, self.omega * loss.curvature(self.y, self.z) * dot)
        return Image(v, dot, along_rows(self.omega, loss.curvature_map(self.y, self.z)(dot)))

    def inner(self, images: list[Image]) -> list[list[Any]]:
        """``u' (F + ridge) v`` for each pair of vectors."""
        xp = self.problem.xp
        return [
            [xp.sum(u.dot * v.curved) + u.v @ (self.diagonal * v.v) for v in images] for u in images
        ]
