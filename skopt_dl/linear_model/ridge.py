"""Ridge regression: squared loss with an L2 penalty, a direct or an iterative solve."""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl._sklearn.parameters import check_flag
from skopt_dl._sklearn.validation import check_weights, check_X_y
from skopt_dl.engine import SolveResult
from skopt_dl.linear_model._base import LinearEstimator, Task
from skopt_dl.linear_model._batches import BatchedRegressorMixin
from skopt_dl.linear_model._regression import LinearRegressorMixin
from skopt_dl.linear_model._ridge_tasks import ridge_tasks, store_ridge, target_strengths
from skopt_dl.linear_model._ridge_together import fit_shared, shared_products


class Ridge(BatchedRegressorMixin, LinearRegressorMixin, LinearEstimator):
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
    RidgeCV : Chooses ``alpha`` by cross-validation.
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

    _per_sample: ClassVar[bool] = False
    # How several of them are fitted to the same data, and which.
    _fit_together = staticmethod(fit_shared)
    _fits_with = shared_products

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
        alphas = target_strengths(self, 1 if y.ndim == 1 else y.shape[1])
        return ridge_tasks(self, X, y, weights, alphas, positive=self.positive)

    def _solver(self) -> Any:
        # What scikit-learn calls "lbfgs" here is L-BFGS with bounds.
        return "lbfgsb" if self.positive and self.solver == "lbfgs" else self.solver

    def _store(self, tasks: list[Task], results: list[SolveResult]) -> None:
        self.__dict__.pop("_moments", None)
        store_ridge(self, tasks, results)
