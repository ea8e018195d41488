"""The laws of a penalty or a constraint set."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.penalties import Penalty
from skopt_dl.testing.law import require, require_close

SIZE = 9
STEPS = (0.05, 1.0, 7.0)


def check_penalty(penalty: Penalty, *, size: int = SIZE, seed: int = 0) -> None:
    """Check the prox of ``penalty``, and whatever else it implements, against each other.

    Parameters
    ----------
    penalty : Penalty
        An instance of your class.
    size : int
        Length of the coefficients it takes.
    seed : int
        Of the random points.

    Raises
    ------
    AssertionError
        Naming the broken law.
    """
    rng = np.random.default_rng(seed)
    points = [scale * rng.standard_normal(size) for scale in (0.1, 1.0, 1.0, 5.0)]
    points.append(np.zeros(size))
    for step in STEPS:
        for v in points:
            _check_prox(penalty, v, step, points, rng)
        if penalty.convex:
            _check_firm(penalty, points, step)
    _check_dtype(penalty, points[1])
    inside = [penalty.prox(v, 1.0) for v in points]
    if penalty.convex:
        _check_convex(penalty, inside)
    if penalty.constraint:
        for w in inside:
            require("a constraint is 0 on its set", float(penalty.value(w)) == 0)
    if hasattr(penalty, "check"):
        penalty.check(size)
    if hasattr(penalty, "grad"):
        _check_derivatives(penalty, points, rng)
    if hasattr(penalty, "feasible_scale") and hasattr(penalty, "conjugate"):
        _check_feasible_scale(penalty, points)
    if hasattr(penalty, "elastic_net"):
        _check_elastic_net(penalty, inside)
    if hasattr(penalty, "linear_minimiser"):
        _check_linear_minimiser(penalty, points, inside)


def _check_prox(penalty: Penalty, v: Any, step: float, points: list[Any], rng: Any) -> None:
    before = v.copy()
    p = penalty.prox(v, step)
    require("a prox does not write its argument", np.array_equal(v, before))
    require("a prox is a new array", not np.shares_memory(p, v))

    def cost(w: Any) -> float:
        return float(penalty.value(w)) + float(np.sum((w - v) ** 2)) / (2 * step)

    best = cost(p)
    require("a prox has a finite value", np.isfinite(best))
    near = [p + size * rng.standard_normal(v.shape[0]) for size in (1e-6, 1e-3, 0.1)]
    for w in [*near, *points, *(penalty.prox(q, step) for q in points)]:
        require(
            "a prox minimises penalty + |w - v|^2 / (2 step)", best <= cost(w) * (1 + 1e-12) + 1e-12
        )
    # v - p over the step is a subgradient at p, and what else is known must agree.
    u = (v - p) / step
    if hasattr(penalty, "distance"):
        require_close(
            "the distance to the subdifferential is 0 at a prox",
            penalty.distance(p, -u),
            0 * p,
            0.0,
            1e-9 * (1 + np.max(np.abs(u))),
        )
        g = rng.standard_normal(v.shape[0])
        # Without convexity a prox may leave a stationary point for a better one.
        moves = penalty.convex and np.max(np.abs(penalty.prox(p - g, 1.0) - p)) > 1e-9
        require(
            "the distance to the subdifferential is positive where a prox step moves",
            not moves or np.max(penalty.distance(p, g)) > 0,
        )
    if hasattr(penalty, "conjugate"):
        # Moreau: v splits into p and step u, with u the prox of the conjugate, which is to say
        # that the pair (p, u) meets Fenchel-Young with equality.
        if hasattr(penalty, "feasible_scale"):
            # u is a difference, and may lie beyond the border of the domain by its rounding.
            c = float(penalty.feasible_scale(u))
            require("a subgradient at a prox is dual feasible", c >= 1 - 1e-9, f"up to {c}")
            u = c * u
        both = float(penalty.value(p)) + float(penalty.conjugate(u))
        scale = 1e-9 * (1 + abs(float(p @ u)))
        require_close("Moreau: penalty(p) + conjugate(u) = p'u", both, float(p @ u), 0.0, scale)
        for w in points:
            slack = float(penalty.value(w)) + float(penalty.conjugate(u)) - float(w @ u)
            require("Fenchel-Young is an inequality", slack >= -scale * (1 + abs(float(w @ u))))
    if hasattr(penalty, "prox_coordinate"):
        each = np.asarray([penalty.prox_coordinate(v[j], step, j) for j in range(v.shape[0])])
        require_close("prox_coordinate is the prox of one coordinate", each, p, 1e-12, 1e-14)


def _check_firm(penalty: Penalty, points: list[Any], step: float) -> None:
    for v in points:
        for w in points:
            move = penalty.prox(v, step) - penalty.prox(w, step)
            require(
                "a prox is firmly non-expansive",
                float(move @ move) <= float(move @ (v - w)) + 1e-10,
            )


def _check_dtype(penalty: Penalty, v: Any) -> None:
    single = {
        name: value.astype(np.float32) if isinstance(value, np.ndarray) else value
        for name, value in penalty.get_params(deep=False).items()
    }
    w = type(penalty)(**single).prox(v.astype(np.float32), np.float32(0.5))
    require("float32 stays float32", w.dtype == np.float32, f"prox gives {w.dtype}")


def _check_convex(penalty: Penalty, inside: list[Any]) -> None:
    for v in inside:
        for w in inside:
            middle = float(penalty.value(0.3 * v + 0.7 * w))
            chord = 0.3 * float(penalty.value(v)) + 0.7 * float(penalty.value(w))
            require("a penalty is convex", middle <= chord + 1e-10 * (1 + abs(chord)))


def _check_derivatives(penalty: Penalty, points: list[Any], rng: Any) -> None:
    h = 1e-5
    for w in points:
        d = rng.standard_normal(w.shape[0])
        slope = (float(penalty.value(w + h * d)) - float(penalty.value(w - h * d))) / (2 * h)
        grad = float(penalty.grad(w) @ d)  # type: ignore[attr-defined]
        require_close("grad = difference of values", grad, slope, 1e-6, 1e-8)
        if hasattr(penalty, "curvature"):
            bend = (penalty.grad(w + h * d) - penalty.grad(w - h * d)) / (2 * h)  # type: ignore[attr-defined]
            require_close(
                "curvature = difference of gradients", penalty.curvature(w) * d, bend, 1e-5, 1e-8
            )


def _check_feasible_scale(penalty: Any, points: list[Any]) -> None:
    for v in points:
        c = float(penalty.feasible_scale(v))
        require("a feasible scale lies in [0, 1]", 0 <= c <= 1, f"it is {c}")
        require("the conjugate is finite at it", np.isfinite(float(penalty.conjugate(c * v))))
        if c < 1:
            beyond = float(penalty.conjugate(min(1.0, c + 1e-3) * v))
            require("it is the largest such scale", np.isinf(beyond))


def _check_linear_minimiser(penalty: Any, points: list[Any], inside: list[Any]) -> None:
    for g in points:
        s = penalty.linear_minimiser(g)
        require("a linear minimiser lies in the set", float(penalty.value(s)) == 0)
        for w in inside:
            slack = float(g @ w - g @ s)
            require("no point of the set is lower", slack >= -1e-10 * (1 + abs(float(g @ s))))
        if hasattr(penalty, "conjugate"):
            support = float(penalty.conjugate(-g))
            require_close("g's = -conjugate(-g)", float(g @ s), -support, 1e-12, 1e-12)


def _check_elastic_net(penalty: Any, inside: list[Any]) -> None:
    size = inside[0].shape[0]
    l1, l2, positive = penalty.elastic_net(size, np, np.float64, None)
    for w in inside:
        value = float(np.sum(l1 * np.abs(w)) + 0.5 * np.sum(l2 * w**2))
        require_close(
            "elastic_net gives the weights of value", float(penalty.value(w)), value, 1e-12
        )
        require("elastic_net tells whether w >= 0", not positive or bool(np.all(w >= 0)))
