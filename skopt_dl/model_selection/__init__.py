"""Searches that train candidates of one architecture together, with the scores of one by one."""

from skopt_dl.model_selection.search import GridSearchCV, RandomizedSearchCV
from skopt_dl.model_selection.together import fit_together

__all__ = ["GridSearchCV", "RandomizedSearchCV", "fit_together"]
