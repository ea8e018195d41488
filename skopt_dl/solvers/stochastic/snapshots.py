r"""Batches corrected by a snapshot: variance reduction for any mean over samples.

Letters: w the iterate, :math:`g_B` the gradient on a batch B, :math:`\tilde w` the snapshot,
:math:`\eta` the learning rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import (
    StochasticSolver,
    StochasticState,
    clipped,
    curvature_step,
)
from skopt_dl.solvers.stochastic.sampling import batch_size, batches, on_device


@dataclass
class SnapshotState(StochasticState):
    """Adds the snapshot and the gradient of all samples there."""

    snapshot: Any = None
    mean_grad: Any = None


class BatchSVRG(StochasticSolver):
    """SVRG on batches: stochastic steps whose noise vanishes with the distance to a snapshot.

    .. math:: w \\leftarrow w - \\eta \\big(g_B(w) - g_B(\\tilde w) + g(\\tilde w)\\big)

    with the snapshot renewed every m epochs.

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `SGD`. The automatic schedule is constant: the noise vanishes by itself.
    snapshot_every : int
        m, epochs between two snapshots, at least 1.

    Notes
    -----
    An update costs two gradients, a snapshot one of all samples. `SVRG` is the form for linear
    models, which keeps one slope a sample instead. The gradient of all samples is the mean of those
    of the batches, so that with batches of all samples this is gradient descent.

    References
    ----------
    R. Johnson, T. Zhang, "Accelerating stochastic gradient descent using predictive variance
    reduction", NIPS 2013; S. Reddi, A. Hefny, S. Sra, B. Póczos, A. Smola, "Stochastic variance
    reduction for nonconvex optimization", ICML 2016.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)
    decreases: ClassVar = "never"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        snapshot_every: int = 1,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.snapshot_every = snapshot_every
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> SnapshotState:
        return SnapshotState(w=w)

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return curvature_step(problem, w, self.batch_size)[0]

    def _step(self, problem: Any, state: SnapshotState, g: Any) -> None:
        xp, n = problem.xp, problem.n_samples
        size = batch_size(self.batch_size, n)
        snapshot_due = (state.n_updates - 1) % (self.snapshot_every * -(-n // size)) == 0
        if snapshot_due:
            if state.snapshot is None:
                state.snapshot, state.mean_grad = xp.zeros_like(state.w), xp.zeros_like(state.w)
            state.snapshot[...] = state.w
        # At once: the problem overwrites its gradient with the next one.
        update = problem.kernels.gradient_update
        update(state.w, g, state.rate)
        if snapshot_due:
            state.mean_grad[...] = 0
            for index in batches(on_device(problem, problem.kernels.index_range(n)), size):
                share = index.shape[0] / n
                update(state.mean_grad, problem.sample_grad(state.snapshot, index)[1], -share)
        there = problem.sample_grad(state.snapshot, state.batch[0])[1]
        there = clipped(xp, there, self.max_grad_norm, state.spare)
        update(state.w, there, -state.rate)
        update(state.w, state.mean_grad, state.rate)
