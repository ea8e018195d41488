"""Problems: a loss of a linear model plus a penalty, smooth functions from callables."""

from skopt_dl.problems.linear import LinearProblem
from skopt_dl.problems.sharded import ShardedProblem
from skopt_dl.problems.smooth import SmoothProblem

__all__ = ["LinearProblem", "ShardedProblem", "SmoothProblem"]
