"""Lasso and elastic net for several targets that share their features."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import Any

from skopt_dl._sklearn.parameters import check_choice, check_flag, check_number
from skopt_dl._sklearn.validation import check_weights, check_X_y
from skopt_dl.engine import SolveResult
from skopt_dl.kernels.namespace import namespace_of, to_float
from skopt_dl.linear_model._base import LinearEstimator, Task
from skopt_dl.linear_model._regression import (
    SparseCoefficientsMixin,
    fitted_line,
    lasso_solver,
    store_targets,
    warm_coef,
)
from skopt_dl.linear_model.path import enet_path
from skopt_dl.linops import design
from skopt_dl.losses import Squared
from skopt_dl.penalties import Penalty, RowElasticNet
from skopt_dl.problems import LinearProblem


def check_several(owner: Any, y: Any) -> None:
    """Raise for a target of one dimension."""
    if y.ndim == 1:
        name = type(owner).__name__
        raise ValueError(
            f"{name}: y has shape {y.shape}, but it must be (n_samples, n_targets). For "
            f"mono-task outputs, use {name.removeprefix('MultiTask')}"
        )


def shared_task(
    owner: Any, base: Any, y: Any, weights: Any, penalty: Penalty, start: Any = None
) -> Task:
    """One solve for all targets of a validated design; ``start`` has a row for each target."""
    xp = namespace_of(y)
    problem = LinearProblem(
        base,
        xp.asarray(y, copy=True),
        Squared(),
        penalty,
        sample_weight=weights,
        fit_intercept=owner.fit_intercept,
        description=partial(owner._describe, base.X),
    )
    flat = None if start is None else xp.reshape(start.T, (-1,))
    return Task(problem, fitted_line(problem.unpack, owner.fit_intercept, y), flat)


class MultiTask(SparseCoefficientsMixin, LinearEstimator):
    """One solve for all targets, with a penalty on the rows of the coefficients."""

    path = staticmethod(enet_path)

    @abstractmethod
    def _ratio(self) -> float:
        """The share of the norms of rows in the penalty."""

    def _check_parameters(self) -> None:
        self._check_common()
        check_number(self, "alpha", low=0)
        check_flag(self, "copy_X", "warm_start")
        check_choice(self, "selection", ("cyclic", "random"))
        if hasattr(self, "l1_ratio"):
            check_number(self, "l1_ratio", low=0, high=1)

    def _solver_defaults(self) -> dict[str, Any]:
        return {"selection": self.selection}

    def _solver(self) -> Any:
        return lasso_solver(self)

    def _tasks(self, X: Any, y: Any, sample_weight: Any) -> list[Task]:
        X, y = check_X_y(self, X, y, multi_output=True)
        check_several(self, y)
        l1 = self.alpha * self._ratio()
        penalty = RowElasticNet(y.shape[1], l1, self.alpha - l1)
        start = warm_coef(self, (y.shape[1], X.shape[1]), X.dtype)
        return [shared_task(self, design(X), y, check_weights(sample_weight, X), penalty, start)]

    def _store(self, tasks: list[Task], results: list[SolveResult]) -> None:
        store_targets(self, tasks, results)
        problem: Any = tasks[0].problem
        square = to_float(problem.xp.sum(problem.omega[:, None] * problem.y**2))
        self.eps_ = self.tol * problem.n_samples * square

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = False
        return tags


class MultiTaskLasso(MultiTask):
    r"""Linear regression of several targets with features that all of them share.

    .. math:: \min_{W, b}\ \frac{1}{2 n} \|Y - X W - 1 b'\|_F^2 + \alpha \sum_j \|W_j\|_2

    where :math:`W_j` are the coefficients of feature j: they are zero for all targets or for none.
    With sample weights the mean of the squares is the weighted one.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, ``>= 0``. 0 is least squares.
    fit_intercept : bool, default=True
        Fit the intercepts ``b``, which are not penalised. Sparse data stay sparse.
    copy_X : bool, default=True
        Accepted for scikit-learn's sake. X is never written, whatever this says.
    max_iter : int or None, default=1000
        Iterations at most, in the solver's unit; ``None`` is the solver's own budget.
    tol : float, default=1e-4
        Bound on the duality gap, relative to the objective of the model that predicts by the
        intercepts alone. It means this for every solver.
    warm_start : bool, default=False
        Start from the coefficients of the previous `fit`.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some (``selection="random"``).
    selection : {"cyclic", "random"}, default="cyclic"
        Order of the features in coordinate descent. With "random", "auto" is that method.
    solver : str or Solver, default="auto"
        ``"auto"``, the name of a solver or an instance with options of its own.
    device : str or None, default=None
        Where to compute. ``None`` is where X is.
    max_time : float or None, default=None
        Seconds of solving at most; results then depend on the machine.

    Attributes
    ----------
    coef_ : array of shape (n_targets, n_features)
        The coefficients: the transpose of ``W``.
    intercept_ : array of shape (n_targets,)
        The intercepts ``b``; 0.0 without them.
    sparse_coef_ : sparse matrix of shape (n_targets, n_features)
        The same coefficients as a CSR matrix.
    dual_gap_ : float
        Duality gap reached, in the units of the objective: a bound on the distance to its minimum.
    eps_ : float
        ``tol`` times the sum of the squares of the centred targets: the solve has converged where
        ``2 * n_samples * dual_gap_ <= eps_``.
    n_iter_ : int
        Iterations of the solver.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X has names that are strings.
    solver_ : str
        Name of the solver that ran.
    solve_report_ : SolveReport
        Status, settings, certificate, timings and history of the solve.

    Raises
    ------
    IncompatibleSolverError
        From `fit`, a `ValueError`: the solver cannot minimise this objective. The message says why
        and which solvers can.

    See Also
    --------
    MultiTaskElasticNet : With an L2 penalty added.
    Lasso : Each target with features of its own.

    Notes
    -----
    Which solver: coordinate descent over the rows of ``W`` ("cd", what "auto" takes), or a method
    that needs products with X and a prox only, such as "fista".

    References
    ----------
    G. Obozinski, B. Taskar, M. Jordan, "Joint covariate selection and joint subspace selection for
    multiple classification problems", Statistics and Computing 20 (2010).

    Examples
    --------
    >>> from skopt_dl.linear_model import MultiTaskLasso
    >>> X, Y = [[0.0, 1.0], [1.0, 2.0], [2.0, 4.0]], [[0.0, 0.0], [1.0, 1.0], [2.0, 3.0]]
    >>> MultiTaskLasso(alpha=0.1, tol=1e-8).fit(X, Y).coef_.round(3)
    array([[0.   , 0.608],
           [0.   , 0.946]])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        warm_start: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: Any = "auto",
        device: Any = None,
        max_time: float | None = None,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.device = device
        self.max_time = max_time

    def _ratio(self) -> float:
        return 1.0


