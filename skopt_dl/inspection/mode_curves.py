r"""Curves between two optima along which the objective is as low as can be.

Letters: :math:`w_j` the control points, :math:`\phi(t)` the curve, :math:`B_j` its basis, F the
objective.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from skopt_dl.engine import Oracle, Stopping, run
from skopt_dl.kernels.namespace import to_float
from skopt_dl.problems import SmoothProblem
from skopt_dl.solvers import LBFGS

Kind = Literal["bezier", "polyline"]
KINDS = ("bezier", "polyline")


class ModeCurve:
    r"""A curve through the parameters of a problem, by its control points.

    .. math::

        \phi(t) = \sum_j B_j(t)\, w_j, \qquad 0 \le t \le 1

    with Bernstein's polynomials :math:`B_j = \binom kj t^j (1 - t)^{k - j}`, or with hats, straight
    lines from one point to the next in equal times.

    Parameters
    ----------
    problem : Problem
        Whose objective is looked at.
    points : sequence of arrays of shape (size,)
        The control points, two at least; the first and the last are the ends.
    kind : {"polyline", "bezier"}
        The basis. Two points are a straight line in either.
    """

    def __init__(self, problem: Any, points: Sequence[Any], kind: Kind = "polyline") -> None:
        if kind not in KINDS:
            raise ValueError(f"ModeCurve: kind={kind!r}, but it must be 'bezier' or 'polyline'")
        if len(points) < 2:
            raise ValueError(f"ModeCurve: {len(points)} points, but a curve has two ends")
        for j, point in enumerate(points):
            if tuple(point.shape) != (problem.size,):
                raise ValueError(
                    f"ModeCurve: point {j} has shape {tuple(point.shape)}, but the problem has "
                    f"{problem.size} parameters, a flat array"
                )
        self.problem, self.points, self.kind = problem, list(points), kind

    def point(self, t: float) -> Any:
        """The parameters at ``t``, an array of shape ``(size,)``."""
        weights = basis(self.kind, len(self.points), t)
        terms = [b * w for b, w in zip(weights, self.points, strict=True) if b != 0]
        return sum(terms[1:], start=terms[0])

    def values(self, ts: Sequence[float] | np.ndarray) -> np.ndarray:
        """The objective at each of ``ts``."""
        return np.array([to_float(self.problem.value(self.point(float(t)))) for t in ts])

    def barrier(self, n: int = 61) -> float:
        """How far the objective rises on the way above the higher end, at ``n`` equal times."""
        values = self.values(np.linspace(0, 1, n))
        return float(values.max() - max(values[0], values[-1]))

    def straight(self) -> ModeCurve:
        """The straight line between the same ends."""
        return ModeCurve(self.problem, [self.points[0], self.points[-1]], self.kind)


def connect(
    problem: Any,
    a: Any,
    b: Any,
    *,
    kind: Kind = "bezier",
    bends: int = 1,
    nodes: int = 8,
    tol: float = 1e-6,
    max_iter: int = 200,
) -> ModeCurve:
    r"""A curve from ``a`` to ``b`` along which the mean objective is least.

    .. math:: \min_{w_1, \dots, w_m}\ \int_0^1 F(\phi(t))\, dt

    over the control points between the ends, by L-BFGS from equal parts of the straight line. The
    integral is Gauss-Legendre's on each of ``bends + 1`` parts of the curve.

    Parameters
    ----------
    problem : Problem
        With a gradient of the whole objective.
    a, b : array of shape (size,)
        The ends, two optima.
    kind : {"bezier", "polyline"}
        See `ModeCurve`.
    bends : int
        Control points between the ends, at least 1.
    nodes : int
        Points on each part where the objective and its gradient are taken.
    tol, max_iter : float and int
        Largest component of the gradient, and iterations of L-BFGS.

    Returns
    -------
    curve : ModeCurve

    Notes
    -----
    Garipov et al. draw one t and one batch a step; the quadrature has no noise, so that a
    quasi-Newton method can be used.

    References
    ----------
    T. Garipov, P. Izmailov, D. Podoprikhin, D. Vetrov, A. Wilson, "Loss surfaces, mode
    connectivity, and fast ensembling of DNNs", NeurIPS 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl.inspection import connect
    >>> from skopt_dl.problems import SmoothProblem
    >>> bowl = SmoothProblem(lambda w: w @ w, lambda w: 2 * w, start=np.zeros(2))
    >>> curve = connect(bowl, np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    >>> curve.points[1].round(6)
    array([-0.75, -0.75])
    """
    reason = problem.why_not(Oracle.GRAD)
    if reason is not None:
        raise ValueError(f"connect: {problem.description} has no gradient: {reason}")
    for name, setting in (("bends", bends), ("nodes", nodes)):
        if setting < 1:
            raise ValueError(f"connect: {name}={setting!r}, but it must be at least 1")
    inside = [(j / (bends + 1)) for j in range(1, bends + 1)]
    first = ModeCurve(problem, [a, *(a + t * (b - a) for t in inside), b], kind)
    xp, p = problem.xp, problem.size
    ts, shares = _quadrature(bends + 1, nodes)
    rows = [basis(kind, bends + 2, float(t)) for t in ts]

    def curve(theta: Any) -> ModeCurve:
        middle = [theta[j * p : (j + 1) * p] for j in range(bends)]
        return ModeCurve(problem, [a, *middle, b], kind)

    def value_and_grad(theta: Any) -> tuple[Any, Any]:
        at, value, grads = curve(theta), 0.0, [xp.zeros_like(a) for _ in range(bends)]
        for t, share, row in zip(ts, shares, rows, strict=True):
            found = problem.point(at.point(float(t)))
            value = value + float(share) * found.value
            grads = [
                g + float(share) * float(c) * found.grad if c else g
                for g, c in zip(grads, row[1:-1], strict=True)
            ]
        return value, xp.concat(grads)

    mean = SmoothProblem(
        value_and_grad=value_and_grad, start=xp.concat(first.points[1:-1]), description="a curve"
    )
    solved = run(mean, LBFGS(), stopping=Stopping(tol=tol, max_iter=max_iter))
    return curve(solved.w)


def basis(kind: Kind, k: int, t: float) -> list[float]:
    """The weights of ``k`` control points at ``t``."""
    if kind == "bezier":
        return [math.comb(k - 1, j) * t**j * (1 - t) ** (k - 1 - j) for j in range(k)]
    return [max(0.0, 1 - abs(t * (k - 1) - j)) for j in range(k)]


def _quadrature(parts: int, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Times and weights of Gauss-Legendre's rule on equal parts of [0, 1]."""
    x, weights = np.polynomial.legendre.leggauss(nodes)
    lows = np.arange(parts)[:, None]
    return ((lows + (x + 1) / 2) / parts).reshape(-1), np.tile(weights / (2 * parts), parts)
