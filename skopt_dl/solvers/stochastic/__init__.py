"""Rules that move along gradients of batches: one small class each.

Schedules of their rates are in `skopt_dl.search`; averages of their iterates are here.
"""

from skopt_dl.solvers.stochastic.averaging import EMA, SWA, Average, PolyakAverage

__all__ = ["EMA", "SWA", "Average", "PolyakAverage"]
