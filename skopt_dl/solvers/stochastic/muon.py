r"""Muon: the matrices of a model move along the polar factor of their momentum.

Letters: W a matrix, G its gradient on a batch, B its running mean, O an (almost) orthogonal matrix,
:math:`\eta` the learning rate, :math:`\mu` the momentum, m and v Adam's moments of the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.adam_variants import corrections
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState
from skopt_dl.solvers.stochastic.matrices import the_rest
from skopt_dl.solvers.stochastic.rates import coordinate_rate

# The authors' 0.02 is for long runs with a schedule that ends at 0; updates of a fixed length need
# a shorter one where the rate stays.
MUON_RATE = 0.005


@dataclass
class MuonState(StochasticState):
    """Adds the running mean of the gradients, the moments of the blocks that are no matrix, and
    memory to work in."""

    b: Any = None
    move: Any = None
    work: Any = None
    m: dict[str, Any] = field(default_factory=dict)
    v: dict[str, Any] = field(default_factory=dict)


class Muon(StochasticSolver):
    """Muon on the matrices of a model, AdamW on the rest.

    .. math::

        B &\\leftarrow \\mu B + (1 - \\mu) G, \\qquad
        O = \\operatorname{polar}\\big((1 - \\mu) G + \\mu B\\big) \\\\
        W &\\leftarrow (1 - \\eta \\lambda) W - \\eta \\sqrt{\\max(1, \\tfrac{\\text{rows}}
        {\\text{columns}})}\\; O

    Needs gradients on batches of samples, a smooth objective and matrices among the parameters.

    Parameters
    ----------
    learning_rate : float or "auto"
        Initial rate, about the largest singular value of a change; "auto" is 0.005 for a network,
        and for a linear model the largest coordinate of a stable gradient step at the start.
    momentum : float
        :math:`\\mu`, in [0, 1).
    n_steps : int
        Newton-Schulz steps of the polar factor, at least 1.
    weight_decay : float
        :math:`\\lambda`, non-negative; it acts on every parameter, as in `AdamW`.
    other_rate : float
        AdamW's rate on the rest as a share of the rate, positive.
    beta_1, beta_2, epsilon : float
        AdamW's parameters.
    schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`.

    Notes
    -----
    Five steps of the quintic iteration leave singular values between about 0.7 and 1.15 instead of
    1, which is enough and cheap; very small ones of a momentum stay small. Every matrix takes part,
    the first and the last layer of a network too; the polar factor of a linear model's one column
    is its direction. PyTorch's rounds to bfloat16 inside; here the polar factor has the precision
    of the data.

    References
    ----------
    K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; J. Bernstein,
    L. Newhouse, "Old optimizer, new norm: an anthology", 2024.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH, Trait.MATRICES)
    # Steps do not shrink with the gradient.
    decreases: ClassVar = "always"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        momentum: float = 0.95,
        n_steps: int = 5,
        weight_decay: float = 0.0,
        other_rate: float = 1.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.momentum, self.n_steps, self.weight_decay = momentum, n_steps, weight_decay
        self.other_rate, self.beta_1, self.beta_2 = other_rate, beta_1, beta_2
        self.epsilon = epsilon
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> MuonState:
        if self.momentum == 1:
            raise ValueError("Muon: momentum=1, but it must be a number >= 0 and < 1")
        zeros = problem.xp.zeros_like
        rest = the_rest(problem)
        return MuonState(
            w=w,
            b=zeros(w),
            move=zeros(w),
            work=problem.kernels.matrix_workspace(w, problem.shapes.values()),
            m={name: zeros(w[part]) for name, part in rest.items()},
            v={name: zeros(w[part]) for name, part in rest.items()},
        )

    def _auto_rate(self, problem: Any, w: Any) -> float:
        if Trait.LINEAR_MODEL not in problem.traits:
            return MUON_RATE
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: MuonState, g: Any) -> None:
        xp, kernels, mu, w = problem.xp, problem.kernels, self.momentum, state.w
        if self.weight_decay:
            w *= 1 - state.rate * self.weight_decay
        kernels.mean_update(state.b, g, mu)
        state.move[...] = state.b
        kernels.mean_update(state.move, g, mu)
        for name, (rows, columns) in problem.shapes.items():
            part = problem.blocks[name]
            own, G = w[part], xp.reshape(state.move[part], (rows, columns))
            O = kernels.orthogonalised(G, self.n_steps, state.work)  # noqa: E741
            length = state.rate * math.sqrt(max(1.0, rows / columns))
            kernels.gradient_update(own, xp.reshape(O, (-1,)), length)
            w[part] = own
        step = self.other_rate * state.rate * corrections(self.beta_1, self.beta_2, state.n_updates)
        for name, part in the_rest(problem).items():
            own = w[part]
            kernels.adam_update(
                own,
                g[part],
                state.m[name],
                state.v[name],
                step,
                self.beta_1,
                self.beta_2,
                self.epsilon,
            )
            w[part] = own
