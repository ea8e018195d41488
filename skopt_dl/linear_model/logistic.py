"""Logistic regression, binary and multinomial, with an L2, L1 or elastic-net penalty."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from skopt_dl._sklearn.parameters import check_choice, check_flag, check_number
from skopt_dl._sklearn.validation import check_weights, check_X_y
from skopt_dl.engine import SolveResult
from skopt_dl.kernels.namespace import namespace_of, to_numpy
from skopt_dl.linear_model._base import LinearEstimator, Task
from skopt_dl.linear_model._batches import BatchedClassifierMixin
from skopt_dl.linear_model._classification import (
    LinearClassifierMixin,
    ProbabilitiesMixin,
    class_weights,
    encode_labels,
)
from skopt_dl.linear_model._logistic_blocks import store_logistic
from skopt_dl.linear_model._logistic_notices import notices, warn_each
from skopt_dl.linear_model._logistic_tasks import (
    liblinear_intercept,
    logistic_task,
    one_output_only,
)
from skopt_dl.problems import LinearProblem


class LogisticRegression(
    BatchedClassifierMixin, LinearClassifierMixin, ProbabilitiesMixin, LinearEstimator
):
    r"""Logistic regression: a linear model of the log-odds of classes.

    .. math::

        \min_{w, b}\ C \sum_i s_i\, \ell(y_i, x_i' w + b) + \rho \|w\|_1
        + \frac{1 - \rho}{2} \|w\|_2^2

    where :math:`\rho` is ``l1_ratio``, ``s`` are the sample weights times the class weights, and
    the loss is :math:`\log(1 + e^z) - y z` with y in {0, 1} for two classes, and
    :math:`\log \sum_k e^{z_k} - z_y` (multinomial, with a row of ``w`` for each class) for more.

    Parameters
    ----------
    penalty : {"l1", "l2", "elasticnet", None}, default="deprecated"
        Deprecated as in scikit-learn 1.8: use ``l1_ratio``, and ``C=np.inf`` for no penalty.
    C : float, default=1.0
        Inverse of the strength of the penalty, ``> 0``; ``np.inf`` is no penalty.
    l1_ratio : float, default=0.0
        Share of the L1 penalty, from 0 (L2 only) to 1 (L1 only).
    dual : bool, default=False
        Accepted with ``solver="liblinear"`` and the L2 penalty, as in scikit-learn. The optimum is
        the same and is found in the primal.
    tol : float, default=1e-4
        Bound on the largest component of the (minimal sub)gradient of the objective divided by
        :math:`C \sum_i s_i`, so that the loss is a mean. It means this for every solver.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not penalised (with "liblinear" it is).
    intercept_scaling : float, default=1
        For ``solver="liblinear"``: the intercept is this number times a coefficient that is
        penalised like the others, so that a large number weakens its penalty.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by label. "balanced" weighs them inversely to their frequency.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some ("sag", "saga").
    solver : str or Solver, default="lbfgs"
        ``"auto"``, the name of a solver or an instance with options of its own. All of
        scikit-learn's names work: "lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag",
        "saga".
    max_iter : int or None, default=100
        Iterations at most, in the solver's unit; ``None`` is the solver's own budget.
    verbose : int, default=0
        Print a line per report of the solver.
    warm_start : bool, default=False
        Start from the coefficients of the previous `fit`.
    n_jobs : None, default=None
        Deprecated as in scikit-learn 1.8, without effect.
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
    n_iter_ : array of shape (1,)
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
    LogisticRegressionCV : Chooses ``C`` and ``l1_ratio`` by cross-validation.
    Ridge : The squared loss with an L2 penalty.

    Notes
    -----
    Which solver: with the L2 penalty "lbfgs" for many features and "newton-cholesky" for few;
    with an L1 part "prox_newton" (for two classes also called "liblinear", which moreover penalises
    the intercept), and "fista" or "saga" for more classes on dense data of many features. "admm"
    works for all. The default is scikit-learn's; ``solver="auto"`` chooses by the rules above.

    ``solver="liblinear"`` minimises liblinear's objective, by proximal Newton.

    Columns of very different scales slow every first-order solver down: scale them, or take a
    Newton solver.

    References
    ----------
    D. R. Cox, "The regression analysis of binary sequences", JRSS B 20 (1958).
    R.-E. Fan, K.-W. Chang, C.-J. Hsieh, X.-R. Wang, C.-J. Lin, "LIBLINEAR: a library for large
    linear classification", JMLR 9 (2008).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl.linear_model import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(solver="newton-cholesky").fit(X, y)
    >>> model.predict(X[:2])
    array([0, 0])
    >>> model.predict_proba(X[:2]).round(2)
    array([[0.98, 0.02, 0.  ],
           [0.97, 0.03, 0.  ]])
    """

    _fewest_iterations = 0

    def __init__(
        self,
        penalty: str | None = "deprecated",
        *,
        C: float = 1.0,
        l1_ratio: float | None = 0.0,
        dual: bool = False,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        intercept_scaling: float = 1,
        class_weight: Any = None,
        random_state: Any = None,
        solver: Any = "lbfgs",
        max_iter: int | None = 100,
        verbose: int = 0,
        warm_start: bool = False,
        n_jobs: int | None = None,
        device: Any = None,
        max_time: float | None = None,
    ) -> None:
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.dual = dual
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.verbose = verbose
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.device = device
        self.max_time = max_time

    # --- parameters -----------------------------------------------------------------------------

    def _check_parameters(self) -> None:
        self._check_common()
        check_choice(self, "penalty", ("l1", "l2", "elasticnet", None, "deprecated"))
        check_number(self, "C", low=0, open_low=True, infinite=True)
        check_number(self, "l1_ratio", low=0, high=1, optional=True)
        check_number(self, "intercept_scaling", low=0, open_low=True)
        check_flag(self, "dual", "warm_start")
        if not isinstance(self.class_weight, dict):
            check_choice(self, "class_weight", (None, "balanced"))
        if self.dual and (self.solver != "liblinear" or self._penalty_terms() != "l2"):
            raise ValueError(
                "dual=True is the dual form of solver='liblinear' with the L2 penalty, but this is "
                f"{self!r}: set dual=False"
            )
        if self.penalty == "elasticnet" and self.l1_ratio is None:
            raise ValueError(
                "l1_ratio must be specified when penalty is elasticnet: it is None, and must be a "
                "number from 0 to 1"
            )
        warn_each(notices(self))

    def _penalty_terms(self) -> str | None:
        """What ``penalty`` was: "l1", "l2", "elasticnet" or ``None``."""
        if self.penalty != "deprecated":
            return self.penalty
        if math.inf == self.C:
            return None
        if not self.l1_ratio:
            return "l2"
        return "l1" if self.l1_ratio == 1 else "elasticnet"

    # --- fit ------------------------------------------------------------------------------------

    def _tasks(self, X: Any, y: Any, sample_weight: Any) -> list[Task]:
        X, labels = check_X_y(self, X, y, labels=True)
        classes, codes = encode_labels(labels)
        weights = check_weights(sample_weight, X)
        if self.class_weight is not None:
            each = class_weights(self, classes, labels, weights)[codes]
            weights = check_weights(each if weights is None else to_numpy(weights) * each, X)
        terms = self._penalty_terms()
        C = math.inf if terms is None else self.C
        l1_ratio = {"l1": 1.0, "l2": 0.0}.get(str(terms), float(self.l1_ratio or 0.0))
        task = logistic_task(self, X, codes, classes, weights, C=C, l1_ratio=l1_ratio)
        if not liblinear_intercept(self):
            task = replace(task, start=self._warm_start(task.problem))
        return [task]

    def _warm_start(self, problem: LinearProblem) -> Any:
        """The earlier coefficients as a starting point; ``None`` for a cold start."""
        coef = getattr(self, "coef_", None) if self.warm_start else None
        if coef is None:
            return None
        coef = coef.toarray() if hasattr(coef, "toarray") else coef
        needed = (problem.n_outputs, problem.n_features)
        if coef.shape != needed:
            raise ValueError(
                f"{type(self).__name__}: warm_start=True goes on from coefficients of shape "
                f"{coef.shape} (classes, features), but these data need {needed}; set "
                "warm_start=False or fit a clone"
            )
        xp = namespace_of(coef)
        return xp.astype(problem.pack(coef.T, self.intercept_), problem.dtype)

    def _store(self, tasks: list[Task], results: list[SolveResult]) -> None:
        store_logistic(self, tasks[0].unpack, results[0])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = not one_output_only(self)
        return tags
