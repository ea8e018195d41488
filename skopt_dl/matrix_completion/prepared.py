"""Training data in the form that the problems take: units, mean, precision, threads."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any, Self

from joblib import effective_n_jobs
from sklearn.exceptions import ConvergenceWarning

from skopt_dl._sklearn.base import outside
from skopt_dl.kernels.namespace import to_float
from skopt_dl.matrix_completion.observed import ObservedMatrix
from skopt_dl.matrix_completion.robust import weighted_median
from skopt_dl.matrix_completion.training import Training


@dataclass(frozen=True)
class Prepared:
    """The entries of a fit.

    Attributes
    ----------
    training : Training
        As given.
    observed : ObservedMatrix
        The entries in units of their columns, in the precision of the fit.
    scale : array of shape (n,)
        The units.
    mean : float
        Weighted mean of the entries in these units; for a robust loss their median.
    """

    training: Training
    observed: ObservedMatrix
    scale: Any
    mean: float

    @classmethod
    def of(cls, training: Training, estimator: Any) -> Self:
        """By the estimator's parameters ``scale``, ``dtype``, ``loss`` and ``n_jobs``."""
        observed = training.observed
        if estimator.dtype is not None:
            observed = observed.converted(estimator.dtype)
        scale = observed.xp.ones_like(observed.col_weight)
        if estimator.scale:
            scale = observed.column_deviations()
            observed = observed.divided(scale)
        observed.n_threads = effective_n_jobs(estimator.n_jobs)
        _check_squares(estimator, observed)
        return cls(training, observed, scale, centre_of(observed, estimator.loss))

    def without(self, hidden: Any, loss: str) -> Self:
        """Less the weights ``hidden``, around the centre of what is left."""
        kept = self.observed.without(hidden)
        return replace(self, observed=kept, mean=centre_of(kept, loss))

    def centred(self, bias: Any) -> ObservedMatrix:
        """The entries without the constant of a model with biases."""
        return self.observed.shifted(self.mean) if bias else self.observed

    def per_side(self) -> tuple[float, float]:
        """Weights of the entries per row and per column."""
        (m, n), total = self.observed.shape, to_float(self.observed.total)
        return total / m, total / n

    def warn_if_undetermined(self, rank: int) -> None:
        """Warn where a matrix of this rank without a penalty is not determined by the entries."""
        (m, n), q, xp = self.observed.shape, self.observed.n_entries, self.observed.xp
        freedom = rank * (m + n - rank)
        if q < freedom:
            found = f"{q} entries are fewer than the {freedom} degrees of freedom"
        else:
            ones = self.observed.matrix(
                1 / xp.where(self.observed.weights > 0, self.observed.weights, 1.0)
            )
            rows = ones @ xp.ones_like(self.observed.col_weight)
            few = int(xp.sum(xp.astype((rows > 0.5) & (rows < rank - 0.5), xp.int64)))
            if few == 0:
                return
            found = f"{few} rows have fewer entries than the rank"
        warnings.warn(
            f"MatrixCompletion: {found} of a {m} x {n} matrix of rank {rank}, so that with alpha=0 "
            "many matrices fit equally well. Lower n_components, or use alpha='auto' or a positive "
            "number",
            ConvergenceWarning,
            stacklevel=outside(),
        )

    def limits(self, clip: Any) -> tuple[float, float] | None:
        """The range that the parameter ``clip`` asks for."""
        if clip is None:
            return None
        if isinstance(clip, str):
            xp, obs = self.observed.xp, self.training.observed
            known = obs.weights > 0
            low = xp.where(known, obs.values, xp.full_like(obs.values, float("inf")))
            high = xp.where(known, obs.values, xp.full_like(obs.values, -float("inf")))
            return to_float(xp.min(low)), to_float(xp.max(high))
        return float(clip[0]), float(clip[1])


def _check_squares(estimator: Any, observed: ObservedMatrix) -> None:
    """Refuse entries whose squares are no numbers of their precision any more."""
    square = to_float(observed.dot(observed.values, observed.values))
    lost = square == 0 and bool(observed.xp.any(observed.values != 0))
    if lost or not math.isfinite(square):
        raise ValueError(
            f"{type(estimator).__name__}: the squares of the entries are "
            f"{'zero' if lost else 'infinite'} in {observed.dtype}. Bring them to a size of about "
            "one"
        )


def centre_of(observed: ObservedMatrix, loss: str) -> float:
    """The weighted mean of the entries; their median for a robust loss."""
    if loss == "squared":
        return to_float(observed.mean())
    return weighted_median(observed.values, observed.weights)
