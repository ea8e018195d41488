r"""Newton's method by workers around a server, who each know the curvature of their own samples.

Letters: g the gradient of all samples, :math:`H_i` the Hessian of worker i's own objective at w, N
the workers, d the direction, t the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Status, Trait
from skopt_dl.kernels.namespace import to_float
from skopt_dl.search import backtrack
from skopt_dl.solvers.decentralised.network import BITS, split_samples
from skopt_dl.solvers.decentralised.newton import minimum_of
from skopt_dl.solvers.descent import (
    DescentSolver,
    DescentState,
    check_line_search,
    steepest,
    step_along,
)

# Steps whose values the workers send at once.
TRIALS = 10


@dataclass
class GIANTState(DescentState):
    """Adds the workers, and what they have sent and been sent.

    Attributes
    ----------
    agents : Agents
        Answers for their Hessians.
    rounds, bytes_sent : int
        Of all messages, those of the server included.
    """

    agents: Any = None
    rounds: int = 0
    bytes_sent: int = 0


class GIANT(DescentSolver):
    """The mean of the workers' own Newton directions for the gradient of all samples.

    .. math:: d = -\\frac1N \\sum_{i=1}^{N} H_i^{-1} g, \\qquad w \\leftarrow w + t d

    Needs gradients of parts of the samples, a Hessian matrix, a linear model, a loss whose
    curvature has no jumps, and a smooth and convex objective.

    Parameters
    ----------
    n_agents : int
        Workers, among which the samples are split; no more than there are samples.
    split : {"interleaved", "blocks"}
        As for `EXTRA`.
    sufficient_decrease : float
        The constant c1 of the Armijo condition.

    Notes
    -----
    The mean of the inverses is a harmonic mean of the curvatures: near that of all samples where
    each worker has many more samples than there are parameters. With one worker it is Newton's
    method. A worker's Hessian that is not positive definite is damped by the least multiple of its
    diagonal that makes it so. An iteration is three rounds: the point and the gradients, the
    gradient and the directions, the direction and the values along it; the history has the columns
    ``rounds`` and ``bytes_sent``, with ten trial steps a line search.

    References
    ----------
    S. Wang, F. Roosta-Khorasani, P. Xu, M. Mahoney, "GIANT: globally improved approximate Newton
    method for distributed optimization", NeurIPS 2018.
    """

    needs: ClassVar[Needs] = Needs.of(
        Oracle.AGENTS,
        Oracle.GRAD,
        Oracle.HESSIAN,
        Trait.LINEAR_MODEL,
        Trait.SMOOTH,
        Trait.CONVEX,
        Trait.CONTINUOUS_CURVATURE,
    )
    default_max_iter: ClassVar[int] = 1000

    def __init__(
        self,
        *,
        n_agents: int = 4,
        split: str = "interleaved",
        sufficient_decrease: float = 1e-4,
    ) -> None:
        self.n_agents, self.split = n_agents, split
        self.sufficient_decrease = sufficient_decrease

    def init(self, problem: Problem, w: Any, rng: Any) -> GIANTState:
        check_line_search(self, needs_curvature=False)
        n = self.n_agents
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            raise ValueError(f"GIANT: n_agents={n!r}, but it must be an integer >= 1")
        parts = split_samples(self, problem, min(n, problem.n_samples or 1))
        state = GIANTState(w=w, agents=problem.agents(parts, w))  # type: ignore[attr-defined]
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        return state

    def _iterate(self, problem: Any, state: GIANTState) -> Status | None:
        xp, point = problem.xp, state.point
        N = len(state.agents.locals)
        H = state.agents.hessians(xp.stack([point.w] * N))  # type: ignore[union-attr]
        each = [minimum_of(problem, H[i, :, :], point.grad) for i in range(N)]  # type: ignore[union-attr]
        d = -xp.mean(xp.stack(each), axis=0)
        self._count(problem, state, N)
        search = partial(backtrack, decrease=self.sufficient_decrease)
        slope = to_float(point.grad @ d)  # type: ignore[union-attr]
        if slope < 0 and step_along(problem, state, d, slope, 1.0, search).ok:
            return None
        return steepest(problem, state, search)

    def _count(self, problem: Any, state: GIANTState, N: int) -> None:
        """Five vectors and the values of a line search, to or from each worker."""
        itemsize = problem.xp.finfo(problem.dtype).bits // BITS
        state.rounds += 3
        state.bytes_sent += N * (5 * problem.size + TRIALS) * itemsize
        state.measures = {"rounds": state.rounds, "bytes_sent": state.bytes_sent}
