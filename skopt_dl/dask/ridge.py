"""Ridge regression on Dask collections."""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.dask._least_squares import LeastSquares
from skopt_dl.linear_model import Ridge as PlainRidge


class Ridge(LeastSquares):
    r"""Linear regression with an L2 penalty, in one pass over Dask collections.

    .. math:: \min_{w, b}\ \|y - X w - b\|_2^2 + \alpha \|w\|_2^2

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, ``>= 0``.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not penalised.
    max_iter : int or None, default=None
        Iterations of the solver at most.
    tol : float, default=1e-4
        As for `skopt_dl.Ridge`; of iterative solvers.
    solver : str or Solver, default="auto"
        What solves the small problem that the pass leaves: any solver of `skopt_dl.Ridge`.
    positive : bool, default=False
        Restrict to ``w >= 0``.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some.
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

    Notes
    -----
    A task holds one block and a (p, p) matrix of float64; p is limited by what a worker can hold
    of the latter. See :doc:`/scaling`.

    Examples
    --------
    >>> import dask.array as da
    >>> from skopt_dl.dask import Ridge
    >>> X = da.random.default_rng(0).normal(size=(1000, 3), chunks=(250, 3))
    >>> model = Ridge().fit(X, X.sum(axis=1))
    >>> model.coef_.round(2)
    array([1., 1., 1.])
    >>> type(model.predict(X)).__name__
    'Array'
    """

    _per_sample: ClassVar[bool] = False

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        max_iter: int | None = None,
        tol: float = 1e-4,
        solver: Any = "auto",
        positive: bool = False,
        random_state: Any = None,
        max_time: float | None = None,
        client: Any = None,
        verbose: bool = False,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.solver = solver
        self.positive = positive
        self.random_state = random_state
        self.max_time = max_time
        self.client = client
        self.verbose = verbose

    @property
    def _plain(self) -> type[PlainRidge]:
        return PlainRidge
