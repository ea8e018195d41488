"""Fits on batches of rows that are read one after the other: data larger than memory.

Least squares keeps second moments: one pass, and more rows may come later. Other losses read the
batches again for each gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone

from skopt_dl._sklearn.arrays import (
    HOST,
    Place,
    host_dtype,
    on_host,
    put_beside,
    send,
)
from skopt_dl._sklearn.base import fit_method
from skopt_dl._sklearn.batches import split_batch
from skopt_dl._sklearn.validation import check_weights, check_X_y
from skopt_dl.kernels.namespace import is_numpy, namespace_of, to_float, to_numpy
from skopt_dl.linear_model._logistic_blocks import (
    Block,
    Classes,
    ClassSums,
    add_class_sums,
    blocks_task,
    class_sums,
    store_logistic,
)
from skopt_dl.linear_model._moments import Moments
from skopt_dl.linear_model._small_problem import SmallProblem, fit_small


class BatchedRegressorMixin:
    """``fit_batches`` and ``partial_fit`` of penalised least squares."""

    # Whether the objective is a mean over the samples (or a sum).
    _per_sample: ClassVar[bool]

    def fit_batches(self: Any, batches: Iterable[Any]) -> Any:
        """Fit data that come in batches of rows, in one pass over them.

        Parameters
        ----------
        batches : iterable
            Yields ``(X, y)`` or ``(X, y, sample_weight)``: dense data of one target, as for
            `fit`. A generator that reads them from disk will do.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For invalid data or parameters, and without any batch.

        Notes
        -----
        What is kept are two (p, p) matrices of float64 and the batch at hand. The answer is that of
        `fit` on all rows.
        """
        return _after_batches(self, batches)

    def partial_fit(self: Any, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit all rows given since the last `fit`, these among them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            More rows, dense.
        y : array-like of shape (n_samples,)
            Their targets.
        sample_weight : array-like of shape (n_samples,), optional
            Their weights.

        Returns
        -------
        self : object
            The model of all the rows so far; they themselves are not kept.
        """
        return _after_rows(self, X, y, sample_weight)


@fit_method
def _after_batches(model: Any, batches: Iterable[Any], y: Any) -> Any:
    model._check_parameters()
    total, place = None, HOST
    for batch in batches:
        X, target, weights = checked_batch(model, batch, first=total is None)
        place = Place.of(split_batch(model, batch)[0])
        total = _added(model, total, X, target, weights)
    if total is None:
        raise ValueError(f"{type(model).__name__}.fit_batches was given no batch")
    return _solved(model, *total, place)


@fit_method
def _after_rows(model: Any, X: Any, y: Any, sample_weight: Any) -> Any:
    model._check_parameters()
    before = getattr(model, "_moments", None)
    place = Place.of(X)
    X, y, weights = checked_batch(model, (X, y, sample_weight), first=before is None)
    return _solved(model, *_added(model, before, X, y, weights), place)


def _added(model: Any, total: Any, X: Any, y: Any, weights: Any) -> tuple[Any, Any, Any]:
    """The moments with those of more rows, their origin, and the type of the coefficients."""
    if y.ndim != 1:
        raise ValueError(
            f"{type(model).__name__}: y has {y.ndim} dimensions, but batches have one target; fit "
            "one estimator per target"
        )
    xp, origin = namespace_of(X), None if total is None else total[1]
    if origin is None:
        p = X.shape[1]
        origin = (np.zeros(p), 0.0)
        if model.fit_intercept:
            # Close enough to the mean of all rows for sums of squares to keep their digits.
            mean = xp.mean(X, axis=0, dtype=xp.float64) if is_numpy(xp) else xp.mean(X, axis=0)
            origin = (to_numpy(xp.astype(mean, xp.float64)), to_float(xp.mean(y)))
    omega = xp.ones_like(y) if weights is None else weights
    there = (put_beside(X, origin[0]), origin[1])
    moments = Moments.of_rows(X, y, omega, np.arange(y.shape[0]), there)
    if total is not None:
        moments.add(total[0])
    return moments, origin, np.dtype(host_dtype(X)) if total is None else total[2]


