"""Lasso and elastic net: squared loss with an L1 penalty."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

from sklearn.utils.metadata_routing import UNUSED

from skopt_dl._sklearn.parameters import check_choice, check_flag, check_gram, check_number
from skopt_dl.engine import SolveResult
from skopt_dl.linear_model._base import LinearEstimator, Task
from skopt_dl.linear_model._batches import BatchedRegressorMixin
from skopt_dl.linear_model._regression import (
    SparseCoefficientsMixin,
    lasso_solver,
    store_targets,
    target_tasks,
)
from skopt_dl.linear_model._together import fit_along, path_of
from skopt_dl.linear_model.path import enet_path
from skopt_dl.penalties import ElasticNet as ElasticNetPenalty


class SparseRegressor(BatchedRegressorMixin, SparseCoefficientsMixin, LinearEstimator):
    """An elastic net for each target."""

    path = staticmethod(enet_path)
    # How several of them are fitted to the same data, and which.
    _fit_together = staticmethod(fit_along)
    _fits_with = path_of
    # Not a fact about samples that a meta-estimator could pass on.
    __metadata_request__fit: ClassVar[dict[str, str]] = {"check_input": UNUSED}
    _per_sample: ClassVar[bool] = True

    @abstractmethod
    def _ratio(self) -> float:
        """The share of the L1 penalty."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, check_input: bool = True) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training data. float64 and float32 keep their precision, other types become float64.
            Never written; a sparse matrix is never made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights: weight w counts as the row repeated w times.
        check_input : bool, default=True
            Accepted for scikit-learn's sake. The data are always checked: that is one pass.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For invalid data or parameters, and for a solver that cannot solve the problem at hand
            (the message then says why, and which solvers can).
        """
        return super().fit(X, y, sample_weight)

    def _check_parameters(self) -> None:
        self._check_common()
        check_number(self, "alpha", low=0)
        check_flag(self, "copy_X", "positive", "warm_start")
        check_choice(self, "selection", ("cyclic", "random"))
        check_gram(self, "precompute")
        if hasattr(self, "l1_ratio"):
            check_number(self, "l1_ratio", low=0, high=1)

    def _solver_defaults(self) -> dict[str, Any]:
        return {"selection": self.selection}

    def _solver(self) -> Any:
        return lasso_solver(self)

    def _tasks(self, X: Any, y: Any, sample_weight: Any) -> list[Task]:
        penalty = self._penalty(self.alpha, self._ratio())
        return target_tasks(self, X, y, sample_weight, penalty, precompute=self.precompute)

    def _penalty(self, alpha: float, ratio: float) -> ElasticNetPenalty:
        l1 = alpha * ratio
        return ElasticNetPenalty(l1, alpha - l1, self.positive)

    def _store(self, tasks: list[Task], results: list[SolveResult]) -> None:
        self.__dict__.pop("_moments", None)
        store_targets(self, tasks, results)


class Lasso(SparseRegressor):
    r"""Linear regression with an L1 penalty.

    .. math:: \min_{w, b}\ \frac{1}{2 n} \|y - X w - b\|_2^2 + \alpha \|w\|_1

    With sample weights the mean of the squares is the weighted one.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, ``>= 0``. 0 is least squares.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not penalised. Sparse data stay sparse.
    precompute : bool or array-like of shape (n_features, n_features), default=False
        Compress the rows to a square system first, after which an iteration costs ``n_features**2``
        and no longer ``n_samples * n_features``. ``True`` does so where ``n_samples`` exceeds
        ``n_features + 1``. An array is the Gram matrix ``X'X`` to do it with, of the
        centred data if ``fit_intercept``; it is compared with X. Sparse data are never compressed.
    copy_X : bool, default=True
        Accepted for scikit-learn's sake. X is never written, whatever this says.
    max_iter : int or None, default=1000
        Iterations at most, in the solver's unit; ``None`` is the solver's own budget.
    tol : float, default=1e-4
        Bound on the duality gap, relative to the objective of the model that predicts by the
        intercept alone. It means this for every solver; see Notes.
    warm_start : bool, default=False
        Start from the coefficients of the previous `fit`.
    positive : bool, default=False
        Restrict to ``w >= 0``.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some (``selection="random"``, "saga").
    selection : {"cyclic", "random"}, default="cyclic"
        Order of the coordinates in coordinate descent. With "random", "auto" is that method.
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
    ElasticNet : With an L2 penalty added.
    ConstrainedLasso : The L1 norm bounded, where it is penalised here.
    Ridge : With an L2 penalty only.

    Notes
    -----
    Which solver: "active_set" is exact, whatever the correlations; "auto" takes it on dense data of
    up to a thousand samples or features. Otherwise "auto" takes extrapolated coordinate descent
    ("anderson_cd"); plain "cd" is as fast where columns are nearly uncorrelated. "fista" needs
    products with X only, which suits GPUs. "admm" suits data of few columns, "saga" very many rows.

    ``tol=1e-4`` asks about what it asks in scikit-learn, whose gap is relative to
    :math:`\|y\|^2 / n`, twice the objective of the null model.

    References
    ----------
    R. Tibshirani, "Regression shrinkage and selection via the lasso", JRSS B 58 (1996).

    Examples
    --------
    >>> from skopt_dl.linear_model import Lasso
    >>> model = Lasso(alpha=0.1).fit([[0, 0], [1, 1], [2, 2]], [0, 1, 2])
    >>> model.coef_.round(2)
    array([0.85, 0.  ])
    >>> model.solver_
    'active_set'
    >>> Lasso(alpha=0.1, solver="fista").fit([[0, 0], [1, 1], [2, 2]], [0, 1, 2]).solver_
    'fista'
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        precompute: Any = False,
        copy_X: bool = True,
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        warm_start: bool = False,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: Any = "auto",
        device: Any = None,
        max_time: float | None = None,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.device = device
        self.max_time = max_time

    def _ratio(self) -> float:
        return 1.0


