"""Lasso and elastic net with the strength chosen by cross-validation."""

from __future__ import annotations

import math
import time
import warnings
from abc import abstractmethod
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn import get_config
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from skopt_dl._sklearn.arrays import is_foreign
from skopt_dl._sklearn.base import fit_method, outside
from skopt_dl._sklearn.parameters import check_choice, check_flag, check_number
from skopt_dl._sklearn.validation import check_weights, check_X_y
from skopt_dl.linear_model._base import LinearModel
from skopt_dl.linear_model._cross_validation import Fold, Validation, cross_validate
from skopt_dl.linear_model._paths import PathSettings
from skopt_dl.linear_model._regression import LinearRegressorMixin, store_targets, tasks_of
from skopt_dl.linear_model.lasso import lasso_solver
from skopt_dl.linear_model.path import (
    alpha_grid,
    enet_path,
    lasso_path,
    sorted_alphas,
    strongest,
)
from skopt_dl.linops import design
from skopt_dl.penalties import ElasticNet as ElasticNetPenalty


class PathCV(LinearRegressorMixin, LinearModel):
    """An elastic net whose strength (and ``l1_ratio``) is chosen over folds."""

    # Numbers of the cross-validation; they are NumPy's wherever the model lives.
    _host_attributes: ClassVar[frozenset[str]] = frozenset(
        {"alpha_", "alphas_", "dual_gap_", "l1_ratio_", "mse_path_", "n_iter_"}
    )

    @abstractmethod
    def _ratios(self) -> list[float]:
        """The shares of the L1 penalty to try."""

    @fit_method
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Choose the strength by cross-validation, then fit all the data with it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training data. float64 and float32 keep their precision, other types become float64.
            Never written or copied; a sparse matrix is never made dense.
        y : array-like of shape (n_samples,)
            Target.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights, for fitting and for the error on each fold. The mean over the
            folds does not weigh them.
        **params : dict
            For the splitter, such as ``groups``; only with
            ``sklearn.set_config(enable_metadata_routing=True)``.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For invalid data or parameters.
        TypeError
            For data that are not on the host.
        """
        self._check_parameters()
        self._check_place(X)
        X, y = self._checked(X, y)
        weights = check_weights(sample_weight, X)
        folds = self._folds(X, y, sample_weight, params)
        grids = self._grids(X, y, weights)
        limit = math.inf if self.max_time is None else time.perf_counter() + self.max_time
        found = cross_validate(
            X,
            y,
            weights,
            folds,
            grids,
            self._settings(limit),
            fit_intercept=self.fit_intercept,
            positive=self.positive,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        self._warn(found)
        ratio, alpha = self._choose(grids, found.mse)
        self._refit(X, y, weights, ratio, alpha, found)
        return self

    def _check_parameters(self) -> None:
        self._check_common()
        check_number(self, "eps", low=0, open_low=True)
        check_flag(self, "copy_X", "positive")
        check_choice(self, "selection", ("cyclic", "random"))
        if isinstance(self.alphas, Integral):
            check_number(self, "alphas", Integral, low=1)
        if isinstance(self.precompute, str):
            check_choice(self, "precompute", ("auto",))

    def _check_place(self, X: Any) -> None:
        name = type(self).__name__
        if self.device not in (None, "cpu"):
            raise ValueError(
                f"{name}: the parameter device={self.device!r} is not valid; it must be None or "
                "'cpu': paths are followed on the host (Lasso and ElasticNet fit on a GPU)"
            )
        if is_foreign(X):
            raise TypeError(
                f"{name} works on NumPy arrays and SciPy sparse matrices, but X is a "
                f"{type(X).__module__}.{type(X).__name__}: pass a copy on the host, or search over "
                "alpha of Lasso or ElasticNet, which fit where X lives"
            )

    def _checked(self, X: Any, y: Any) -> tuple[Any, Any]:
        y = y if y is None or is_foreign(y) else np.asarray(y)
        if getattr(y, "ndim", 1) == 2 and y.shape[1] > 1:
            raise ValueError(
                f"{type(self).__name__}: y has shape {tuple(y.shape)}, but there can be one target "
                "only; for several fit one model each, or use MultiTaskElasticNet"
            )
        return check_X_y(self, X, y)

    def _folds(self, X: Any, y: Any, sample_weight: Any, params: dict[str, Any]) -> list[Fold]:
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", sample_weight=sample_weight, **params)
            split = routed.splitter.split
        elif params:
            raise ValueError(
                f"{type(self).__name__}.fit was passed {sorted(params)}, which only reach the "
                "splitter with sklearn.set_config(enable_metadata_routing=True)"
            )
        else:
            split = {}
        folds = [Fold(*map(_indices, pair)) for pair in check_cv(self.cv).split(X, y, **split)]
        for k, fold in enumerate(folds):
            if not (len(fold.train) and len(fold.test)):
                raise ValueError(
                    f"{type(self).__name__}: cv={self.cv!r} leaves fold {k} without "
                    f"{'training' if not len(fold.train) else 'validation'} samples"
                )
        return folds

    def _grids(self, X: Any, y: Any, weights: Any) -> list[tuple[float, Any]]:
        """Each share of the L1 penalty with its decreasing strengths."""
        ratios, name = self._ratios(), type(self).__name__
        if not isinstance(self.alphas, Integral):
            given = sorted_alphas(self.alphas, name)
            return [(ratio, given) for ratio in ratios]
        if min(ratios) == 0:
            raise ValueError(
                f"{name}: with l1_ratio=0 no strength makes all coefficients zero, where a grid "
                f"would begin; give alphas={self.alphas!r} as a list of numbers"
            )
        omega = np.full(X.shape[0], 1.0 / X.shape[0], dtype=X.dtype)
        omega = omega if weights is None else weights / np.sum(weights)
        top = strongest(
            design(X), y, omega, fit_intercept=self.fit_intercept, positive=self.positive
        )
        return [(ratio, alpha_grid(top / ratio, self.eps, int(self.alphas))) for ratio in ratios]

    def _settings(self, deadline: float) -> PathSettings:
        precompute = self.precompute
        return PathSettings(
            solver=self.solver,
            tol=self.tol,
            max_iter=self.max_iter,
            selection=self.selection,
            random_state=self.random_state,
            # A Gram matrix of all the data says nothing about a fold; the last fit uses it.
            precompute=precompute if isinstance(precompute, (bool, np.bool_)) else "auto",
            deadline=deadline,
        )

    def _warn(self, found: Validation) -> None:
        name = type(self).__name__
        missing = int(np.count_nonzero(np.isnan(found.mse)))
        if missing:
            warnings.warn(
                f"{name}: max_time={self.max_time} ended the cross-validation with {missing} of "
                f"{found.mse.size} errors missing (NaN in mse_path_); alpha_ is the best of those "
                "strengths that all folds reached",
                ConvergenceWarning,
                stacklevel=outside(),
            )
        if found.gap > self.tol:
            warnings.warn(
                f"{name} did not converge on every fold: the largest relative duality gap is "
                f"{found.gap:.3g} against tol={self.tol:.2g}. Increase max_iter, choose another "
                "solver, or scale the columns of X.",
                ConvergenceWarning,
                stacklevel=outside(),
            )

    def _choose(self, grids: list[tuple[float, Any]], mse: Any) -> tuple[float, float]:
        """Sets what is known of the cross-validation; the best ``(l1_ratio, alpha)``."""
        means = np.mean(mse, axis=1)
        best = math.inf
        ratio, alpha = grids[0][0], float(grids[0][1][0])
        for (this, alphas), errors in zip(grids, means, strict=True):
            k = int(np.argmin(np.where(np.isnan(errors), math.inf, errors)))
            if errors[k] < best:
                best, ratio, alpha = float(errors[k]), this, float(alphas[k])
        self.mse_path_ = np.squeeze(np.moveaxis(mse, 2, 1))
        self.alpha_ = alpha
        if hasattr(self, "l1_ratio"):
            self.l1_ratio_ = ratio
        alphas = np.asarray([alphas for _, alphas in grids])
        single = len(grids) == 1 or not isinstance(self.alphas, Integral)
        self.alphas_ = alphas[0] if single else alphas
        return ratio, alpha

    def _refit(
        self, X: Any, y: Any, weights: Any, ratio: float, alpha: float, found: Validation
    ) -> None:
        l1 = alpha * ratio
        penalty = ElasticNetPenalty(l1, alpha - l1, self.positive)
        auto = isinstance(self.precompute, str)
        tasks = tasks_of(
            self, X, y, weights, penalty, precompute=False if auto else self.precompute
        )
        start = None if found.answer is None else found.answer(ratio, alpha)
        result = self._solve(
            tasks[0].problem,
            start=start,
            tol=self.tol,
            max_iter=self.max_iter,
            unpack=tasks[0].unpack,
            solver=self._solver(),
        )
        store_targets(self, tasks, [result])
        self.solver_ = self._name_of_solver(result)

    def _solver_defaults(self) -> dict[str, Any]:
        return {"selection": self.selection}

    def _solver(self) -> Any:
        return lasso_solver(self)

    def get_metadata_routing(self) -> MetadataRouter:
        """How metadata are routed: ``sample_weight`` stays here, the rest goes to the splitter.

        Returns
        -------
        routing : MetadataRouter
            The routing information.
        """
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                splitter=check_cv(self.cv),
                method_mapping=MethodMapping().add(caller="fit", callee="split"),
            )
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = False
        return tags


def _indices(rows: Any) -> Any:
    """Sample indices, of what a splitter gave: indices, or a mask."""
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.intp)


class LassoCV(PathCV):
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
        ``None`` or "cpu": paths are followed on the host.
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

    def _ratios(self) -> list[float]:
        return [1.0]


class ElasticNetCV(PathCV):
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
        ``None`` or "cpu": paths are followed on the host.
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

    def _ratios(self) -> list[float]:
        ratios = np.atleast_1d(np.asarray(self.l1_ratio))
        good = ratios.ndim == 1 and ratios.size > 0 and ratios.dtype.kind in "fiu"
        if not (good and np.all((ratios >= 0) & (ratios <= 1))):
            raise ValueError(
                f"{type(self).__name__}: the parameter l1_ratio={self.l1_ratio!r} is not valid; it "
                "must be a number between 0 and 1, or a list of them"
            )
        return [float(r) for r in ratios]
