"""What a linear problem offers to methods that draw its samples."""

from __future__ import annotations

import copy
from typing import Any

from skopt_dl.engine import Oracle, Trait, offers
from skopt_dl.linops import along_rows
from skopt_dl.problems.agents import Agents, shards_of
from skopt_dl.problems.curvature import sample_curvature
from skopt_dl.problems.dual import DualModel
from skopt_dl.problems.kronecker import LinearKronecker
from skopt_dl.problems.reasons import (
    no_dual_coordinates,
    no_factors,
    no_lipschitz,
    no_sample_curvature,
    no_smooth_loss,
)
from skopt_dl.problems.samples import SampleModel


class BySamples:
    """The oracles of a `LinearProblem` that read samples."""

    @offers(Oracle.SAMPLE_GRAD, lacks=no_smooth_loss)
    def sample_grad(self: Any, w: Any, index: Any) -> tuple[Any, Any]:
        """Value and gradient of the mean over the samples ``index``, unbiased for the loss term.

        A smooth penalty is included; one without a gradient is left to the prox.
        """
        value, *batch = self.on_batch(w, index)
        return value, self.batch_grad(w, *batch)

    def batch_grad(self: Any, w: Any, rows: Any, y: Any, omega: Any, z: Any) -> Any:
        """The gradient at ``w`` on rows with these targets, weights and predictions."""
        grad = self.flat(rows.rmatvec(along_rows(omega, self.loss.slope(y, z))))
        return grad + self.on_coef(self.penalty.grad, w) if Trait.SMOOTH in self.traits else grad

    @offers(Oracle.KRONECKER, lacks=no_factors)
    def kronecker(self: Any, w: Any, index: Any) -> LinearKronecker:
        """The Fisher matrix on the samples ``index`` as the Kronecker product of one layer."""
        return LinearKronecker(self, w, index)

    @offers(Oracle.SAMPLE_VALUE, lacks=no_smooth_loss)
    def sample_value(self: Any, w: Any, index: Any) -> Any:
        """The value that `sample_grad` has the gradient of."""
        return self.on_batch(w, index)[0]

    @offers(Oracle.SAMPLE_LOSSES)
    def sample_losses(self: Any, w: Any) -> Any:
        """The loss of each sample, shape ``(n,)``, without weights and penalty."""
        return self.loss.value(self.y, self.predict_raw(w))

    @offers(Oracle.TARGETS)
    def with_targets(self: Any, change: Any) -> Any:
        """This problem with the targets ``change(y)``, of the same shape; all else is shared.

        Where the intercept is eliminated the targets are what is left of them without their mean,
        and so are the new ones.
        """
        other = copy.copy(self)
        other.y = change(self.y)
        if self.centred:
            other.y = other.y - self.omega @ other.y
        # What is remembered of the other targets.
        other._known, other._at_zero, other._units = None, None, {}
        return other

    @offers(Oracle.SAMPLE_CURVATURE, lacks=no_sample_curvature)
    def sample_curvature(self: Any, w: Any, index: Any, memory: Any = None) -> Any:
        """Diagonal of the Hessian of what `sample_value` returns, shape ``(size,)``."""
        return sample_curvature(self, w, *self.on_batch(w, index)[1:])

    def on_batch(self: Any, w: Any, index: Any) -> tuple[Any, Any, Any, Any, Any]:
        """Value of the samples ``index``; their rows, targets, weights and predictions."""
        xp = self.xp
        rows = self.map.take_rows(index)
        y = xp.take(self.y, index, axis=0)
        omega = xp.take(self.omega, index) * (self.n_samples / index.shape[0])
        z = rows.matvec(self.matrix(w))
        value = omega @ self.loss.value(y, z)
        if Trait.SMOOTH in self.traits:
            value = value + self.nonsmooth_value(w)
        return value, rows, y, omega, z

    @offers(Oracle.SAMPLE_SLOPES, lacks=no_lipschitz)
    def samples(self: Any, w: Any) -> SampleModel:
        """The objective seen by samples; its ``write_back`` brings ``w`` up to date."""
        return SampleModel(self, w)

    @offers(Oracle.AGENTS, lacks=no_lipschitz)
    def agents(self: Any, parts: Any, w: Any) -> Agents:
        """The mean over agents that the objective is, agent i with the samples ``parts[i]``.

        Its constants are those of every point, not only of the start ``w``.
        """
        return Agents(self, parts)

    def shards(self: Any, parts: Any) -> list[tuple[float, Any]]:
        """See `skopt_dl.problems.agents.shards_of`."""
        return shards_of(self, parts)

    @offers(Oracle.DUAL_COORDS, lacks=no_dual_coordinates)
    def dual_coordinates(self: Any, w: Any) -> DualModel:
        """The dual objective seen by samples; its ``primal`` is the point that goes with it."""
        return DualModel(self, w)
