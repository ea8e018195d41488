"""The contract between problems and solvers, and the loop that joins them."""

from skopt_dl.engine.observers import Observer, Printer
from skopt_dl.engine.oracles import Needs, Oracle, Trait, offers
from skopt_dl.engine.problem import Certificate, LineFunction, Point, Problem
from skopt_dl.engine.result import SolveReport, SolveResult
from skopt_dl.engine.run import run
from skopt_dl.engine.settings import Settings
from skopt_dl.engine.solver import Solver, State, Status
from skopt_dl.engine.stopping import Report, Stopping, StoppingRule

__all__ = [
    "Certificate",
    "LineFunction",
    "Needs",
    "Observer",
    "Oracle",
    "Point",
    "Printer",
    "Problem",
    "Report",
    "Settings",
    "SolveReport",
    "SolveResult",
    "Solver",
    "State",
    "Status",
    "Stopping",
    "StoppingRule",
    "Trait",
    "offers",
    "run",
]
