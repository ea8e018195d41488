r"""Decentralised methods that step along gradients of the agents' own samples, or batches of them.

Letters: X the points of the N agents, a row each, G the gradients of their own objectives there, W
the mixing matrix, :math:`\eta` the learning rate. Agent i's objective is the mean over its samples,
times its share of all samples in units of 1/N, so that the mean over the agents is that of all.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from skopt_dl.engine import Needs, Oracle, Problem, Solver, Status, Trait
from skopt_dl.linops.mixing import Graph
from skopt_dl.search.schedules import Schedule, schedule_of
from skopt_dl.solvers.decentralised.network import AgentState, alike, network_of, split_samples
from skopt_dl.solvers.descent import check_choice
from skopt_dl.solvers.stochastic.base import curvature_step
from skopt_dl.solvers.stochastic.rates import coordinate_rate
from skopt_dl.solvers.stochastic.sampling import batch_size, on_device, reshuffled


@dataclass
class GossipState(AgentState):
    """Adds the samples of the agents, the rate and the source of the permutations.

    Attributes
    ----------
    orders : list of index arrays
        The samples of each agent, as its next epoch visits them.
    places : list of arrays of int
        Permutations of these, on the host; empty where all samples are seen at once.
    shares : list of float
        N times the agent's share of the samples.
    rate, initial_rate : float
        Learning rate of the next updates, and the one it started from.
    schedule : Schedule
        Changes the rate between epochs.
    n_updates, n_batches : int
        Updates done, and those of an epoch.
    loss : float or 0-d array
        Mean of the agents' batch values over the last epoch.
    bound : array of shape (size,), optional
        The largest gradient of the agents in each coordinate, of `MajorityVote`.
    """

    rng: Any = None
    orders: Any = None
    places: Any = None
    shares: Any = None
    rate: float = 0.0
    initial_rate: float = 0.0
    schedule: Schedule | None = None
    n_updates: int = 0
    n_batches: int = 1
    loss: Any = math.nan
    bound: Any = None


class GossipSolver(Solver):
    """Epochs in which each agent visits its own samples. A subclass says how the agents move.

    Attributes
    ----------
    batch_size : int, "auto" or None
        Samples of an agent's batch; ``None`` is all that it has.
    decreases : {"never", "noise", "always"}
        When ``schedule="auto"`` lowers an automatic rate on a linear model, as for
        `StochasticSolver`.
    """

    unit: ClassVar = "epoch"
    default_max_iter: ClassVar[int] = 1000
    decreases: ClassVar[Literal["never", "noise", "always"]]

    graph: str | Graph
    n_agents: int
    split: str
    learning_rate: float | str
    schedule: str | Schedule
    batch_size: int | str | None

    @abstractmethod
    def _auto_rate(self, problem: Any, state: GossipState, size: int) -> float:
        """The rate that ``learning_rate="auto"`` stands for, with batches of ``size`` samples."""

    @abstractmethod
    def _step(self, problem: Any, state: Any, gradients: Any) -> None:
        """One update of ``state.X``; ``gradients(X)`` are those of the present batches."""

    def init(self, problem: Any, w: Any, rng: Any) -> GossipState:
        rate, name = self.learning_rate, type(self).__name__
        automatic = isinstance(rate, str) and rate == "auto"
        number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if not automatic and not (number and 0 < rate < math.inf):  # type: ignore[operator]
            raise ValueError(
                f"{name}: learning_rate={rate!r}, but it must be 'auto' or a number > 0"
            )
        network = network_of(self, problem)
        parts = split_samples(self, problem, network.n_agents)
        lengths = [part.shape[0] for part in parts]
        n, N, most = problem.n_samples, network.n_agents, max(lengths)
        size = most if self.batch_size is None else batch_size(self.batch_size, most)
        # Every agent makes as many updates as the others, so none has an empty batch.
        n_batches = min(-(-most // size), *lengths)
        lowers = self.decreases == "always" or (self.decreases == "noise" and n_batches > 1)
        decreasing = automatic and lowers and Trait.LINEAR_MODEL in problem.traits
        schedule = self.schedule
        if schedule == "auto":
            schedule = "decreasing" if decreasing else "constant"
        state = GossipState(w=w, X=alike(problem, w, N), network=network, rng=rng, orders=parts)
        state.schedule = schedule_of(schedule)
        state.initial_rate = self._auto_rate(problem, state, size) if automatic else float(rate)
        state.rate = state.schedule.after_epoch(state.initial_rate, state.initial_rate, 0, 0)
        state.shares = [N * length / n for length in lengths]
        state.n_batches = n_batches
        if self.batch_size is not None:
            state.places = [problem.kernels.index_range(length) for length in lengths]
        return state

    def advance(self, problem: Problem, state: GossipState, n: int) -> Status:
        xp, s, rate = problem.xp, state, state.rate
        done, before = s.n_updates, xp.mean(s.X, axis=0)
        for _ in range(n):
            self._epoch(problem, s)
        s.gather(problem)
        updates = s.n_updates - done
        s.indicator = xp.max(xp.abs(s.w - before)) / (rate * updates) if rate else 0.0
        return Status.RUNNING

    def _epoch(self, problem: Any, s: GossipState) -> None:
        xp, seen, total = problem.xp, s.orders, 0.0
        if s.places is not None:
            s.places = [reshuffled(place, s.rng) for place in s.places]
            pairs = zip(s.orders, s.places, strict=True)
            seen = [xp.take(order, on_device(problem, place)) for order, place in pairs]
        for k in range(s.n_batches):
            batches = []
            for part in seen:
                low, high = (j * part.shape[0] // s.n_batches for j in (k, k + 1))
                batches.append(part[low:high])

            def gradients(X: Any, batches: Any = batches) -> Any:
                nonlocal total
                rows = []
                for i, batch in enumerate(batches):
                    value, g = problem.sample_grad(X[i, :], batch)
                    total = total + value * s.shares[i]
                    # A new array: a problem may overwrite the one it has returned.
                    rows.append(s.shares[i] * g)
                return xp.stack(rows)

            self._step(problem, s, gradients)
            s.n_updates += 1
        s.loss = total / (s.network.n_agents * s.n_batches)
        s.n_iter += 1
        s.n_epochs += 1
        s.rate = s.schedule.after_epoch(  # type: ignore[union-attr]
            s.initial_rate, s.rate, s.n_iter, s.n_iter * problem.n_samples
        )


def _gossip_step(problem: Any, s: GossipState, gradients: Any, adapt_first: bool) -> None:
    if adapt_first:
        s.X = s.network.mix(s.X - s.rate * gradients(s.X))
    else:
        s.X = s.network.mix(s.X) - s.rate * gradients(s.X)


def _stable_rate(problem: Any, s: GossipState, size: int, adapt_first: bool) -> float:
    """Half of what is stable: (1 + smallest eigenvalue of W) / L, or 2/L if steps come first."""
    step = curvature_step(problem, s.w, size)[0]
    return step if adapt_first else step * min(1.0, 1 + s.network.mixing.last)


class DGD(GossipSolver):
    """Decentralised gradient descent: average with the neighbours, step along the own gradient.

    .. math:: X^+ = W X - \\eta\\, G

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    graph : {"ring", "torus", "complete", "random"} or Graph
        Who speaks with whom; `skopt_dl.linops.mixing` has their classes.
    n_agents : int
        Agents, among which the samples are split; no more than there are samples.
    split : {"interleaved", "blocks"}
        Agent i has the samples i, i + N, i + 2N ...; or consecutive ones, so that sorted data make
        the agents very different.
    learning_rate : float or "auto"
        "auto" is :math:`(1 + \\lambda_N)/(2L)` with the smallest eigenvalue :math:`\\lambda_N` of W
        and the largest curvature L that batches of an agent's size show, half of what is stable;
        and :math:`1/(2L)` with ``adapt_first``.
    schedule : str or Schedule
        How the rate changes from epoch to epoch; "auto" is "constant".
    adapt_first : bool
        Average after the step, :math:`X^+ = W (X - \\eta G)` (diffusion); on the complete graph
        that is gradient descent.

    Notes
    -----
    A constant rate does not end at the optimum: the agents stop at the minimum of
    :math:`\\sum_i f_i(x_i) + \\tfrac{1}{2\\eta} \\sum_{ij} W_{ij} |x_i - x_j|^2 / 2`, in a
    distance of each other and of the optimum that is proportional to the rate. `EXTRA` and
    `GradientTracking` have no such bias; a decreasing rate removes it slowly. One round an
    iteration. The answer is the mean of the agents' points; `SolveReport.history` has the columns
    ``rounds``, ``bytes_sent``, ``consensus_error`` and ``consensus_bound``.

    References
    ----------
    A. Nedić, A. Ozdaglar, "Distributed subgradient methods for multi-agent optimization", IEEE
    Trans. Automat. Control 54 (2009); K. Yuan, Q. Ling, W. Yin, "On the convergence of
    decentralized gradient descent", SIAM J. Optim. 26 (2016); F. Cattivelli, A. Sayed, "Diffusion
    LMS strategies for distributed estimation", IEEE Trans. Signal Process. 58 (2010).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    decreases: ClassVar = "never"
    batch_size = None

    def __init__(
        self,
        *,
        graph: str | Graph = "ring",
        n_agents: int = 4,
        split: str = "interleaved",
        learning_rate: float | str = "auto",
        schedule: str | Schedule = "auto",
        adapt_first: bool = False,
    ) -> None:
        self.graph, self.n_agents, self.split = graph, n_agents, split
        self.learning_rate, self.schedule, self.adapt_first = learning_rate, schedule, adapt_first

    def _auto_rate(self, problem: Any, state: GossipState, size: int) -> float:
        return _stable_rate(problem, state, size, self.adapt_first)

    def _step(self, problem: Any, state: GossipState, gradients: Any) -> None:
        _gossip_step(problem, state, gradients, self.adapt_first)


