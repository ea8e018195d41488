"""Lasso and elastic net with their strength chosen over folds, on Dask collections."""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skopt_dl._sklearn.base import outside
from skopt_dl._sklearn.parameters import check_number
from skopt_dl.dask._folds import FoldMomentsCV, Folds
from skopt_dl.kernels import bind
from skopt_dl.linear_model import ElasticNet as PlainElasticNet
from skopt_dl.linear_model._exact_path import gram_path
from skopt_dl.linear_model._moments import Moments
from skopt_dl.linear_model._strengths import alpha_grid, check_ratios, sorted_alphas


class PathCV(FoldMomentsCV):
    """An elastic net along exact paths of the training moments of each fold."""

    alphas: Any
    eps: float
    positive: bool
    tol: float

    @abstractmethod
    def _ratios(self) -> list[float]:
        """The shares of the L1 penalty to try."""

    @property
    def _plain(self) -> type[PlainElasticNet]:
        return PlainElasticNet

    def _choose(self, folds: Folds) -> tuple[PlainElasticNet, bool]:
        name = f"skopt_dl.dask.{type(self).__name__}"
        check_number(self, "eps", low=0, open_low=True)
        ratios = self._ratios()
        _, q, _ = folds.training(-1).centred(self.fit_intercept)
        top = max(0.0, float(np.max(q if self.positive else np.abs(q))))
        by_number = isinstance(self.alphas, Integral)
        if by_number:
            check_number(self, "alphas", Integral, low=1)
            if min(ratios) == 0:
                raise ValueError(
                    f"{name}: with l1_ratio=0 no strength makes all coefficients zero, where a "
                    f"grid would begin; give alphas={self.alphas!r} as a list of numbers"
                )
            grids = [alpha_grid(top / ratio, self.eps, int(self.alphas)) for ratio in ratios]
        else:
            grids = [sorted_alphas(self.alphas, name)] * len(ratios)
        mse = np.stack([self._errors(folds, r, g) for r, g in zip(ratios, grids, strict=True)])
        means = np.mean(mse, axis=2)
        i, k = np.unravel_index(int(np.argmin(means)), means.shape)
        self.alpha_ = float(grids[i][k])
        self.mse_path_ = np.squeeze(mse)
        self.alphas_ = grids[0] if len(grids) == 1 or not by_number else np.asarray(grids)
        if hasattr(self, "l1_ratio"):
            self.l1_ratio_ = ratios[i]
        settings = {
            name: getattr(self, name)
            for name in ("max_iter", "tol", "positive", "random_state", "selection", "solver")
        }
        plain = PlainElasticNet(self.alpha_, l1_ratio=ratios[i], fit_intercept=False, **settings)
        return plain, True

    def _errors(self, folds: Folds, ratio: float, alphas: Any) -> Any:
        """Mean squared errors of shape (alphas, folds)."""
        models, worst = [], 0.0
        for k in range(len(folds.blocks)):
            train = folds.training(k)
            W, gap = self._path(train, ratio, alphas)
            worst = max(worst, gap)
            models.append((W, folds.intercepts(train, W)))
        if worst > self.tol:
            warnings.warn(
                f"{type(self).__name__} did not converge on every fold: the largest relative "
                f"duality gap is {worst:.3g} against tol={self.tol:.2g}. Scale the columns of X.",
                ConvergenceWarning,
                stacklevel=outside(),
            )
        return folds.errors(models).T

    def _path(self, moments: Moments, ratio: float, alphas: Any) -> tuple[Any, float]:
        """Coefficients along ``alphas`` and the largest relative gap."""
        G, q, square = moments.centred(self.fit_intercept)
        p = len(q)
        kernels = bind(np, np.dtype(np.float64), "dense")
        path = gram_path(
            kernels.GramLasso(p, self.positive),
            G,
            q,
            square,
            np.full(p, ratio),
            np.full(p, 1.0 - ratio),
            alphas,
            positive=self.positive,
            deadline=math.inf,
        )
        return path.coefs, float(np.max(path.gaps)) / (square / 2 if square > 0 else 1.0)


