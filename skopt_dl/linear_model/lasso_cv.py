"""Lasso and elastic net with the strength chosen by cross-validation."""

from __future__ import annotations

from typing import Any

from skopt_dl._sklearn.parameters import check_flag, check_gram
from skopt_dl._sklearn.validation import check_X_y
from skopt_dl.linear_model._base import Task
from skopt_dl.linear_model._path_cv import PathCV
from skopt_dl.linear_model._regression import tasks_of
from skopt_dl.linear_model.path import enet_path, lasso_path
from skopt_dl.penalties import ElasticNet as ElasticNetPenalty, Penalty


class SingleTargetCV(PathCV):
    """An elastic net of one target."""

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_flag(self, "positive")
        check_gram(self, "precompute", "auto")

    def _checked(self, X: Any, y: Any) -> tuple[Any, Any]:
        if getattr(y, "ndim", 1) == 2 and y.shape[1] > 1:
            raise ValueError(
                f"{type(self).__name__}: y has shape {tuple(y.shape)}, but there can be one target "
                f"only; for several fit one model each, or use MultiTask{type(self).__name__}"
            )
        return check_X_y(self, X, y)

    def _penalty(self, y: Any, l1: float, l2: float) -> Penalty:
        return ElasticNetPenalty(l1, l2, self.positive)

    def _task(self, base: Any, y: Any, weights: Any, penalty: Penalty) -> Task:
        auto = isinstance(self.precompute, str)
        precompute = False if auto else self.precompute
        return tasks_of(self, base, y, weights, penalty, precompute=precompute)[0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = False
        return tags


class LassoCV(SingleTargetCV):
    r"""A lasso with its strength chosen by cross-validation.

    .. math:: \min_{w, b}\ \frac{1}{2 n} \|y - X w - b\|_2^2 + \alpha \|w\|_1

    for each :math:`\alpha` of a grid on each training part of the data; the :math:`\alpha` with the
    smallest mean squared error on the parts left out is taken for all the data.

    Parameters
    ----------
    eps : float, default=1e-3
        Smallest strength over the largest, where ``alphas`` is a number.
    alphas : int or array-like, default=100
        How many strengths, or the strengths themselves.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not penalised. Sparse data stay sparse.
    precompute : "auto", bool or array-like of shape (n_features, n_features), default="auto"
        Whether to form Gram matrices of all columns: "auto" does where that pays (tall dense
        data). An array is that of all the data, as in `Lasso`; it serves the last fit.
    max_iter : int or None, default=1000
        Iterations at most for each strength, in the solver's unit; ``None`` is its own budget.
    tol : float, default=1e-4
        Bound on the duality gap, relative to the objective of the model that predicts by the
        intercept alone, for every solve.
    copy_X : bool, default=True
        Accepted for scikit-learn's sake. X is never written, whatever this says.
    cv : int, splitter, iterable or None, default=None
        How to split: the number of folds (5 for ``None``), a splitter of scikit-learn, or a list of
        (training, validation) indices.
    verbose : bool or int, default=False
        Messages of joblib over the folds, then of the last solve.
    n_jobs : int or None, default=None
        Threads over the folds.
    positive : bool, default=False
        Restrict to ``w >= 0``.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some (``selection="random"``).
    selection : {"cyclic", "random"}, default="cyclic"
        Order of the coordinates. With "random", "auto" is coordinate descent.
    solver : str or Solver, default="auto"
        "auto" and "active_set" follow each path exactly; any other solver goes from strength to
        strength.
    device : str or None, default=None
        Where to compute. ``None`` is where X is.
    max_time : float or None, default=None
        Seconds of cross-validation at most. Strengths that were not reached have NaN in
        ``mse_path_``, with a warning. The last solve is given as much again.

    Attributes
    ----------
    alpha_ : float
        The strength chosen.
    coef_ : array of shape (n_features,)
        The coefficients ``w``.
    intercept_ : float
        The intercept ``b``; 0.0 without one.
    mse_path_ : array of shape (n_alphas, n_folds)
        Mean squared error of each strength on each fold.
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
    Lasso : With a given strength.
    ElasticNetCV : With an L2 penalty added.
    lasso_path : The path alone.

    Notes
    -----
    X is neither copied nor split. Tall dense data are read once: the second moments of each fold
    give the training problems of the others and the errors on it. Otherwise a fold is a weight of
    zero, and a path of a hundred strengths takes about a dozen products with X.

    References
    ----------
    J. Friedman, T. Hastie, R. Tibshirani, "Regularization paths for generalized linear models via
    coordinate descent", J. Stat. Softw. 33 (2010).

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from skopt_dl.linear_model import LassoCV
    >>> X, y = make_regression(noise=4, random_state=0)
    >>> model = LassoCV(cv=5).fit(X, y)
    >>> round(model.score(X, y), 4)
    0.9994
    """

    path = staticmethod(lasso_path)

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        precompute: Any = "auto",
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        copy_X: bool = True,
        cv: Any = None,
        verbose: Any = False,
        n_jobs: int | None = None,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: Any = "auto",
        device: Any = None,
        max_time: float | None = None,
    ) -> None:
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.max_iter = max_iter
        self.tol = tol
        self.copy_X = copy_X
        self.cv = cv
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.device = device
        self.max_time = max_time


