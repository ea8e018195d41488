"""Several targets that share their features, with the strength chosen by cross-validation."""

from __future__ import annotations

from typing import Any

from skopt_dl._sklearn.validation import check_X_y
from skopt_dl.linear_model._base import Task
from skopt_dl.linear_model._path_cv import PathCV
from skopt_dl.linear_model.multi_task import check_several, shared_task
from skopt_dl.linear_model.path import enet_path, lasso_path
from skopt_dl.penalties import Penalty, RowElasticNet


class MultiTaskCV(PathCV):
    """A penalty on the rows of the coefficients of several targets."""

    def _checked(self, X: Any, y: Any) -> tuple[Any, Any]:
        X, y = check_X_y(self, X, y, multi_output=True)
        check_several(self, y)
        return X, y

    def _penalty(self, y: Any, l1: float, l2: float) -> Penalty:
        return RowElasticNet(y.shape[1], l1, l2)

    def _task(self, base: Any, y: Any, weights: Any, penalty: Penalty) -> Task:
        return shared_task(self, base, y, weights, penalty)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = False
        return tags


class MultiTaskLassoCV(MultiTaskCV):
    r"""A `MultiTaskLasso` with its strength chosen by cross-validation.

    .. math:: \min_{W, b}\ \frac{1}{2 n} \|Y - X W - 1 b'\|_F^2 + \alpha \sum_j \|W_j\|_2

    for each :math:`\alpha` of a grid on each training part of the data, with :math:`W_j` the
    coefficients of feature j; the :math:`\alpha` with the smallest mean squared error on the parts
    left out is taken for all the data.

    Parameters
    ----------
    eps : float, default=1e-3
        Smallest strength over the largest, where ``alphas`` is a number.
    alphas : int or array-like, default=100
        How many strengths, or the strengths themselves.
    fit_intercept : bool, default=True
        Fit the intercepts ``b``, which are not penalised. Sparse data stay sparse.
    max_iter : int or None, default=1000
        Iterations at most for each strength, in the solver's unit; ``None`` is its own budget.
    tol : float, default=1e-4
        Bound on the duality gap, relative to the objective of the model that predicts by the
        intercepts alone, for every solve.
    copy_X : bool, default=True
        Accepted for scikit-learn's sake. X is never written, whatever this says.
    cv : int, splitter, iterable or None, default=None
        How to split: the number of folds (5 for ``None``), a splitter of scikit-learn, or a list of
        (training, validation) indices.
    verbose : bool or int, default=False
        Messages of joblib over the folds, then of the last solve.
    n_jobs : int or None, default=None
        Threads over the folds.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some (``selection="random"``).
    selection : {"cyclic", "random"}, default="cyclic"
        Order of the features in coordinate descent. With "random", "auto" is that method.
    solver : str or Solver, default="auto"
        What goes from strength to strength, each from the answer of the one before.
    device : str or None, default=None
        Where to compute. ``None`` is where X is.
    max_time : float or None, default=None
        Seconds of cross-validation at most. Strengths that were not reached have NaN in
        ``mse_path_``, with a warning. The last solve is given as much again.

    Attributes
    ----------
    alpha_ : float
        The strength chosen.
    coef_ : array of shape (n_targets, n_features)
        The coefficients: the transpose of ``W``.
    intercept_ : array of shape (n_targets,)
        The intercepts ``b``; 0.0 without them.
    mse_path_ : array of shape (n_alphas, n_folds)
        Mean squared error, over the targets too, of each strength on each fold.
    alphas_ : array of shape (n_alphas,)
        The strengths, decreasing.
    dual_gap_ : float
        Duality gap of the last solve, in the units of the objective.
    n_iter_ : int
        Iterations of the last solve.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X has names that are strings.
    solver_ : str
        Name of the solver that ran last.
    solve_report_ : SolveReport
        Status, settings, certificate, timings and history of the last solve.

    See Also
    --------
    MultiTaskLasso : With a given strength.
    MultiTaskElasticNetCV : With an L2 penalty added.
    LassoCV : One target, with features of its own.

    Notes
    -----
    X is neither copied nor split: a fold is a weight of zero.

    References
    ----------
    G. Obozinski, B. Taskar, M. Jordan, "Joint covariate selection and joint subspace selection for
    multiple classification problems", Statistics and Computing 20 (2010).

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from skopt_dl.linear_model import MultiTaskLassoCV
    >>> X, Y = make_regression(n_features=20, n_targets=2, noise=4, random_state=0)
    >>> model = MultiTaskLassoCV(cv=5).fit(X, Y)
    >>> model.coef_.shape, model.mse_path_.shape
    ((2, 20), (100, 5))
    """

    path = staticmethod(lasso_path)

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        copy_X: bool = True,
        cv: Any = None,
        verbose: Any = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: Any = "auto",
        device: Any = None,
        max_time: float | None = None,
    ) -> None:
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.copy_X = copy_X
        self.cv = cv
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.device = device
        self.max_time = max_time


