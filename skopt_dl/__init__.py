"""scikit-learn's estimators with any optimisation method by name, as one object.

The names below are imported when they are first used, so ``import skopt_dl`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skopt_dl._version import __version__

if TYPE_CHECKING:
    from skopt_dl.dispatch import IncompatibleSolverError, UnknownNameError, register
    from skopt_dl.engine import Problem, SolveReport, Solver, SolveResult
    from skopt_dl.linear_model import Lasso
    from skopt_dl.losses import Loss
    from skopt_dl.penalties import Penalty

_HOME = {
    "IncompatibleSolverError": "dispatch",
    "Lasso": "linear_model",
    "Loss": "losses",
    "Penalty": "penalties",
    "Problem": "engine",
    "SolveReport": "engine",
    "SolveResult": "engine",
    "Solver": "engine",
    "UnknownNameError": "dispatch",
    "register": "dispatch",
}
_SUBMODULES = (
    "datasets",
    "dispatch",
    "engine",
    "inspection",
    "linear_model",
    "linops",
    "losses",
    "matrix_completion",
    "neural_network",
    "penalties",
    "problems",
    "search",
    "solvers",
    "testing",
)

__all__ = ["__version__", *_HOME, *_SUBMODULES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"skopt_dl.{_HOME[name]}"), name)
    elif name in _SUBMODULES:
        value = import_module(f"skopt_dl.{name}")
    else:
        raise AttributeError(f"module 'skopt_dl' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
