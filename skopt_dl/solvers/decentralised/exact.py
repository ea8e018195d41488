r"""Decentralised gradient methods whose constant step ends at the optimum of all samples.

Letters: X the points of the N agents, a row each, :math:`X^-` those before, G the gradients of
their own objectives there (each at its own point), :math:`\Delta G = G - G^-`, W the mixing matrix
with eigenvalues from :math:`\lambda_N` to 1, :math:`\tilde W = (I + W)/2`, t the step, L a bound of
the Lipschitz constants of all agents' gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.linops.mixing import Graph
from skopt_dl.solvers.decentralised.base import ExactSolver, ExactState
from skopt_dl.solvers.decentralised.network import step_of

# Of the longest step that is stable: by the proofs, or where all agents are alike.
SHARE = 0.9


@dataclass
class TrackedState(ExactState):
    """Adds what the agents remember.

    Attributes
    ----------
    before, G : arrays of shape (N, size)
        The last points and the gradients there.
    Y : array of shape (N, size)
        The sum of the corrections, of `EXTRA`; the tracked gradients of `GradientTracking`.
    """

    before: Any = None
    G: Any = None
    Y: Any = None


class EXTRA(ExactSolver):
    """Gradient steps whose error of a constant step cancels from one iteration to the next.

    .. math::

        X^+ = \\tilde W (2X - X^-) - t\\, \\Delta G

    from :math:`X^1 = W X^0 - t G^0`. With a prox, and the points Y before it:

    .. math::

        Y^+ = Y - X + \\tilde W (2X - X^-) - t\\, \\Delta G, \\qquad
        X^+ = \\operatorname{prox}_{t \\Omega}(Y^+)

    Needs gradients of parts of the samples, and a prox of the penalty and a convex objective, or a
    smooth objective.

    Parameters
    ----------
    graph : {"ring", "torus", "complete", "random"} or Graph
        Who speaks with whom; `skopt_dl.linops.mixing` has their classes.
    n_agents : int
        Agents, among which the samples are split; no more than there are samples.
    split : {"interleaved", "blocks"}
        Agent i has the samples i, i + N, i + 2N ...; or consecutive ones, so that sorted data make
        the agents very different.
    step : float or "auto"
        "auto" is nine tenths of what the proofs allow: :math:`0.9 (1 + \\lambda_N)/L`, and
        :math:`1.8/L` with ``adapt_first``.
    adapt_first : bool
        Mix after the step: :math:`X^+ = \\tilde W (2X - X^- - t\\, \\Delta G)`, known as NIDS and
        as exact diffusion. The step it bears, below :math:`2/L`, depends on no graph.

    Notes
    -----
    One round an iteration, in which each agent sends a point to each neighbour. The answer is the
    mean of the agents' points. `SolveReport.history` has the columns ``rounds``, ``bytes_sent``,
    ``consensus_error`` and ``consensus_bound``. A penalty with a gradient is part of each agent's
    objective; any other gets a prox (PG-EXTRA). Where the objective is not convex (networks,
    matrix completion) it ends at a stationary point, and L is twice the largest curvature met at
    the start: a shorter ``step`` helps where that is not enough.

    References
    ----------
    W. Shi, Q. Ling, G. Wu, W. Yin, "EXTRA: an exact first-order algorithm for decentralized
    consensus optimization", SIAM J. Optim. 25 (2015), and "A proximal gradient algorithm for
    decentralized composite optimization", IEEE Trans. Signal Process. 63 (2015); Z. Li, W. Shi,
    M. Yan, "A decentralized proximal-gradient method with network independent step-sizes and
    separated convergence rates", IEEE Trans. Signal Process. 67 (2019); without convexity: M. Hong,
    D. Hajinezhad, M. Zhao, "Prox-PDA: the proximal primal-dual algorithm for fast distributed
    nonconvex optimization and learning over networks", ICML 2017.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.AGENTS, Oracle.PROX, Trait.CONVEX).or_else(
        Needs.of(Oracle.AGENTS, Trait.SMOOTH)
    )
    default_max_iter: ClassVar[int] = 100_000
    chunk: ClassVar[int] = 5

    def __init__(
        self,
        *,
        graph: str | Graph = "ring",
        n_agents: int = 4,
        split: str = "interleaved",
        step: float | str = "auto",
        adapt_first: bool = False,
    ) -> None:
        self.graph, self.n_agents, self.split = graph, n_agents, split
        self.step, self.adapt_first = step, adapt_first

    def _state(self, **known: Any) -> TrackedState:
        return TrackedState(**known)

    def _start(self, problem: Any, state: TrackedState) -> None:
        s, bound = state, 2.0 if self.adapt_first else 1 + state.network.mixing.last
        s.step = s.unit = step_of(self, SHARE * bound / s.agents.lipschitz)
        s.before, s.G = s.X, problem.xp.zeros_like(s.X)
        s.Y = s.G

    def _iterate(self, problem: Any, state: TrackedState) -> None:
        s = state
        G = s.agents.gradients(s.X)
        ahead = 2 * s.X - s.before
        if self.adapt_first:
            ahead = ahead - s.step * (G - s.G)
        # Y is X^- - t G^- plus a correction, the sum of all (W~ - 1)(2X - X^-) so far. That sum is
        # kept, not Y: its mean is zero but for rounding of the disagreement.
        s.Y = s.Y + s.network.difference(ahead) / 2
        X = s.X - s.step * G + s.Y
        s.before, s.G, s.X = s.X, G, X if s.agents.smooth else _prox(problem, X, s.step)


