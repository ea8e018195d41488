r"""Stochastic gradients in the metric of a sketched curvature; variance-reduced quasi-Newton steps.

Letters: w the iterate, g the gradient on a batch, :math:`\tilde w` the snapshot and
:math:`\tilde g` the gradient of the objective there, P the metric, :math:`\eta` the learning rate.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.linops.quasi_newton import InverseHessian
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, curvature_step
from skopt_dl.solvers.stochastic.metrics import warm_length
from skopt_dl.solvers.stochastic.quasi_newton import averaged_pair
from skopt_dl.solvers.stochastic.sketch import SketchState, reduced, sketch, solve


class SketchySGD(StochasticSolver):
    """Stochastic gradients in the metric of a sketched curvature (SketchySGD).

    .. math::

        w \\leftarrow w - \\eta\\, P^{-1} g_B, \\qquad P = \\hat H_S + \\rho I

    with the randomised Nyström approximation :math:`\\hat H_S` of the Gauss-Newton matrix of a
    sample, renewed every ``refresh`` epochs.

    Needs gradients and Gauss-Newton products on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate : float or "auto"
        "auto" is half of what the steepest direction of a batch allows in the metric, found anew
        with each sketch.
    rank : int
        Random directions of the sketch, at least 1.
    regularization : float
        :math:`\\rho`, positive, relative to the largest eigenvalue of all sketches so far: where
        the loss flattens, the curvature says nothing of the way out.
    refresh : int
        Epochs between two sketches, at least 1.
    schedule, batch_size, shuffle, max_grad_norm, average
        As for `SGD`.

    Notes
    -----
    A much smaller regularization lets the noise of batches grow in flat directions.

    References
    ----------
    Z. Frangella, P. Rathore, S. Zhao, M. Udell, "SketchySGD: reliable stochastic optimization via
    randomized curvature estimates", SIAM J. Math. Data Sci. 6 (2024).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Oracle.SAMPLE_GGN, Trait.SMOOTH)

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        rank: int = 10,
        regularization: float = 1e-2,
        refresh: int = 2,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.rank, self.regularization, self.refresh = rank, regularization, refresh
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> SketchState:
        return SketchState(w=w)

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return 1.0

    def _step(self, problem: Any, state: SketchState, g: Any) -> None:
        g = problem.xp.asarray(g, copy=True)
        sketch(self, problem, state)
        state.w = state.w - (state.rate * state.length) * solve(state, g)


class SVRGLBFGS(StochasticSolver):
    """Variance-reduced gradients through the curvature pairs of `SQN`.

    .. math::

        w \\leftarrow w - \\eta H \\big(g_B(w) - g_B(\\tilde w) + \\tilde g\\big)

    Needs a gradient of the whole objective, gradients and Hessian products on batches of samples
    and a smooth objective.

    Parameters
    ----------
    learning_rate : float or "auto"
        "auto" is half of what the steepest direction of a batch allows in the metric of the pairs,
        found anew with each pair.
    memory : int
        Pairs kept; 0 is SVRG on batches.
    pair_every, hessian_size : int
        As for `SQN`.
    snapshot_every : int
        Epochs between two snapshots, at least 1. A snapshot is a pass of its own.
    batch_size : int or "auto"
        As for `SGD`; by default half of what "auto" is.
    shuffle, average
        As for `SGD`.

    Notes
    -----
    The noise of a batch vanishes with the distance to the snapshot, and what limits the steps is
    how well few pairs describe the curvature: many pairs and many short batches pay. The authors
    take batches of 20, pairs of 200 samples and a memory of 10.

    A snapshot with a higher objective than the one before, which costs nothing to see, sends the
    iterate back there, without pairs and with steps half as long.

    References
    ----------
    P. Moritz, R. Nishihara, M. Jordan, "A linearly-convergent stochastic L-BFGS algorithm", AISTATS
    2016.
    """

    needs: ClassVar[Needs] = Needs.of(
        Oracle.GRAD, Oracle.SAMPLE_GRAD, Oracle.SAMPLE_HVP, Trait.SMOOTH
    )
    decreases: ClassVar = "never"
    schedule = "constant"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        memory: int = 40,
        pair_every: int = 10,
        hessian_size: int = 300,
        snapshot_every: int = 1,
        batch_size: int | str = 100,
        shuffle: bool = True,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.memory = learning_rate, memory
        self.pair_every, self.hessian_size = pair_every, hessian_size
        self.snapshot_every, self.batch_size = snapshot_every, batch_size
        self.shuffle, self.average = shuffle, average

    def _start(self, problem: Any, w: Any) -> SketchState:
        step, _ = curvature_step(problem, w, self.batch_size)
        return SketchState(w=w, H=InverseHessian(max(1, self.memory), first=step))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return 1.0

    def _step(self, problem: Any, state: SketchState, g: Any) -> None:
        before = state.snapshot, state.full, state.value
        g = reduced(self, problem, state, g)
        if state.snapshot is not before[0] and not _as_low(problem, state.value, before[2]):
            g = self._back(state, *before)
        if self.learning_rate == "auto" and state.fresh_epoch < 0:
            state.fresh_epoch = state.n_iter
            state.length, state.steepest = warm_length(
                problem, state.w, state.batch[0], state.H.apply, state.steepest
            )
        state.w = state.w - (state.caution * state.rate * state.length) * state.H.apply(g)
        averaged_pair(self, problem, state)

    def _back(self, state: SketchState, w: Any, full: Any, value: float) -> Any:
        """To the snapshot before, with shorter steps and none of the pairs since."""
        state.w, state.snapshot, state.full, state.value = w, w, full, value
        state.caution /= 2
        state.H.clear()
        state.fresh_epoch, state.steepest = -1, None
        # As if the iterates of this pair so far had been there.
        gone = (state.n_updates - 1) % self.pair_every
        state.total, state.last_mean = gone * w if gone else None, None
        return full


def _as_low(problem: Any, value: float, before: float) -> bool:
    """Whether ``value`` is no higher than ``before``, but for rounding."""
    blur = 10 * float(problem.xp.finfo(problem.dtype).eps) * abs(before)
    return value <= before + (blur if math.isfinite(before) else 0.0)
