"""Fit several networks at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.utils import _safe_indexing, indexable

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

    Networks (`MLPClassifier`, `MLPRegressor`) with the same layers, solver settings and number of
    samples are trained as a stack: one compiled call does a batch of all of them, so what a call
    costs is shared. Penalty, seed, targets, rows and stopping may differ. All else is fitted one by
    one: other estimators; solvers that are not coordinatewise; a learning rate that follows the
    loss, ``max_grad_norm``, dropout, sparse or device data, callbacks, ``verbose``, ``warm_start``;
    and networks that are too large to gain by it.

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
        The ``models``: coefficients, loss curves and stopping are those of their own `fit`, to the
        last bit.

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
    if rows is None:
        given: list[Any] = [(X, y, sample_weight, None, None)] * len(models)
    else:
        if len(rows) != len(models):
            raise ValueError(
                f"rows has {len(rows)} entries, but there are {len(models)} models: give one each"
            )
        cut = {id(r): r for r in rows}
        parts = {
            key: tuple(None if a is None else _safe_indexing(a, r) for a in (X, y, sample_weight))
            for key, r in cut.items()
        }
        given = [(*parts[id(r)], None, None) for r in rows]
    fit_all(models, given)
    return models
