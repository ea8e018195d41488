"""The estimators on Dask collections: data that no single machine holds.

Same names and parameters as in `skopt_dl`, with ``client=`` beside them. A fit takes Dask arrays or
dataframes in blocks of rows, ``predict`` is lazy, ``to_local()`` is the plain estimator with the
same fitted attributes. Needs ``pip install skopt_dl[dask]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skopt_dl._lazy import attach

if TYPE_CHECKING:  # "as" marks a name as exported
    from skopt_dl.dask.lasso import ElasticNet as ElasticNet, Lasso as Lasso
    from skopt_dl.dask.lasso_cv import ElasticNetCV as ElasticNetCV, LassoCV as LassoCV
    from skopt_dl.dask.logistic import LogisticRegression as LogisticRegression
    from skopt_dl.dask.matrix_completion import MatrixCompletion as MatrixCompletion
    from skopt_dl.dask.mlp import MLPClassifier as MLPClassifier, MLPRegressor as MLPRegressor
    from skopt_dl.dask.ridge import Ridge as Ridge
    from skopt_dl.dask.ridge_cv import RidgeCV as RidgeCV

_HOME = {
    "ElasticNet": "lasso",
    "ElasticNetCV": "lasso_cv",
    "Lasso": "lasso",
    "LassoCV": "lasso_cv",
    "LogisticRegression": "logistic",
    "MLPClassifier": "mlp",
    "MLPRegressor": "mlp",
    "MatrixCompletion": "matrix_completion",
    "Ridge": "ridge",
    "RidgeCV": "ridge_cv",
}

__all__ = sorted(_HOME)
__getattr__, __dir__ = attach(__name__, _HOME)
