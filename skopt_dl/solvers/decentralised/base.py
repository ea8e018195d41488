r"""What the exact decentralised methods share: iterations that are passes, and how they report.

Letters: X the points of the N agents, a row each, L a bound of the Lipschitz constants of their
gradients.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from skopt_dl.engine import Problem, Solver, Status
from skopt_dl.linops.mixing import Graph
from skopt_dl.solvers.decentralised.network import (
    AgentState,
    alike,
    network_of,
    split_samples,
)


@dataclass
class ExactState(AgentState):
    """Adds what answers for the agents.

    Attributes
    ----------
    agents : Agents
        Answers for their gradients.
    step : float
        The length of a step, as the method means it.
    unit : float
        What a change of the mean point is divided by to be a gradient.
    """

    agents: Any = None
    step: float = 1.0
    unit: float = 1.0


class ExactSolver(Solver):
    """Agents with gradients of their own that end at the optimum of all samples."""

    graph: str | Graph
    n_agents: int
    split: str

    @abstractmethod
    def _start(self, problem: Any, state: Any) -> None:
        """Complete the ``state``, which has network, agents and points."""

    @abstractmethod
    def _iterate(self, problem: Any, state: Any) -> None:
        """One iteration in place."""

    @abstractmethod
    def _state(self, **known: Any) -> Any:
        """The method's own kind of state."""

    def init(self, problem: Any, w: Any, rng: Any) -> Any:
        network = network_of(self, problem)
        agents = problem.agents(split_samples(self, problem, network.n_agents), w)
        X = alike(problem, w, network.n_agents)
        state = self._state(w=w, X=X, network=network, agents=agents)
        self._start(problem, state)
        return state

    def advance(self, problem: Problem, state: Any, n: int) -> Status:
        xp, s = problem.xp, state
        for _ in range(n):
            last = s.X
            self._iterate(problem, s)
            s.n_iter += 1
            s.n_epochs += 1
        s.gather(problem)
        # A gradient: that of the mean point differs from the agents' mean by their distances at
        # most.
        moved = xp.max(xp.abs(xp.mean(s.X - last, axis=0))) / s.unit
        s.indicator = moved + s.agents.lipschitz * s.measures["consensus_error"]
        return Status.RUNNING
