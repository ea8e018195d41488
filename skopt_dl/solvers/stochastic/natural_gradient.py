r"""The natural gradient on batches: the gradient in the metric of the model's own Fisher matrix.

Letters: w the iterate, g the gradient on a batch, F the Fisher matrix there, :math:`\lambda` the
damping, :math:`\eta` the learning rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.truncated import residual_below, truncated_cg
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState
from skopt_dl.solvers.stochastic.metrics import sample_of, stable_length

# How exactly the system is solved, relative to the gradient.
INNER = 1e-2


@dataclass
class NaturalState(StochasticState):
    """Adds the length that a batch allows, and when it was measured."""

    length: float = 1.0
    fresh_epoch: int = -1


class NaturalGradient(StochasticSolver):
    """Natural gradient descent with the true Fisher matrix, by conjugate gradients.

    .. math::

        w \\leftarrow w - \\eta\\,(F_S + \\lambda I)^{-1} g_B, \\qquad
        F = E_{y \\sim p_w}\\big[\\nabla \\log p_w(y)\\, \\nabla \\log p_w(y)'\\big]

    Needs gradients and Gauss-Newton products on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate : float or "auto"
        "auto" is half of what the steepest direction of a batch allows in the metric, found anew
        once an epoch.
    damping : float
        :math:`\\lambda`, positive.
    fisher_size : int
        Samples in S, drawn anew for each step, at least 1; never fewer than the batch has, nor more
        than there are.
    max_inner : int
        Products per step at most.
    schedule, batch_size, shuffle, max_grad_norm, average
        As for `SGD`.

    Notes
    -----
    The expectation is over targets of the model, not over those of the data: it has a closed form
    for the losses here, whose Gauss-Newton matrix it is. The "empirical" Fisher matrix, of the
    data's own gradients, is another one, and no curvature away from a perfect fit.

    S is not B: a matrix and a gradient of the same few samples depend on each other, so that
    :math:`(F_B + \\lambda I)^{-1} g_B` has another mean than zero at the optimum, and the method a
    bias that no rate removes.

    References
    ----------
    S. Amari, "Natural gradient works efficiently in learning", Neural Comput. 10 (1998); J.
    Martens, "New insights and perspectives on the natural gradient method", JMLR 21 (2020); F.
    Kunstner, L. Balles, P. Hennig, "Limitations of the empirical Fisher approximation for natural
    gradient descent", NeurIPS 2019.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Oracle.SAMPLE_GGN, Trait.SMOOTH)

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        damping: float = 0.1,
        fisher_size: int = 256,
        max_inner: int = 50,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.damping, self.fisher_size, self.max_inner = damping, fisher_size, max_inner
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> NaturalState:
        for name in ("damping", "fisher_size", "max_inner"):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"NaturalGradient: {name}={getattr(self, name)!r}, but it must be positive"
                )
        return NaturalState(w=w)

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return 1.0

    def _step(self, problem: Any, state: NaturalState, g: Any) -> None:
        g = problem.xp.asarray(g, copy=True)
        index = state.batch[0]
        size = max(self.fisher_size, index.shape[0])
        product = problem.sample_ggn(state.w, sample_of(problem, state.rng, size))

        def solve(v: Any) -> Any:
            goal = INNER * to_float(problem.xp.linalg.vector_norm(v))
            return -truncated_cg(
                lambda d: product(d) + self.damping * d,
                v,
                stop=residual_below(goal),
                max_iter=self.max_inner,
            ).s

        if self.learning_rate == "auto" and state.fresh_epoch != state.n_iter:
            state.fresh_epoch = state.n_iter
            state.length = stable_length(problem, state.w, index, solve)
        state.w = state.w - (state.rate * state.length) * solve(g)
