"""Looking at solvers and solves: which fit, what is missing, how they converged, and the landscape
of the objective around a point."""

from skopt_dl.inspection.convergence import convergence_plot
from skopt_dl.inspection.displays import LossLineDisplay, LossPlaneDisplay, SpectrumDisplay
from skopt_dl.inspection.landscape import Landscape, Saddle, SpectralDensity
from skopt_dl.inspection.table import SolverRow, SolverTable, solver_table

__all__ = [
    "Landscape",
    "LossLineDisplay",
    "LossPlaneDisplay",
    "Saddle",
    "SolverRow",
    "SolverTable",
    "SpectralDensity",
    "SpectrumDisplay",
    "convergence_plot",
    "solver_table",
]
