r"""Gradients that come late: descent by workers who do not wait for each other, simulated.

Letters: w the parameters at the server, g a worker's gradient, r the sum of squares, :math:`\eta`
the learning rate, t the update.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.adagrad import SumState
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver
from skopt_dl.solvers.stochastic.rates import summed_rate


@dataclass
class LateState(SumState):
    """Adds the parameters that the workers have fetched, the oldest first."""

    fetched: deque[Any] = field(default_factory=deque)


class Downpour(StochasticSolver):
    """Downpour SGD: AdaGrad at a server, with gradients of parameters that workers fetched before.

    .. math::

        g_t = \\nabla F_{B_t}(w_{t-s}), \\qquad r \\leftarrow r + g_t^2, \\qquad
        w \\leftarrow w - \\eta \\frac{g_t}{\\sqrt{r} + \\varepsilon}

    with :math:`s` one less than there are workers.

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    n_workers : int
        Workers that push and fetch in turn: while one computes, the others' gradients arrive. With
        one it is `AdaGrad`.
    learning_rate, epsilon, schedule, batch_size, shuffle, average
        As for `AdaGrad`.

    Notes
    -----
    What lateness costs is what is simulated, in one process and in the same order in every run; it
    saves no time here. Late gradients bear shorter steps: where a run diverges take a smaller rate,
    or fewer workers. `Hogwild` shares memory for real, `skopt_dl.problems.ShardedProblem` shares
    out synchronous gradients.

    References
    ----------
    J. Dean et al., "Large scale distributed deep networks", NIPS 2012.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    decreases: ClassVar = "never"

    def __init__(
        self,
        *,
        n_workers: int = 4,
        learning_rate: float | str = "auto",
        epsilon: float = 1e-10,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        average: str | Average | None = None,
    ) -> None:
        self.n_workers, self.learning_rate = n_workers, learning_rate
        self.epsilon, self.schedule = epsilon, schedule
        self.batch_size, self.shuffle, self.average = batch_size, shuffle, average

    def _start(self, problem: Any, w: Any) -> LateState:
        n = self.n_workers
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            raise ValueError(f"Downpour: n_workers={n!r}, but it must be an integer >= 1")
        return LateState(w=w, r=problem.xp.zeros_like(w))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return summed_rate(problem, w, self.batch_size) / self.n_workers

    def _step(self, problem: Any, state: LateState, g: Any) -> None:
        copy = problem.xp.asarray
        if not state.fetched:
            # All begin with the parameters of the start.
            others = (copy(state.w, copy=True) for _ in range(self.n_workers - 1))
            state.fetched.extend(others)
        problem.kernels.adagrad_update(state.w, g, state.r, state.rate, self.epsilon)
        # This worker fetches, in place of what it had; the one who fetched first is the next to
        # push.
        if state.at is None:
            state.at = copy(state.w, copy=True)
        else:
            state.at[...] = state.w
        state.fetched.append(state.at)
        state.at = state.fetched.popleft()
