"""Who solves it: names, the choice of ``"auto"`` with its reasons, and the good error."""

from skopt_dl.dispatch.registry import (
    ACTIVATIONS,
    LOSSES,
    PENALTIES,
    SOLVERS,
    UnknownNameError,
    register,
)
from skopt_dl.dispatch.resolve import IncompatibleSolverError, fitting, resolve

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "PENALTIES",
    "SOLVERS",
    "IncompatibleSolverError",
    "UnknownNameError",
    "fitting",
    "register",
    "resolve",
]