class MultiTaskElasticNetCV(MultiTaskCV):
    r"""A `MultiTaskElasticNet` with its strength and share of L1 chosen by cross-validation.

    .. math::

        \min_{W, b}\ \frac{1}{2 n} \|Y - X W - 1 b'\|_F^2 + \alpha \rho \sum_j \|W_j\|_2
        + \frac{\alpha (1 - \rho)}{2} \|W\|_F^2

    where :math:`\rho` is ``l1_ratio`` and :math:`W_j` the coefficients of feature j.

    Parameters
    ----------
    l1_ratio : float or list of float, default=0.5
        Share of the penalty on rows, from 0 (a ridge; needs ``alphas`` to be given) to 1 (a
        `MultiTaskLasso`). Of a list the best is chosen.
    eps : float, default=1e-3
        Smallest strength over the largest, where ``alphas`` is a number.
    alphas : int or array-like, default=100
        How many strengths, or the strengths themselves.
    fit_intercept : bool, default=True
        Fit the intercepts ``b``, which are not penalised. Sparse data stay sparse.
    max_iter : int or None, default=1000
        Iterations at most for each strength, in the solver's unit; ``None`` is its own budget.
    tol : float, default=1e-4
        Bound on the duality gap, relative to the objective of the model that predicts by the
        intercepts alone, for every solve.
    cv : int, splitter, iterable or None, default=None
        How to split: the number of folds (5 for ``None``), a splitter of scikit-learn, or a list of
        (training, validation) indices.
    copy_X : bool, default=True
        Accepted for scikit-learn's sake. X is never written, whatever this says.
    verbose : bool or int, default=0
        Messages of joblib over the folds, then of the last solve.
    n_jobs : int or None, default=None
        Threads over the folds.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some (``selection="random"``).
    selection : {"cyclic", "random"}, default="cyclic"
        Order of the features in coordinate descent. With "random", "auto" is that method.
    solver : str or Solver, default="auto"
        What goes from strength to strength, each from the answer of the one before.
    device : str or None, default=None
        Where to compute. ``None`` is where X is.
    max_time : float or None, default=None
        Seconds of cross-validation at most. Strengths that were not reached have NaN in
        ``mse_path_``, with a warning. The last solve is given as much again.

    Attributes
    ----------
    alpha_ : float
        The strength chosen.
    l1_ratio_ : float
        The share of the penalty on rows chosen.
    coef_ : array of shape (n_targets, n_features)
        The coefficients: the transpose of ``W``.
    intercept_ : array of shape (n_targets,)
        The intercepts ``b``; 0.0 without them.
    mse_path_ : array of shape (n_l1_ratio, n_alphas, n_folds)
        Mean squared errors, over the targets too; without the first axis for a single ``l1_ratio``.
    alphas_ : array of shape (n_alphas,) or (n_l1_ratio, n_alphas)
        The strengths, decreasing.
    dual_gap_ : float
        Duality gap of the last solve, in the units of the objective.
    n_iter_ : int
        Iterations of the last solve.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X has names that are strings.
    solver_ : str
        Name of the solver that ran last.
    solve_report_ : SolveReport
        Status, settings, certificate, timings and history of the last solve.

    See Also
    --------
    MultiTaskElasticNet : With given strengths.
    MultiTaskLassoCV : Without the L2 penalty.
    ElasticNetCV : One target, with features of its own.

    Notes
    -----
    X is neither copied nor split: a fold is a weight of zero.

    References
    ----------
    H. Zou, T. Hastie, "Regularization and variable selection via the elastic net", JRSS B 67
    (2005).

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from skopt_dl.linear_model import MultiTaskElasticNetCV
    >>> X, Y = make_regression(n_features=4, n_targets=2, random_state=0)
    >>> model = MultiTaskElasticNetCV(l1_ratio=[0.5, 0.9], alphas=10, cv=3).fit(X, Y)
    >>> model.l1_ratio_, model.mse_path_.shape
    (0.9, (2, 10, 3))
    """

    path = staticmethod(enet_path)

    def __init__(
        self,
        *,
        l1_ratio: Any = 0.5,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        cv: Any = None,
        copy_X: bool = True,
        verbose: Any = 0,
        n_jobs: int | None = None,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: Any = "auto",
        device: Any = None,
        max_time: float | None = None,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.copy_X = copy_X
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.device = device
        self.max_time = max_time
