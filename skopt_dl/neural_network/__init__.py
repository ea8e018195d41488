"""Multi-layer perceptrons."""

from skopt_dl.neural_network.classifier import MLPClassifier
from skopt_dl.neural_network.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
