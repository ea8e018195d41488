"""Problems: a loss of a linear model plus a penalty, smooth functions from callables."""

from skopt_dl.problems.linear import LinearProblem

__all__ = ["LinearProblem"]
