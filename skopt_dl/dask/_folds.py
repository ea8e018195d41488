"""Strengths chosen over folds whose second moments one pass has collected."""

from __future__ import annotations

from abc import abstractmethod
from numbers import Integral
from typing import Any, Self

import numpy as np

from skopt_dl.dask._base import DaskEstimator, RegressionMixin, whole_or_not
from skopt_dl.dask._collections import Cluster, Rows, counted, rows_of, summed
from skopt_dl.dask._install import dask
from skopt_dl.dask._moments import Part, fold_parts, moments_of, task_bytes
from skopt_dl.kernels.namespace import device_of, namespace_of, to_numpy
from skopt_dl.linear_model._moments import Moments, sum_of_others
from skopt_dl.linear_model._small_problem import SmallProblem, fit_small


class FoldMomentsCV(RegressionMixin, DaskEstimator):
    """Penalised least squares whose strength is chosen over consecutive folds of the rows."""

    fit_intercept: bool
    cv: Any

    @abstractmethod
    def _choose(self, folds: Folds) -> tuple[Any, bool]:
        """The plain estimator of the best strength, and whether its objective is a mean."""

    @whole_or_not
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Choose the strength by cross-validation and fit all rows, in one pass over them.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_samples, n_features)
            Training data in blocks of rows. Lengths that are not known are counted first.
        y : dask array or series of shape (n_samples,)
            Target; with the blocks of X where lengths are not known.
        sample_weight : dask array or series of shape (n_samples,), optional
            Non-negative weights, for fitting and for the error on each fold.

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
        rows, cluster = rows_of(self, X, y, sample_weight), self._cluster()
        self._check_solver()
        k = 5 if self.cv is None else self.cv
        if not isinstance(k, Integral):
            raise ValueError(
                f"skopt_dl.dask.{type(self).__name__}: the parameter cv={self.cv!r} is not valid; "
                "it must be a number of consecutive folds, at least 2, or None for 5"
            )
        unknown = rows.lengths is None
        rows, _ = counted(cluster, rows) if unknown else (rows, ())
        held = task_bytes(rows, int(k))
        self._say(rows, held)
        folds = Folds(cluster, rows, fold_parts(rows.lengths or (), int(k)), self.fit_intercept)
        for i, block in enumerate(folds.blocks):
            if not block.weight > 0:
                raise ValueError(
                    f"skopt_dl.dask.{type(self).__name__}: the rows of fold {i} have no weight; "
                    "choose another cv"
                )
        plain, per_sample = self._choose(folds)
        small = SmallProblem(
            sum_of_others(folds.blocks, -1),
            folds.origin,
            fit_intercept=self.fit_intercept,
            per_sample=per_sample,
        )
        local = fit_small(self, plain, small, rows.dtype)
        return self._adopt(local, rows, passes=int(unknown) + folds.passes, held=held)


class Folds:
    """The moments of each fold, and errors of models on them.

    Attributes
    ----------
    blocks : list of Moments
        Of each fold.
    origin : tuple of (array of shape (p,), float)
        About which they were taken.
    passes : int
        Times that the rows were read.
    """

    def __init__(
        self, cluster: Cluster, rows: Rows, parts: list[list[Part]], fit_intercept: bool
    ) -> None:
        self.cluster, self.rows, self.parts = cluster, rows, parts
        self.fit_intercept, self.passes = fit_intercept, 1
        found, self.origin, _ = moments_of(cluster, rows, fit_intercept=fit_intercept, parts=parts)
        self.blocks = [found[k] for k in range(len(found))]

    def training(self, k: int) -> Moments:
        """The moments of all folds but ``k``."""
        return sum_of_others(self.blocks, k)

    def errors(self, models: list[tuple[Any, Any]]) -> Any:
        """Mean squared errors, of shape (folds, models), of ``(W, b)`` of each fold.

        Errors that are small beside what they are a difference of are measured in another pass.
        """
        pairs = [self.blocks[k].errors(W, b) for k, (W, b) in enumerate(models)]
        mse, lost = (np.stack(a) for a in zip(*pairs, strict=True))
        if np.any(lost):
            self.passes += 1
            squares = dask().delayed(_squares, pure=True)
            some = [(W[:, m], b[m]) for (W, b), m in zip(models, lost, strict=True)]
            each = [
                squares(block, self.origin, part, some)
                for block, part in zip(self.rows.blocks, self.parts, strict=True)
            ]
            (sums,) = self.cluster.compute(summed(each, _added))
            for k, mask in enumerate(lost):
                mse[k, mask] = sums[k] / self.blocks[k].weight
        return mse

    def intercepts(self, moments: Moments, W: Any) -> Any:
        """The best intercepts beside the origin."""
        return moments.intercepts(W) if self.fit_intercept else np.zeros(W.shape[1])


def _squares(
    block: tuple[Any, Any, Any], origin: Any, parts: list[Part], models: list[tuple[Any, Any]]
) -> dict[int, Any]:
    X, y, w = block
    xp, device = namespace_of(y), device_of(y)
    x0, y0 = xp.asarray(origin[0], device=device), origin[1]
    w = xp.ones(y.shape[0], dtype=xp.float64, device=device) if w is None else w
    sums = {}
    for fold, first, end in parts:
        W, b = (xp.asarray(a, device=device) for a in models[fold])
        rows = X[first:end, :]
        sparse = hasattr(rows, "tocsr")
        predicted = rows @ W - x0 @ W if sparse else (rows - x0) @ W
        residual = predicted + b - (y[first:end] - y0)[:, None]
        sums[fold] = to_numpy(w[first:end] @ residual**2)
    return sums


def _added(parts: list[dict[int, Any]]) -> dict[int, Any]:
    total: dict[int, Any] = {}
    for part in parts:
        for fold, squares in part.items():
            total[fold] = total.get(fold, 0.0) + squares
    return total
