"""Ridge regression: squared loss with an L2 penalty, a direct or an iterative solve."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl._sklearn.arrays import host_dtype, is_foreign, put_beside
from skopt_dl._sklearn.parameters import check_flag
from skopt_dl._sklearn.validation import check_weights, check_X_y
from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.engine import SolveResult
from skopt_dl.kernels.namespace import namespace_of, to_float, to_numpy
from skopt_dl.linear_model._base import LinearEstimator, Task
from skopt_dl.linear_model._regression import LinearRegressorMixin, fitted_line, stacked
from skopt_dl.linops import design
from skopt_dl.losses import Squared
from skopt_dl.penalties import L2, ElasticNet, Penalty
from skopt_dl.problems import LinearProblem


class Ridge(LinearRegressorMixin, LinearEstimator):
    r"""Linear regression with an L2 penalty.

    .. math:: \min_{w, b}\ \|y - X w - b\|_2^2 + \alpha \|w\|_2^2

    The squares are summed, not averaged, as in scikit-learn; sample weights multiply them.

    Parameters
    ----------
    alpha : float or array-like of shape (n_targets,), default=1.0
        Strength of the penalty, ``>= 0``; an array has one for each target. 0 is least squares.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not penalised. Sparse data stay sparse.
    copy_X : bool, default=True
        Accepted for scikit-learn's sake. X is never written, whatever this says.
    max_iter : int or None, default=None
        Iterations at most, in the solver's unit; ``None`` is the solver's own budget. A direct
        solver does one.
    tol : float, default=1e-4
        Bound on the largest component of the (minimal sub)gradient, relative to that at zero
        coefficients. It means this for every solver; the direct ones meet it by rounding.
    solver : str or Solver, default="auto"
        ``"auto"``, the name of a solver or an instance with options of its own. All of
        scikit-learn's names work: "svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga", "lbfgs".
    positive : bool, default=False
        Restrict to ``w >= 0``.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some ("sag", "saga").
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
    n_iter_ : array of shape (n_targets,)
        Iterations of the solver, for each target; 1 for a direct one (scikit-learn has ``None``).
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X has names that are strings.
    solver_ : str
        Name of the solver that ran.
    solve_report_ : SolveReport or list of SolveReport
        Status, settings, certificate, timings and history of the solve; a list where the targets
        were solved one by one.

    Raises
    ------
    IncompatibleSolverError
        From `fit`, a `ValueError`: the solver cannot minimise this objective. The message says why
        and which solvers can.

    See Also
    --------
    Lasso : With an L1 penalty.
    ElasticNet : With both.

    Notes
    -----
    Which solver: "cholesky" where the smaller side of dense data is small enough to factorise
    (targets share the factorisation), "svd" where X is nearly singular and the penalty small,
    "cg" (also called "sparse_cg") and "lsqr" for sparse or large data. Every other solver of smooth
    objectives works, "lbfgs" for instance, and "cd" needs few passes where columns are nearly
    uncorrelated. With ``positive=True`` solvers need bounds, a prox or coordinates:
    "lbfgs" (with bounds: "lbfgsb"), "cd", "fista", "admm".

    Several targets are solved at once where the solver can, otherwise one by one.

    References
    ----------
    A. Hoerl, R. Kennard, "Ridge regression: biased estimation for nonorthogonal problems",
    Technometrics 12 (1970).

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl.linear_model import Ridge
    >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([0.0, 1.0, 2.0])
    >>> model = Ridge(alpha=2.0).fit(X, y)
    >>> model.coef_.round(6)
    array([0.5])
    >>> model.solver_
    'cholesky'
    """

    def __init__(
        self,
        alpha: Any = 1.0,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        max_iter: int | None = None,
        tol: float = 1e-4,
        solver: Any = "auto",
        positive: bool = False,
        random_state: Any = None,
        device: Any = None,
        max_time: float | None = None,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.solver = solver
        self.positive = positive
        self.random_state = random_state
        self.device = device
        self.max_time = max_time

    def _check_parameters(self) -> None:
        self._check_common()
        check_flag(self, "copy_X", "positive")

    def _tasks(self, X: Any, y: Any, sample_weight: Any) -> list[Task]:
        X, y = check_X_y(self, X, y, multi_output=True)
        weights = check_weights(sample_weight, X)
        n_targets = 1 if y.ndim == 1 else y.shape[1]
        total = X.shape[0] if weights is None else to_float(namespace_of(weights).sum(weights))
        # The problem's loss is half the mean of the squares: the penalty is divided by the same.
        strengths = self._alphas(n_targets) / total
        shared = design(X)

        def task(target: Any, penalty: Penalty) -> Task:
            problem = LinearProblem(
                shared,
                target,
                Squared(),
                penalty,
                sample_weight=weights,
                fit_intercept=self.fit_intercept,
                criterion="stationarity",
                scale="null",
                description=lambda: self._describe(X),
            )
            return Task(problem, fitted_line(problem.unpack, self.fit_intercept, y))

        if n_targets > 1 and not self.positive:
            # The flat coefficients have their targets side by side.
            each = put_beside(y, np.tile(strengths, X.shape[1]).astype(host_dtype(X)))
            uniform = bool(np.all(strengths == strengths[0]))
            joint = task(y, L2(float(strengths[0]) if uniform else each))
            if self._solves(joint.problem):
                return [joint]
        xp, tasks = namespace_of(y), []
        for k, strength in enumerate(map(float, strengths)):
            column = xp.asarray(y if y.ndim == 1 else y[:, k], copy=True)
            penalty = ElasticNet(0.0, strength, positive=True) if self.positive else L2(strength)
            tasks.append(task(column, penalty))
        return tasks

    def _solver(self) -> Any:
        # What scikit-learn calls "lbfgs" here is L-BFGS with bounds.
        return "lbfgsb" if self.positive and self.solver == "lbfgs" else self.solver

    def _alphas(self, n_targets: int) -> np.ndarray:
        """One strength per target."""
        name, alpha = type(self).__name__, self.alpha
        alpha = to_numpy(alpha) if is_foreign(alpha) else alpha
        numbers = isinstance(alpha, bool) or np.asarray(alpha).dtype.kind not in "fiu"
        alphas = np.empty(0) if numbers else np.ravel(np.asarray(alpha, dtype=np.float64))
        if alphas.size == 0 or not np.all((alphas >= 0) & np.isfinite(alphas)):
            raise ValueError(
                f"{name}: the parameter alpha={self.alpha!r} is not valid; it must be a number "
                ">= 0, or one for each target"
            )
        if alphas.size not in (1, n_targets):
            raise ValueError(
                f"{name}: Number of targets and number of penalties do not correspond: "
                f"{n_targets} != {alphas.size}; alpha must have one entry or one for each target"
            )
        return np.broadcast_to(alphas, (n_targets,))

    def _solves(self, problem: LinearProblem) -> bool:
        """Whether the chosen solver takes this problem."""
        try:
            resolve(self._solver(), problem, self._solver_defaults())
        except IncompatibleSolverError:
            return False
        return True

    def _store(self, tasks: list[Task], results: list[SolveResult]) -> None:
        for name, value in stacked(tasks, results).items():
            setattr(self, name, value)
        reports = [result.report() for result in results]
        iterations = [max(1, result.n_iter) for result in results]
        if len(tasks) == 1:
            # Targets that were solved at once have their iterations in common.
            iterations *= tasks[0].problem.n_outputs
        self.solve_report_ = reports[0] if len(tasks) == 1 else reports
        self.n_iter_ = np.asarray(iterations, dtype=np.int32)
