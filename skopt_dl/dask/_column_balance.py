r"""The best of all factors that give the same model, from second moments of the rows' alone.

Rows are :math:`z_i = (u_i, a_i, 1)`; each move of `skopt_dl.matrix_completion.balance` makes new
ones that are linear in these, so that it is known from :math:`\sum_i \rho_i z_i z_i'` and the
columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skopt_dl.matrix_completion.balance import mixed


@dataclass
class Balance:
    """Rows ``U = Z A`` and ``a = Z b`` beside columns ``V`` and ``c``.

    Attributes
    ----------
    A, b : arrays of shape (kz, k) and (kz,)
    V, c : arrays of shape (n, k) and (n,)
        The columns' parameters.
    """

    A: Any
    b: Any
    V: Any
    c: Any

    @classmethod
    def of(cls, Q: Any, k: int, bias: Any) -> Balance:
        """Rows and columns as they are."""
        row_bias = bias in ("rows", "both")
        width = k + row_bias + bool(bias)
        A, b = np.eye(width, k), np.zeros(width)
        if row_bias:
            b[k] = 1.0
        return cls(A, b, Q[:, :k], Q[:, k] if Q.shape[1] > k else np.zeros(len(Q)))

    def columns(self, bias: Any) -> Any:
        """``[V | c]``, or V without column biases."""
        return np.column_stack([self.V, self.c]) if bias in ("cols", "both") else self.V

    def unknowns(self, bias: Any) -> Any:
        """What a column's regression multiplies, as a map of ``Z``: U, and 1 for its bias."""
        if bias not in ("cols", "both"):
            return self.A
        return np.column_stack([self.A, np.eye(len(self.b))[-1]])


def balanced(
    start: Balance, M: Any, col_weight: Any, total: float, bias: Any, *, ordered: bool
) -> Balance:
    """The best shifts, then the best mixing; ``M`` is the weighted second moment of ``Z``."""
    A, b, V, c = start.A, start.b, start.V, start.c
    k, seen = A.shape[1], (col_weight > 0).astype(np.float64)
    one = np.eye(len(b))[-1]
    if bias in ("cols", "both"):
        weighted = col_weight[:, None] * V
        s = np.linalg.solve(V.T @ weighted + total * np.eye(k), weighted.T @ c - A.T @ (M @ one))
        A, c = A + np.outer(one, s), c - V @ s
    if bias in ("rows", "both"):
        side = A.T @ (M @ b) - V.T @ col_weight
        s = np.linalg.solve(A.T @ M @ A + total * np.eye(k), side)
        V, b = V + np.outer(seen, s), b - A @ s
    if bias == "both":
        constant = 0.5 * (col_weight @ c - one @ M @ b) / total
        b, c = b + constant * one, c - constant * seen
    # A root of the rows' Gram matrix in their place; rows of weight zero follow the mixing and do
    # not decide it: they show C itself.
    size, axes = np.linalg.eigh(A.T @ M @ A)
    root = np.sqrt(np.clip(size, 0.0, None))[:, None] * axes.T
    rows, weight = np.concatenate([root, np.eye(k)]), np.repeat([1.0, 0.0], k)
    moved, V = mixed(np, rows, V, weight, col_weight, ordered)
    return Balance(A @ moved[k:], b, V, c)