class ElasticNet(SparseRegressor):
    r"""Linear regression with an L1 and an L2 penalty.

    .. math::

        \min_{w, b}\ \frac{1}{2 n} \|y - X w - b\|_2^2 + \alpha \rho \|w\|_1
        + \frac{\alpha (1 - \rho)}{2} \|w\|_2^2

    where :math:`\rho` is ``l1_ratio``. With sample weights the mean is the weighted one.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of both penalties, ``>= 0``. 0 is least squares.
    l1_ratio : float, default=0.5
        Share of the L1 penalty, from 0 (a ridge) to 1 (a lasso). Small values are as reliable as
        others.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not penalised. Sparse data stay sparse.
    precompute : bool or array-like of shape (n_features, n_features), default=False
        Compress the rows to a square system first, after which an iteration costs ``n_features**2``
        and no longer ``n_samples * n_features``. ``True`` does so where ``n_samples`` exceeds
        ``n_features + 1``. An array is the Gram matrix ``X'X`` to do it with, of the
        centred data if ``fit_intercept``; it is compared with X. Sparse data are never compressed.
    max_iter : int or None, default=1000
        Iterations at most, in the solver's unit; ``None`` is the solver's own budget.
    copy_X : bool, default=True
        Accepted for scikit-learn's sake. X is never written, whatever this says.
    tol : float, default=1e-4
        Bound on the duality gap, relative to the objective of the model that predicts by the
        intercept alone. It means this for every solver.
    warm_start : bool, default=False
        Start from the coefficients of the previous `fit`.
    positive : bool, default=False
        Restrict to ``w >= 0``.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some (``selection="random"``, "saga").
    selection : {"cyclic", "random"}, default="cyclic"
        Order of the coordinates in coordinate descent. With "random", "auto" is that method.
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
    Lasso : With an L1 penalty only.
    Ridge : With an L2 penalty only, which is smooth: more solvers apply.

    Notes
    -----
    Solvers and ``tol`` are those of `Lasso`.

    References
    ----------
    H. Zou, T. Hastie, "Regularization and variable selection via the elastic net", JRSS B 67
    (2005).

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from skopt_dl.linear_model import ElasticNet
    >>> X, y = make_regression(n_features=2, random_state=0)
    >>> model = ElasticNet(tol=1e-8).fit(X, y)
    >>> model.coef_.round(2)
    array([18.84, 64.56])
    >>> model.predict([[0, 0]]).round(3)
    array([1.451])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        precompute: Any = False,
        max_iter: int | None = 1000,
        copy_X: bool = True,
        tol: float = 1e-4,
        warm_start: bool = False,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: Any = "auto",
        device: Any = None,
        max_time: float | None = None,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.max_iter = max_iter
        self.copy_X = copy_X
        self.tol = tol
        self.warm_start = warm_start
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.device = device
        self.max_time = max_time

    def _ratio(self) -> float:
        return self.l1_ratio