def _solved(
    model: Any, moments: Moments, origin: tuple[Any, float], dtype: Any, place: Place
) -> Any:
    """``model`` fitted to the moments, with its arrays at ``place``."""
    if not moments.weight > 0:
        raise ValueError(f"{type(model).__name__}: no row so far has a positive weight")
    small = SmallProblem(
        moments, origin, fit_intercept=model.fit_intercept, per_sample=model._per_sample
    )
    # What is small enough to be summed up is solved on the host.
    plain = clone(model).set_params(fit_intercept=False, device=None)
    if getattr(model, "warm_start", False) and hasattr(model, "coef_"):
        plain.coef_ = on_host(model.coef_)
    fitted = fit_small(model, plain, small, dtype)
    names = set(vars(fitted)) - set(fitted.get_params(deep=False))
    for name in names - {"n_features_in_", "feature_names_in_"}:
        setattr(model, name, getattr(fitted, name))
    model._moments = (moments, origin, dtype)
    if place != HOST:
        send(model, place)
    return model


class BatchedClassifierMixin:
    """``fit_batches`` of logistic regression."""

    @fit_method
    def fit_batches(self: Any, batches: Iterable[Any], y: None = None) -> Any:
        """Fit data that come in batches of rows, one at a time in memory.

        Parameters
        ----------
        batches : iterable
            Yields ``(X, y)`` or ``(X, y, sample_weight)``: dense data as for `fit`. It is
            iterated once for each pass, so a list, or an object whose ``__iter__`` starts anew;
            not a generator.
        y : None
            Not used.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For invalid data or parameters.
        TypeError
            For an iterator that can be read once only.
        IncompatibleSolverError
            For a solver that needs more than sums over batches: the message names those that do
            not. "newton_cholesky" (two passes a step, some ten steps) suits up to 4000 parameters.
        """
        self._check_parameters()
        if isinstance(batches, Iterator):
            raise TypeError(
                f"{type(self).__name__}.fit_batches reads the batches once for each gradient, but "
                f"batches={batches!r} can be read once only: give a list, or an object whose "
                "__iter__ starts anew"
            )
        sums: ClassSums = {}
        dtype, place = None, HOST
        for batch in batches:
            place = Place.of(split_batch(self, batch)[0])
            block = checked_batch(self, batch, labels=True, first=dtype is None)
            dtype = np.dtype(host_dtype(block[0])) if dtype is None else dtype
            sums = add_class_sums([sums, class_sums(block)])
        if dtype is None:
            raise ValueError(f"{type(self).__name__}.fit_batches was given no batch")
        found = Classes(sums, self.class_weight)
        total = StreamTotal(self, batches, found.shares)
        problem, unpack = blocks_task(
            self, found, total, dtype, description=f"{self!r} on batches of rows"
        )
        result = self._solve(
            problem,
            tol=self.tol,
            max_iter=self.max_iter,
            unpack=unpack,
            solver=self._solver(),
        )
        store_logistic(self, unpack, result)
        self.solver_ = self._name_of_solver(result)
        if place != HOST:
            send(self, place)
        return self


class StreamTotal:
    """Sums of a function over batches, which are read anew: what a `BlockSum` asks for."""

    def __init__(
        self, model: Any, batches: Iterable[Any], prepare: Callable[[Block], tuple[Any, Any, Any]]
    ) -> None:
        self.model, self.batches, self.prepare = model, batches, prepare

    def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        total = None
        for block in _again(self.model, self.batches):
            part = function(self.prepare(block), *args)
            if total is None:
                total = part
            else:
                total += part
        return total

    @cached_property
    def n_parts(self) -> int:
        """How many batches there are."""
        return sum(1 for _ in self.batches)

    def step(self, function: Callable[..., Any], states: list[Any], *args: Any) -> tuple[Any, Any]:
        """New states and the sum of what they contribute."""
        new, total = [], None
        blocks = _again(self.model, self.batches)
        for block, state in zip(blocks, states, strict=True):
            after, part = function(self.prepare(block), state, *args)
            new.append(after)
            total = part if total is None else total + part
        return new, total


def _again(model: Any, batches: Iterable[Any]) -> Iterator[Block]:
    """Each batch of a classifier that has been seen before, validated."""
    for batch in batches:
        yield checked_batch(model, batch, labels=True, first=False)


def checked_batch(model: Any, batch: Any, *, labels: bool = False, first: bool = True) -> Block:
    """``(X, y, weights)`` of one batch, dense; labels are the host's."""
    X, y, weights = split_batch(model, batch)
    X, y = check_X_y(
        model, X, y, accept_sparse=False, labels=labels, reset=first, multi_output=not labels
    )
    return X, y, check_weights(weights, X)
