"""Linear models: scikit-learn's parameters, any solver."""

from skopt_dl.linear_model.constrained import ConstrainedLasso
from skopt_dl.linear_model.lasso import ElasticNet, Lasso
from skopt_dl.linear_model.lasso_cv import ElasticNetCV, LassoCV
from skopt_dl.linear_model.logistic import LogisticRegression
from skopt_dl.linear_model.logistic_cv import LogisticRegressionCV
from skopt_dl.linear_model.multi_task import MultiTaskElasticNet, MultiTaskLasso
from skopt_dl.linear_model.multi_task_cv import MultiTaskElasticNetCV, MultiTaskLassoCV
from skopt_dl.linear_model.path import alpha_max, enet_path, lasso_path
from skopt_dl.linear_model.penalized import PenalizedRegressor
from skopt_dl.linear_model.penalized_classifier import PenalizedClassifier
from skopt_dl.linear_model.ridge import Ridge
from skopt_dl.linear_model.ridge_classifier import RidgeClassifier, RidgeClassifierCV
from skopt_dl.linear_model.ridge_cv import RidgeCV

__all__ = [
    "ConstrainedLasso",
    "ElasticNet",
    "ElasticNetCV",
    "Lasso",
    "LassoCV",
    "LogisticRegression",
    "LogisticRegressionCV",
    "MultiTaskElasticNet",
    "MultiTaskElasticNetCV",
    "MultiTaskLasso",
    "MultiTaskLassoCV",
    "PenalizedClassifier",
    "PenalizedRegressor",
    "Ridge",
    "RidgeCV",
    "RidgeClassifier",
    "RidgeClassifierCV",
    "alpha_max",
    "enet_path",
    "lasso_path",
]
