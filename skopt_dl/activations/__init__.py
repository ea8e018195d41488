"""What the hidden layers of a network apply to their inputs: value, slope, curvature."""

from skopt_dl.activations.base import Activation
from skopt_dl.activations.rectified import ELU, SELU, LeakyReLU, ReLU
from skopt_dl.activations.sigmoid import Identity, Logistic, Softplus, Tanh
from skopt_dl.activations.smooth import GELU, Mish, SiLU
from skopt_dl.activations.trained import Parametric

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "Identity",
    "LeakyReLU",
    "Logistic",
    "Mish",
    "Parametric",
    "ReLU",
    "SiLU",
    "Softplus",
    "Tanh",
]
