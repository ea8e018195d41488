"""Logistic regression whose penalty is chosen by cross-validation."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch
from sklearn.utils._metadata_requests import _raise_for_params, _routing_enabled
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed

from skopt_dl._sklearn.arrays import is_foreign
from skopt_dl._sklearn.base import fit_method
from skopt_dl._sklearn.parameters import check_choice, check_flag, check_number
from skopt_dl._sklearn.validation import check_weights, check_X_y
from skopt_dl.kernels.namespace import namespace_of, to_numpy
from skopt_dl.linear_model._base import LinearModel
from skopt_dl.linear_model._classification import (
    LinearClassifierMixin,
    ProbabilitiesMixin,
    class_weights,
    encode_labels,
)
from skopt_dl.linear_model._logistic_grid import Grid, best_of_folds, best_of_means
from skopt_dl.linear_model._logistic_notices import search_notices, warn_each
from skopt_dl.linear_model._logistic_path import LabelledData, fold_path
from skopt_dl.linear_model._logistic_tasks import (
    liblinear_intercept,
    logistic_task,
    one_output_only,
)
from skopt_dl.problems import LinearProblem


class LogisticRegressionCV(LinearClassifierMixin, ProbabilitiesMixin, LinearModel):
    r"""Logistic regression whose ``C`` and ``l1_ratio`` are chosen by cross-validation.

    The objective is that of `LogisticRegression`. Each fold is solved along ``Cs``, every solve
    from the answer before.

    Parameters
    ----------
    Cs : int or array-like of shape (n_cs,), default=10
        Inverse strengths of the penalty; a number of them spread from 1e-4 to 1e4 on a logarithmic
        scale. In the order of the path: increasing ones start each other best.
    l1_ratios : array-like of shape (n_l1_ratios,), default="warn"
        Shares of the L1 penalty to choose from, 0 to 1. As in scikit-learn 1.9 the default still
        means ``None`` (no choice, 0) and warns: it will be ``(0.0,)``.
    fit_intercept : bool, default=True
        Fit the intercept, which is not penalised (with "liblinear" it is).
    cv : int, splitter, iterable of (train, test) or None, default=None
        ``None`` is 5 stratified folds.
    dual : bool, default=False
        Accepted with ``solver="liblinear"`` and the L2 penalty, as in scikit-learn. The optimum is
        the same and is found in the primal.
    penalty : {"l1", "l2", "elasticnet"}, default="deprecated"
        Deprecated as in scikit-learn 1.8: use ``l1_ratios``.
    scoring : str, callable or None, default="warn"
        What to maximise. As in scikit-learn 1.9 the default still means ``None``, accuracy, and
        warns: it will be "neg_log_loss".
    solver : str or Solver, default="lbfgs"
        ``"auto"``, the name of a solver or an instance, as in `LogisticRegression`.
    tol : float, default=1e-4
        Bound on the largest component of the (minimal sub)gradient, as in `LogisticRegression`.
    max_iter : int or None, default=100
        Iterations at most of each solve, in the solver's unit; ``None`` is its own budget.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by label. "balanced" weighs them inversely to their frequency in all
        samples.
    n_jobs : int or None, default=None
        Folds that are solved at a time; ``None`` is 1 and -1 all processors.
    verbose : int, default=0
        Print a line per report of the final solve.
    refit : bool, default=True
        Fit all samples with the best mean score's ``C`` and ``l1_ratio``. Otherwise average over
        the folds what each found best.
    intercept_scaling : float, default=1.0
        For ``solver="liblinear"``, see `LogisticRegression`.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some ("sag", "saga").
    use_legacy_attributes : bool, default="warn"
        Shapes of the fitted attributes, see below. As in scikit-learn 1.9 the default still means
        ``True`` and warns: it will be ``False``.
    device : str or None, default=None
        Where to compute. ``None`` is where X is.
    max_time : float or None, default=None
        Seconds at most of each solve; results then depend on the machine.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        The labels, sorted.
    coef_ : array of shape (1, n_features) or (n_classes, n_features)
        The coefficients, one row for two classes.
    intercept_ : array of shape (1,) or (n_classes,)
        The intercepts; zeros without any.
    Cs_, l1_ratios_ : array
        The choices.
    C_, l1_ratio_ : float
        What was chosen. In legacy form arrays of shape (n_classes,), (1,) for two classes.
    scores_ : array of shape (n_folds, n_l1_ratios, n_cs)
        Scores of the held-out parts. In legacy form a dict from labels (the second of two) to the
        same array of shape (n_folds, n_cs, n_l1_ratios) for each.
    coefs_paths_ : array of shape (n_folds, n_l1_ratios, n_cs, n_classes, n_features + 1)
        Coefficients, the intercept last if there is one; one class for two. In legacy form a dict
        from labels to arrays of shape (n_folds, n_cs, n_l1_ratios, n_features + 1).
    n_iter_ : array of shape (n_folds, n_l1_ratios, n_cs)
        Iterations. In legacy form of shape (1, n_folds, n_cs, n_l1_ratios). Legacy forms have no
        axis of ``l1_ratios`` where that is ``None``.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X has names that are strings.
    solver_ : str
        Name of the solver of the final fit; of any fold without one.
    solve_report_ : SolveReport
        Certificate, status and history of the final fit; only with ``refit=True``.

    See Also
    --------
    LogisticRegression : With a given penalty.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl.linear_model import LogisticRegressionCV
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegressionCV(
    ...     l1_ratios=(0,),
    ...     scoring="neg_log_loss",
    ...     use_legacy_attributes=False,
    ...     solver="newton-cholesky",
    ... ).fit(X, y)
    >>> round(model.C_, 2)
    166.81
    """

    _fewest_iterations = 0

    def __init__(
        self,
        *,
        Cs: Any = 10,
        l1_ratios: Any = "warn",
        fit_intercept: bool = True,
        cv: Any = None,
        dual: bool = False,
        penalty: str = "deprecated",
        scoring: Any = "warn",
        solver: Any = "lbfgs",
        tol: float = 1e-4,
        max_iter: int | None = 100,
        class_weight: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        refit: bool = True,
        intercept_scaling: float = 1.0,
        random_state: Any = None,
        use_legacy_attributes: bool | str = "warn",
        device: Any = None,
        max_time: float | None = None,
    ) -> None:
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.dual = dual
        self.penalty = penalty
        self.scoring = scoring
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.solver = solver
        self.refit = refit
        self.intercept_scaling = intercept_scaling
        self.random_state = random_state
        self.use_legacy_attributes = use_legacy_attributes
        self.device = device
        self.max_time = max_time

    # --- parameters -----------------------------------------------------------------------------

    def _check_parameters(self) -> None:
        self._check_common()
        check_choice(self, "penalty", ("l1", "l2", "elasticnet", "deprecated"))
        check_number(self, "intercept_scaling", low=0, open_low=True)
        check_flag(self, "dual", "refit")
        if not isinstance(self.class_weight, dict):
            check_choice(self, "class_weight", (None, "balanced"))
        if not isinstance(self.use_legacy_attributes, bool):
            check_choice(self, "use_legacy_attributes", (True, False, "warn"))
        if isinstance(self.scoring, str) and self.scoring not in ("warn", *get_scorer_names()):
            raise ValueError(
                f"{type(self).__name__}: the parameter scoring={self.scoring!r} is not valid; it "
                "must be None, a callable or one of sklearn.metrics.get_scorer_names()"
            )
        if self.dual and (self.solver != "liblinear" or Grid.asked_by(self).terms != "l2"):
            raise ValueError(
                "dual=True is the dual form of solver='liblinear' with the L2 penalty, but this is "
                f"{self!r}: set dual=False"
            )

    # --- fit ------------------------------------------------------------------------------------

    @fit_method
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Choose the penalty and fit the model with it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training data. Never written; a sparse matrix is never made dense.
        y : array-like of shape (n_samples,)
            Labels of any type.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights; scores are weighted too.
        **params : dict
            Metadata for the scorer and the splitter, where
            ``sklearn.set_config(enable_metadata_routing=True)``.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        _raise_for_params(params, self, "fit")
        self._check_parameters()
        warn_each(search_notices(self))
        grid = Grid.asked_by(self)
        data = self._labelled(X, y, sample_weight)
        routed = self._routed(sample_weight, params)
        every = np.arange(data.labels.shape[0])
        cv = check_cv(self.cv, data.labels, classifier=True)
        placeholder = np.empty((every.size, 1))
        splits = [
            (every[train], every[test])
            for train, test in cv.split(placeholder, data.labels, **routed.splitter.split)
        ]
        scoring = None if isinstance(self.scoring, str) and self.scoring == "warn" else self.scoring
        worker = clone(self)
        threads = self.solver in ("sag", "saga")
        paths = Parallel(n_jobs=self.n_jobs, prefer="threads" if threads else "processes")(
            delayed(fold_path)(
                worker, data, train, test, grid.Cs, ratio, scoring, routed.scorer.score
            )
            for train, test in splits
            for ratio in grid.ratios
        )
        shape = (len(splits), len(grid.ratios))
        # Axes: fold, ratio, C, and for coefficients class, feature.
        coefs = np.reshape([p.coefs for p in paths], (*shape, *paths[0].coefs.shape))
        scores = np.reshape([p.scores for p in paths], (*shape, -1))
        n_iter = np.reshape([p.n_iter for p in paths], (*shape, -1))
        self.classes_, self.Cs_, self.l1_ratios_ = data.classes, grid.Cs, grid.named_ratios
        if self.refit:
            C, ratio, named, start = best_of_means(grid, scores, coefs)
            self._fit_all(data, C, ratio, start)
        else:
            C, named, mean = best_of_folds(grid, scores, coefs)
            self.solver_ = self.solver if isinstance(self.solver, str) else repr(self.solver)
            self._store_mean(data.X, mean)
        legacy = bool(self.use_legacy_attributes)
        for name, value in grid.attributes(data.classes, C, named, scores, coefs, n_iter, legacy):
            setattr(self, name, value)
        return self

    def _labelled(self, X: Any, y: Any, sample_weight: Any) -> LabelledData:
        """Validated data."""
        X, labels = check_X_y(self, X, y, labels=True)
        classes, codes = encode_labels(labels)
        given = weights = check_weights(sample_weight, X)
        if self.class_weight is not None:
            if isinstance(self.class_weight, dict) and not set(self.class_weight) <= set(classes):
                raise ValueError(
                    "The given class_weight dict must have the class labels as keys; "
                    f"classes={classes} but key={self.class_weight.keys()}"
                )
            each = class_weights(self, classes, labels, weights)[codes]
            weights = check_weights(each if weights is None else to_numpy(weights) * each, X)
        return LabelledData(X, labels, codes, classes, weights, given)

    def _fit_all(self, data: LabelledData, C: float, ratio: float, start: np.ndarray) -> None:
        """The final fit, from the mean of the folds' coefficients (K, p or p + 1)."""
        task = logistic_task(
            self, data.X, data.codes, data.classes, data.weights, C=C, l1_ratio=ratio
        )
        problem = task.problem
        begin: Any = None
        if not liblinear_intercept(self):
            xp, p = problem.xp, problem.n_features
            device = problem.device
            coef = xp.asarray(start[:, :p].T, dtype=problem.dtype, device=device)
            level = start[:, p] if self.fit_intercept else np.zeros(start.shape[0])
            begin = problem.pack(coef, xp.asarray(level, dtype=problem.dtype, device=device))
        result = self._solve(
            problem, start=begin, tol=self.tol, max_iter=self.max_iter, unpack=task.unpack
        )
        for name, value in task.unpack(result.w).items():
            setattr(self, name, value)
        self.solver_ = self._name_of_solver(result)
        self.solve_report_ = result.report()

    def _store_mean(self, X: Any, mean: np.ndarray) -> None:
        """Coefficients and intercepts from their mean over folds (K, p or p + 1), beside X."""
        p = X.shape[1]
        like = X.data if hasattr(X, "tocsc") else X
        xp = namespace_of(like)
        device = None if xp is np else like.device
        self.coef_ = xp.asarray(mean[:, :p], dtype=X.dtype, device=device)
        level = mean[:, p] if self.fit_intercept else np.zeros(mean.shape[0])
        self.intercept_ = xp.asarray(level, dtype=X.dtype, device=device)

    def _build_problem(self, X: Any, y: Any, sample_weight: Any = None) -> LinearProblem:
        """The problem of the first choice on all samples: ask a clone, not an estimator in use."""
        self._check_parameters()
        data, grid = self._labelled(X, y, sample_weight), Grid.asked_by(self)
        C, ratio = float(grid.Cs[0]), float(grid.ratios[0])
        return logistic_task(
            self, data.X, data.codes, data.classes, data.weights, C=C, l1_ratio=ratio
        ).problem

    # --- scores and metadata --------------------------------------------------------------------

    def score(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> float:
        """The score of the predictions by ``scoring``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples.
        **params : dict
            Metadata for the scorer, where
            ``sklearn.set_config(enable_metadata_routing=True)``.

        Returns
        -------
        float
            The accuracy, unless ``scoring`` says otherwise.
        """
        _raise_for_params(params, self, "score")
        if sample_weight is not None:
            params = {**params, "sample_weight": sample_weight}
        if _routing_enabled():
            params = process_routing(self, "score", **params).scorer.score
        if is_foreign(X) and self._scorer() == get_scorer("accuracy"):
            return super().score(X, y, **params)
        return float(self._scorer()(self, X, y, **params))

    def _scorer(self) -> Any:
        chosen = None if isinstance(self.scoring, str) and self.scoring == "warn" else self.scoring
        return get_scorer("accuracy" if chosen is None else chosen)

    def _routed(self, sample_weight: Any, params: dict[str, Any]) -> Bunch:
        """Metadata for the scorer and the splitter."""
        if sample_weight is not None:
            params = {**params, "sample_weight": sample_weight}
        if _routing_enabled():
            return process_routing(self, "fit", **params)
        return Bunch(scorer=Bunch(score=params), splitter=Bunch(split={}))

    def get_metadata_routing(self) -> MetadataRouter:
        """Where metadata go: to the fit, the scorer and the splitter, as requested.

        Returns
        -------
        MetadataRouter
            scikit-learn's description of it.
        """
        scores = MethodMapping().add(caller="score", callee="score")
        splits = MethodMapping().add(caller="fit", callee="split")
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(splitter=self.cv, method_mapping=splits)
            .add(scorer=self._scorer(), method_mapping=scores.add(caller="fit", callee="score"))
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = not one_output_only(self)
        return tags
