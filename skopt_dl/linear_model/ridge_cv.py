"""Ridge regression whose strength is chosen by cross-validation."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from skopt_dl._sklearn.base import outside
from skopt_dl._sklearn.parameters import check_choice, check_flag
from skopt_dl._sklearn.validation import check_weights, check_X_y
from skopt_dl.linear_model._regression import LinearRegressorMixin
from skopt_dl.linear_model._ridge_data import CentredRows
from skopt_dl.linear_model._ridge_scores import GivenPredictions
from skopt_dl.linear_model._ridge_search import RidgeSearch
from skopt_dl.linear_model.ridge import Ridge


class RidgeCV(LinearRegressorMixin, RidgeSearch):
    r"""Ridge regression whose strength ``alpha`` is chosen by cross-validation.

    .. math:: \min_{w, b}\ \|y - X w - b\|_2^2 + \alpha \|w\|_2^2

    By default the errors of leaving out each sample are computed in closed form, for all strengths
    from one decomposition of the data.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,) or float, default=(0.1, 1.0, 10.0)
        Strengths to choose from: ``> 0``, with ``cv`` also 0.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not penalised. Sparse data stay sparse.
    scoring : str, callable or None, default=None
        What to maximise. ``None`` is minus the mean squared error where samples are left out one by
        one, and the mean :math:`R^2` of the folds with ``cv``.
    cv : int, splitter, iterable of (train, test) or None, default=None
        ``None`` leaves out the samples one by one.
    gcv_mode : {"auto", "svd", "eigen"} or None, default=None
        How to decompose the data for leave-one-out: "eigen" their products with themselves, "svd"
        the (dense) data. "auto" and ``None`` take "svd" where "eigen" would be less accurate than
        about 1e-9.
    store_cv_results : bool, default=False
        Keep ``cv_results_``; for leave-one-out only.
    alpha_per_target : bool, default=False
        Choose a strength for each target; for leave-one-out only.
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
    alpha_ : float or array of shape (n_targets,)
        The strength chosen; the first of equally good ones.
    best_score_ : float or array of shape (n_targets,)
        Its score.
    cv_results_ : array of shape (n_samples, n_alphas) or (n_samples, n_targets, n_alphas)
        Squared errors of the samples left out (times their weights), or their predictions where
        ``scoring`` is given. Only with ``store_cv_results=True``.
    coef_ : array of shape (n_features,) or (n_targets, n_features)
        The coefficients ``w``.
    intercept_ : float or array of shape (n_targets,)
        The intercept ``b``; 0.0 without one.
    n_iter_ : array of shape (n_targets,)
        Iterations of the final fit.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X has names that are strings.
    solver_ : str
        Name of the solver of the final fit.
    solve_report_ : SolveReport or list of SolveReport
        Its certificate, status and history.

    See Also
    --------
    Ridge : With a given strength.
    RidgeClassifierCV : For classes.

    Notes
    -----
    With ``cv`` the products :math:`X'X` of the held-out parts are formed once (or :math:`XX'` where
    columns outnumber rows); what a training part needs is their total less its own, and one
    decomposition of it serves all strengths. Rows are decomposed instead where products would lose
    too many digits, and the solver is asked where both sides of the data are large.

    Scores are weighted by the sample weights, where the scorer can. Samples of zero weight have a
    prediction too.

    References
    ----------
    R. Rifkin, R. Lippert, "Notes on regularized least squares", MIT-CSAIL-TR-2007-025 (2007).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from skopt_dl.linear_model import RidgeCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = RidgeCV(alphas=np.logspace(-3, 1, 20)).fit(X, y)
    >>> round(model.alpha_, 4)
    0.0043
    """

    _default_metric = "r2"

    def __init__(
        self,
        alphas: Any = (0.1, 1.0, 10.0),
        *,
        fit_intercept: bool = True,
        scoring: Any = None,
        cv: Any = None,
        gcv_mode: str | None = None,
        store_cv_results: bool = False,
        alpha_per_target: bool = False,
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
        self.gcv_mode = gcv_mode
        self.store_cv_results = store_cv_results
        self.alpha_per_target = alpha_per_target
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.device = device
        self.max_time = max_time

    def _check_parameters(self) -> None:
        self._check_search()
        check_flag(self, "alpha_per_target")
        check_choice(self, "gcv_mode", ("auto", "svd", "eigen", None))
        if self.cv is not None and self.alpha_per_target:
            raise ValueError(
                "cv!=None and alpha_per_target=True are incompatible: only leave-one-out (cv=None) "
                "has a score for each target"
            )

    def _by_svd(self, data: CentredRows) -> bool | None:
        if self.gcv_mode == "svd" and data.map.layout == "sparse":
            warnings.warn(
                "The 'svd' mode is not supported for sparse X, we fallback to `gcv_mode='eigen'`. "
                "Use the default or pass `gcv_mode='eigen'`.",
                FutureWarning,
                stacklevel=outside(),
            )
            return False
        return {"svd": True, "eigen": False}.get(self.gcv_mode or "auto")

    def _prepare(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any, Any]:
        X, y = check_X_y(self, X, y, multi_output=True)
        return X, y, y, check_weights(sample_weight, X)

    def _given(self) -> GivenPredictions:
        return GivenPredictions()

    def _model(self, coef: Any, intercept: Any) -> Ridge:
        model = Ridge(fit_intercept=self.fit_intercept)
        single = coef.shape[0] == 1
        model.coef_, model.intercept_ = (coef[0, :], intercept[0]) if single else (coef, intercept)
        model.n_features_in_ = self.n_features_in_
        if hasattr(self, "feature_names_in_"):
            model.feature_names_in_ = np.asarray(self.feature_names_in_)
        return model
