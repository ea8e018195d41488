r"""A network of agents inside one process, which counts what a real one would send.

Letters: N the agents, X of shape (N, size) their points, :math:`\bar x` the mean of its rows, W the
mixing matrix, :math:`\lambda_2` its second largest eigenvalue.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from skopt_dl.engine import State
from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.linops.mixing import Mixing

BITS = 8


@dataclass
class AgentState(State):
    """Adds the points of the agents and the network between them.

    Attributes
    ----------
    X : array of shape (N, size)
        A row an agent; ``w`` is their mean.
    network : Network
        With the counts of rounds and bytes.
    """

    X: Any = None
    network: Any = None

    def gather(self, problem: Any) -> None:
        """``w`` and the measures of the points as they are: no agent sends anything for them."""
        self.w = problem.xp.mean(self.X, axis=0)
        self.measures = self.network.measure(self.X)


class Network:
    """Neighbours that exchange messages in rounds.

    In a round every agent sends one message to each of its neighbours. What is counted is the
    numbers in it, at the size of their type, or the bits of a vote, in whole bytes.

    Parameters
    ----------
    mixing : Mixing
        Graph and weights.
    problem : Problem
        Says namespace, type and device of the numbers.

    Attributes
    ----------
    rounds, bytes_sent : int
        Rounds so far, and the bytes of all messages of all agents together.
    """

    def __init__(self, mixing: Mixing, problem: Any) -> None:
        xp = problem.xp
        self.mixing, self.n_agents = mixing, mixing.n_agents
        self.W = xp.asarray(mixing.matrix, dtype=problem.dtype, device=problem.device)
        self.itemsize = xp.finfo(problem.dtype).bits // BITS
        self.rounds = self.bytes_sent = 0

    def difference(self, A: Any, numbers: int | None = None) -> Any:
        """``W A - A``, along the first axis: one round.

        ``numbers`` is how many an agent sends to a neighbour, where that is less than a row has
        (a symmetric matrix).
        """
        xp = namespace_of(A)
        flat = xp.reshape(A, (self.n_agents, -1))
        self.rounds += 1
        sent = flat.shape[1] if numbers is None else numbers
        self.bytes_sent += 2 * len(self.mixing.edges) * sent * self.itemsize
        return xp.reshape(self._pull(flat), A.shape)

    def mix(self, A: Any, numbers: int | None = None) -> Any:
        """``W A``, along the first axis: one round; rows that are equal stay as they are."""
        return A + self.difference(A, numbers)

    def _pull(self, flat: Any) -> Any:
        # Of differences, as W - 1 has no share in what all have in common: rounding is then as
        # small as the disagreement, and does not add up once there is none.
        D = flat - flat[:1, :]
        return self.W @ D - D

    def vote(self, S: Any) -> Any:
        """The sign of the sum of the rows of ``S``, signs themselves: what every agent learns.

        Tallies go up a spanning tree and the result comes down it, one step a round. A tally of v
        agents is one of 2v + 1 numbers for each coordinate.
        """
        xp, tree, size = namespace_of(S), self.mixing.tree(), S.shape[1]
        below = dict.fromkeys(range(self.n_agents), 1)
        for agent, parent, _ in tree:
            tally = math.ceil(math.log2(2 * below[agent] + 1))
            self.bytes_sent += -(-size * tally // BITS) + -(-size * 2 // BITS)
            below[parent] += below[agent]
        self.rounds += 2 * max((steps for _, _, steps in tree), default=0)
        return xp.sign(xp.sum(S, axis=0))

    def largest(self, A: Any) -> Any:
        """The largest entry of each column of ``A``: what every agent learns.

        Up and down the same tree, a number for each coordinate and step.
        """
        xp, tree = namespace_of(A), self.mixing.tree()
        self.bytes_sent += 2 * len(tree) * A.shape[1] * self.itemsize
        self.rounds += 2 * max((steps for _, _, steps in tree), default=0)
        return xp.max(A, axis=0)

    def measure(self, X: Any) -> dict[str, Any]:
        r"""Counts, and how far the agents are apart.

        ``consensus_error`` is the root of the mean of :math:`|x_i - \bar x|^2`. ``consensus_bound``
        is never below it: the same root of :math:`|x_i - (W X)_i|^2`, which neighbours know, over
        :math:`1 - \lambda_2`.
        """
        xp = namespace_of(X)
        D = X - X[:1, :]
        apart = xp.sum((D - xp.mean(D, axis=0)) ** 2) / self.n_agents
        between = xp.sum(self._pull(X) ** 2) / self.n_agents
        return {
            "rounds": self.rounds,
            "bytes_sent": self.bytes_sent,
            "consensus_error": xp.sqrt(apart),
            "consensus_bound": xp.sqrt(between) / (1 - self.mixing.second),
        }


def network_of(solver: Any, problem: Any) -> Network:
    """The network that the solver's ``graph`` and ``n_agents`` describe; no agent is without a
    sample.

    Raises
    ------
    ValueError
        Naming the class and the parameter.
    """
    n_agents = solver.n_agents
    if isinstance(n_agents, int):
        n_agents = min(n_agents, problem.n_samples)
    try:
        return Network(Mixing(solver.graph, n_agents), problem)
    except ValueError as error:
        raise ValueError(f"{type(solver).__name__}: {error}") from error


def split_samples(solver: Any, problem: Any, n_agents: int) -> list[Any]:
    """The samples of each agent, as index arrays of the problem.

    Raises
    ------
    ValueError
        If the solver's ``split`` is unknown.
    """
    xp, n, N = problem.xp, problem.n_samples, n_agents
    if solver.split == "interleaved":
        return [xp.arange(i, n, N, device=problem.device) for i in range(N)]
    if solver.split == "blocks":
        cuts = [i * n // N for i in range(N + 1)]
        return [xp.arange(cuts[i], cuts[i + 1], device=problem.device) for i in range(N)]
    raise ValueError(
        f"{type(solver).__name__}: split={solver.split!r}, but it must be 'interleaved' or 'blocks'"
    )


def alike(problem: Any, w: Any, n_agents: int) -> Any:
    """The point ``w`` for every agent."""
    return problem.xp.stack([w] * n_agents)


def step_of(solver: Any, automatic: float) -> float:
    """The solver's ``step``; "auto" is ``automatic``.

    Raises
    ------
    ValueError
        If it is neither "auto" nor a positive number.
    """
    step = solver.step
    if isinstance(step, str) and step == "auto":
        return automatic
    if isinstance(step, int | float) and not isinstance(step, bool) and 0 < step < math.inf:
        return float(step)
    raise ValueError(
        f"{type(solver).__name__}: step={step!r}, but it must be 'auto' or a number > 0"
    )
