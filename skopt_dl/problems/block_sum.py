r"""A loss summed over blocks of rows that are not here: on disk, or on other machines.

.. math:: F(w) = \sum_{\text{blocks}} \sum_i \omega_i\, \ell(y_i, (X w)_i + b) + \Omega(w)

The solver's state stays here; each oracle is one function of each block, which returns an array of
the parameters' size. The functions are pure, so that a block may be read, or computed, again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skopt_dl.engine import Certificate, Oracle, Point, Problem, Trait, offers
from skopt_dl.kernels import bind
from skopt_dl.kernels.namespace import to_float
from skopt_dl.losses import Loss
from skopt_dl.penalties import Penalty
from skopt_dl.problems.block_terms import (
    diagonal,
    flat_of,
    hessian,
    hessian_product,
    model_of,
    value_grad,
)
from skopt_dl.problems.consensus import Consensus
from skopt_dl.problems.dense_model import DenseModel
from skopt_dl.problems.line import GradientLine

# Parameters beyond which no Hessian is formed: a task and the driver hold one of 128 MB.
HESSIAN_BELOW = 4000


def _no_gradient(problem: Any) -> str | None:
    return None if hasattr(problem.penalty, "grad") else "the L1 penalty has none"


def _too_many(problem: Any) -> str | None:
    if problem.size > HESSIAN_BELOW:
        return f"{problem.size} parameters are too many for a matrix of them"
    return None


def _no_hessian(problem: Any) -> str | None:
    return _no_gradient(problem) or _too_many(problem)


class BlockSum(Problem):
    """A convex loss over blocks of rows plus a penalty of the coefficients.

    Parameters
    ----------
    total : callable
        ``total(function, *args)``, the sum of ``function(block, *args)`` over the blocks, which are
        ``(X, target, omega)`` with weights that sum to one over all of them. It has ``n_parts``,
        and ``step(function, states, *args)``: the new states and the sum of the second parts of
        ``function(block, state, *args)``.
    loss, penalty : Loss, Penalty
        The two terms.
    shape : tuple of int
        Features and outputs.
    origin : array of shape (p,), optional
        Where the columns are measured from, with an intercept; ``None`` is no intercept.
    description : str
        Names estimator and data in messages.

    Attributes
    ----------
    passes : int
        Times that each block was asked.
    """

    def __init__(
        self,
        total: Any,
        loss: Loss,
        penalty: Penalty,
        shape: tuple[int, int],
        *,
        origin: Any,
        description: str,
    ) -> None:
        super().__init__()
        self.total = total
        self.loss, self.penalty, self.origin = loss, penalty, origin
        self.description, self.passes = description, 0
        self.n_features, self.n_outputs = shape
        self.n_coef = self.n_features * self.n_outputs
        self.size = self.n_coef + (0 if origin is None else self.n_outputs)
        self.xp, self.dtype, self.device = np, np.dtype(np.float64), "cpu"
        self.kernels = bind(np, self.dtype, "dense")
        self.blocks = {"coef": slice(0, self.n_coef), "intercept": slice(self.n_coef, self.size)}
        traits = {Trait.CONVEX}
        if hasattr(penalty, "grad"):
            traits.add(Trait.SMOOTH)
        self.traits = frozenset(traits)
        self._known: tuple[Any, Any, Any] | None = None

    # --- sums ---------------------------------------------------------------------------------

    def _sum(self, function: Callable[..., Any], *args: Any) -> Any:
        """The sum of ``function(block, loss, *args)`` over the blocks: one pass."""
        self.passes += 1
        return self.total(function, self.loss, *args)

    def _model(self, w: Any) -> tuple[Any, Any]:
        """Coefficients (p, K) and intercepts (K,) beside the raw columns."""
        return model_of(w, (self.n_features, self.n_outputs), self.origin)

    def _flat(self, sums: Any) -> Any:
        """From ``X'R`` over ``1'R``, of shape (p + 1, K), to a gradient in the parameters."""
        return flat_of(sums, self.origin)

    def unpack(self, w: Any) -> tuple[Any, Any]:
        """``(coef, intercept)`` of shapes ``(p, K)`` and ``(K,)`` beside the raw columns."""
        return self._model(w)

    # --- the contract ---------------------------------------------------------------------------

    def start(self) -> Any:
        return np.zeros(self.size)

    def nonsmooth_value(self, w: Any) -> Any:
        """The penalty at ``w``."""
        return self.penalty.value(w[: self.n_coef])

    def value(self, w: Any) -> Any:
        return self.smooth_value_grad(w)[0] + self.nonsmooth_value(w)

    @offers(Oracle.SMOOTH_GRAD)
    def smooth_value_grad(self, w: Any) -> tuple[Any, Any]:
        """Value and gradient of the loss term, in one pass; the last ones are kept."""
        if self._known is None or not np.array_equal(self._known[0], w):
            sums = self._sum(value_grad, *self._model(w))
            value, g = sums[-1, 0], self._flat(sums[:-1])
            self._known = (w.copy(), value, g)
        return self._known[1:]

    @offers(Oracle.PROX)
    def prox(self, v: Any, step: Any) -> Any:
        """Prox of the penalty, a step for each parameter or one; the intercept is left alone."""
        step = step[: self.n_coef] if np.ndim(step) else step
        return np.concatenate([self.penalty.prox(v[: self.n_coef], step), v[self.n_coef :]])

    @offers(Oracle.GRAD, lacks=_no_gradient)
    def point(self, w: Any) -> Point:
        """Value and gradient of the whole objective."""
        value, g = self.smooth_value_grad(w)
        coef = w[: self.n_coef]
        full = g.copy()
        full[: self.n_coef] += self.penalty.grad(coef)  # type: ignore[attr-defined]
        return Point(w, value + self.nonsmooth_value(w), full)

    def along(self, point: Point, d: Any) -> GradientLine:
        """The objective along ``point.w + t d``; a trial costs a pass."""
        return GradientLine(self, point, d)

    @offers(Oracle.HVP, lacks=_no_gradient)
    def hvp(self, point: Point) -> Callable[[Any], Any]:
        """A function ``d -> H d``; a product costs a pass."""
        W, b = self._model(point.w)
        ridge = self._ridge()

        def product(d: Any) -> Any:
            D, db = self._model(d)
            return self._flat(self._sum(hessian_product, W, b, D, db)) + ridge * d

        return product

    def loss_hessian(self, w: Any) -> Any:
        """The Hessian of the loss term, in one pass."""
        origin = np.zeros(self.n_features) if self.origin is None else self.origin
        H = self._sum(hessian, *self._model(w), origin)
        return H[: self.size, : self.size]

    @offers(Oracle.HESSIAN, lacks=_no_hessian)
    def hessian(self, point: Point) -> Any:
        """The Hessian of the whole objective, in one pass."""
        H = self.loss_hessian(point.w)
        H[np.diag_indices(self.size)] += self._ridge()
        return H

    @offers(Oracle.QUADRATIC_MODEL, lacks=_too_many)
    def quadratic_model(self, w: Any, damping: float = 1.0) -> DenseModel:
        """The second-order model of the loss at ``w`` plus the penalty, in one pass."""
        value, g = self.smooth_value_grad(w)
        return DenseModel(self, w, value, g, damping * self.loss_hessian(w))

    def _ridge(self) -> Any:
        ridge = np.zeros(self.size)
        ridge[: self.n_coef] = self.penalty.curvature(ridge[: self.n_coef])  # type: ignore[attr-defined]
        return ridge

    @offers(Oracle.CONSENSUS)
    def consensus(self) -> Consensus:
        """The blocks with parameters of their own; its metric costs a pass."""
        curvature = self._sum(diagonal, *self._model(np.zeros(self.size)), self.origin)
        return Consensus(self, curvature)

    def certificate(self, w: Any) -> Certificate:
        """The largest component of the minimal subgradient."""
        value, g = self.smooth_value_grad(w)
        coef = w[: self.n_coef]
        distance = self.penalty.distance(coef, g[: self.n_coef])  # type: ignore[attr-defined]
        residual = np.concatenate([distance, g[self.n_coef :]])
        objective = to_float(value + self.nonsmooth_value(w))
        return Certificate("stationarity", float(np.max(np.abs(residual))), objective)
