"""Line searches and learning-rate schedules."""

from skopt_dl.search.backtracking import backtrack
from skopt_dl.search.model_steps import (
    absolute_step,
    cubic_step,
    model_decrease,
    trust_step,
)
from skopt_dl.search.more_thuente import more_thuente
from skopt_dl.search.schedules import (
    Adaptive,
    Constant,
    Cosine,
    Decreasing,
    Exponential,
    InverseScaling,
    OneCycle,
    Schedule,
    Step,
    WarmUp,
    schedule_of,
)
from skopt_dl.search.trial import Decrease, Found, Trial, rounding
from skopt_dl.search.wolfe import strong_wolfe

__all__ = [
    "Adaptive",
    "Constant",
    "Cosine",
    "Decrease",
    "Decreasing",
    "Exponential",
    "Found",
    "InverseScaling",
    "OneCycle",
    "Schedule",
    "Step",
    "Trial",
    "WarmUp",
    "absolute_step",
    "backtrack",
    "cubic_step",
    "model_decrease",
    "more_thuente",
    "rounding",
    "schedule_of",
    "strong_wolfe",
    "trust_step",
]
