"""Laws that every part must obey. The test suite runs them on our parts, you on your own.

Each function raises `AssertionError` with the name of the law that is broken.
"""

from skopt_dl.testing.activations import check_activation
from skopt_dl.testing.losses import check_loss
from skopt_dl.testing.maps import check_linear_map
from skopt_dl.testing.penalties import check_penalty
from skopt_dl.testing.problems import check_problem
from skopt_dl.testing.solvers import check_solver

__all__ = [
    "check_activation",
    "check_linear_map",
    "check_loss",
    "check_penalty",
    "check_problem",
    "check_solver",
]
