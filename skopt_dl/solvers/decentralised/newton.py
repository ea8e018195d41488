r"""Newton's method by agents that agree on the second-order model of all samples.

Letters: :math:`x_i` the point of agent i, :math:`g_i` and :math:`H_i` gradient and Hessian of its
own objective there, :math:`b_i = H_i x_i - g_i`, :math:`z_i` and :math:`y_i` its estimates of the
means of all H and b, W the mixing matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.factor import NotPositiveDefiniteError, PositiveFactor
from skopt_dl.linops.mixing import Graph
from skopt_dl.solvers.decentralised.base import ExactSolver, ExactState
from skopt_dl.solvers.decentralised.network import step_of

# What is left of a disagreement between the agents' models before their first step.
AGREED = 0.1
# The longest automatic step where the objective is no quadratic.
SLOW = 0.5


@dataclass
class ModelState(ExactState):
    """Adds what the agents track; ``step`` is the share of Newton's step that is made.

    Attributes
    ----------
    H, b : arrays of shape (N, size, size) and (N, size)
        Own models at the last points.
    Z, Y : arrays of shape (N, size, size) and (N, size)
        Estimates of their means.
    """

    H: Any = None
    b: Any = None
    Z: Any = None
    Y: Any = None


class NewtonConsensus(ExactSolver):
    """Newton-Raphson consensus: track the mean second-order model, step to its minimum.

    .. math::

        Y \\leftarrow W (Y + b - b^-), \\qquad Z \\leftarrow W (Z + H - H^-), \\qquad
        x_i \\leftarrow (1 - \\epsilon)\\, x_i + \\epsilon\\, z_i^{-1} y_i

    Needs gradients of parts of the samples, a Hessian matrix, a loss whose curvature has no jumps,
    and a smooth and convex objective.

    Parameters
    ----------
    graph, n_agents, split
        As for `EXTRA`.
    step : float or "auto"
        :math:`\\epsilon`; "auto" is 1 where the objective is quadratic. Elsewhere it is the
        spectral gap of W, at most 1/2: the models may change no faster than they are averaged.
    warm_up : int or "auto"
        Rounds in which the agents average their first models before they move; "auto" is as many
        as leave a tenth of a disagreement.

    Notes
    -----
    A round an iteration, in which each agent sends a vector and the half of a symmetric matrix to
    each neighbour: ``p (p + 3) / 2`` numbers. The points need no averaging, as they are functions
    of what is averaged. On the complete graph it is Newton's method with the step
    :math:`\\epsilon`; of a quadratic objective the models do not change, and the error is that of
    an average. There is no line search, which would need values of all agents: where Newton's
    method diverges from the start, take a shorter step. A model that is not positive definite is
    damped by the least multiple of its diagonal that makes it so. Answer and history as for
    `EXTRA`.

    References
    ----------
    D. Varagnolo, F. Zanella, A. Cenedese, G. Pillonetto, L. Schenato, "Newton-Raphson consensus for
    distributed convex optimization", IEEE Trans. Automat. Control 61 (2016).
    """

    needs: ClassVar[Needs] = Needs.of(
        Oracle.AGENTS, Oracle.HESSIAN, Trait.SMOOTH, Trait.CONVEX, Trait.CONTINUOUS_CURVATURE
    )
    default_max_iter: ClassVar[int] = 1000

    def __init__(
        self,
        *,
        graph: str | Graph = "ring",
        n_agents: int = 4,
        split: str = "interleaved",
        step: float | str = "auto",
        warm_up: int | str = "auto",
    ) -> None:
        self.graph, self.n_agents, self.split = graph, n_agents, split
        self.step, self.warm_up = step, warm_up

    def _state(self, **known: Any) -> ModelState:
        return ModelState(**known)

    def _start(self, problem: Any, state: ModelState) -> None:
        s, gap = state, state.network.mixing.gap
        quadratic = Trait.QUADRATIC in problem.traits
        s.step = step_of(self, 1.0 if quadratic else min(SLOW, gap))
        s.unit = s.step / s.agents.lipschitz
        rounds = self._rounds(gap)
        s.H, s.b = _models(problem, s)
        s.Z, s.Y = s.H, s.b
        for _ in range(rounds):
            _mix(problem, s)

    def _rounds(self, gap: float) -> int:
        rounds = self.warm_up
        if isinstance(rounds, str) and rounds == "auto":
            left = 1 - gap
            return math.ceil(math.log(AGREED) / math.log(left)) if left > AGREED else 1
        if not isinstance(rounds, int) or isinstance(rounds, bool) or rounds < 0:
            raise ValueError(
                f"NewtonConsensus: warm_up={rounds!r}, but it must be 'auto' or an integer >= 0"
            )
        return rounds

    def _iterate(self, problem: Any, state: ModelState) -> None:
        xp, s = problem.xp, state
        H, b = (s.H, s.b) if s.n_iter == 0 else _models(problem, s)
        s.Z, s.Y, s.H, s.b = s.Z + H - s.H, s.Y + b - s.b, H, b
        _mix(problem, s)
        rows = range(s.network.n_agents)
        ahead = xp.stack([minimum_of(problem, s.Z[i, :, :], s.Y[i, :]) for i in rows])
        s.X = s.X + s.step * (ahead - s.X)


def _models(problem: Any, s: ModelState) -> tuple[Any, Any]:
    """``H`` and ``b = H x - g`` of each agent at its point."""
    xp, H = problem.xp, s.agents.hessians(s.X)
    Hx = xp.stack([H[i, :, :] @ s.X[i, :] for i in range(s.X.shape[0])])
    return H, Hx - s.agents.gradients(s.X)


def _mix(problem: Any, s: ModelState) -> None:
    """A round: a message is a vector and the half of a symmetric matrix."""
    xp, (N, p) = problem.xp, s.X.shape
    both = xp.concat([s.Y, xp.reshape(s.Z, (N, p * p))], axis=1)
    both = s.network.mix(both, numbers=p + p * (p + 1) // 2)
    s.Y, s.Z = both[:, :p], xp.reshape(both[:, p:], (N, p, p))


def minimum_of(problem: Any, Z: Any, y: Any) -> Any:
    """``Z^-1 y``, with the least damping in tenfold steps that Z needs."""
    xp, p = problem.xp, y.shape[0]
    eps = float(xp.finfo(problem.dtype).eps)
    D = xp.abs(xp.linalg.diagonal(Z))
    floor = eps * max(to_float(xp.max(D)), float(xp.finfo(problem.dtype).smallest_normal))
    D = xp.where(floor < D, D, xp.full_like(D, floor))
    eye = xp.eye(p, dtype=problem.dtype, device=problem.device)
    damping = 0.0
    while True:
        try:
            return PositiveFactor(Z + (damping * D) * eye if damping else Z).solve(y)
        except NotPositiveDefiniteError:
            damping = 10 * damping if damping else 16 * p * eps
