"""Losses of a raw prediction: value, slope, curvature, conjugate, prox."""

from skopt_dl.losses.base import Loss
from skopt_dl.losses.huber import Huber
from skopt_dl.losses.logistic import Logistic, Multinomial
from skopt_dl.losses.poisson import Poisson
from skopt_dl.losses.quantile import Quantile
from skopt_dl.losses.squared import Squared
from skopt_dl.losses.squared_hinge import SquaredHinge

__all__ = [
    "Huber",
    "Logistic",
    "Loss",
    "Multinomial",
    "Poisson",
    "Quantile",
    "Squared",
    "SquaredHinge",
]
