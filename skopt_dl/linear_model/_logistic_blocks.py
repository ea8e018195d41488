"""Logistic regression on blocks of rows, read block by block in each pass.

A first pass collects the weight of each class and the mean of the columns; after it a block is
targets and shares of weight beside its rows, and the problem a sum over blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from skopt_dl.engine import SolveResult
from skopt_dl.kernels.namespace import device_of, namespace_of, to_float, to_numpy
from skopt_dl.linear_model._logistic_tasks import centred_scores, elastic_penalty
from skopt_dl.losses import Logistic, Multinomial
from skopt_dl.problems.block_sum import BlockSum

# Rows, labels, and weights or None.
Block = tuple[Any, Any, Any]
# Of each label with a weight: that weight, and the weighted sum of its rows.
ClassSums = dict[Any, tuple[float, Any]]


def class_sums(block: Block) -> ClassSums:
    """The sums of one block."""
    X, y, w = block
    xp, device = _place_of(X)
    if w is None:
        w = xp.ones(len(y), dtype=xp.float64, device=device)
    labels, codes = np.unique(y, return_inverse=True)
    found = {}
    for k, label in enumerate(labels.tolist()):
        mine = xp.where(xp.asarray(codes == k, device=device), w, 0.0)
        weight = to_float(xp.sum(mine))
        if weight > 0:
            found[label] = (weight, to_numpy(mine @ X))
    return found


def _place_of(X: Any) -> tuple[Any, Any]:
    """Namespace and device of a block's rows; its labels are always the host's."""
    stored = X.data if hasattr(X, "tocsr") else X
    return namespace_of(stored), device_of(stored)


def add_class_sums(parts: Sequence[ClassSums]) -> ClassSums:
    """The sums of several blocks."""
    total: ClassSums = {}
    for part in parts:
        for label, (weight, sums) in part.items():
            before = total.get(label, (0.0, 0.0))
            total[label] = (before[0] + weight, before[1] + sums)
    return total


class Classes:
    """The labels of all blocks, and what each weighs.

    Parameters
    ----------
    sums : dict
        Of all blocks.
    class_weight : dict, "balanced" or None
        As in `LogisticRegression`.

    Attributes
    ----------
    labels : array of shape (K,)
        Sorted.
    total : float
        The sum of the weights.
    mean : array of shape (p,)
        The weighted mean of the rows.

    Raises
    ------
    ValueError
        Unless two classes have a positive weight.
    """

    def __init__(self, sums: ClassSums, class_weight: Any) -> None:
        self.labels = np.asarray(sorted(sums))
        if len(self.labels) < 2:
            raise ValueError(
                "This solver needs samples of at least 2 classes in the data, but those with a "
                f"positive weight are {self.labels.tolist()}"
            )
        weights = np.asarray([sums[label][0] for label in self.labels.tolist()])
        if isinstance(class_weight, str):
            self.each = np.sum(weights) / (len(weights) * weights)
        else:
            self.each = compute_class_weight(class_weight, classes=self.labels, y=self.labels)
        self.total = float(self.each @ weights)
        rows = np.stack([sums[label][1] for label in self.labels.tolist()])
        self.mean = (self.each @ rows) / self.total

    @property
    def binary(self) -> bool:
        """Whether there are two."""
        return len(self.labels) == 2

    def shares(self, block: Block) -> tuple[Any, Any, Any]:
        """A block with its labels as targets and its weights as shares of all."""
        X, y, w = block
        # Labels without any weight are none of the classes; their rows count nothing.
        known = np.isin(y, self.labels)
        codes = np.searchsorted(self.labels, np.where(known, y, self.labels[0]))
        target = codes.astype(np.float64) if self.binary else np.eye(len(self.labels))[codes]
        omega = np.where(known, self.each[codes] / self.total, 0.0)
        xp, device = _place_of(X)
        target, omega = (xp.asarray(a, device=device) for a in (target, omega))
        if hasattr(X, "tocsr"):
            X = X.astype(np.float64, copy=False)
        else:
            X = xp.astype(X, xp.float64, copy=False)
        return X, target, omega if w is None else omega * w


def blocks_task(
    owner: Any, found: Classes, total: Callable[..., Any], dtype: Any, *, description: str
) -> tuple[BlockSum, Callable[[Any], dict[str, Any]]]:
    """The problem of the blocks that ``total`` sums over, and what a flat answer means.

    ``owner`` is a `LogisticRegression`: it gives ``C``, ``l1_ratio`` and ``fit_intercept``.
    """
    p, K = len(found.mean), 1 if found.binary else len(found.labels)
    problem = BlockSum(
        total,
        Logistic() if found.binary else Multinomial(),
        elastic_penalty(owner.C, float(owner.l1_ratio or 0.0), found.total),
        (p, K),
        origin=found.mean if owner.fit_intercept else None,
        description=description,
    )

    def unpack(w: Any) -> dict[str, Any]:
        coef, intercept = problem.unpack(w)
        coef = coef.T
        if not found.binary:
            coef, intercept = centred_scores(coef, intercept, penalised=math.inf != owner.C)
        return {
            "classes_": found.labels,
            "coef_": coef.astype(dtype, copy=False),
            "intercept_": intercept.astype(dtype, copy=False),
        }

    return problem, unpack


def store_logistic(
    owner: Any, unpack: Callable[[Any], dict[str, Any]], result: SolveResult
) -> None:
    """Set the fitted attributes of a `LogisticRegression`."""
    for name, value in unpack(result.w).items():
        setattr(owner, name, value)
    # A start that is optimal counts one, no iterations that were allowed none.
    least = 0 if owner.max_iter == 0 else 1
    owner.n_iter_ = np.asarray([max(least, result.n_iter)], dtype=np.int32)
    owner.solve_report_ = result.report()
