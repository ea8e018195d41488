"""Ridge regressions of the same data with several strengths: inner products are formed once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from skopt_dl.linear_model._ridge_tasks import target_strengths
from skopt_dl.linear_model._together import is_plain_fit, see
from skopt_dl.penalties import L2


class KeptProducts:
    """A linear map that forms each matrix of inner products once.

    Parameters
    ----------
    base : LinearMap
        The map.
    """

    def __init__(self, base: Any) -> None:
        self._base = base
        self._rows: Any = None
        self._gram: tuple[Any, Any] = (None, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    def gram(self, weights: Any) -> Any:
        """``A' diag(weights) A``, an array that the caller may overwrite."""
        known, G = self._gram
        if known is None or not np.array_equal(known, weights):
            G = self._base.gram(weights)
            self._gram = (weights, G)
        return G.copy()

    def row_gram(self) -> Any:
        """``A A'``, likewise."""
        if self._rows is None:
            self._rows = self._base.row_gram()
        return self._rows.copy()


def shared_products(model: Any, X: Any) -> Hashable | None:
    """What ridge models have in common whose fits of ``X`` factorise one matrix, but for the
    strength; ``None`` for others."""
    factorises = (
        model.solver in ("auto", "cholesky")
        and isinstance(model.alpha, Real)
        and not model.positive
    )
    if not (factorises and is_plain_fit(model, X)):
        return None
    model._check_parameters()
    common = ("solver", "fit_intercept", "tol", "max_iter")
    return (type(model), *(getattr(model, name) for name in common))


def fit_shared(models: Sequence[Any], X: Any, y: Any, sample_weight: Any) -> None:
    """Fit ``models``, which agree in `shared_products`, as ``model.fit(X, y, sample_weight)``."""
    first = models[0]
    tasks = first._tasks(X, y, sample_weight)
    for task in tasks:
        task.problem.map = KeptProducts(task.problem.map)
    total = len(y) if sample_weight is None else float(np.sum(sample_weight))
    for model in models:
        see(model, first)
        strength = float(target_strengths(model, 1)[0])
        for task in tasks:
            task.problem.penalty = L2(strength / total)
        model._solve_tasks(tasks)
