"""Low-rank matrix completion."""

from skopt_dl.matrix_completion.cross_validation import MatrixCompletionCV
from skopt_dl.matrix_completion.estimator import MatrixCompletion
from skopt_dl.matrix_completion.folds import EntryKFold
from skopt_dl.matrix_completion.tensor import TensorCompletion

__all__ = ["EntryKFold", "MatrixCompletion", "MatrixCompletionCV", "TensorCompletion"]
