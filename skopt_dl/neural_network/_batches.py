"""Networks on batches of rows that are read one after the other: data larger than memory."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import unique_labels

from skopt_dl._sklearn.arrays import on_host
from skopt_dl._sklearn.base import outside, unchanged_on_failure
from skopt_dl._sklearn.batches import split_batch
from skopt_dl.engine import Status
from skopt_dl.neural_network._options import trains_by_epochs


class BatchedClassifierMixin:
    """``fit_batches`` of a classifier."""

    @available_if(trains_by_epochs)
    def fit_batches(self: Self, batches: Iterable[Any], classes: Any = None) -> Self:
        """Fit data that come in batches of rows, one at a time in memory.

        Each pass is a `partial_fit` on every batch in turn. Passes end when their mean loss has not
        fallen by ``tol`` for ``n_iter_no_change`` of them, or after ``max_iter``.

        Parameters
        ----------
        batches : iterable
            Yields ``(X, y)`` or ``(X, y, sample_weight)``, as for `partial_fit`. A list, or an
            object whose ``__iter__`` starts anew, is iterated once for each pass; a generator is
            read once, which is one pass.
        classes : array-like of shape (n_classes,), optional
            All classes there are; a generator needs them. Others are read through once more for
            them.

        Returns
        -------
        self : object
            The fitted estimator. ``loss_curve_`` has one value a pass.

        Raises
        ------
        ValueError
            For invalid data or parameters, without any batch, and with ``early_stopping``: no part
            of a stream can be held out.
        TypeError
            For a generator without ``classes``.
        """
        if classes is None:
            if isinstance(batches, Iterator):
                raise TypeError(
                    f"{type(self).__name__}.fit_batches has to know all classes before the first "
                    f"update, but batches={batches!r} can be read once only: give classes=, or a "
                    "list, or an object whose __iter__ starts anew"
                )
            found = [unique_labels(on_host(split_batch(self, batch)[1])) for batch in batches]
            classes = np.unique(np.concatenate(found)) if found else None
        with unchanged_on_failure(self):
            return _trained(self, batches, {"classes": classes})


class BatchedRegressorMixin:
    """``fit_batches`` of a regressor."""

    @available_if(trains_by_epochs)
    def fit_batches(self: Self, batches: Iterable[Any]) -> Self:
        """Fit data that come in batches of rows, one at a time in memory.

        Each pass is a `partial_fit` on every batch in turn. Passes end when their mean loss has not
        fallen by ``tol`` for ``n_iter_no_change`` of them, or after ``max_iter``.

        Parameters
        ----------
        batches : iterable
            Yields ``(X, y)`` or ``(X, y, sample_weight)``, as for `partial_fit`. A list, or an
            object whose ``__iter__`` starts anew, is iterated once for each pass; a generator is
            read once, which is one pass.

        Returns
        -------
        self : object
            The fitted estimator. ``loss_curve_`` has one value a pass.

        Raises
        ------
        ValueError
            For invalid data or parameters, without any batch, and with ``early_stopping``: no part
            of a stream can be held out.
        """
        with unchanged_on_failure(self):
            return _trained(self, batches, {})


def _trained(model: Any, batches: Iterable[Any], more: dict[str, Any]) -> Any:
    """``model`` after its passes; ``more`` is for `partial_fit`."""
    name = type(model).__name__
    if model.early_stopping:
        raise ValueError(
            f"{name}.fit_batches: early_stopping=True, but no part of a stream can be held out; "
            "use early_stopping=False, or partial_fit with X_val and y_val"
        )
    if not model.warm_start:
        for fitted in [key for key in vars(model) if key.endswith("_")]:
            delattr(model, fitted)
    once = isinstance(batches, Iterator)
    losses: list[float] = []
    best, stale, status = math.inf, 0, Status.STOPPED
    for _ in range(1 if once else model.max_iter):
        total = weight = 0.0
        for batch in batches:
            X, y, weights = split_batch(model, batch)
            model.partial_fit(X, y, weights, **more)
            size = _size(y, weights)
            total, weight = total + size * model.loss_, weight + size
        if weight == 0:
            raise ValueError(f"{name}.fit_batches was given no batch, or none with a weight")
        losses.append(total / weight)
        stale = stale + 1 if losses[-1] > best - model.tol else 0
        best = min(best, losses[-1])
        if stale > model.n_iter_no_change:
            status = Status.CONVERGED
            break
    else:
        if not once:
            status = Status.MAX_ITER
            warnings.warn(
                f"{name}.fit_batches: the loss was still falling, or had not stayed for "
                f"n_iter_no_change={model.n_iter_no_change!r} passes, after max_iter="
                f"{model.max_iter} of them",
                ConvergenceWarning,
                stacklevel=outside(),
            )
    model.n_iter_ = len(losses)
    reports = model.solve_report_
    if isinstance(reports, list):
        model.solve_report_ = [replace(r, status=status.value) for r in reports]
        model.loss_ = losses[-1]
        return model
    model.solve_report_ = replace(reports, status=status.value)
    model.loss_curve_, model.loss_, model.best_loss_ = losses, losses[-1], best
    return model


def _size(y: Any, weights: Any) -> float:
    """What a batch counts: its weights, or its rows."""
    if weights is None:
        return float(y.shape[0] if hasattr(y, "shape") else len(y))
    return float(np.sum(on_host(weights)))
