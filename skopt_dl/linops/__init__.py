"""Linear maps of a model: dense, sparse, centred, with an intercept."""

from skopt_dl.linops.affine import Centred, WithIntercept
from skopt_dl.linops.base import LinearMap
from skopt_dl.linops.design import Dense, Sparse, along_rows, design
from skopt_dl.linops.doubled import Doubled, in_double
from skopt_dl.linops.factor import NotPositiveDefiniteError, PositiveFactor
from skopt_dl.linops.graph import GraphProjection
from skopt_dl.linops.least_squares import solve_gram, solve_svd
from skopt_dl.linops.nystrom import NystromPreconditioner
from skopt_dl.linops.root import root_of
from skopt_dl.linops.spectrum import largest_eigenvalue

__all__ = [
    "Centred",
    "Dense",
    "Doubled",
    "GraphProjection",
    "LinearMap",
    "NotPositiveDefiniteError",
    "NystromPreconditioner",
    "PositiveFactor",
    "Sparse",
    "WithIntercept",
    "along_rows",
    "design",
    "in_double",
    "largest_eigenvalue",
    "root_of",
    "solve_gram",
    "solve_svd",
]
