"""Losses of a raw prediction: value, slope, curvature, conjugate, prox."""

from skopt_dl.losses.base import Loss
from skopt_dl.losses.logistic import Logistic, Multinomial
from skopt_dl.losses.squared import Squared

__all__ = ["Logistic", "Loss", "Multinomial", "Squared"]
