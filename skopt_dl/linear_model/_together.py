"""Fits of the same data with several strengths: one exact path, and a certificate for each."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from skopt_dl._sklearn.arrays import is_foreign
from skopt_dl._sklearn.callbacks import has_callbacks
from skopt_dl.linear_model._paths import PathSettings, solve_path


def path_of(model: Any, X: Any) -> Hashable | None:
    """What models have in common whose fits of ``X`` are points of paths; ``None`` for others.

    Their answers must not depend on where a solver starts: it is the exact one, for dense data on
    the host.
    """
    exact = (
        model.solver in ("auto", "active_set")
        and model.selection == "cyclic"
        and model.precompute is False
        and not model.warm_start
    )
    if not (exact and is_plain_fit(model, X)):
        return None
    model._check_parameters()
    if not (model.alpha > 0 and model._ratio() > 0):
        return None
    common = ("solver", "fit_intercept", "positive", "tol", "max_iter")
    return (type(model), *(getattr(model, name) for name in common))


def is_plain_fit(model: Any, X: Any) -> bool:
    """Whether a fit of ``X`` is one of dense data on the host that nobody watches or stops."""
    return (
        model.device is None
        and model.max_time is None
        and not (has_callbacks(model) or is_foreign(X) or hasattr(X, "tocsc"))
    )


def fit_along(models: Sequence[Any], X: Any, y: Any, sample_weight: Any) -> None:
    """Fit ``models``, of one `path_of`, as ``model.fit(X, y, sample_weight)`` would.

    Where a path is, is found once for each share of the L1 penalty. Every answer is then certified
    by a solve that starts there, and goes on if it has to.
    """
    first = models[0]
    tasks = first._tasks(X, y, sample_weight)
    for ratio in dict.fromkeys(model._ratio() for model in models):
        some = [model for model in models if model._ratio() == ratio]
        strengths = np.unique([float(model.alpha) for model in some])[::-1]
        paths = [_path(first, task.problem, ratio, strengths) for task in tasks]
        for model in some:
            see(model, first)
            at = int(np.flatnonzero(strengths == model.alpha)[0])
            begun = []
            for task, coefs in zip(tasks, paths, strict=True):
                task.problem.penalty = model._penalty(model.alpha, ratio)
                begun.append(replace(task, start=coefs[:, at].astype(task.problem.dtype)))
            model._solve_tasks(begun)


def see(model: Any, first: Any) -> None:
    """What validation says of the features, which ``first`` has seen."""
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(first, name):
            setattr(model, name, getattr(first, name))
        else:
            vars(model).pop(name, None)


def _path(model: Any, problem: Any, ratio: float, strengths: Any) -> Any:
    """Coefficients along ``strengths``, a column each."""
    problem.penalty = model._penalty(1.0, ratio)
    settings = PathSettings(model.solver, model.tol, model.max_iter)
    return solve_path(problem, strengths, settings).coefs
