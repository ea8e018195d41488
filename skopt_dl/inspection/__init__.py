"""Looking at solvers and solves: which fit, what is missing, how they converged, and the landscape
of the objective around a point and between points."""

from skopt_dl.inspection.convergence import convergence_plot
from skopt_dl.inspection.deep_linear import DeepLinear, DeepLinearTrace
from skopt_dl.inspection.displays import (
    CurvatureDisplay,
    DeepLinearDisplay,
    FlatnessDisplay,
    LossLineDisplay,
    LossPlaneDisplay,
    ModeCurveDisplay,
    NoiseScaleDisplay,
    SpectrumDisplay,
)
from skopt_dl.inspection.hidden_units import align_units
from skopt_dl.inspection.jacobians import input_jacobians, log_gains
from skopt_dl.inspection.landscape import Landscape, Saddle, SpectralDensity
from skopt_dl.inspection.mode_curves import ModeCurve, connect
from skopt_dl.inspection.table import SolverRow, SolverTable, solver_table

__all__ = [
    "CurvatureDisplay",
    "DeepLinear",
    "DeepLinearDisplay",
    "DeepLinearTrace",
    "FlatnessDisplay",
    "Landscape",
    "LossLineDisplay",
    "LossPlaneDisplay",
    "ModeCurve",
    "ModeCurveDisplay",
    "NoiseScaleDisplay",
    "Saddle",
    "SolverRow",
    "SolverTable",
    "SpectralDensity",
    "SpectrumDisplay",
    "align_units",
    "connect",
    "convergence_plot",
    "input_jacobians",
    "log_gains",
    "solver_table",
]
