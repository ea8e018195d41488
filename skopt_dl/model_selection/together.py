"""Fit several networks at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from sklearn.utils import _safe_indexing, indexable

from skopt_dl._sklearn.base import unchanged_on_failure
from skopt_dl.neural_network._together import fit_all


def fit_together(
    models: Sequence[Any],
    X: Any,
    y: Any,
    *,
    rows: Sequence[Any] | None = None,
    sample_weight: Any = None,
) -> list[Any]:
    """Fit ``models`` as ``model.fit(X, y)`` would, those that agree in one go.

    `Lasso` and `ElasticNet` models on the same rows that differ in ``alpha`` and ``l1_ratio`` alone
    are points of one exact path, which is followed once (``solver="auto"`` or ``"active_set"``,
    dense data on the host). Each answer is certified on the data, as after a fit of its own, and
    begins closer to the optimum than its ``tol`` asks. `Ridge` models that differ in ``alpha``
    alone share the matrix that they factorise.

    Networks (`MLPClassifier`, `MLPRegressor`) with the same layers, solver settings and number of
    samples are trained as a stack: one compiled call does a batch of all of them, so what a call
    costs is shared. Penalty, seed, targets, rows and stopping may differ.

    All else is fitted one by one: other estimators; solvers that are not coordinatewise; a learning
    rate that follows the loss, ``max_grad_norm``, dropout, sparse or device data, callbacks,
    ``verbose``, ``warm_start``; and networks that are too large to gain by it.

    Parameters
    ----------
    models : sequence of estimators
        Each is fitted, in place.
    X : array-like of shape (n_samples, n_features)
        Training data.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    rows : sequence of array-like of int, optional
        The rows of each model; all of them without. Rows that are the same object are cut out of
        the data once.
    sample_weight : array-like of shape (n_samples,), optional
        Non-negative weights.

    Returns
    -------
    list
        The ``models``. Coefficients, loss curves and stopping of networks are those of their own
        `fit`, to the last bit; coefficients along a path have the certificate of one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import clone
    >>> from skopt_dl import MLPRegressor
    >>> from skopt_dl.model_selection import fit_together
    >>> X = np.random.default_rng(0).normal(size=(60, 3))
    >>> network = MLPRegressor(hidden_layer_sizes=(8,), solver="adam", max_iter=300, tol=1e-3)
    >>> models = [clone(network).set_params(random_state=k) for k in range(4)]
    >>> alone = clone(models[0]).fit(X, X[:, 0])
    >>> fit_together(models, X, X[:, 0])[0].loss_ == alone.loss_
    True
    """
    X, y, sample_weight = indexable(X, y, sample_weight)
    models = list(models)
    if rows is not None and len(rows) != len(models):
        raise ValueError(
            f"rows has {len(rows)} entries, but there are {len(models)} models: give one each"
        )
    where: Sequence[Any] = [None] * len(models) if rows is None else rows

    def part(r: Any) -> tuple[Any, ...]:
        whole = (X, y, sample_weight)
        return (
            whole if r is None else tuple(a if a is None else _safe_indexing(a, r) for a in whole)
        )

    alone = []
    with ExitStack() as safely:
        for model in models:
            safely.enter_context(unchanged_on_failure(model))
        for same in _groups(models, where, X):
            if len(same) > 1:
                r = where[same[0]]
                models[same[0]]._fit_together([models[k] for k in same], *part(r))
            else:
                alone += same
        cut = {id(where[k]): where[k] for k in alone}
        parts = {key: (*part(r), None, None) for key, r in cut.items()}
        fit_all([models[k] for k in alone], [parts[id(where[k])] for k in alone])
    return models


def _groups(models: list[Any], rows: Sequence[Any], X: Any) -> list[list[int]]:
    """The models that are to be fitted to the same rows by one call, in the order of the first."""
    groups: dict[Any, list[int]] = {}
    for k, model in enumerate(models):
        kind = model._fits_with(X) if hasattr(model, "_fits_with") else None
        groups.setdefault(k if kind is None else (id(rows[k]), kind), []).append(k)
    return list(groups.values())
