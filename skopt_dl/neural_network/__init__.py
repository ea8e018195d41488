"""Multi-layer perceptrons, and networks that take raw tables."""

from skopt_dl.neural_network.classifier import MLPClassifier
from skopt_dl.neural_network.regressor import MLPRegressor
from skopt_dl.neural_network.table_encoder import TableEncoder
from skopt_dl.neural_network.tabular_classifier import TabularMLPClassifier
from skopt_dl.neural_network.tabular_regressor import TabularMLPRegressor

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "TableEncoder",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
]
