r"""Adafactor: a second moment that is the product of one number a row and one a column.

Letters: w the iterate and W one of its matrices, g and G the gradient there, R and C the means of
the squares of its rows and columns, v the mean square of what is no matrix, U the update,
:math:`\eta` the learning rate, t the number of updates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState
from skopt_dl.solvers.stochastic.rates import coordinate_rate

# A block at zero moves by relative steps as if its entries were of this size.
LEAST = 1e-3


@dataclass
class FactorState(StochasticState):
    """Adds the mean squares by the names of the blocks (of rows and columns, or of all entries) and
    memory for an update."""

    rows: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    v: dict[str, Any] = field(default_factory=dict)
    move: Any = None


class Adafactor(StochasticSolver):
    """Adafactor: adaptive steps whose memory is the sum of a matrix's sides, not their product.

    .. math::

        R &\\leftarrow \\beta_t R + (1 - \\beta_t)\\, \\operatorname{mean}_{\\text{row}}
        (G^2 + \\varepsilon), \\qquad C \\text{ likewise by columns}, \\qquad
        \\beta_t = 1 - t^{-\\gamma} \\\\
        U &= G \\Big/ \\sqrt{\\tfrac{R\\, C}{\\operatorname{mean}(R)}}, \\qquad
        W \\leftarrow W - \\eta \\frac{U}{\\max(1, \\operatorname{rms}(U) / d)}

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `SignSGD`: the update of a block has a root mean square of at most the rate.
    decay_power : float
        :math:`\\gamma`, in (0, 1]: how fast the means forget less.
    epsilon : float
        Added to the squares, positive.
    max_rms : float
        d, positive: a longer update is shortened.
    relative : bool
        Multiply the rate by the root mean square of the block itself, at least 0.001 (the paper's
        choice for rates like 0.01).

    Notes
    -----
    Blocks that are no matrix (all of a linear model) keep the mean square of every entry. There is
    neither momentum nor a decay of weights.

    References
    ----------
    N. Shazeer, M. Stern, "Adafactor: adaptive learning rates with sublinear memory cost", ICML
    2018.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    decreases: ClassVar = "always"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        decay_power: float = 0.8,
        epsilon: float = 1e-30,
        max_rms: float = 1.0,
        relative: bool = False,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.decay_power, self.epsilon, self.max_rms = decay_power, epsilon, max_rms
        self.relative = relative
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> FactorState:
        if not self.epsilon > 0:
            raise ValueError(f"Adafactor: epsilon={self.epsilon!r}, but it must be positive")
        xp, state = problem.xp, FactorState(w=w, move=problem.xp.zeros_like(w))
        for name, part in problem.blocks.items():
            if name in problem.shapes:
                G = xp.reshape(w[part], problem.shapes[name])
                state.rows[name] = xp.zeros_like(G[:, :1])
                state.columns[name] = xp.zeros_like(G[:1, :])
            else:
                state.v[name] = xp.zeros_like(w[part])
        return state

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: FactorState, g: Any) -> None:
        xp = problem.xp
        decay = 1 - state.n_updates**-self.decay_power
        for name, part in problem.blocks.items():
            own = g[part]
            if own.shape[0] == 0:
                continue
            if name in problem.shapes:
                shape = problem.shapes[name]
                U = problem.kernels.factored_scale(
                    xp.reshape(own, shape),
                    state.rows[name],
                    state.columns[name],
                    decay,
                    self.epsilon,
                    xp.reshape(state.move[part], shape),
                )
                U = xp.reshape(U, (-1,))
            else:
                problem.kernels.mean_update(state.v[name], own * own + self.epsilon, decay)
                U = own / xp.sqrt(state.v[name])
            rate = state.rate / xp.clip(_rms(xp, U) / self.max_rms, 1, None)
            if self.relative:
                rate = rate * xp.clip(_rms(xp, state.w[part]), LEAST, None)
            before = state.w[part]
            problem.kernels.gradient_update(before, U, rate)
            state.w[part] = before


def _rms(xp: Any, a: Any) -> Any:
    return xp.sqrt((a @ a) / a.shape[0])
