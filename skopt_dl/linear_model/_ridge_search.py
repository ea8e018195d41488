"""What RidgeCV and RidgeClassifierCV share: the choice of a strength, and the final fit."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, _safe_indexing
from sklearn.utils._metadata_requests import _raise_for_params, _routing_enabled
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import _check_method_params

from skopt_dl._sklearn.arrays import on_host, put_beside
from skopt_dl._sklearn.base import fit_method
from skopt_dl._sklearn.parameters import check_flag
from skopt_dl.dispatch import resolve
from skopt_dl.dispatch.auto import DIRECT_BELOW
from skopt_dl.engine import Stopping, run
from skopt_dl.kernels.namespace import device_of, namespace_of, to_numpy
from skopt_dl.linear_model._base import LinearModel
from skopt_dl.linear_model._regression import stacked
from skopt_dl.linear_model._ridge_data import CentredRows, as_float64
from skopt_dl.linear_model._ridge_folds import PrimalModels, Split, fold_ridge
from skopt_dl.linear_model._ridge_loo import leave_one_out
from skopt_dl.linear_model._ridge_scores import METRICS
from skopt_dl.linear_model._ridge_tasks import ridge_tasks, store_ridge
from skopt_dl.problems import LinearProblem


class RidgeSearch(LinearModel):
    """Ridge regression whose strength is chosen by cross-validation."""

    # What `cv` without `scoring` maximises.
    _default_metric: str

    @abstractmethod
    def _check_parameters(self) -> None:
        """Raise for parameters that are not valid."""

    @abstractmethod
    def _prepare(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any, Any]:
        """Validated ``X``, what scorers compare with, targets of the regression, and weights."""

    @abstractmethod
    def _given(self) -> Any:
        """An estimator whose samples are predictions, for scorers."""

    @abstractmethod
    def _model(self, coef: Any, intercept: Any) -> Any:
        """A fitted estimator with ``coef`` (K, p) and ``intercept`` (K,), for scorers."""

    @fit_method
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Choose the strength and fit the model with it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training data. Never written; a sparse matrix is never made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets, or the labels of a classifier (of any type).
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights. Scores are weighted too where the scorer can.
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
        alphas = self._checked_alphas()
        raw = X
        X, labels, Y, weights = self._prepare(X, y, sample_weight)
        routed = self._routed(weights, params)
        data = CentredRows(X, Y, weights, fit_intercept=self.fit_intercept)
        start = None
        if self.cv is None:
            chosen, start = self._leave_one_out(data, labels, Y, alphas, routed.scorer.score)
        else:
            splits = self._splits(X, labels, routed.splitter.split)
            if weights is not None:
                self._require_weight(to_numpy(weights), splits)
            direct = min(data.map.shape) <= DIRECT_BELOW
            folds = fold_ridge(data, splits) if direct else None
            each = self._fold_scores(
                raw, X, labels, Y, weights, data, alphas, splits, folds, routed.scorer.score
            )
            # Summed in the order of scikit-learn's search: scores that are equal but for their
            # rounding (accuracies of other folds) are then the same numbers, and so is the choice.
            scores = np.mean(np.ascontiguousarray(each.T), axis=1)
            best = int(np.argmax(np.where(np.isnan(scores), -np.inf, scores)))
            self.alpha_, self.best_score_ = float(alphas[best]), float(scores[best])
            chosen = np.full(data.n_targets, alphas[best])
            start = None if folds is None else folds.coef(self.alpha_)
        if start is not None:
            xp = namespace_of(start)
            start = xp.astype(start, Y.dtype)
        self._fit_with(X, Y, weights, chosen, start)
        return self

    def _fit_with(self, X: Any, Y: Any, weights: Any, alphas: np.ndarray, start: Any) -> None:
        """The final fit with one strength per target."""
        tasks = ridge_tasks(self, X, Y, weights, alphas, start=start)
        results = [
            self._solve(
                task.problem,
                start=task.start,
                tol=self.tol,
                max_iter=self.max_iter,
                unpack=task.unpack,
                part=(k, len(tasks)),
            )
            for k, task in enumerate(tasks)
        ]
        store_ridge(self, tasks, results)
        self.solver_ = self._name_of_solver(results[0])

    def _build_problem(self, X: Any, y: Any, sample_weight: Any = None) -> LinearProblem:
        """The problem of the first strength (and target): ask a clone, not an estimator in use."""
        self._check_parameters()
        X, _, Y, weights = self._prepare(X, y, sample_weight)
        K = 1 if Y.ndim == 1 else Y.shape[1]
        alphas = np.full(K, self._checked_alphas()[0])
        return ridge_tasks(self, X, Y, weights, alphas)[0].problem

    # --- leave one out --------------------------------------------------------------------------

    def _leave_one_out(
        self, data: CentredRows, labels: Any, Y: Any, alphas: np.ndarray, score_params: dict
    ) -> tuple[np.ndarray, Any]:
        """The strength of each target, and coefficients for them."""
        xp = data.xp
        decomposition = leave_one_out(
            data, xp.asarray(alphas, device=device_of(data.Y)), self._by_svd(data)
        )
        (n, K), A = data.Y.shape, len(alphas)
        squares = xp.zeros((A, K), dtype=xp.float64, device=device_of(data.Y))
        kept: Any = None
        if self.store_cv_results or self.scoring is not None:
            kept = xp.empty((n, A, K), dtype=xp.float64, device=device_of(data.Y))
        for rows, part, errors in decomposition:
            if self.scoring is None:
                errors = data.s[rows, None, None] * errors**2
                squares[part, :] = squares[part, :] + xp.sum(errors, axis=0)
            else:
                errors = data.Y[rows, None, :] - errors + data.y_mean
            if kept is not None:
                kept[rows, part, :] = errors
        if self.scoring is None:
            scores = -to_numpy(squares) / n
        else:
            scores = self._scores_of(kept, labels, score_params)
        per_target = bool(getattr(self, "alpha_per_target", False)) and Y.ndim == 2
        if not per_target:
            scores = np.mean(scores, axis=1, keepdims=True)
        index = np.argmax(np.where(np.isnan(scores), -np.inf, scores), axis=0)
        best = scores[index, np.arange(index.size)]
        self.alpha_ = alphas[index] if per_target and K > 1 else float(alphas[index[0]])
        self.best_score_ = best if per_target else float(best[0])
        if self.store_cv_results:
            kept = xp.astype(xp.permute_dims(kept, (0, 2, 1)), Y.dtype)
            self.cv_results_ = kept[:, 0, :] if Y.ndim == 1 else kept
        index = np.broadcast_to(index, (K,))
        return alphas[index], decomposition.coef(data.index(index))

    def _by_svd(self, data: CentredRows) -> bool | None:
        """`leave_one_out`'s ``svd``."""
        return None

    def _scores_of(self, predicted: Any, labels: Any, score_params: dict) -> np.ndarray:
        """Scores (A, 1), or (A, K) for a strength per target, of predictions (n, A, K)."""
        scorer, given = self._scorer(), self._given()
        predicted, labels = to_numpy(predicted), on_host(labels)
        params = {key: on_host(value) for key, value in score_params.items()}
        _, A, K = predicted.shape
        if getattr(self, "alpha_per_target", False) and K > 1:
            return np.asarray(
                [
                    [scorer(given, predicted[:, a, k], labels[:, k], **params) for k in range(K)]
                    for a in range(A)
                ]
            )
        flat = K == 1 and labels.ndim == 1
        return np.asarray(
            [
                [
                    scorer(
                        given, predicted[:, a, 0] if flat else predicted[:, a, :], labels, **params
                    )
                ]
                for a in range(A)
            ]
        )

    # --- folds ----------------------------------------------------------------------------------

    def _splits(self, X: Any, labels: Any, params: dict) -> list[Split]:
        """Row numbers of the training and test parts, on the host."""
        n = X.shape[0]
        cv = check_cv(self.cv, on_host(labels), classifier=is_classifier(self))
        every = np.arange(n)
        return [
            (every[train], every[test])
            for train, test in cv.split(np.empty((n, 1)), on_host(labels), **params)
        ]

    def _require_weight(self, weights: np.ndarray, splits: list[Split]) -> None:
        for fold, (train, _) in enumerate(splits):
            if not weights[train].any():
                raise ValueError(
                    f"{type(self).__name__}: the samples that fold {fold} trains on have a "
                    "sample_weight of zero throughout; leave them out, or choose other folds"
                )

    def _fold_scores(
        self,
        raw: Any,
        X: Any,
        labels: Any,
        Y: Any,
        weights: Any,
        data: CentredRows,
        alphas: np.ndarray,
        splits: list[Split],
        folds: Any,
        score_params: dict,
    ) -> np.ndarray:
        """Scores of shape (folds, strengths)."""
        xp = data.xp
        metric = METRICS.get(self.scoring or self._default_metric) if _is_name(self) else None
        grid = xp.asarray(alphas, device=device_of(data.Y))
        score_params = {key: on_host(value) for key, value in score_params.items()}
        rows: list[Any] = []
        for fold, (train, test) in enumerate(splits):
            models: Any = folds.fit(fold, grid) if folds is not None else None
            if models is None:
                models = self._iterated(data, X, Y, weights, alphas, data.index(train))
            params = _check_method_params(raw, score_params, indices=test)
            if metric is not None and not (params.keys() - {"sample_weight"}):
                index = data.index(test)
                target = xp.take(data.Y, index, axis=0) + data.y_mean
                own = params.get("sample_weight")
                if own is not None:
                    own = put_beside(target, np.asarray(own, dtype=np.float64))
                rows.append(metric(target, models.predict(index), own))
                continue
            scorer, (coef, intercept) = self._scorer(), models.fitted()
            # Scorers are the host's.
            X_test, y_test = _safe_indexing(on_host(raw), test), on_host(labels)[test]
            coef, intercept = to_numpy(coef), to_numpy(intercept)
            rows.append(
                [
                    scorer(self._model(coef[a, ...], intercept[a, ...]), X_test, y_test, **params)
                    for a in range(len(alphas))
                ]
            )
        return np.asarray(rows, dtype=np.float64)

    def _iterated(
        self, data: CentredRows, X: Any, Y: Any, weights: Any, alphas: np.ndarray, train: Any
    ) -> PrimalModels:
        """The models of a training part by the solver, each strength from the last one's answer."""
        xp, K = data.xp, data.n_targets
        X, Y = X[train, :], xp.take(Y, train, axis=0)
        weights = None if weights is None else xp.take(weights, train)
        coefs, intercepts, start = [], [], None
        for alpha in alphas:
            tasks = ridge_tasks(self, X, Y, weights, np.full(K, alpha), start=start)
            results = []
            for task in tasks:
                solver, reason = resolve(self.solver, task.problem, self._solver_defaults())
                stopping = Stopping(
                    tol=self.tol,
                    max_iter=self.max_iter or solver.default_max_iter,
                    max_time=self.max_time,
                )
                result = run(
                    task.problem, solver, start=task.start, stopping=stopping, reason=reason
                )
                self._warn_unless_converged(result, stopping)
                results.append(result)
            fitted = stacked(tasks, results)
            coef = xp.reshape(fitted["coef_"], (K, -1)).T
            coefs.append(as_float64(coef))
            level = xp.asarray(fitted["intercept_"], dtype=xp.float64, device=device_of(coef))
            intercepts.append(xp.broadcast_to(xp.reshape(level, (-1,)), (K,)))
            start = coef
        coef, intercept = xp.stack(coefs, axis=1), xp.stack(intercepts)
        if data.fit_intercept:
            moved = data.x_mean @ xp.reshape(coef, (coef.shape[0], -1))
            intercept = intercept + xp.reshape(moved, intercept.shape)
        return PrimalModels(data, coef, intercept - data.y_mean)

    # --- parameters, scorers, metadata ----------------------------------------------------------

    def _check_search(self) -> None:
        """The parameters that both estimators have."""
        self._check_common()
        check_flag(self, "store_cv_results")
        if isinstance(self.scoring, str) and self.scoring not in get_scorer_names():
            raise ValueError(
                f"{type(self).__name__}: the parameter scoring={self.scoring!r} is not valid; it "
                "must be None, a callable or one of sklearn.metrics.get_scorer_names()"
            )
        if self.cv is not None and self.store_cv_results:
            raise ValueError(
                "cv!=None and store_cv_results=True are incompatible: only leave-one-out (cv=None) "
                "has a result for each sample"
            )

    def _checked_alphas(self) -> np.ndarray:
        """The strengths as a vector on the host."""
        alphas = np.asarray(on_host(self.alphas))
        positive = self.cv is None
        valid = alphas.dtype.kind in "fiu" and alphas.ndim <= 1 and alphas.size > 0
        if valid:
            alphas = np.atleast_1d(alphas).astype(np.float64)
            valid = bool(np.all(np.isfinite(alphas) & (alphas > 0 if positive else alphas >= 0)))
        if not valid:
            raise ValueError(
                f"{type(self).__name__}: the parameter alphas={self.alphas!r} is not valid; it "
                + (
                    "must hold numbers > 0 for leave-one-out"
                    if positive
                    else "must hold numbers >= 0"
                )
            )
        return alphas

    def _scorer(self) -> Any:
        if _routing_enabled() and self.scoring is None:
            # Weights are made here from class weights too, so they are always asked for.
            return get_scorer(self._default_metric).set_score_request(sample_weight=True)
        return check_scoring(estimator=self, scoring=self.scoring, allow_none=True)

    def _routed(self, weights: Any, params: dict[str, Any]) -> Bunch:
        """Metadata for the scorer and the splitter."""
        if weights is not None:
            params = {**params, "sample_weight": weights}
        if _routing_enabled():
            return process_routing(self, "fit", **params)
        scorer = self._scorer()
        accepts = getattr(scorer, "_accept_sample_weight", lambda: False)()
        return Bunch(scorer=Bunch(score=params if accepts else {}), splitter=Bunch(split={}))

    def get_metadata_routing(self) -> MetadataRouter:
        """Where metadata go: sample weights to the fit and the scorer, the rest as requested.

        Returns
        -------
        MetadataRouter
            scikit-learn's description of it.
        """
        to_fit = MethodMapping()
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(scorer=self._scorer(), method_mapping=to_fit.add(caller="fit", callee="score"))
            .add(
                splitter=self.cv,
                method_mapping=MethodMapping().add(caller="fit", callee="split"),
            )
        )


def _is_name(owner: Any) -> bool:
    return owner.scoring is None or isinstance(owner.scoring, str)
