r"""Variance-reduced gradients in the metric of a sketched curvature, with and without a prox.

Letters: w the iterate, :math:`g_B` the gradient of the loss on a batch, :math:`\tilde w` the
snapshot and :math:`\tilde g` the gradient of all samples there, P the metric, :math:`\Omega` the
penalty, :math:`\eta` the learning rate.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.scaled_prox import scaled_prox
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver
from skopt_dl.solvers.stochastic.sketch import SketchState, reduced, sketch, solve


class SketchedSVRG(StochasticSolver):
    """Gradients corrected by a snapshot, in the metric of a sketch. A subclass says where a step
    ends."""

    decreases: ClassVar = "never"
    schedule = "constant"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        rank: int = 10,
        regularization: float = 1e-3,
        refresh: int = 2,
        snapshot_every: int = 2,
        batch_size: int | str = "auto",
        shuffle: bool = True,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.rank = learning_rate, rank
        self.regularization, self.refresh = regularization, refresh
        self.snapshot_every, self.batch_size = snapshot_every, batch_size
        self.shuffle, self.average = shuffle, average

    def _start(self, problem: Any, w: Any) -> SketchState:
        return SketchState(w=w)

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return 1.0

    def _step(self, problem: Any, state: SketchState, g: Any) -> None:
        g = reduced(self, problem, state, g)
        sketch(self, problem, state)
        step = state.rate * state.length
        state.w = self._end(problem, state, state.w - step * solve(state, g), step)

    @abstractmethod
    def _end(self, problem: Any, state: SketchState, v: Any, step: float) -> Any:
        """The new iterate, where the gradient leads to ``v``."""


class PROMISE(SketchedSVRG):
    """Variance-reduced gradients in the metric of a sketched curvature (PROMISE's SketchySVRG).

    .. math::

        w \\leftarrow w - \\eta\\, P^{-1}\\big(g_B(w) - g_B(\\tilde w) + \\tilde g\\big)

    with P as for `SketchySGD`, and the snapshot renewed every ``snapshot_every`` epochs.

    Needs a gradient of the whole objective, gradients and Gauss-Newton products on batches of
    samples and a smooth objective.

    Parameters
    ----------
    learning_rate, rank, regularization, refresh, batch_size, shuffle, average
        As for `SketchySGD`.
    snapshot_every : int
        Epochs between two snapshots, at least 1. A snapshot is a pass of its own.

    Notes
    -----
    The noise of a step vanishes with the distance to the snapshot, so the rate need not: the
    iterates converge linearly on a strongly convex objective. `SAPPHIRE` is the same for penalties
    with a prox.

    References
    ----------
    Z. Frangella, P. Rathore, S. Zhao, M. Udell, "PROMISE: preconditioned stochastic optimization
    methods by incorporating scalable curvature estimates", JMLR 25 (2024).
    """

    needs: ClassVar[Needs] = Needs.of(
        Oracle.GRAD, Oracle.SAMPLE_GRAD, Oracle.SAMPLE_GGN, Trait.SMOOTH
    )

    def _end(self, problem: Any, state: SketchState, v: Any, step: float) -> Any:
        return v


class SAPPHIRE(SketchedSVRG):
    """`PROMISE` with a prox in the same metric (SAPPHIRE).

    .. math::

        v &= w - \\eta\\, P^{-1}\\big(g_B(w) - g_B(\\tilde w) + \\tilde g\\big) \\\\
        w &\\leftarrow \\operatorname{argmin}_z\\ \\Omega(z) + \\tfrac1{2\\eta} (z - v)' P (z - v),
        \\qquad P = \\hat H_S + \\rho I

    with the randomised Nyström approximation :math:`\\hat H_S` of the Gauss-Newton matrix of a
    sample.

    Needs gradients and Gauss-Newton products of the loss on batches of samples, a gradient of the
    smooth part, a prox of the penalty and a convex objective.

    Parameters
    ----------
    learning_rate, rank, regularization, refresh, snapshot_every, batch_size, shuffle, average
        As for `PROMISE`.

    Notes
    -----
    The prox is found by a Newton method in ``rank`` dual variables, up to rounding; the authors
    take accelerated gradient steps. With a smooth objective there is no prox to take: this is
    `PROMISE`.

    References
    ----------
    J. Sun, Z. Frangella, M. Udell, "SAPPHIRE: preconditioned stochastic variance reduction for
    faster large-scale statistical learning" (2025); S. Becker, J. Fadili, P. Ochs, "On quasi-Newton
    forward-backward splitting: proximal calculus and convergence", SIAM J. Optim. 29 (2019).
    """

    needs: ClassVar[Needs] = Needs.of(
        Oracle.SMOOTH_GRAD, Oracle.PROX, Oracle.SAMPLE_GRAD, Oracle.SAMPLE_GGN, Trait.CONVEX
    )

    def _end(self, problem: Any, state: SketchState, v: Any, step: float) -> Any:
        if Trait.SMOOTH in problem.traits:
            return v
        B = state.U * problem.xp.sqrt(state.values)
        bounded = Trait.CONSTRAINED in problem.traits
        value = (lambda z: 0.0) if bounded else problem.nonsmooth_value
        z = scaled_prox(problem.prox, value, v, step, B, state.shift, near=state.w)
        # Rounding may have left the set.
        return problem.prox(z, 1.0) if bounded else z
