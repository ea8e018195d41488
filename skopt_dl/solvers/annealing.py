r"""Simulated annealing: random moves, uphill ones too while it is hot.

Letters: w the chain's point, w' a proposal, F the objective, T the temperature, k the moves tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, isfinite, log
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Problem, Solver, State, Status
from skopt_dl.kernels.namespace import to_float


@dataclass
class ChainState(State):
    """Adds the chain: ``w`` is the best point that it has visited.

    Attributes
    ----------
    chain : array of shape (size,)
        Where the chain is.
    energy, best : float
        The objective there, and at ``w``.
    rng : Generator or RandomState
        Source of proposals and decisions.
    n_accepted : int
        Moves made.
    """

    chain: Any = None
    energy: float = 0.0
    best: float = 0.0
    rng: Any = None
    n_accepted: int = 0


class SimulatedAnnealing(Solver):
    """Metropolis moves at a temperature that falls.

    .. math::

        w' = w + s z, \\qquad
        w \\leftarrow w' \\text{ with probability } \\min\\big(1, e^{-(F(w') - F(w)) / T_k}\\big),
        \\qquad T_k = \\frac{T}{\\ln(e + k)}

    Needs values of the objective, which every problem has.

    Parameters
    ----------
    temperature : float
        T, positive, in units of the objective.
    cooling : {"logarithmic", "none"}
        Whether the temperature falls; with a constant one the chain is distributed like
        :math:`\\exp(-F / T)`.
    scale : float
        s, positive: the length of a move in each coordinate.
    propose : callable, optional
        ``propose(w, rng) -> w'`` instead of normal moves; as likely to go from one point to
        another as back.

    Notes
    -----
    The answer is the best point visited. Logarithmic cooling is what convergence in probability to
    the global minimum asks for; it is slow. For networks, noise on gradients
    (`skopt_dl.solvers.stochastic.noise`) does the same with more knowledge.

    References
    ----------
    S. Kirkpatrick, C. Gelatt, M. Vecchi, "Optimization by simulated annealing", Science 220 (1983);
    B. Hajek, "Cooling schedules for optimal annealing", Math. Oper. Res. 13 (1988).
    """

    needs: ClassVar[Needs] = Needs.of()
    default_max_iter: ClassVar[int] = 10_000
    chunk: ClassVar[int] = 100

    def __init__(
        self,
        *,
        temperature: float = 1.0,
        cooling: str = "logarithmic",
        scale: float = 0.1,
        propose: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        self.temperature, self.cooling = temperature, cooling
        self.scale, self.propose = scale, propose

    def init(self, problem: Problem, w: Any, rng: Any) -> ChainState:
        for name in ("temperature", "scale"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and isfinite(value) and value > 0):
                raise ValueError(f"SimulatedAnnealing: {name}={value!r}, but it must be > 0")
        if self.cooling not in ("logarithmic", "none"):
            raise ValueError(
                f"SimulatedAnnealing: cooling={self.cooling!r}, but it must be 'logarithmic' or "
                "'none'"
            )
        energy = to_float(problem.value(w))
        copy = problem.xp.asarray(w, copy=True)
        return ChainState(w=w, chain=copy, energy=energy, best=energy, rng=rng)

    def advance(self, problem: Problem, state: ChainState, n: int) -> Status:
        for _ in range(n):
            heat = self.temperature
            if self.cooling == "logarithmic":
                heat /= log(exp(1) + state.n_iter)
            proposed = self._proposal(problem, state)
            energy = to_float(problem.value(proposed))
            rise = energy - state.energy
            # A draw for every move, needed or not: the path depends on the seed alone.
            draw = float(state.rng.uniform())
            if rise <= 0 or draw < exp(-rise / heat):
                state.chain, state.energy = proposed, energy
                state.n_accepted += 1
            if state.energy < state.best:
                state.w, state.best = state.chain, state.energy
            state.n_iter += 1
        return Status.RUNNING

    def _proposal(self, problem: Problem, state: ChainState) -> Any:
        if self.propose is not None:
            return self.propose(state.chain, state.rng)
        z = state.rng.standard_normal(problem.size)
        xp = problem.xp
        return state.chain + self.scale * xp.asarray(z, dtype=problem.dtype, device=problem.device)
