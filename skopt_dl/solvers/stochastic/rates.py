"""Automatic rates: how long the first step is, from the curvature and the slope at the start."""

from __future__ import annotations

import math
from typing import Any

from skopt_dl.engine import Trait
from skopt_dl.solvers.stochastic.base import curvature_step

# Kingma and Ba's own value, for networks, whose weights are of order one by construction.
NETWORK_RATE = 1e-3


def coordinate_rate(problem: Any, w: Any, batch_size: Any) -> float:
    """The rate of a rule that moves each coordinate by about the rate in an update.

    0.001 for a network; for a linear model, whose coefficients have no natural size, the largest
    coordinate of a stable gradient step at the start.
    """
    if Trait.LINEAR_MODEL not in problem.traits:
        return NETWORK_RATE
    step, slope = curvature_step(problem, w, batch_size)
    return step * slope


def summed_rate(problem: Any, w: Any, batch_size: Any) -> float:
    """The rate of a rule whose first update moves each coordinate by the rate, the later ones less.

    The largest coordinate of a stable gradient step at the start, for every problem: what is too
    long shrinks by itself.
    """
    step, slope = curvature_step(problem, w, batch_size)
    return step * slope


def length_rate(problem: Any, w: Any, batch_size: Any) -> float:
    """The rate of a rule whose first update has the rate as its length: a bound on the length of
    a stable gradient step at the start."""
    return math.sqrt(problem.size) * summed_rate(problem, w, batch_size)
