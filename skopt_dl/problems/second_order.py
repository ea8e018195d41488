r"""The second-order model of a loss plus a penalty, and the objective along its step.

.. math::

    m(d) = \sum_i \omega_i \ell'_i\, (A d)_i + \tfrac12 \sum_i h_i (A d)_i^2 + \Omega(w + d),
    \qquad h_i = \omega_i \ell''_i

An intercept :math:`b` is eliminated: for given coefficients its best step is

.. math:: \Delta b = -\frac{\sum_i \omega_i \ell'_i}{\sum_i h_i} - m'\,\Delta w,
   \qquad m_j = \frac{\sum_i h_i x_{ij}}{\sum_i h_i},

which leaves a weighted least-squares problem in the centred columns, with the working residual
centred as well: the form that `CoordinateModel` takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skopt_dl.kernels.namespace import to_float
from skopt_dl.problems.coordinates import CoordinateModel

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem


class SecondOrderModel:
    """The model at ``w``, minimised by coordinate descent on a copy of the coefficients.

    Parameters
    ----------
    problem : LinearProblem
        One output, a loss with a curvature, a separable penalty.
    w : array of shape (size,)
        Where the model is made; never written.
    damping : float
        What the curvature is multiplied by, ``>= 1``.

    Attributes
    ----------
    d : array of shape (size,)
        The step, intercept included; set by `close`.
    decrease : float
        What the model promises for the step, ``f'(w; d) + penalty(w + d) - penalty(w) <= 0``: the
        slope that an Armijo rule for a composite objective uses. Set by `close`.
    """

    def __init__(self, problem: LinearProblem, w: Any, damping: float = 1.0) -> None:
        xp = problem.xp
        self.problem, self.w = problem, w
        self.z = problem.predict_raw(w)
        self.slope = problem.omega * problem.loss.slope(problem.y, self.z)
        curvature = problem.loss.curvature(problem.y, self.z)  # type: ignore[attr-defined]
        # A floor: where the loss is flat the model must not lose the sample, nor step out of sight.
        curvature = xp.clip(curvature, float(xp.finfo(problem.dtype).eps) ** 0.5, None)
        h = damping * problem.omega * curvature
        u = -self.slope
        self.shift = xp.sum(u) / xp.sum(h)
        if problem.intercept_in_map:
            u = u - self.shift * h
        self.model = CoordinateModel(
            problem.base,
            xp.asarray(w[: problem.n_coef], copy=True),
            u,
            h,
            centre=problem.fit_intercept,
            penalty=problem.penalty,
            kernels=problem.kernels,
        )
        self.d: Any = None
        self.end: Any = None
        self.decrease = 0.0

    def epochs(self, order: Any, n: int, target: float) -> tuple[int, float]:
        """Up to ``n`` epochs of coordinate descent on the model: ``(epochs done, indicator)``."""
        return self.model.epochs(order, n, target)

    def subspace_step(self, most: int) -> None:
        """The minimum over the nonzero coefficients; see `CoordinateModel.subspace_step`."""
        self.model.subspace_step(most)

    def close(self) -> None:
        """End the minimisation: fix the step ``d`` and what it promises."""
        p, self.end = self.problem, self.model.w
        d = self.end - self.w[: p.n_coef]
        if p.intercept_in_map:
            d = p.xp.concat([d, (self.shift - self.model.mean @ d)[None]])
            self.end = p.xp.concat([self.end, (self.w + d)[p.n_coef :]])
        self.d, self._ad = d, p.map.matvec(d)
        change = p.nonsmooth_value(self.end) - p.nonsmooth_value(self.w)
        self.decrease = to_float(p.xp.sum(self.slope * self._ad) + change)

    def point(self, t: float) -> Any:
        """``w + t d``; at ``t = 1`` the model's own minimiser, which rounding must not move."""
        return self.end if t == 1 else self.w + t * self.d

    def value(self, t: float) -> float:
        """The true objective at ``w + t d``: O(n), no product with X."""
        p, z = self.problem, self.z + t * self._ad
        return to_float(p.loss_value(z) + p.nonsmooth_value(self.point(t)))
