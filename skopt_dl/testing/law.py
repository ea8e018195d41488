"""The words in which a broken law is reported."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels.namespace import to_numpy


def require(law: str, holds: Any, detail: str = "") -> None:
    """Raise ``AssertionError`` naming ``law`` unless ``holds``."""
    if not holds:
        raise AssertionError(f"broken law: {law}" + (f" ({detail})" if detail else ""))


def require_close(law: str, actual: Any, expected: Any, rtol: float, atol: float = 0.0) -> None:
    """Raise unless ``|actual - expected| <= atol + rtol max|expected|`` everywhere."""
    actual, expected = np.asarray(host(actual)), np.asarray(host(expected))
    require(law, actual.shape == expected.shape, f"shape {actual.shape}, not {expected.shape}")
    if not expected.size:
        return
    error = float(np.max(np.abs(actual - expected)))
    allowed = atol + rtol * float(np.max(np.abs(expected)))
    # A NaN on either side fails the comparison too.
    require(law, error <= allowed, f"off by {error:.3g}, allowed {allowed:.3g}")


def host(array: Any) -> Any:
    """The array (or number) as NumPy sees it."""
    return array if isinstance(array, (int, float, np.generic)) else to_numpy(array)
