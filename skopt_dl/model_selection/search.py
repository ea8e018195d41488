"""scikit-learn's searches, with the candidates trained together."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import sklearn.model_selection as plain
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import ParameterGrid, ParameterSampler, check_cv
from sklearn.utils import _safe_indexing, indexable

from skopt_dl._sklearn.arrays import on_host
from skopt_dl.model_selection.together import fit_together
from skopt_dl.neural_network import MLPClassifier, MLPRegressor


class Together(ABC):
    """The fit of a search whose candidates are trained together; a search comes after it."""

    estimator: Any
    scoring: Any
    refit: Any
    cv: Any
    n_jobs: int | None
    return_train_score: bool

    @abstractmethod
    def _candidates(self) -> Iterable[dict[str, Any]]:
        """The settings to try."""

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Try all candidates on all splits, and fit the best again on all data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        **params : dict
            As for scikit-learn's search, which then does the work.

        Returns
        -------
        self : object
            The fitted search.
        """
        if is_classifier(self.estimator):
            # Labels belong on the host, where splits are stratified by them.
            y = on_host(y)
        if not params and self._trains_together():
            X, y = indexable(X, y)
            cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
            splits, candidates = list(cv.split(X, y)), list(self._candidates())
            models = [self._model(p) for p in candidates for _ in splits]
            began = time.perf_counter()
            try:
                fit_together(models, X, y, rows=[train for train, _ in splits] * len(candidates))
            except Exception:  # noqa: BLE001
                # One by one scikit-learn finds the one that fails, and does what error_score says.
                return super().fit(X, y)  # type: ignore[misc]
            each = (time.perf_counter() - began) / max(1, len(models))
            return self._finish(X, y, candidates, splits, models, each)
        return super().fit(X, y, **params)  # type: ignore[misc]

    def _trains_together(self) -> bool:
        return (
            (
                isinstance(self.estimator, (MLPClassifier, MLPRegressor))
                or hasattr(self.estimator, "_fit_together")
            )
            and self.n_jobs in (None, 1)
            and (self.scoring is None or isinstance(self.scoring, str) or callable(self.scoring))
            and not callable(self.refit)
        )

    def _model(self, settings: dict[str, Any]) -> Any:
        return clone(self.estimator).set_params(**clone(settings, safe=False))

    def _finish(
        self, X: Any, y: Any, candidates: Any, splits: Any, models: list[Any], each: float
    ) -> Self:
        self.scorer_, self.multimetric_ = check_scoring(self.estimator, self.scoring), False
        self.n_splits_ = len(splits)
        out: list[dict[str, Any]] = [{} for _ in models]
        for s, (train, test) in enumerate(splits):
            # Rows are cut out once for all candidates.
            held_out, seen = self._part(X, y, test), None
            if self.return_train_score:
                seen = self._part(X, y, train)
            for k in range(s, len(models), len(splits)):
                began = time.perf_counter()
                out[k] = {
                    "fit_error": None,
                    "n_test_samples": len(test),
                    "fit_time": each,
                    "test_scores": self.scorer_(models[k], *held_out),
                    "score_time": time.perf_counter() - began,
                }
                if seen is not None:
                    out[k]["train_scores"] = self.scorer_(models[k], *seen)
        results = self._format_results(candidates, len(splits), out)  # type: ignore[attr-defined]
        best = int(np.argmin(results["rank_test_score"]))
        self.cv_results_, self.best_index_ = results, best
        self.best_params_ = candidates[best]
        self.best_score_ = results["mean_test_score"][best]
        if self.refit:
            began = time.perf_counter()
            self.best_estimator_ = self._model(self.best_params_).fit(X, y)
            self.refit_time_ = time.perf_counter() - began
            if hasattr(self.best_estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.best_estimator_.feature_names_in_
        return self

    @property
    def n_features_in_(self) -> int:
        """Number of features that the best candidate was fitted with."""
        return self.best_estimator_.n_features_in_

    def _part(self, X: Any, y: Any, rows: Any) -> tuple[Any, Any]:
        return _safe_indexing(X, rows), _safe_indexing(y, rows)


class GridSearchCV(Together, plain.GridSearchCV):
    """scikit-learn's ``GridSearchCV``, in which candidates that have much in common are fitted
    together.

    Parameters, attributes and scores are scikit-learn's, and the fits are those of `fit_together`.
    The candidates of a `Lasso` or an `ElasticNet` that differ in ``alpha`` and ``l1_ratio`` are
    points of one path on each split, those of a `Ridge` share the matrix that they factorise: 50
    strengths and 5 splits of 5000 x 300 take a fifth and a ninth of the time (``python -m
    benchmarks.run grid_lasso grid_ridge --details``). Candidates and splits of an `MLPClassifier`
    or an `MLPRegressor` that agree in layers, solver and number of samples are a stack: small
    networks take about three quarters of the time. Another estimator, several scores, a callable
    ``refit``, ``n_jobs`` other than 1 and parameters of `fit` are left to scikit-learn, as it is.

    Notes
    -----
    ``mean_fit_time`` is the mean over all fits. ``pre_dispatch`` and ``verbose`` are not read where
    candidates are trained together.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier
    >>> from skopt_dl.model_selection import GridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> network = MLPClassifier((10,), solver="adam", learning_rate_init=0.01, random_state=0)
    >>> search = GridSearchCV(network, {"alpha": [1e-4, 1e-2, 1.0]}, cv=3).fit(X, y)
    >>> bool(search.best_score_ > 0.9)
    True
    """

    def _candidates(self) -> Iterable[dict[str, Any]]:
        return ParameterGrid(self.param_grid)


class RandomizedSearchCV(Together, plain.RandomizedSearchCV):
    """scikit-learn's ``RandomizedSearchCV``, in which networks of one architecture are trained
    together; see `GridSearchCV`."""

    def _candidates(self) -> Iterable[dict[str, Any]]:
        return ParameterSampler(
            self.param_distributions, self.n_iter, random_state=self.random_state
        )
