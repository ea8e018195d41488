"""Several networks of one architecture that differ by their seeds, and the mean of what they say.

Each stops by itself. Small ones are trained as a stack, whose batches are one call for all of them;
with threads, and where a call is long anyway, they are trained side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.utils import check_random_state

from skopt_dl.neural_network._together import fit_all


def fit_members(model: Any, method: str, *data: Any, **more: Any) -> list[Any]:
    """The fitted members of ``model``: new ones, or its own where they go on.

    Parameters
    ----------
    model : MultilayerPerceptron
        The ensemble; its ``random_state`` gives each member a seed.
    method : {"fit", "partial_fit"}
        What is called on each, with ``data`` and ``more``.
    """
    goes_on = method == "partial_fit" or model.warm_start
    if goes_on and hasattr(model, "members_"):
        # Copies: a member that fails must not leave the others half trained.
        members = [copied(member, model) for member in model.members_]
    else:
        rng = check_random_state(model.random_state)
        seeds = rng.randint(np.iinfo(np.int32).max, size=model.n_ensemble)
        members = [
            clone(model).set_params(n_ensemble=1, random_state=int(s), n_threads=None)
            for s in seeds
        ]
    if method == "fit" and not goes_on and (model.n_threads or 1) == 1:
        fit_all(members, [(*data, more["X_val"], more["y_val"])] * len(members))
        return members
    run = Parallel(n_jobs=model.n_threads or 1, prefer="threads")
    return run(delayed(getattr(member, method))(*data, **more) for member in members)


def copied(member: Any, model: Any) -> Any:
    """A copy of a fitted member with the ensemble's present parameters."""
    other = member.__copy__()
    kept = {"n_ensemble": 1, "random_state": member.random_state, "n_threads": None}
    return other.set_params(**{**model.get_params(deep=False), **kept})


def mean_response(members: list[Any], X: Any, method: str) -> Any:
    """The mean of the members' responses, shape ``(n, outputs)``."""
    total = members[0]._response(X, method)
    for member in members[1:]:
        total = total + member._response(X, method)
    return total / len(members)
