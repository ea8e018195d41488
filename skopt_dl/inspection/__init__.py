"""Looking at solvers and solves: which fit, what is missing, how they converged."""

from skopt_dl.inspection.convergence import convergence_plot
from skopt_dl.inspection.table import SolverRow, SolverTable, solver_table

__all__ = ["SolverRow", "SolverTable", "convergence_plot", "solver_table"]
