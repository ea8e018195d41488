r"""Losses that gross errors of single entries cannot bend.

.. math::

    \rho(r) = u \begin{cases} r^2 / 2 & |r| \le \delta \\
                              \delta |r| - \delta^2 / 2 & |r| > \delta \end{cases}

with u = 1 for Huber's loss and :math:`u = 1/\delta` for the absolute loss, whose corner
:math:`\delta` rounds. At any residual :math:`r_0` the parabola of curvature
:math:`\rho'(r_0) / r_0 = u \min(1, \delta / |r_0|)` that touches :math:`\rho` lies above it: a
weighted least-squares step lowers the objective (iteratively reweighted least squares: P. Huber,
"Robust Statistics", 1981, section 7.8; K. Lange, D. Hunter, I. Yang, "Optimization transfer using
surrogate objective functions", J. Comput. Graph. Stat. 9, 2000).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skopt_dl.kernels.namespace import namespace_of, to_float

# What makes the median absolute residual the standard deviation of Gaussian ones.
TO_DEVIATION = 1.4826
# Huber's delta in standard deviations: 95 % efficient where all residuals are Gaussian.
EFFICIENT = 1.345
# The rounded corner of the absolute loss, in deviations of the entries.
CORNER = 1e-2
# Reweighted solves of the rows for given columns at most. A row stops alone, so that it does not
# depend on the others, when none of its parameters changes by this share of its largest.
PASSES = 200
ENOUGH = 1e-9
# A start does not look further than this many deviations.
REACH = 3.0


@dataclass(frozen=True)
class RobustLoss:
    """Huber's loss, or the absolute loss with a rounded corner.

    Attributes
    ----------
    delta : float
        Residual from which on the loss is straight.
    straight : bool
        Whether it is the absolute loss, of slope one there.
    """

    delta: float
    straight: bool = False

    @property
    def unit(self) -> float:
        """The factor u."""
        return 1 / self.delta if self.straight else 1.0

    def value(self, r: Any) -> Any:
        """The loss of each residual."""
        c = namespace_of(r).clip(r, -self.delta, self.delta)
        return self.unit * c * (r - 0.5 * c)

    def slope(self, r: Any) -> Any:
        """Its derivative."""
        return self.unit * namespace_of(r).clip(r, -self.delta, self.delta)

    def curvature(self, r: Any) -> Any:
        """Its second derivative."""
        xp = namespace_of(r)
        return self.unit * xp.astype(xp.abs(r) <= self.delta, r.dtype)

    def weight(self, r: Any) -> Any:
        """The curvature of the parabola that touches it from above."""
        size = namespace_of(r).abs(r)
        return self.unit * self.delta / namespace_of(r).clip(size, self.delta, None)

    def within_reach(self, values: Any, weights: Any) -> Any:
        """Entry values that a start may look at: far ones are pulled in."""
        centre = weighted_median(values, weights)
        reach = max(REACH * deviation(values - centre, weights), self.delta)
        xp = namespace_of(values)
        near = xp.clip(values, centre - reach, centre + reach)
        return xp.where(weights > 0, near, xp.zeros_like(near))


def weighted_median(values: Any, weights: Any) -> float:
    """The least value that half of the weights do not exceed."""
    xp = namespace_of(values)
    values, weights = xp.reshape(values, (-1,)), xp.reshape(weights, (-1,))
    order = xp.argsort(xp.where(weights > 0, values, xp.full_like(values, xp.inf)))
    running = xp.cumulative_sum(xp.take(weights, order))
    before = int(xp.sum(xp.astype(running < 0.5 * running[-1], xp.int64)))
    return to_float(xp.take(values, order[before : before + 1])[0])


def deviation(residuals: Any, weights: Any) -> float:
    """A standard deviation from the median absolute residual."""
    return TO_DEVIATION * weighted_median(namespace_of(residuals).abs(residuals), weights)


def settle_rows(problem: Any, w: Any) -> None:
    """Bring each row of ``w`` to its best parameters for the columns, in place.

    The problem of a row is convex: where it starts does not matter.
    """
    xp, place, shape = problem.xp, problem.blocks["rows"], problem.shapes["rows"]
    going = xp.ones(shape[0], dtype=problem.dtype, device=problem.device) > 0
    for _ in range(PASSES):
        before = xp.reshape(xp.asarray(w[place], copy=True), shape)
        problem.solve_block(w, "rows")
        after = xp.where(going[:, None], xp.reshape(w[place], shape), before)
        w[place] = xp.reshape(after, (-1,))
        change = xp.max(xp.abs(after - before), axis=1)
        going = going & (change > ENOUGH * xp.max(xp.abs(after), axis=1))
        if not bool(xp.any(going)):
            break
