"""Line searches and learning-rate schedules."""

from skopt_dl.search.backtracking import backtrack
from skopt_dl.search.schedules import Schedule, schedule_of
from skopt_dl.search.trial import Decrease, Found, Trial, rounding
from skopt_dl.search.wolfe import strong_wolfe

__all__ = [
    "Decrease",
    "Found",
    "Schedule",
    "Trial",
    "backtrack",
    "rounding",
    "schedule_of",
    "strong_wolfe",
]