class LassoCV(PathCV):
    r"""A lasso with its strength chosen by cross-validation in one pass.

    .. math::

        \min_{w, b}\ \frac{1}{2 n} \|y - X w - b\|_2^2 + \alpha \|w\|_1

    Parameters
    ----------
    eps : float, default=1e-3
        Smallest strength over the largest, where ``alphas`` is a number.
    alphas : int or array-like, default=100
        How many strengths, or the strengths themselves.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not penalised.
    max_iter : int or None, default=1000
        Iterations of the last solve at most.
    tol : float, default=1e-4
        Bound on the duality gap, relative to the objective of the model that predicts by the
        intercept alone, for every solve.
    cv : int or None, default=None
        Number of consecutive folds of the rows; 5 for ``None``.
    positive : bool, default=False
        Restrict to ``w >= 0``.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some.
    selection : {"cyclic", "random"}, default="cyclic"
        Order of the coordinates in coordinate descent.
    solver : str or Solver, default="auto"
        What solves the last small problem: any solver of `skopt_dl.ElasticNet`. Paths are exact.
    client : distributed.Client, optional
        Whose workers compute. Default: the current client, else Dask's scheduler.
    verbose : bool, default=False
        Whether to show the progress of the pass.

    Attributes
    ----------
    alpha_ : float
        The strength chosen.
    mse_path_ : array of shape (n_alphas, n_folds)
        Mean squared errors on the folds.
    alphas_ : array
        The strengths, decreasing.
    coef_, intercept_ : array of shape (n_features,), float
        The model of all rows with that strength.
    n_features_in_, feature_names_in_, n_iter_, dual_gap_, solver_, solve_report_
        As for `Lasso`.
    task_bytes_ : int
        What a task of the pass holds at most.
    n_blocks_, n_passes_ : int
        Blocks of the training data, and how often each was read: 1, 1 more to count rows of
        unknown number, and 1 more where an error on a fold is too small beside the target for its
        moments to give it.

    Examples
    --------
    >>> import dask.array as da
    >>> from skopt_dl.dask import LassoCV
    >>> X = da.random.default_rng(0).normal(size=(1000, 3), chunks=(250, 3))
    >>> y = X[:, 0] + da.random.default_rng(1).normal(size=1000, chunks=250)
    >>> model = LassoCV().fit(X, y)
    >>> model.n_passes_, model.mse_path_.shape
    (1, (100, 5))
    """

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        cv: int | None = None,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: Any = "auto",
        client: Any = None,
        verbose: bool = False,
    ) -> None:
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.client = client
        self.verbose = verbose

    def _ratios(self) -> list[float]:
        return [1.0]


class ElasticNetCV(PathCV):
    r"""An elastic net with its strength chosen by cross-validation in one pass.

    .. math::

        \min_{w, b}\ \frac{1}{2 n} \|y - X w - b\|_2^2 + \alpha \rho \|w\|_1
        + \frac{\alpha (1 - \rho)}{2} \|w\|_2^2

    Parameters
    ----------
    l1_ratio : float or list of float, default=0.5
        Share :math:`\rho` of the L1 penalty; of a list the best is chosen.
    eps : float, default=1e-3
        Smallest strength over the largest, where ``alphas`` is a number.
    alphas : int or array-like, default=100
        How many strengths, or the strengths themselves.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not penalised.
    max_iter : int or None, default=1000
        Iterations of the last solve at most.
    tol : float, default=1e-4
        Bound on the duality gap, relative to the objective of the model that predicts by the
        intercept alone, for every solve.
    cv : int or None, default=None
        Number of consecutive folds of the rows; 5 for ``None``.
    positive : bool, default=False
        Restrict to ``w >= 0``.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some.
    selection : {"cyclic", "random"}, default="cyclic"
        Order of the coordinates in coordinate descent.
    solver : str or Solver, default="auto"
        What solves the last small problem: any solver of `skopt_dl.ElasticNet`. Paths are exact.
    client : distributed.Client, optional
        Whose workers compute. Default: the current client, else Dask's scheduler.
    verbose : bool, default=False
        Whether to show the progress of the pass.

    Attributes
    ----------
    alpha_ : float
        The strength chosen.
    l1_ratio_ : float
        The share of the L1 penalty chosen.
    mse_path_ : array of shape (n_l1_ratio, n_alphas, n_folds)
        Mean squared errors on the folds.
    alphas_ : array
        The strengths, decreasing.
    coef_, intercept_ : array of shape (n_features,), float
        The model of all rows with that strength.
    n_features_in_, feature_names_in_, n_iter_, dual_gap_, solver_, solve_report_
        As for `Lasso`.
    task_bytes_ : int
        What a task of the pass holds at most.
    n_blocks_, n_passes_ : int
        Blocks of the training data, and how often each was read: 1, 1 more to count rows of
        unknown number, and 1 more where an error on a fold is too small beside the target for its
        moments to give it.

    Examples
    --------
    >>> import dask.array as da
    >>> from skopt_dl.dask import ElasticNetCV
    >>> X = da.random.default_rng(0).normal(size=(1000, 3), chunks=(250, 3))
    >>> y = X[:, 0] + da.random.default_rng(1).normal(size=1000, chunks=250)
    >>> model = ElasticNetCV().fit(X, y)
    >>> model.n_passes_, model.mse_path_.shape
    (1, (100, 5))
    """

    def __init__(
        self,
        *,
        l1_ratio: Any = 0.5,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        cv: int | None = None,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: Any = "auto",
        client: Any = None,
        verbose: bool = False,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.client = client
        self.verbose = verbose

    def _ratios(self) -> list[float]:
        return check_ratios(self)
