"""A linear classifier in which a loss meets any penalty."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if

from skopt_dl._sklearn.arrays import host_dtype, put_beside
from skopt_dl._sklearn.parameters import check_flag
from skopt_dl._sklearn.validation import check_weights, check_X_y
from skopt_dl.engine import SolveResult
from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.linear_model._base import LinearEstimator, Task
from skopt_dl.linear_model._classification import (
    LinearClassifierMixin,
    ProbabilitiesMixin,
    encode_labels,
)
from skopt_dl.linear_model._terms import loss_of, penalty_of
from skopt_dl.linear_model.penalized import warm_point
from skopt_dl.linops import design
from skopt_dl.losses import Logistic, Loss, Multinomial
from skopt_dl.problems import LinearProblem


def _has_probabilities(owner: Any) -> bool:
    if isinstance(loss_of(owner), (Logistic, Multinomial)):
        return True
    raise AttributeError(
        f"{type(owner).__name__} has probabilities with the losses 'logistic' and 'multinomial', "
        f"not with loss={owner.loss!r}"
    )


class PenalizedClassifier(LinearClassifierMixin, LinearEstimator):
    r"""Linear classification with a loss and a penalty of your choice.

    .. math:: \min_{w, b}\ \frac{\sum_i s_i\, \ell(y_i, x_i' w + b)}{\sum_i s_i} + \Omega_\alpha(w)

    with sample weights ``s`` and y in {0, 1} for two classes. For more classes the logistic loss
    becomes the multinomial one, with a row of ``w`` for each class; any other loss is fitted to one
    class against the rest at a time.

    Parameters
    ----------
    loss : str or Loss, default="logistic"
        "logistic", "squared_hinge", "multinomial" (a row for each class with two classes too),
        another registered name or an instance. Its settings are tuned as ``loss__...``.
    penalty : str or Penalty, default="l2"
        "l1", "l2", "elastic_net", "group_lasso", "slope", "mcp", "scad", "box", "simplex",
        "l1_ball", another registered name, or an instance such as
        ``GroupLasso([[0, 1], [2, 3]])`` or ``L1(weights=...)``. Its settings are tuned as
        ``penalty__weights``. MCP and SCAD are not convex: the fit is a stationary point.
    alpha : float, default=1.0
        Strength, ``>= 0``: it multiplies the strengths of the penalty (``alpha``, or ``l1`` and
        ``l2``, which are 1 unless set). A constraint set has none; it takes 1.0 only. The loss
        is a mean: ``alpha = 1/(C n_samples)`` is scikit-learn's ``C``.
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
    classes_ : array of shape (n_classes,)
        The labels, sorted.
    coef_ : array of shape (1, n_features) or (n_classes, n_features)
        The coefficients ``w``, one row for two classes.
    intercept_ : array of shape (1,) or (n_classes,)
        The intercepts ``b``; zeros without any.
    dual_gap_ : float or None, or array of shape (n_classes,)
        Duality gap reached, in the units of the objective: a bound on the distance to its minimum.
        ``None`` where there is none.
    n_iter_ : array of shape (1,) or (n_classes,)
        Iterations of the solver, for each solve.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X has names that are strings.
    solver_ : str
        Name of the solver that ran.
    solve_report_ : SolveReport or list of SolveReport
        Status, settings, certificate, timings and history of each solve.

    Raises
    ------
    IncompatibleSolverError
        From `fit`, a `ValueError`: the solver cannot minimise this objective. The message says why
        and which solvers can.

    See Also
    --------
    PenalizedRegressor : The same for numbers.
    LogisticRegression : The logistic loss with scikit-learn's parameters.

    References
    ----------
    T. Hastie, R. Tibshirani, M. Wainwright, "Statistical learning with sparsity" (2015).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import PenalizedClassifier
    >>> from skopt_dl.penalties import GroupLasso
    >>> X, y = load_iris(return_X_y=True)
    >>> rows = GroupLasso([[0], [1], [2], [3]])  # a feature enters for all classes or for none
    >>> model = PenalizedClassifier(penalty=rows, alpha=0.1).fit(X, y)
    >>> model.coef_.any(axis=0)
    array([False, False,  True, False])
    """

    def __init__(
        self,
        loss: Any = "logistic",
        penalty: Any = "l2",
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
        X, labels = check_X_y(self, X, y, labels=True)
        classes, codes = encode_labels(labels)
        weights, penalty, shared = check_weights(sample_weight, X), penalty_of(self, X), design(X)
        parts = _targets(loss_of(self), codes, classes.shape[0])
        tasks = []
        for k, (loss, target) in enumerate(parts):
            problem = LinearProblem(
                shared,
                put_beside(X, target.astype(host_dtype(X))),
                loss,
                penalty,
                sample_weight=weights,
                fit_intercept=self.fit_intercept,
                description=lambda: self._describe(X),
            )
            start = warm_point(self, problem, k, len(parts))
            tasks.append(Task(problem, partial(_unpack, problem, classes), start))
        return tasks

    def _store(self, tasks: list[Task], results: list[SolveResult]) -> None:
        fitted = [task.unpack(result.w) for task, result in zip(tasks, results, strict=True)]
        xp = namespace_of(fitted[0]["coef_"])
        self.classes_ = fitted[0]["classes_"]
        self.coef_ = xp.concat([f["coef_"] for f in fitted])
        self.intercept_ = xp.concat([f["intercept_"] for f in fitted])
        self.n_iter_ = np.asarray([max(1, r.n_iter) for r in results], dtype=np.int32)
        reports = [result.report() for result in results]
        gaps = np.asarray([report.dual_gap for report in reports])
        self.dual_gap_ = gaps[0] if len(gaps) == 1 else gaps
        self.solve_report_ = reports[0] if len(reports) == 1 else reports

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> Any:
        """Probabilities of the classes, with a logistic loss.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Rows sum to 1; columns are in the order of ``classes_``.
        """
        return ProbabilitiesMixin.predict_proba(self, X)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of the probabilities, accurate also where those round to zero.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Columns are in the order of ``classes_``.
        """
        return ProbabilitiesMixin.predict_log_proba(self, X)


def _targets(loss: Loss, codes: np.ndarray, n_classes: int) -> list[tuple[Loss, np.ndarray]]:
    """The loss and the targets of each solve."""
    one_hot = np.eye(n_classes)[codes]
    if isinstance(loss, Multinomial):
        return [(loss, one_hot)]
    if n_classes == 2:
        return [(loss, codes)]
    if isinstance(loss, Logistic):
        return [(Multinomial(), one_hot)]
    return [(loss, one_hot[:, k]) for k in range(n_classes)]


def _unpack(problem: LinearProblem, classes: np.ndarray, w: Any) -> dict[str, Any]:
    """The fitted attributes of one solve: all rows of ``coef_``, or one of them."""
    coef, intercept = problem.unpack(w)
    xp = namespace_of(coef)
    if coef.ndim == 1:
        coef, intercept = coef[:, None], xp.reshape(intercept, (1,))
    else:
        # Equal shifts of all intercepts change nothing: they sum to zero, so that solvers agree.
        intercept = intercept - xp.mean(intercept)
    return {"classes_": classes, "coef_": coef.T, "intercept_": intercept}
