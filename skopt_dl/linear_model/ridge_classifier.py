"""Classification by ridge regression on signed labels, with a given or a chosen strength."""

from __future__ import annotations

from typing import Any

from skopt_dl._sklearn.parameters import check_flag
from skopt_dl.engine import SolveResult
from skopt_dl.linear_model._base import LinearEstimator, Task
from skopt_dl.linear_model._ridge_labels import SignedLabelsMixin
from skopt_dl.linear_model._ridge_scores import GivenDecisions
from skopt_dl.linear_model._ridge_search import RidgeSearch
from skopt_dl.linear_model._ridge_tasks import ridge_tasks, store_ridge, target_strengths


class RidgeClassifier(SignedLabelsMixin, LinearEstimator):
    r"""Classification by ridge regression on labels in {-1, 1}.

    .. math:: \min_{W, b}\ \|Y - X W - b\|_F^2 + \alpha \|W\|_F^2

    with a column of ``Y`` for each class, 1 for its samples and -1 for the others (one column for
    two classes). The class of the largest prediction wins.

    Parameters
    ----------
    alpha : float or array-like of shape (n_targets,), default=1.0
        Strength of the penalty, ``>= 0``.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not penalised. Sparse data stay sparse.
    copy_X : bool, default=True
        Accepted for scikit-learn's sake. X is never written, whatever this says.
    max_iter : int or None, default=None
        Iterations at most, in the solver's unit; ``None`` is the solver's own budget.
    tol : float, default=1e-4
        Bound on the largest component of the gradient, relative to that at zero coefficients.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by label. "balanced" weighs them inversely to their frequency.
    solver : str or Solver, default="auto"
        ``"auto"``, the name of a solver or an instance, as in `Ridge`.
    positive : bool, default=False
        Restrict to ``W >= 0``.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some ("sag", "saga").
    device : str or None, default=None
        Where to compute. ``None`` is where X is.
    max_time : float or None, default=None
        Seconds of solving at most; results then depend on the machine.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        The labels, sorted.
    coef_ : array of shape (n_features,) or (n_classes, n_features)
        The coefficients, flat for two classes.
    intercept_ : float or array of shape (n_targets,)
        The intercepts; 0.0 without any.
    n_iter_ : array of shape (n_targets,)
        Iterations of the solver, for each column of ``Y``; 1 for a direct one.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X has names that are strings.
    label_binarizer_ : LabelBinarizer
        From labels to the columns of ``Y``.
    solver_ : str
        Name of the solver that ran.
    solve_report_ : SolveReport or list of SolveReport
        Status, settings, certificate, timings and history of the solve.

    Raises
    ------
    IncompatibleSolverError
        From `fit`, a `ValueError`: the solver cannot minimise this objective. The message says why
        and which solvers can.

    See Also
    --------
    RidgeClassifierCV : Chooses ``alpha`` by cross-validation.
    LogisticRegression : A model of the probabilities.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl.linear_model import RidgeClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> round(RidgeClassifier().fit(X, y).score(X, y), 3)
    0.853
    """

    def __init__(
        self,
        alpha: Any = 1.0,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        max_iter: int | None = None,
        tol: float = 1e-4,
        class_weight: Any = None,
        solver: Any = "auto",
        positive: bool = False,
        random_state: Any = None,
        device: Any = None,
        max_time: float | None = None,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.class_weight = class_weight
        self.solver = solver
        self.positive = positive
        self.random_state = random_state
        self.device = device
        self.max_time = max_time

    def _check_parameters(self) -> None:
        self._check_common()
        check_flag(self, "copy_X", "positive")
        self._check_class_weight()

    def _tasks(self, X: Any, y: Any, sample_weight: Any) -> list[Task]:
        X, _, signs, weights = self._signed(X, y, sample_weight)
        alphas = target_strengths(self, signs.shape[1])
        return ridge_tasks(self, X, signs, weights, alphas, positive=self.positive)

    def _solver(self) -> Any:
        # What scikit-learn calls "lbfgs" here is L-BFGS with bounds.
        return "lbfgsb" if self.positive and self.solver == "lbfgs" else self.solver

    def _store(self, tasks: list[Task], results: list[SolveResult]) -> None:
        store_ridge(self, tasks, results)


class RidgeClassifierCV(SignedLabelsMixin, RidgeSearch):
    r"""`RidgeClassifier` whose strength ``alpha`` is chosen by cross-validation.

    By default the errors of leaving out each sample are computed in closed form, for all strengths
    from one decomposition of the data.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,) or float, default=(0.1, 1.0, 10.0)
        Strengths to choose from: ``> 0``, with ``cv`` also 0.
    fit_intercept : bool, default=True
        Fit the intercept, which is not penalised. Sparse data stay sparse.
    scoring : str, callable or None, default=None
        What to maximise. ``None`` is minus the mean squared error of the labels in {-1, 1} where
        samples are left out one by one, and the accuracy with ``cv``.
    cv : int, splitter, iterable of (train, test) or None, default=None
        ``None`` leaves out the samples one by one.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by label. "balanced" weighs them inversely to their frequency.
    store_cv_results : bool, default=False
        Keep ``cv_results_``; for leave-one-out only.
    solver : str or Solver, default="auto"
        Finishes the final fit where the decomposition leaves a gradient above ``tol``, and does the
        fits of folds that are too large to decompose; as in `Ridge`.
    tol : float, default=1e-6
        Bound on the largest component of the gradient, relative to that at zero coefficients.
    max_iter : int or None, default=None
        Iterations at most, in the solver's unit; ``None`` is the solver's own budget.
    device : str or None, default=None
        Where to compute. ``None`` is where X is.
    max_time : float or None, default=None
        Seconds at most of each solve; results then depend on the machine.

    Attributes
    ----------
    alpha_ : float
        The strength chosen; the first of equally good ones.
    best_score_ : float
        Its score.
    cv_results_ : array of shape (n_samples, n_targets, n_alphas)
        Squared errors of the samples left out (times their weights), or their decisions where
        ``scoring`` is given. Only with ``store_cv_results=True``.
    classes_ : array of shape (n_classes,)
        The labels, sorted.
    coef_ : array of shape (n_features,) or (n_classes, n_features)
        The coefficients, flat for two classes.
    intercept_ : float or array of shape (n_targets,)
        The intercepts; 0.0 without any.
    n_iter_ : array of shape (n_targets,)
        Iterations of the final fit.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X has names that are strings.
    label_binarizer_ : LabelBinarizer
        From labels to the columns of targets in {-1, 1}.
    solver_ : str
        Name of the solver of the final fit.
    solve_report_ : SolveReport or list of SolveReport
        Its certificate, status and history.

    See Also
    --------
    RidgeClassifier : With a given strength.
    RidgeCV : For numbers; its notes hold here too.

    Notes
    -----
    With ``scoring`` and ``cv=None`` scorers compare labels with labels. scikit-learn hands them
    numbers of classes, and for two classes always class 0, so that every strength is as good there.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skopt_dl.linear_model import RidgeClassifierCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = RidgeClassifierCV(alphas=[1e-3, 1e-2, 1e-1, 1]).fit(X, y)
    >>> round(model.score(X, y), 3)
    0.963
    """

    _default_metric = "accuracy"

    def __init__(
        self,
        alphas: Any = (0.1, 1.0, 10.0),
        *,
        fit_intercept: bool = True,
        scoring: Any = None,
        cv: Any = None,
        class_weight: Any = None,
        store_cv_results: bool = False,
        solver: Any = "auto",
        tol: float = 1e-6,
        max_iter: int | None = None,
        device: Any = None,
        max_time: float | None = None,
    ) -> None:
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.cv = cv
        self.class_weight = class_weight
        self.store_cv_results = store_cv_results
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.device = device
        self.max_time = max_time

    def _check_parameters(self) -> None:
        self._check_search()
        self._check_class_weight()

    def _prepare(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any, Any]:
        X, labels, signs, weights = self._signed(X, y, sample_weight)
        return X, labels, signs, weights

    def _given(self) -> GivenDecisions:
        return GivenDecisions(self.classes_, self._is_multilabel)

    def _model(self, coef: Any, intercept: Any) -> RidgeClassifier:
        model = RidgeClassifier(fit_intercept=self.fit_intercept)
        model.coef_, model.intercept_ = coef, intercept
        model.classes_, model.label_binarizer_ = self.classes_, self.label_binarizer_
        model.n_features_in_ = self.n_features_in_
        if hasattr(self, "feature_names_in_"):
            model.feature_names_in_ = self.feature_names_in_
        return model
