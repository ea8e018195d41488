"""Least squares within an l1 ball: the lasso in its original, constrained form."""

from __future__ import annotations

from typing import Any

from skopt_dl._sklearn.parameters import check_flag, check_number
from skopt_dl.engine import SolveResult
from skopt_dl.linear_model._base import LinearEstimator, Task
from skopt_dl.linear_model._regression import (
    SparseCoefficientsMixin,
    store_targets,
    target_tasks,
)
from skopt_dl.penalties import L1Ball


class ConstrainedLasso(SparseCoefficientsMixin, LinearEstimator):
    r"""Linear regression with the L1 norm of the coefficients bounded.

    .. math:: \min_{w, b}\ \frac{1}{2 n} \|y - X w - b\|_2^2 \quad \text{subject to}\quad
       \|w\|_1 \le r

    With sample weights the mean of the squares is the weighted one.

    Parameters
    ----------
    radius : float, default=1.0
        The bound ``r``, ``> 0``.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not constrained. Sparse data stay sparse.
    max_iter : int or None, default=None
        Iterations at most, in the solver's unit; ``None`` is the solver's own budget.
    tol : float, default=1e-4
        Bound on the duality gap, relative to the objective of the model that predicts by the
        intercept alone. It means this for every solver.
    warm_start : bool, default=False
        Start from the coefficients of the previous `fit`.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some.
    solver : str or Solver, default="auto"
        ``"auto"``, the name of a solver or an instance with options of its own.
    device : str or None, default=None
        Where to compute. ``None`` is where X is.
    max_time : float or None, default=None
        Seconds of solving at most; results then depend on the machine.

    Attributes
    ----------
    coef_ : array of shape (n_features,) or (n_targets, n_features)
        The coefficients ``w``.
    intercept_ : float or array of shape (n_targets,)
        The intercept ``b``; 0.0 without one.
    sparse_coef_ : sparse matrix of shape (n_targets, n_features)
        The same coefficients as a CSR matrix.
    dual_gap_ : float or array of shape (n_targets,)
        Duality gap reached, in the units of the objective: a bound on the distance to its minimum.
    n_iter_ : int or list of int
        Iterations of the solver, for each target.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X has names that are strings.
    solver_ : str
        Name of the solver that ran.
    solve_report_ : SolveReport or list of SolveReport
        Status, settings, certificate, timings and history of the solve of each target.

    Raises
    ------
    IncompatibleSolverError
        From `fit`, a `ValueError`: the solver cannot minimise this objective. The message says why
        and which solvers can.

    See Also
    --------
    Lasso : The L1 norm penalised, where it is bounded here.

    Notes
    -----
    Every lasso is the constrained one whose radius is the norm of its coefficients, and a radius
    no smaller than the norm of the least-squares solution does not bind. Each iterate of a
    projected method lies in the ball, also when it is stopped early.

    References
    ----------
    R. Tibshirani, "Regression shrinkage and selection via the lasso", JRSS B 58 (1996).

    Examples
    --------
    >>> from skopt_dl.linear_model import ConstrainedLasso
    >>> model = ConstrainedLasso(radius=0.5).fit([[0, 0], [1, 1], [2, 3]], [0, 1, 2])
    >>> float(abs(model.coef_).sum().round(6))
    0.5
    """

    def __init__(
        self,
        radius: float = 1.0,
        *,
        fit_intercept: bool = True,
        max_iter: int | None = None,
        tol: float = 1e-4,
        warm_start: bool = False,
        random_state: Any = None,
        solver: Any = "auto",
        device: Any = None,
        max_time: float | None = None,
    ) -> None:
        self.radius = radius
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.solver = solver
        self.device = device
        self.max_time = max_time

    def _check_parameters(self) -> None:
        self._check_common()
        check_number(self, "radius", low=0, open_low=True)
        check_flag(self, "warm_start")

    def _tasks(self, X: Any, y: Any, sample_weight: Any) -> list[Task]:
        return target_tasks(self, X, y, sample_weight, L1Ball(self.radius))

    def _store(self, tasks: list[Task], results: list[SolveResult]) -> None:
        store_targets(self, tasks, results)