class DPSGD(GossipSolver):
    """Decentralised parallel SGD: as `DGD`, with gradients on batches of the agents' samples.

    .. math:: X^+ = W X - \\eta\\, G

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    graph, n_agents, split, learning_rate, adapt_first
        As for `DGD`.
    schedule : str or Schedule
        How the rate changes from epoch to epoch; "auto" is "decreasing" for a linear model whose
        rate is automatic too and whose agents see more than one batch in an epoch, else "constant".
    batch_size : int or "auto"
        Samples of an agent's batch; "auto" is at most 200. All agents make equally many updates in
        an epoch, so batches may be larger by a few samples.

    Notes
    -----
    Each agent permutes its samples before each epoch. A round for each update. Answer and history
    as for `DGD`.

    References
    ----------
    X. Lian, C. Zhang, H. Zhang, C.-J. Hsieh, W. Zhang, J. Liu, "Can decentralized algorithms
    outperform centralized algorithms? A case study for decentralized parallel stochastic gradient
    descent", NIPS 2017.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    decreases: ClassVar = "noise"

    def __init__(
        self,
        *,
        graph: str | Graph = "ring",
        n_agents: int = 4,
        split: str = "interleaved",
        learning_rate: float | str = "auto",
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        adapt_first: bool = False,
    ) -> None:
        self.graph, self.n_agents, self.split = graph, n_agents, split
        self.learning_rate, self.schedule = learning_rate, schedule
        self.batch_size, self.adapt_first = batch_size, adapt_first

    def _auto_rate(self, problem: Any, state: GossipState, size: int) -> float:
        return _stable_rate(problem, state, size, self.adapt_first)

    def _step(self, problem: Any, state: GossipState, gradients: Any) -> None:
        _gossip_step(problem, state, gradients, self.adapt_first)


class MajorityVote(GossipSolver):
    """Sign descent by a vote: each coordinate moves as most agents' gradients say.

    .. math::

        x \\leftarrow x - \\eta \\operatorname{sign}\\Big(\\sum_i s_i\\Big), \\qquad
        s_i = \\operatorname{sign}(g_i + b\\, u_i)

    with b the largest :math:`|g_i|` of all agents in each coordinate, of the first update of an
    epoch, and independent :math:`u_i` from the uniform distribution on [-1, 1]: the expectation of
    a vote is :math:`g_i / b`, so votes point where the mean of the gradients does. Agents that
    agree, and a single one, vote by the sign.

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    graph, n_agents, split, batch_size
        As for `DPSGD`.
    learning_rate : float or "auto"
        "auto" is 0.001 for a network, and for a linear model the largest coordinate of a stable
        gradient step at the start.
    schedule : str or Schedule
        As for `DPSGD`, but "decreasing" also with one batch: the steps do not shrink by themselves.
    votes : {"random", "sign"}
        "sign" has no u, the rule of the first two references.

    Notes
    -----
    All agents are at the same point always. Votes are added on their way up a spanning tree of
    least depth and the result comes down it: two rounds for each step of its depth, which on the
    complete graph is the server of the paper. A coordinate of a gradient that is exactly zero
    abstains, where the paper has votes of one bit: v votes take one of 2v + 1 numbers, so
    :math:`\\lceil \\log_2(2v + 1) \\rceil` bits, and the result two.

    The bound b comes in the same way, as floating numbers, two rounds for each step of the depth
    once an epoch.

    With ``votes="sign"`` the path does not depend on the scale of any agent's gradient, so no
    single agent can spoil it. The price: it ends where the median of the agents' gradients
    vanishes, not their mean. Agents whose samples are unlike, or few, end away from the optimum.

    References
    ----------
    J. Bernstein, Y. Wang, K. Azizzadenesheli, A. Anandkumar, "signSGD: compressed optimisation for
    non-convex problems", ICML 2018; J. Bernstein, J. Zhao, K. Azizzadenesheli, A. Anandkumar,
    "signSGD with majority vote is communication efficient and fault tolerant", ICLR 2019; X. Chen,
    T. Chen, H. Sun, Z. S. Wu, M. Hong, "Distributed training with heterogeneous data: bridging
    median- and mean-based algorithms", NeurIPS 2020; R. Jin, Y. Huang, X. He, H. Dai, T. Wu,
    "Stochastic-sign SGD for federated learning with theoretical guarantees" (2020).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    decreases: ClassVar = "always"

    def __init__(
        self,
        *,
        graph: str | Graph = "ring",
        n_agents: int = 4,
        split: str = "interleaved",
        learning_rate: float | str = "auto",
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        votes: Literal["random", "sign"] = "random",
    ) -> None:
        self.graph, self.n_agents, self.split = graph, n_agents, split
        self.learning_rate, self.schedule = learning_rate, schedule
        self.batch_size, self.votes = batch_size, votes

    def _auto_rate(self, problem: Any, state: GossipState, size: int) -> float:
        check_choice(self, "votes", ("random", "sign"))
        return coordinate_rate(problem, state.w, size)

    def _step(self, problem: Any, state: GossipState, gradients: Any) -> None:
        xp, G = problem.xp, gradients(state.X)
        if self.votes == "random":
            if state.n_updates % state.n_batches == 0:
                state.bound = state.network.largest(xp.abs(G))
            noise = state.rng.uniform(-1, 1, G.shape)
            G = G + state.bound * xp.asarray(noise, dtype=G.dtype, device=problem.device)
        state.X = state.X - state.rate * state.network.vote(xp.sign(G))
