r"""Graphs of agents and the averages that neighbours form: doubly stochastic matrices.

Metropolis weights need no more than the degrees of two neighbours:

.. math::

    W_{ij} = \frac{1}{1 + \max(d_i, d_j)} \text{ on the edges}, \qquad
    W_{ii} = 1 - \sum_{j \ne i} W_{ij}

(L. Xiao, S. Boyd, S.-J. Kim, "Distributed average consensus with least-mean-square deviation",
J. Parallel Distrib. Comput. 67 (2007)). On the complete graph one product is the average itself.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any

import numpy as np

from skopt_dl.engine.settings import Settings

Edge = tuple[int, int]

# Draws of a random graph before it is said to be hardly ever connected.
DRAWS = 1000


class Graph(Settings, ABC):
    """Who is whose neighbour, for any number of agents. Subclass it for a graph of your own."""

    @abstractmethod
    def edges(self, n_agents: int) -> set[Edge]:
        """Pairs ``(i, j)`` with ``i < j``."""


class Ring(Graph):
    """Each agent between two others."""

    def edges(self, n_agents: int) -> set[Edge]:
        return _edges((i, (i + 1) % n_agents) for i in range(n_agents))


class Torus(Graph):
    """A grid of rows and columns, as square as the number of agents allows, closed both ways."""

    def edges(self, n_agents: int) -> set[Edge]:
        rows = next(r for r in range(math.isqrt(n_agents), 0, -1) if n_agents % r == 0)
        columns = n_agents // rows
        if rows == 1:
            raise ValueError(
                f"graph='torus': n_agents={n_agents} is no product of two numbers above 1; take "
                "another number, or graph='ring'"
            )
        right = (
            (r * columns + c, r * columns + (c + 1) % columns) for r, c in _grid(rows, columns)
        )
        down = ((r * columns + c, (r + 1) % rows * columns + c) for r, c in _grid(rows, columns))
        return _edges(right) | _edges(down)


class Complete(Graph):
    """Everyone is everyone's neighbour."""

    def edges(self, n_agents: int) -> set[Edge]:
        return {(i, j) for i in range(n_agents) for j in range(i + 1, n_agents)}


class RandomGraph(Graph):
    """Each pair are neighbours with the same probability; drawn anew until it is connected.

    Parameters
    ----------
    probability : float
        Of an edge, in (0, 1].
    seed : int
        Of the draws: the same graph each time.

    References
    ----------
    E. Gilbert, "Random graphs", Ann. Math. Statist. 30 (1959).
    """

    def __init__(self, *, probability: float = 0.5, seed: int = 0) -> None:
        self.probability, self.seed = probability, seed

    def edges(self, n_agents: int) -> set[Edge]:
        if not 0 < self.probability <= 1:
            raise ValueError(
                f"RandomGraph: probability={self.probability!r}, but it must be above 0 and at "
                "most 1"
            )
        rng = np.random.default_rng(self.seed)
        pairs = sorted(Complete().edges(n_agents))
        for _ in range(DRAWS):
            drawn = rng.random(len(pairs)) < self.probability
            edges = {pair for pair, taken in zip(pairs, drawn, strict=True) if taken}
            if len(distances(edges, n_agents, 0)) == n_agents:
                return edges
        raise ValueError(
            f"RandomGraph: probability={self.probability!r} connects {n_agents} agents hardly "
            f"ever: none of {DRAWS} draws did; take a larger one"
        )


GRAPHS: dict[str, type[Graph]] = {
    "ring": Ring,
    "torus": Torus,
    "complete": Complete,
    "random": RandomGraph,
}


def graph_of(setting: Any) -> Graph:
    """The graph that ``setting`` names, or is.

    Raises
    ------
    ValueError
        With the known names.
    """
    if isinstance(setting, Graph):
        return setting
    if setting not in GRAPHS:
        known = ", ".join(map(repr, GRAPHS))
        raise ValueError(f"graph={setting!r}: expected {known} or a Graph")
    return GRAPHS[setting]()


def distances(edges: set[Edge], n_agents: int, root: int) -> dict[int, tuple[int, int | None]]:
    """``{agent: (steps from root, the neighbour one step nearer)}`` of all that can be reached."""
    neighbours: list[list[int]] = [[] for _ in range(n_agents)]
    for i, j in sorted(edges):
        neighbours[i].append(j)
        neighbours[j].append(i)
    found: dict[int, tuple[int, int | None]] = {root: (0, None)}
    front = [root]
    while front:
        ahead = []
        for i in front:
            for j in neighbours[i]:
                if j not in found:
                    found[j] = (found[i][0] + 1, i)
                    ahead.append(j)
        front = ahead
    return found


def metropolis(edges: set[Edge], n_agents: int) -> np.ndarray:
    """The weights of the module's head, a symmetric doubly stochastic matrix in float64."""
    degree = np.zeros(n_agents, dtype=int)
    for pair in edges:
        degree[list(pair)] += 1
    W = np.zeros((n_agents, n_agents))
    for i, j in edges:
        W[i, j] = W[j, i] = 1 / (1 + max(degree[i], degree[j]))
    W[np.diag_indices(n_agents)] = 1 - W.sum(axis=1)
    return W


class Mixing:
    """A connected graph of agents with its Metropolis weights.

    Parameters
    ----------
    graph : str or Graph
        "ring", "torus", "complete", "random" or an instance.
    n_agents : int
        Agents, at least 1.

    Attributes
    ----------
    edges : set of (int, int)
        Pairs of neighbours.
    matrix : numpy array of shape (n_agents, n_agents)
        W.
    second, last : float
        The second largest and the smallest eigenvalue of W.
    gap : float
        ``1 - max(|second|, |last|)``: what a product leaves of a disagreement is at most
        ``1 - gap`` times as long.
    """

    def __init__(self, graph: Any, n_agents: int) -> None:
        if not isinstance(n_agents, Integral) or isinstance(n_agents, bool) or n_agents < 1:
            raise ValueError(f"n_agents={n_agents!r}: expected an integer >= 1")
        self.n_agents: int = int(n_agents)
        self.edges: set[Edge] = graph_of(graph).edges(self.n_agents)
        if len(distances(self.edges, self.n_agents, 0)) < self.n_agents:
            raise ValueError(f"graph={graph!r} does not connect all of the {n_agents} agents")
        self.matrix: np.ndarray = metropolis(self.edges, self.n_agents)
        values = np.linalg.eigvalsh(self.matrix)
        self.second: float = float(values[-2]) if self.n_agents > 1 else 0.0
        self.last: float = float(values[0]) if self.n_agents > 1 else 0.0
        self.gap: float = 1 - max(abs(self.second), abs(self.last))

    def tree(self) -> list[tuple[int, int, int]]:
        """A spanning tree of least depth, leaves first: ``(agent, parent, steps to the root)``."""
        found = min(
            (distances(self.edges, self.n_agents, root) for root in range(self.n_agents)),
            key=lambda reached: max(steps for steps, _ in reached.values()),
        )
        rows = [(i, parent, steps) for i, (steps, parent) in found.items() if parent is not None]
        return sorted(rows, key=lambda row: -row[2])


def _edges(pairs: Any) -> set[Edge]:
    """Ordered pairs, without loops and without doubles (a ring of two has one edge)."""
    return {(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}


def _grid(rows: int, columns: int) -> list[tuple[int, int]]:
    return [(r, c) for r in range(rows) for c in range(columns)]
