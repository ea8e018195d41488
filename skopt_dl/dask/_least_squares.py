"""Estimators whose fit is one pass over the blocks and one small solve."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from skopt_dl.dask._base import DaskEstimator, RegressionMixin, whole_or_not
from skopt_dl.dask._collections import rows_of
from skopt_dl.dask._moments import moments_of, task_bytes
from skopt_dl.linear_model._small_problem import SmallProblem, fit_small


class LeastSquares(RegressionMixin, DaskEstimator):
    """Penalised least squares from second moments."""

    # Whether the plain estimator's objective is a mean over the samples (or a sum).
    _per_sample: ClassVar[bool]

    fit_intercept: bool

    @whole_or_not
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit in one pass over the blocks.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_samples, n_features)
            Training data in blocks of rows, dense or sparse: blocks of columns are joined. The
            lengths of the blocks need not be known.
        y : dask array or series of shape (n_samples,)
            Target; with the blocks of X where lengths are not known.
        sample_weight : dask array or series of shape (n_samples,), optional
            Non-negative weights: weight w counts as the row repeated w times.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError
            For data that are not Dask collections.
        ValueError
            For invalid data or parameters.
        """
        rows = rows_of(self, X, y, sample_weight)
        plain = self._new_plain(fit_intercept=False)
        plain._check_parameters()
        self._check_solver()
        self._say(rows, task_bytes(rows, 1))
        moments, origin, rows = moments_of(
            self._cluster(), rows, fit_intercept=self.fit_intercept, parts=None
        )
        if not moments[0].weight > 0:
            raise ValueError(
                f"skopt_dl.dask.{type(self).__name__}: there are no rows with a positive weight"
            )
        small = SmallProblem(
            moments[0], origin, fit_intercept=self.fit_intercept, per_sample=self._per_sample
        )
        local = fit_small(self, plain, small, rows.dtype)
        return self._adopt(local, rows, passes=1, held=task_bytes(rows, 1))
