"""The functions of CuPy 14.2's ``linalg``; a factorisation that fails is NaN there."""

from __future__ import annotations

from typing import Any

import numpy as np

from cupy import function, ndarray

_NAMES = """
    cholesky cond cross det eig eigh eigvals eigvalsh inv lstsq matmul matrix_power matrix_rank
    matrix_transpose norm pinv qr slogdet solve svd tensorinv tensorsolve
"""
NAMES = frozenset(_NAMES.split())


def cholesky(a: Any) -> ndarray:
    try:
        return ndarray(np.linalg.cholesky(a._host))
    except np.linalg.LinAlgError:
        return ndarray(np.full(a.shape, np.nan, dtype=a.dtype))


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"module 'cupy.linalg' has no attribute {name!r}")
    return function(getattr(np.linalg, name), name)
