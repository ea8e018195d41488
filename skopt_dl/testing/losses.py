"""The laws of a loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.losses import Loss
from skopt_dl.testing.law import require, require_close

STEP = 1e-5  # of central differences: errors of about STEP^2


def check_loss(loss: Loss, y: Any = None, *, seed: int = 0) -> None:
    """Check slopes, curvatures, smoothness, the conjugate and the prox of ``loss``.

    Parameters
    ----------
    loss : Loss
        An instance of your class.
    y : array of shape (n,) or (n, K), optional
        Targets it takes. Default: zeros and ones, and one-hot rows where the loss has a
        ``curvature_map``.
    seed : int
        Of the random predictions.

    Raises
    ------
    AssertionError
        Naming the broken law.
    """
    rng = np.random.default_rng(seed)
    for targets in [np.asarray(y, dtype=float)] if y is not None else _targets(loss, rng):
        z = 3 * rng.standard_normal(targets.shape)
        _check_derivatives(loss, targets, z, rng)
        _check_extremes(loss, targets, z)
        if hasattr(loss, "conjugate"):
            _check_conjugate(loss, targets, z, rng)
        if hasattr(loss, "prox"):
            _check_prox(loss, targets, z, rng)


def _targets(loss: Loss, rng: np.random.Generator) -> list[np.ndarray]:
    labels = rng.integers(0, 3, 60)
    several, single = hasattr(loss, "curvature_map"), hasattr(loss, "curvature")
    targets = [np.eye(3)[labels]] if several else []
    return [*targets, (labels > 0).astype(float)] if single or not several else targets


def _check_derivatives(loss: Loss, y: np.ndarray, z: np.ndarray, rng: Any) -> None:
    value, slope = loss.value(y, z), loss.slope(y, z)
    require("a loss has one value a sample", value.shape == y.shape[:1], f"{value.shape}")
    require("a slope has the shape of the prediction", slope.shape == z.shape, f"{slope.shape}")
    d = rng.standard_normal(z.shape)
    along = d * slope if z.ndim == 1 else np.sum(d * slope, axis=1)
    difference = (loss.value(y, z + STEP * d) - loss.value(y, z - STEP * d)) / (2 * STEP)
    require_close("slope = difference of values", along, difference, 1e-6, 1e-8)
    bend = (loss.slope(y, z + STEP * d) - loss.slope(y, z - STEP * d)) / (2 * STEP)
    if z.ndim == 1 and hasattr(loss, "curvature"):
        h = loss.curvature(y, z)
        require_close("curvature = difference of slopes", h * d, bend, 1e-5, 1e-8)
        if loss.quadratic:
            require_close("a quadratic loss has constant curvature", h, loss.smoothness + 0 * z, 0)
        if loss.continuous_curvature:
            # A jump would show as a whole on some interval of a fine grid, a slope in part on each.
            h = np.stack([loss.curvature(y, 0 * z + t) for t in np.linspace(-6, 6, 2001)])
            jump = np.max(np.abs(np.diff(h, axis=0)))
            require("a continuous curvature does not jump", jump <= 0.02 * np.max(h))
    if hasattr(loss, "curvature_map"):
        product = loss.curvature_map(y, z)(d)
        require_close("curvature_map = difference of slopes", product, bend, 1e-5, 1e-8)
        if z.ndim == 2 and hasattr(loss, "curvature_root"):
            roots = loss.curvature_root(y, z)
            squared = sum(r * np.sum(r * d, axis=1, keepdims=True) for r in roots)
            require_close("R R' = curvature_map", squared, product, 1e-10, 1e-12)
    far = z + 4 * rng.standard_normal(z.shape)
    moved, shift = loss.slope(y, far) - loss.slope(y, z), far - z
    bound = loss.smoothness * np.linalg.norm(shift) * (1 + 1e-12)
    require("slopes change by at most smoothness times the way", np.linalg.norm(moved) <= bound)
    chord = loss.value(y, far) - value
    tangent = slope * shift if z.ndim == 1 else np.sum(slope * shift, axis=1)
    require("a loss is convex", np.all(chord >= tangent - 1e-12 * (1 + np.abs(chord))))


def _check_extremes(loss: Loss, y: np.ndarray, z: np.ndarray) -> None:
    # Without a bound on the curvature a loss may grow as fast as it likes, but stays a number.
    good = np.isfinite if np.isfinite(loss.smoothness) else _is_number
    for size in (1e3, 1e6):
        require("values stay finite far out", np.all(good(loss.value(y, size * z))))
        require("slopes stay finite far out", np.all(good(loss.slope(y, size * z))))
    single = np.float32
    value = loss.value(y.astype(single), z.astype(single))
    require("float32 stays float32", value.dtype == single, f"{value.dtype}")


def _is_number(a: np.ndarray) -> np.ndarray:
    return ~np.isnan(a)


def _check_conjugate(loss: Loss, y: np.ndarray, z: np.ndarray, rng: Any) -> None:
    def product(u: Any, v: Any) -> Any:
        return u * v if u.ndim == 1 else np.sum(u * v, axis=1)

    u = loss.slope(y, z)  # type: ignore[attr-defined]
    dual = loss.conjugate(y, u)  # type: ignore[attr-defined]
    require_close(
        "Fenchel-Young holds with equality at the slope",
        loss.value(y, z) + dual,
        product(u, z),
        1e-9,
        1e-9,
    )
    other = z + 2 * rng.standard_normal(z.shape)
    slack = loss.value(y, other) + dual - product(u, other)
    require("Fenchel-Young is an inequality", np.all(slack >= -1e-9))


def _check_prox(loss: Loss, y: np.ndarray, v: np.ndarray, rng: Any) -> None:
    for size in (1e-2, 1.0, 30.0):
        step = size * (0.5 + rng.random(y.shape[0]))
        each = step if v.ndim == 1 else step[:, None]
        z = loss.prox(y, v, each)  # type: ignore[attr-defined]
        if loss.differentiable or np.isfinite(loss.smoothness):
            # A kink has no slope to meet; where there is none, optimality is an equation.
            residual = z + each * loss.slope(y, z)
            require_close("the prox solves z + step slope(z) = v", residual, v, 1e-9, 1e-9 * size)

        def cost(a: Any, step: Any = step) -> Any:
            square = (a - v) ** 2
            return loss.value(y, a) + (square if v.ndim == 1 else square.sum(axis=1)) / (2 * step)

        best = cost(z)
        for length in (1e-4, 1e-2, 1.0):
            other = cost(z + length * rng.standard_normal(v.shape))
            require("the prox minimises loss + |z - v|^2 / (2 step)", np.all(best <= other + 1e-9))
