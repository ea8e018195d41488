"""Lasso and elastic net."""
from __future__ import annotations
from numbers import Real
from typing import Any
from skopt_dl.linear_model._base import SparseRegressor, check_scalar
from skopt_dl.penalties import ElasticNet as ElasticNetPenalty

class Lasso(SparseRegressor):
    """Lasso."""
    def __init__(self, alpha=1.0, *, fit_intercept=True, precompute=False, copy_X=True, max_iter=1000, tol=1e-4, warm_start=False, positive=False, random_state=None, selection="cyclic", solver="auto"):
        self.alpha=alpha; self.fit_intercept=fit_intercept; self.precompute=precompute; self.copy_X=copy_X; self.max_iter=max_iter; self.tol=tol; self.warm_start=warm_start; self.positive=positive; self.random_state=random_state; self.selection=selection; self.solver=solver
    def _penalty(self):
        return ElasticNetPenalty(self.alpha, 0.0, self.positive)
