"""Lasso and elastic net on Dask collections."""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.dask._least_squares import LeastSquares
from skopt_dl.linear_model import ElasticNet as PlainElasticNet, Lasso as PlainLasso


class Lasso(LeastSquares):
    r"""Linear regression with an L1 penalty, in one pass over Dask collections.

    .. math::

        \min_{w, b}\ \frac{1}{2 n} \|y - X w - b\|_2^2 + \alpha \|w\|_1

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, ``>= 0``.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not penalised.
    max_iter : int or None, default=1000
        Iterations at most, in the solver's unit; ``None`` is the solver's own budget.
    tol : float, default=1e-4
        Bound on the duality gap, relative to the objective of the model that predicts by the
        intercept alone.
    positive : bool, default=False
        Restrict to ``w >= 0``.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some.
    selection : {"cyclic", "random"}, default="cyclic"
        Order of the coordinates in coordinate descent.
    solver : str or Solver, default="auto"
        What solves the small problem that the pass leaves: any solver of `skopt_dl.Lasso`.
    max_time : float or None, default=None
        Seconds of solving at most, after the pass.
    client : distributed.Client, optional
        Whose workers compute. Default: the current client, else Dask's scheduler.
    verbose : bool, default=False
        Whether to show the progress of the pass.

    Attributes
    ----------
    coef_ : array of shape (n_features,)
        The coefficients ``w``.
    intercept_ : float
        The intercept ``b``.
    dual_gap_ : float
        Duality gap reached, in the units of the objective.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X is a dataframe.
    n_iter_ : int
        Iterations of the solver.
    solver_ : str
        Name of the solver that ran.
    solve_report_ : SolveReport
        Status, certificate, timings and history of the solve.
    task_bytes_ : int
        What a task of the pass holds at most.
    n_blocks_, n_passes_ : int
        Blocks of the training data, and how often each was read.

    See Also
    --------
    LassoCV : With the strength chosen in the same pass.

    Examples
    --------
    >>> import dask.array as da
    >>> from skopt_dl.dask import Lasso
    >>> X = da.random.default_rng(0).normal(size=(1000, 3), chunks=(250, 3))
    >>> model = Lasso(alpha=0.01).fit(X, X[:, 0])
    >>> model.to_local().predict([[1.0, 0.0, 0.0]]).round(1)
    array([1.])
    """

    _per_sample: ClassVar[bool] = True

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: Any = "auto",
        max_time: float | None = None,
        client: Any = None,
        verbose: bool = False,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.max_time = max_time
        self.client = client
        self.verbose = verbose

    @property
    def _plain(self) -> type[PlainLasso]:
        return PlainLasso


class ElasticNet(LeastSquares):
    r"""Linear regression with an L1 and an L2 penalty, in one pass over Dask collections.

    .. math::

        \min_{w, b}\ \frac{1}{2 n} \|y - X w - b\|_2^2 + \alpha \rho \|w\|_1
        + \frac{\alpha (1 - \rho)}{2} \|w\|_2^2

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, ``>= 0``.
    l1_ratio : float, default=0.5
        Share :math:`\rho` of the L1 penalty, from 0 to 1.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not penalised.
    max_iter : int or None, default=1000
        Iterations at most, in the solver's unit; ``None`` is the solver's own budget.
    tol : float, default=1e-4
        Bound on the duality gap, relative to the objective of the model that predicts by the
        intercept alone.
    positive : bool, default=False
        Restrict to ``w >= 0``.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some.
    selection : {"cyclic", "random"}, default="cyclic"
        Order of the coordinates in coordinate descent.
    solver : str or Solver, default="auto"
        What solves the small problem that the pass leaves: any solver of `skopt_dl.ElasticNet`.
    max_time : float or None, default=None
        Seconds of solving at most, after the pass.
    client : distributed.Client, optional
        Whose workers compute. Default: the current client, else Dask's scheduler.
    verbose : bool, default=False
        Whether to show the progress of the pass.

    Attributes
    ----------
    coef_ : array of shape (n_features,)
        The coefficients ``w``.
    intercept_ : float
        The intercept ``b``.
    dual_gap_ : float
        Duality gap reached, in the units of the objective.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X is a dataframe.
    n_iter_ : int
        Iterations of the solver.
    solver_ : str
        Name of the solver that ran.
    solve_report_ : SolveReport
        Status, certificate, timings and history of the solve.
    task_bytes_ : int
        What a task of the pass holds at most.
    n_blocks_, n_passes_ : int
        Blocks of the training data, and how often each was read.

    See Also
    --------
    ElasticNetCV : With the strength chosen in the same pass.

    Examples
    --------
    >>> import dask.array as da
    >>> from skopt_dl.dask import ElasticNet
    >>> X = da.random.default_rng(0).normal(size=(1000, 3), chunks=(250, 3))
    >>> model = ElasticNet(alpha=0.01).fit(X, X[:, 0])
    >>> model.to_local().predict([[1.0, 0.0, 0.0]]).round(1)
    array([1.])
    """

    _per_sample: ClassVar[bool] = True

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: Any = "auto",
        max_time: float | None = None,
        client: Any = None,
        verbose: bool = False,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.max_time = max_time
        self.client = client
        self.verbose = verbose

    @property
    def _plain(self) -> type[PlainElasticNet]:
        return PlainElasticNet
