"""A linear regressor in which any loss meets any penalty."""

from __future__ import annotations

from typing import Any

from sklearn.base import MultiOutputMixin

from skopt_dl._sklearn.parameters import check_flag
from skopt_dl._sklearn.scores import DeviceRegressorMixin
from skopt_dl._sklearn.validation import check_weights, check_X_y
from skopt_dl.engine import SolveResult
from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.linear_model._base import LinearEstimator, Task
from skopt_dl.linear_model._regression import fitted_line, store_targets
from skopt_dl.linear_model._terms import loss_of, penalty_of
from skopt_dl.linops import design
from skopt_dl.problems import LinearProblem


class PenalizedRegressor(MultiOutputMixin, DeviceRegressorMixin, LinearEstimator):
    r"""Linear regression with a loss and a penalty of your choice.

    .. math:: \min_{w, b}\ \frac{\sum_i s_i\, \ell(y_i, x_i' w + b)}{\sum_i s_i} + \Omega_\alpha(w)

    with sample weights ``s``; the loss :math:`\ell` and the penalty :math:`\Omega` are parts with a
    name or instances with settings of their own, also yours. Several targets are fitted one by one.

    Parameters
    ----------
    loss : str or Loss, default="squared"
        "squared", "huber", "quantile", "poisson" (``y >= 0``, log link), "logistic" (``y`` from 0
        to 1), another registered name, or an instance such as ``Huber(delta=0.5)``. Its settings
        are tuned as ``loss__delta``.
    penalty : str or Penalty, default="l1"
        "l1", "l2", "elastic_net", "group_lasso", "slope", "mcp", "scad", "box", "simplex",
        "l1_ball", another registered name, or an instance such as
        ``GroupLasso([[0, 1], [2, 3]])`` or ``L1(weights=...)``. Its settings are tuned as
        ``penalty__weights``. MCP and SCAD are not convex: the fit is a stationary point.
    alpha : float, default=1.0
        Strength, ``>= 0``: it multiplies the strengths of the penalty (``alpha``, or ``l1`` and
        ``l2``, which are 1 unless set). A constraint set has none; it takes 1.0 only.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not penalised. Sparse data stay sparse.
    max_iter : int or None, default=None
        Iterations at most, in the solver's unit; ``None`` is the solver's own budget.
    tol : float, default=1e-4
        Bound on the duality gap, relative to the objective of the model that predicts by the
        intercept alone. Where there is no gap (a penalty that is not convex, a feature without a
        penalty), bound on the largest component of the minimal subgradient, relative to the
        gradient at zero. It means this for every solver.
    warm_start : bool, default=False
        Start from the coefficients of the previous `fit`.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some.
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
    dual_gap_ : float or None, or array of shape (n_targets,)
        Duality gap reached, in the units of the objective: a bound on the distance to its minimum.
        ``None`` where there is none.
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
    PenalizedClassifier : The same for labels.
    Lasso, ElasticNet, Ridge : The squared loss with scikit-learn's parameters.

    Notes
    -----
    `predict` answers in the units of the target: a loss with a link (Poisson: the exponential)
    applies it. `score` is the coefficient of determination of these predictions.

    References
    ----------
    T. Hastie, R. Tibshirani, M. Wainwright, "Statistical learning with sparsity" (2015).

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl import PenalizedRegressor
    >>> from skopt_dl.losses import Huber
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 4))
    >>> y = X @ [2.0, 0.0, 0.0, -1.0]
    >>> y[:5] += 100.0
    >>> model = PenalizedRegressor(loss=Huber(delta=0.1), penalty="l1", alpha=0.01).fit(X, y)
    >>> np.abs(model.coef_).round(1)
    array([2., 0., 0., 1.])
    """

    def __init__(
        self,
        loss: Any = "squared",
        penalty: Any = "l1",
        *,
        alpha: float = 1.0,
        fit_intercept: bool = True,
        max_iter: int | None = None,
        tol: float = 1e-4,
        warm_start: bool = False,
        random_state: Any = None,
        solver: Any = "auto",
        device: Any = None,
        max_time: float | None = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.solver = solver
        self.device = device
        self.max_time = max_time

    def _check_parameters(self) -> None:
        self._check_common()
        check_flag(self, "warm_start")

    def _tasks(self, X: Any, y: Any, sample_weight: Any) -> list[Task]:
        X, y = check_X_y(self, X, y, multi_output=True)
        weights = check_weights(sample_weight, X)
        xp, Y = namespace_of(y), y[:, None] if y.ndim == 1 else y
        penalty = penalty_of(self, X)
        # One design for all targets: what it caches (contiguous columns) is made once.
        shared, tasks = design(X), []
        for k in range(Y.shape[1]):
            problem = LinearProblem(
                shared,
                xp.asarray(Y[:, k], copy=True),
                loss_of(self),
                penalty,
                sample_weight=weights,
                fit_intercept=self.fit_intercept,
                description=lambda: self._describe(X),
            )
            start = warm_point(self, problem, k, Y.shape[1])
            tasks.append(Task(problem, fitted_line(problem.unpack, self.fit_intercept, y), start))
        return tasks

    def _store(self, tasks: list[Task], results: list[SolveResult]) -> None:
        store_targets(self, tasks, results)

    def predict(self, X: Any) -> Any:
        """Predict targets, in their own units.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_targets)
            Predictions: the raw ones of the linear model, through the inverse link of the loss.
        """
        z = self._raw_prediction(X, "predict")
        loss = loss_of(self)
        return loss.inverse_link(z) if hasattr(loss, "inverse_link") else z


def warm_point(owner: Any, problem: LinearProblem, k: int, n_fits: int) -> Any:
    """Where fit ``k`` of ``n_fits`` goes on from an earlier one; ``None`` for a cold start.

    Raises
    ------
    ValueError
        If the earlier fit had other features or outputs.
    """
    coef = getattr(owner, "coef_", None) if owner.warm_start else None
    if coef is None:
        return None
    coef = coef.toarray() if hasattr(coef, "toarray") else coef
    xp = namespace_of(coef)
    rows = coef[None, :] if coef.ndim == 1 else coef
    intercepts = xp.reshape(
        xp.asarray(owner.intercept_, dtype=coef.dtype, device=problem.device), (-1,)
    ) + xp.zeros_like(rows[:, 0])
    needed = (n_fits * problem.n_outputs, problem.n_features)
    if rows.shape != needed:
        raise ValueError(
            f"{type(owner).__name__}: warm_start=True goes on from coefficients of shape "
            f"{rows.shape} (outputs, features), but these data need {needed}; set "
            "warm_start=False or fit a clone"
        )
    mine = slice(k * problem.n_outputs, (k + 1) * problem.n_outputs)
    flat = problem.pack(_outputs_last(rows[mine, :]), _alone(intercepts[mine]))
    start = xp.astype(flat, problem.dtype)
    return problem.prox(start, 1.0) if problem.penalty.constraint else start


def _outputs_last(rows: Any) -> Any:
    return rows[0, :] if rows.shape[0] == 1 else rows.T


def _alone(values: Any) -> Any:
    return values[0] if values.shape[0] == 1 else values
