r"""Blocks of rows with parameters of their own, which agree in the end.

A step of block i, from its multipliers :math:`u_i` and the common point z, in the metric D:

.. math::

    x_i = \operatorname{argmin}_x\ f_i(x) + \tfrac{\rho}{2} |x - z + u_i|_D^2, \qquad
    \hat x_i = \alpha x_i + (1 - \alpha) z

by Newton's method from its last answer, each system by conjugate gradients. ``D`` is the mean
over the blocks of the Hessian's diagonal at the origin, so that columns may have any size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from skopt_dl.kernels.namespace import namespace_of, to_numpy
from skopt_dl.problems.block_terms import (
    Block,
    along,
    bending,
    beside,
    flat_of,
    model_of,
    row_sums,
    scores,
    value_grad,
)

if TYPE_CHECKING:
    from skopt_dl.problems.block_sum import BlockSum

# A local problem: Newton steps at most, conjugate gradients of each, and when it is solved.
NEWTON_STEPS, CG_STEPS, SOLVED = 10, 50, 1e-3


class Consensus:
    """The local problems of a `BlockSum`, with their states where the blocks are.

    Attributes
    ----------
    n_parts : int
        Blocks.
    metric : array of shape (size,)
        D.
    """

    def __init__(self, problem: BlockSum, curvature: Any) -> None:
        self.problem, self.n_parts = problem, problem.total.n_parts
        self.metric = np.where(curvature > 0, curvature, 1.0) / self.n_parts
        self.states: list[Any] = [None] * self.n_parts

    def step(self, z: Any, rho: float, shrink: float, relaxation: float) -> tuple[Any, float]:
        """A step of every block: the mean of ``hat x_i + u_i`` and ``sum_i |x_i - z|_D^2``.

        Multipliers first move by the last step and are divided by ``shrink``, what rho grew by.
        """
        p = self.problem
        p.passes += 1
        shape = (p.n_features, p.n_outputs)
        settings = (p.loss, shape, p.origin, z, self.metric, rho, shrink, relaxation)
        self.states, sums = p.total.step(local_step, self.states, *settings)
        return sums[:-1] / self.n_parts, float(sums[-1])


def local_step(
    block: Block,
    state: Any,
    loss: Any,
    shape: tuple[int, int],
    origin: Any,
    z: Any,
    metric: Any,
    rho: float,
    shrink: float,
    relaxation: float,
) -> tuple[Any, Any]:
    """The next ``(x, u, hat x)`` of one block, and its part of the sums."""
    origin, z, metric = beside(block[1], origin, z, metric)
    xp = namespace_of(z)
    x, u = (z, xp.zeros_like(z)) if state is None else state[:2]
    if state is not None:
        u = (u + state[2] - z) / shrink
    x = _minimise(block, loss, shape, origin, x, z - u, rho * metric)
    hat = relaxation * x + (1 - relaxation) * z
    distance = xp.reshape(metric @ (x - z) ** 2, (1,))
    return (x, u, hat), to_numpy(xp.concat([hat + u, distance]))


def _minimise(
    block: Block, loss: Any, shape: tuple[int, int], origin: Any, x: Any, v: Any, weight: Any
) -> Any:
    """``argmin_x f(x) + 1/2 sum weight (x - v)^2``, from ``x``."""
    X, target, omega = block

    def objective(x: Any) -> tuple[float, Any]:
        sums = value_grad(block, loss, *model_of(x, shape, origin))
        value = float(sums[-1, 0]) + 0.5 * float(weight @ (x - v) ** 2)
        return value, flat_of(sums[:-1, :], origin) + weight * (x - v)

    value, g = objective(x)
    goal = SOLVED * math.sqrt(float(g @ (g / weight)))
    for _ in range(NEWTON_STEPS):
        bend = bending(loss, target, scores(X, *model_of(x, shape, origin), target))

        def product(d: Any, bend: Any = bend) -> Any:
            bent = along(omega, bend(scores(X, *model_of(d, shape, origin), target)))
            return flat_of(row_sums(X, bent), origin) + weight * d

        d = _conjugate_gradients(product, -g, weight, CG_STEPS)
        slope, t = float(g @ d), 1.0
        while t > 1e-6:
            ahead = objective(x + t * d)
            if ahead[0] <= value + 1e-4 * t * slope:
                break
            t /= 2
        else:
            return x
        x, (value, g) = x + t * d, ahead
        if float(g @ (g / weight)) <= goal**2:
            break
    return x


def _conjugate_gradients(product: Any, b: Any, weight: Any, most: int) -> Any:
    """``H^-1 b`` to a tenth, preconditioned by the metric."""
    d, r = namespace_of(b).zeros_like(b), b
    y = r / weight
    q, square = y, float(r @ y)
    goal = 0.01 * square
    for _ in range(most):
        if square <= goal or square == 0:
            break
        Hq = product(q)
        t = square / float(q @ Hq)
        d, r = d + t * q, r - t * Hq
        y = r / weight
        last, square = square, float(r @ y)
        q = y + square / last * q
    return d
