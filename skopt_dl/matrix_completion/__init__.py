"""Low-rank matrix completion."""

from skopt_dl.matrix_completion.estimator import MatrixCompletion

__all__ = ["MatrixCompletion"]
