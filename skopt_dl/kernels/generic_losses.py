"""Losses of a linear model that are worth one pass: specification of their compiled forms.

Every formula keeps its accuracy where z is large: exponentials are taken of non-positive numbers.
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.namespace import namespace_of


def sigmoid(z: Any) -> Any:
    """``1 / (1 + exp(-z))`` without overflow."""
    xp = namespace_of(z)
    e = xp.exp(-xp.abs(z))
    return xp.where(z >= 0, 1 / (1 + e), e / (1 + e))


def logistic_terms(y: Any, z: Any) -> tuple[Any, Any]:
    """``log(1 + exp(z)) - y z`` and its slope, for arrays of shape ``(n,)``."""
    xp = namespace_of(z)
    e = xp.exp(-xp.abs(z))
    above = z > 0
    value = xp.log1p(e) + xp.where(above, z, xp.zeros_like(z)) - y * z
    return value, xp.where(above, xp.ones_like(e), e) / (1 + e) - y


def log_softmax(z: Any) -> Any:
    """Row-wise ``z - log(sum(exp(z)))``."""
    xp = namespace_of(z)
    z = z - xp.max(z, axis=1, keepdims=True)
    return z - xp.log(xp.sum(xp.exp(z), axis=1, keepdims=True))


def softmax_terms(y: Any, z: Any) -> tuple[Any, Any]:
    """``-sum_k y_k log p_k`` and its slopes, for the rows of arrays of shape ``(n, K)``."""
    xp, log_p = namespace_of(z), log_softmax(z)
    return -xp.sum(y * log_p, axis=1), xp.exp(log_p) - y


def softmax(z: Any) -> Any:
    """``p_k = exp(z_k) / sum(exp(z))`` for each row."""
    xp = namespace_of(z)
    e = xp.exp(z - xp.max(z, axis=1, keepdims=True))
    return e / xp.sum(e, axis=1, keepdims=True)