class MultiTaskElasticNet(MultiTask):
    r"""Linear regression of several targets with shared features, and an L2 penalty.

    .. math::

        \min_{W, b}\ \frac{1}{2 n} \|Y - X W - 1 b'\|_F^2 + \alpha \rho \sum_j \|W_j\|_2
        + \frac{\alpha (1 - \rho)}{2} \|W\|_F^2

    where :math:`\rho` is ``l1_ratio`` and :math:`W_j` the coefficients of feature j. With sample
    weights the mean of the squares is the weighted one.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of both penalties, ``>= 0``. 0 is least squares.
    l1_ratio : float, default=0.5
        Share of the penalty on rows, from 0 (a ridge) to 1 (a `MultiTaskLasso`).
    fit_intercept : bool, default=True
        Fit the intercepts ``b``, which are not penalised. Sparse data stay sparse.
    copy_X : bool, default=True
        Accepted for scikit-learn's sake. X is never written, whatever this says.
    max_iter : int or None, default=1000
        Iterations at most, in the solver's unit; ``None`` is the solver's own budget.
    tol : float, default=1e-4
        Bound on the duality gap, relative to the objective of the model that predicts by the
        intercepts alone. It means this for every solver.
    warm_start : bool, default=False
        Start from the coefficients of the previous `fit`.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some (``selection="random"``).
    selection : {"cyclic", "random"}, default="cyclic"
        Order of the features in coordinate descent. With "random", "auto" is that method.
    solver : str or Solver, default="auto"
        ``"auto"``, the name of a solver or an instance with options of its own.
    device : str or None, default=None
        Where to compute. ``None`` is where X is.
    max_time : float or None, default=None
        Seconds of solving at most; results then depend on the machine.

    Attributes
    ----------
    coef_ : array of shape (n_targets, n_features)
        The coefficients: the transpose of ``W``.
    intercept_ : array of shape (n_targets,)
        The intercepts ``b``; 0.0 without them.
    sparse_coef_ : sparse matrix of shape (n_targets, n_features)
        The same coefficients as a CSR matrix.
    dual_gap_ : float
        Duality gap reached, in the units of the objective: a bound on the distance to its minimum.
    eps_ : float
        ``tol`` times the sum of the squares of the centred targets: the solve has converged where
        ``2 * n_samples * dual_gap_ <= eps_``.
    n_iter_ : int
        Iterations of the solver.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X has names that are strings.
    solver_ : str
        Name of the solver that ran.
    solve_report_ : SolveReport
        Status, settings, certificate, timings and history of the solve.

    Raises
    ------
    IncompatibleSolverError
        From `fit`, a `ValueError`: the solver cannot minimise this objective. The message says why
        and which solvers can.

    See Also
    --------
    MultiTaskLasso : Without the L2 penalty.
    ElasticNet : Each target with features of its own.

    Notes
    -----
    Solvers and ``tol`` are those of `MultiTaskLasso`.

    References
    ----------
    H. Zou, T. Hastie, "Regularization and variable selection via the elastic net", JRSS B 67
    (2005).

    Examples
    --------
    >>> from skopt_dl.linear_model import MultiTaskElasticNet
    >>> X, Y = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]
    >>> MultiTaskElasticNet(alpha=0.1, tol=1e-8).fit(X, Y).coef_.round(3)
    array([[0.456, 0.456],
           [0.456, 0.456]])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        copy_X: bool = True,
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        warm_start: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: Any = "auto",
        device: Any = None,
        max_time: float | None = None,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.device = device
        self.max_time = max_time

    def _ratio(self) -> float:
        return self.l1_ratio
