"""Grids of strengths: where a path begins, and what a user gave."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels.namespace import device_of, namespace_of
from skopt_dl.linops import Centred


def strongest(base: Any, y: Any, omega: Any, *, fit_intercept: bool, positive: bool) -> float:
    """Largest correlation of a column with ``y`` (row norm, for several targets)."""
    map_, xp = base, namespace_of(y)
    if fit_intercept:
        y = y - omega @ y
    r = omega * y if y.ndim == 1 else omega[:, None] * y
    c = base.beside_means(omega, r) if fit_intercept and y.ndim == 1 else None
    if c is not None:
        c = c - base.column_means(omega) * xp.sum(r)
    else:
        map_ = Centred(base, base.column_means(omega)) if fit_intercept else base
        c = map_.rmatvec(r)
    if c.ndim == 2:
        c = xp.sqrt(xp.sum(c**2, axis=1))
    return max(0.0, float(xp.max(c if positive else xp.abs(c))))


def alpha_grid(top: float, eps: float, size: int) -> Any:
    """``size`` strengths from ``top`` down to ``eps * top``, evenly spaced by their logarithms."""
    # Where nothing correlates with the target any strength does; scikit-learn takes this one.
    tiny = float(np.finfo(np.float64).resolution)
    return np.full(size, tiny) if top <= tiny else np.geomspace(top, top * eps, num=size)


def sorted_alphas(alphas: Any, name: str) -> Any:
    """Given strengths as a decreasing float array.

    Raises
    ------
    ValueError
        Unless they are finite numbers >= 0, at least one.
    """
    values = np.asarray(alphas)
    good = values.ndim == 1 and values.size > 0 and values.dtype.kind in "fiu"
    if not (good and np.all(np.isfinite(values) & (values >= 0))):
        raise ValueError(
            f"{name}: the parameter alphas={alphas!r} is not valid; it must be an integer >= 1 or "
            "a list of numbers >= 0"
        )
    return np.sort(values.astype(np.float64))[::-1]


def check_ratio(l1_ratio: Any, *, zero: bool = False) -> None:
    """Raise unless ``l1_ratio`` is in (0, 1], or 0 where that is allowed."""
    low = l1_ratio >= 0 if zero else l1_ratio > 0
    if not (low and l1_ratio <= 1):
        what = "between 0 and 1" if zero else "> 0 and <= 1 (with l1_ratio=0 give alphas yourself)"
        raise ValueError(f"l1_ratio={l1_ratio!r}, but it must be {what}")


def check_ratios(owner: Any) -> list[float]:
    """The shares in ``owner.l1_ratio``, a number or a list of them.

    Raises
    ------
    ValueError
        Unless all are in [0, 1].
    """
    ratios = np.atleast_1d(np.asarray(owner.l1_ratio))
    good = ratios.ndim == 1 and ratios.size > 0 and ratios.dtype.kind in "fiu"
    if not (good and np.all((ratios >= 0) & (ratios <= 1))):
        raise ValueError(
            f"{type(owner).__name__}: the parameter l1_ratio={owner.l1_ratio!r} is not valid; it "
            "must be a number between 0 and 1, or a list of them"
        )
    return [float(r) for r in ratios]


def omega_of(weights: Any, y: Any) -> Any:
    """Sample weights that sum to one, of the targets' dtype and beside them."""
    xp = namespace_of(y)
    if weights is None:
        n = y.shape[0]
        return xp.full(n, 1.0 / n, dtype=y.dtype, device=device_of(y))
    return weights / xp.sum(weights)