class ElasticNetCV(SingleTargetCV):
    r"""An elastic net with its strength, and the share of L1 in it, chosen by cross-validation.

    .. math::

        \min_{w, b}\ \frac{1}{2 n} \|y - X w - b\|_2^2 + \alpha \rho \|w\|_1
        + \frac{\alpha (1 - \rho)}{2} \|w\|_2^2

    where :math:`\rho` is ``l1_ratio``.

    Parameters
    ----------
    l1_ratio : float or list of float, default=0.5
        Share of the L1 penalty, from 0 (a ridge; needs ``alphas`` to be given) to 1 (a lasso). Of a
        list the best is chosen.
    eps : float, default=1e-3
        Smallest strength over the largest, where ``alphas`` is a number.
    alphas : int or array-like, default=100
        How many strengths, or the strengths themselves.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not penalised. Sparse data stay sparse.
    precompute : "auto", bool or array-like of shape (n_features, n_features), default="auto"
        Whether to form Gram matrices of all columns: "auto" does where that pays (tall dense
        data). An array is that of all the data, as in `ElasticNet`; it serves the last fit.
    max_iter : int or None, default=1000
        Iterations at most for each strength, in the solver's unit; ``None`` is its own budget.
    tol : float, default=1e-4
        Bound on the duality gap, relative to the objective of the model that predicts by the
        intercept alone, for every solve.
    cv : int, splitter, iterable or None, default=None
        How to split: the number of folds (5 for ``None``), a splitter of scikit-learn, or a list of
        (training, validation) indices.
    copy_X : bool, default=True
        Accepted for scikit-learn's sake. X is never written, whatever this says.
    verbose : bool or int, default=0
        Messages of joblib over the folds, then of the last solve.
    n_jobs : int or None, default=None
        Threads over the folds.
    positive : bool, default=False
        Restrict to ``w >= 0``.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some (``selection="random"``).
    selection : {"cyclic", "random"}, default="cyclic"
        Order of the coordinates. With "random", "auto" is coordinate descent.
    solver : str or Solver, default="auto"
        "auto" and "active_set" follow each path exactly; any other solver goes from strength to
        strength.
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
        The share of the L1 penalty chosen.
    coef_ : array of shape (n_features,)
        The coefficients ``w``.
    intercept_ : float
        The intercept ``b``; 0.0 without one.
    mse_path_ : array of shape (n_l1_ratio, n_alphas, n_folds)
        Mean squared errors; without the first axis for a single ``l1_ratio``.
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
    ElasticNet : With given strengths.
    LassoCV : With the L1 penalty only.
    enet_path : The path alone.

    Notes
    -----
    Solvers and the passes over the data are those of `LassoCV`.

    References
    ----------
    H. Zou, T. Hastie, "Regularization and variable selection via the elastic net", JRSS B 67
    (2005).

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from skopt_dl.linear_model import ElasticNetCV
    >>> X, y = make_regression(n_features=2, random_state=0)
    >>> model = ElasticNetCV(l1_ratio=[0.5, 0.9], cv=5).fit(X, y)
    >>> model.l1_ratio_, model.mse_path_.shape
    (0.9, (2, 100, 5))
    """

    path = staticmethod(enet_path)

    def __init__(
        self,
        *,
        l1_ratio: Any = 0.5,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        precompute: Any = "auto",
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        cv: Any = None,
        copy_X: bool = True,
        verbose: Any = 0,
        n_jobs: int | None = None,
        positive: bool = False,
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
        self.precompute = precompute
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.copy_X = copy_X
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.device = device
        self.max_time = max_time
