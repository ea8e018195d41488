"""scikit-learn's estimators with any optimisation method by name, as one object.

The names below are imported when they are first used, so ``import skopt_dl`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skopt_dl._lazy import attach
from skopt_dl._version import __version__

if TYPE_CHECKING:  # "as" marks a name as exported
    from skopt_dl._minimize import minimize as minimize
    from skopt_dl.activations import Activation as Activation
    from skopt_dl.dispatch import (
        IncompatibleSolverError as IncompatibleSolverError,
        UnknownNameError as UnknownNameError,
        register as register,
    )
    from skopt_dl.engine import (
        Problem as Problem,
        Solver as Solver,
        SolveReport as SolveReport,
        SolveResult as SolveResult,
    )
    from skopt_dl.linear_model import (
        ConstrainedLasso as ConstrainedLasso,
        ElasticNet as ElasticNet,
        ElasticNetCV as ElasticNetCV,
        Lasso as Lasso,
        LassoCV as LassoCV,
        LogisticRegression as LogisticRegression,
        LogisticRegressionCV as LogisticRegressionCV,
        MultiTaskElasticNet as MultiTaskElasticNet,
        MultiTaskElasticNetCV as MultiTaskElasticNetCV,
        MultiTaskLasso as MultiTaskLasso,
        MultiTaskLassoCV as MultiTaskLassoCV,
        PenalizedClassifier as PenalizedClassifier,
        PenalizedRegressor as PenalizedRegressor,
        Ridge as Ridge,
        RidgeClassifier as RidgeClassifier,
        RidgeClassifierCV as RidgeClassifierCV,
        RidgeCV as RidgeCV,
    )
    from skopt_dl.losses import Loss as Loss
    from skopt_dl.matrix_completion import (
        MatrixCompletion as MatrixCompletion,
        MatrixCompletionCV as MatrixCompletionCV,
        TensorCompletion as TensorCompletion,
    )
    from skopt_dl.neural_network import (
        MLPClassifier as MLPClassifier,
        MLPRegressor as MLPRegressor,
        TableEncoder as TableEncoder,
        TabularMLPClassifier as TabularMLPClassifier,
        TabularMLPRegressor as TabularMLPRegressor,
    )
    from skopt_dl.penalties import Penalty as Penalty

_HOME = {
    "Activation": "activations",
    "ConstrainedLasso": "linear_model",
    "ElasticNet": "linear_model",
    "ElasticNetCV": "linear_model",
    "IncompatibleSolverError": "dispatch",
    "Lasso": "linear_model",
    "LassoCV": "linear_model",
    "LogisticRegression": "linear_model",
    "LogisticRegressionCV": "linear_model",
    "Loss": "losses",
    "MLPClassifier": "neural_network",
    "MLPRegressor": "neural_network",
    "MatrixCompletion": "matrix_completion",
    "MatrixCompletionCV": "matrix_completion",
    "MultiTaskElasticNet": "linear_model",
    "MultiTaskElasticNetCV": "linear_model",
    "MultiTaskLasso": "linear_model",
    "MultiTaskLassoCV": "linear_model",
    "PenalizedClassifier": "linear_model",
    "PenalizedRegressor": "linear_model",
    "Penalty": "penalties",
    "Problem": "engine",
    "Ridge": "linear_model",
    "RidgeCV": "linear_model",
    "RidgeClassifier": "linear_model",
    "RidgeClassifierCV": "linear_model",
    "SolveReport": "engine",
    "SolveResult": "engine",
    "Solver": "engine",
    "TableEncoder": "neural_network",
    "TabularMLPClassifier": "neural_network",
    "TabularMLPRegressor": "neural_network",
    "TensorCompletion": "matrix_completion",
    "UnknownNameError": "dispatch",
    "minimize": "_minimize",
    "register": "dispatch",
}
_SUBMODULES = (
    "activations",
    "dask",
    "datasets",
    "dispatch",
    "engine",
    "inspection",
    "linear_model",
    "linops",
    "losses",
    "matrix_completion",
    "model_selection",
    "neural_network",
    "penalties",
    "problems",
    "search",
    "solvers",
    "testing",
)

__all__ = ["__version__", *_HOME, *_SUBMODULES]
__getattr__, __dir__ = attach(__name__, _HOME, _SUBMODULES)