def _prox(problem: Any, Y: Any, step: float) -> Any:
    return problem.xp.stack([problem.prox(Y[i, :], step) for i in range(Y.shape[0])])


class GradientTracking(ExactSolver):
    """Each agent follows an estimate of the gradient of all samples, renewed by its neighbours.

    .. math::

        X^+ = W (X - t\\, Y), \\qquad Y^+ = W (Y + G^+ - G)

    from :math:`Y^0 = G^0`. The mean of the rows of Y is that of G in every iteration.

    Needs gradients of parts of the samples and a smooth objective.

    Parameters
    ----------
    graph, n_agents, split
        As for `EXTRA`.
    step : float or "auto"
        "auto" is nine tenths of the longest that is stable where all agents have the same quadratic
        objective, at most :math:`1/L`: :math:`0.9 (1 + \\lambda_N)^2/(2\\lambda_N^2 L)`, and
        :math:`0.9 (1 + \\lambda_N)^2/(2L)` without ``adapt_first``.
    adapt_first : bool
        False mixes before the steps, :math:`X^+ = W X - t\\, Y` and :math:`Y^+ = W Y + G^+ - G`
        (DIGing): one round an iteration instead of two, with the same numbers in it.

    Notes
    -----
    On the complete graph it is gradient descent with step t. Answer, history and L as for `EXTRA`.
    The steps that are proved to converge whatever the agents have are far shorter than the
    automatic one, of which a solve ends with a warning should it ever diverge.

    References
    ----------
    J. Xu, S. Zhu, Y. Soh, L. Xie, "Augmented distributed gradient methods for multi-agent
    optimization under uncoordinated constant stepsizes", CDC 2015; A. Nedić, A. Olshevsky, W. Shi,
    "Achieving geometric convergence for distributed optimization over time-varying graphs", SIAM J.
    Optim. 27 (2017); G. Qu, N. Li, "Harnessing smoothness to accelerate distributed optimization",
    IEEE Trans. Control Netw. Syst. 5 (2018).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.AGENTS, Trait.SMOOTH)
    default_max_iter: ClassVar[int] = 100_000
    chunk: ClassVar[int] = 5

    def __init__(
        self,
        *,
        graph: str | Graph = "ring",
        n_agents: int = 4,
        split: str = "interleaved",
        step: float | str = "auto",
        adapt_first: bool = True,
    ) -> None:
        self.graph, self.n_agents, self.split = graph, n_agents, split
        self.step, self.adapt_first = step, adapt_first

    def _state(self, **known: Any) -> TrackedState:
        return TrackedState(**known)

    def _start(self, problem: Any, state: TrackedState) -> None:
        s = state
        s.step = s.unit = step_of(self, self._stable(s.network.mixing.last) / s.agents.lipschitz)
        s.G = s.Y = s.agents.gradients(s.X)

    def _stable(self, last: float) -> float:
        bound = SHARE * (1 + last) ** 2 / 2
        if not self.adapt_first:
            return bound
        return min(1.0, bound / last**2) if last else 1.0

    def _iterate(self, problem: Any, state: TrackedState) -> None:
        xp, s, size = problem.xp, state, problem.size
        if self.adapt_first:
            s.X = s.network.mix(s.X - s.step * s.Y)
            G = s.agents.gradients(s.X)
            s.Y = s.network.mix(s.Y + G - s.G)
        else:
            both = s.network.mix(xp.concat([s.X, s.Y], axis=1))
            s.X = both[:, :size] - s.step * s.Y
            G = s.agents.gradients(s.X)
            s.Y = both[:, size:] + G - s.G
        s.G = G
