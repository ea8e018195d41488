r"""Agents with samples of their own: an objective as a mean over N of them.

.. math::

    F(w) = \frac1N \sum_{i=1}^{N} f_i(w), \qquad
    f_i(w) = N \sum_{s \in S_i} \omega_s\, \ell(y_s, (A w)_s) + \Omega(w)

Each agent stands at a point of its own, the row :math:`x_i` of a matrix. A penalty without a
gradient is left out, for the prox.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from skopt_dl.engine import Point, Trait
from skopt_dl.kernels.namespace import namespace_of, to_float
from skopt_dl.linops import largest_eigenvalue
from skopt_dl.linops.spectrum import steepest_curvature
from skopt_dl.problems.curvature import hessian_matrix

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem

# Where no constant is known: turns of the power method at the start, and how much steeper than
# there the objective may become.
TURNS, STEEPER = 8, 2.0


class SmoothAgents:
    """The parts of an objective whose gradients have no Lipschitz constant that is known.

    Parameters
    ----------
    gradients : list of callable
        The gradient of each :math:`f_i` at a point.
    w : array of shape (size,)
        The start.

    Attributes
    ----------
    lipschitz : float
        Twice the largest curvature met at the start by the agents' gradients; 1 where nothing
        bends.
    """

    smooth = True

    def __init__(self, gradients: list[Callable[[Any], Any]], w: Any) -> None:
        self.each, self.xp = gradients, namespace_of(w)
        curvatures = [steepest_curvature(gradient, w, TURNS)[0] for gradient in gradients]
        self.lipschitz = STEEPER * max(curvatures) or 1.0

    def gradients(self, X: Any) -> Any:
        """The gradient of each :math:`f_i` at its row of ``X``, shape ``(N, size)``; one pass."""
        # New arrays: a problem may overwrite the one it has returned.
        rows = [self.xp.asarray(g(X[i, :]), copy=True) for i, g in enumerate(self.each)]
        return self.xp.stack(rows)


class Agents:
    """The parts of a `LinearProblem`, one an agent.

    Parameters
    ----------
    problem : LinearProblem
        Where data, weights, loss and penalty come from.
    parts : list of index arrays
        The samples of each agent.

    Attributes
    ----------
    lipschitz : float
        Bound of the Lipschitz constants of the gradients of all :math:`f_i`; 1 where nothing bends.
    """

    def __init__(self, problem: LinearProblem, parts: list[Any]) -> None:
        self.problem = problem
        self.smooth = Trait.SMOOTH in problem.traits
        self.locals = [_part(problem, index, len(parts)) for index in parts]
        bounds = (to_float(largest_eigenvalue(p.map, p.omega)) for p in self.locals)
        self.lipschitz = problem.loss.smoothness * max(bounds) + self._penalty_lipschitz() or 1.0

    def _penalty_lipschitz(self) -> float:
        penalty: Any = self.problem.penalty
        if not (self.smooth and hasattr(penalty, "curvature") and self.problem.n_coef):
            return 0.0
        zero = self.problem.xp.zeros_like(self.problem.start()[: self.problem.n_coef])
        return to_float(self.problem.xp.max(penalty.curvature(zero)))

    def gradients(self, X: Any) -> Any:
        """The gradient of each :math:`f_i` at its row of ``X``, shape ``(N, size)``; one pass."""
        xp, penalty = self.problem.xp, self.problem.penalty
        rows = []
        for i, part in enumerate(self.locals):
            g = part.loss_grad(part.predict_raw(X[i, :]))
            if self.smooth:
                g = g + part.on_coef(penalty.grad, X[i, :])  # type: ignore[attr-defined]
            rows.append(g)
        return xp.stack(rows)

    def hessians(self, X: Any) -> Any:
        """The Hessian of each :math:`f_i` at its row of ``X``, shape ``(N, size, size)``."""
        stacked = []
        for i, part in enumerate(self.locals):
            point = Point(X[i, :], None, None, part.predict_raw(X[i, :]))
            stacked.append(hessian_matrix(part, point))
        return self.problem.xp.stack(stacked)


def shards_of(problem: LinearProblem, parts: list[Any]) -> list[tuple[float, LinearProblem]]:
    """Weights, which sum to one, and problems of parts of the samples: their mean is ``problem``.

    They answer for values, gradients and curvature alone.
    """
    shards = []
    for index in parts:
        part: Any = _part(problem, index, len(parts))
        # What belongs to all samples.
        part.base = part._known = part._at_zero = part._lipschitz = None
        part._description = "a shard of a linear problem"
        shards.append((1 / len(parts), part))
    return shards


def _part(problem: LinearProblem, index: Any, n_parts: int) -> LinearProblem:
    """The problem of the samples ``index`` alone, its loss times the number of parts."""
    xp, part = problem.xp, copy.copy(problem)
    part.map = problem.map.take_rows(index)
    part.y = xp.take(problem.y, index, axis=0)
    part.omega = n_parts * xp.take(problem.omega, index)
    part.n_samples = index.shape[0]
    return part
