"""How far factors are from a point that nothing improves."""

from __future__ import annotations

from typing import Any

from skopt_dl.engine import Certificate
from skopt_dl.kernels.namespace import to_float
from skopt_dl.matrix_completion.nuclear import duality_gap


def certificate_of(problem: Any, w: Any, null: float) -> Certificate:
    r"""Stationarity ``|gradient|* |w| / F0``, with F0 the objective of all-zero factors.

    In the norm where each row and column counts by its share of the weights,
    :math:`|w|^2 = \sum_i \rho_i |p_i|^2 + \sum_j \kappa_j |q_j|^2`, and its dual. A pure
    number, the same if a row is given twice: the relative first-order decrease that a step as
    long as ``w`` itself could promise. The problem is not convex, so no gap to a global
    minimum is known, but for the nuclear norm: there it is the duality gap over F0.
    """
    xp, unit = problem.xp, null if null > 0 else 1.0
    if problem.nuclear:
        objective, gap = duality_gap(problem, *problem.unpack(w))
        return Certificate("duality gap", gap / unit, objective, gap)
    point, shares = problem.point_of(w, problem.residual(w)), problem._shares()
    if problem.positive:
        # A gradient that only pushes against the bound is no way down.
        held = (w <= 0) & (point.grad > 0)
        point.grad = xp.where(held, xp.zeros_like(w), point.grad)
    grad = point.grad / xp.sqrt(xp.where(shares > 0, shares, xp.ones_like(shares)))
    norm = xp.linalg.vector_norm
    slope = to_float(norm(grad)) * to_float(norm(xp.sqrt(shares) * w))
    return Certificate("stationarity", slope / unit, to_float(point.value))
