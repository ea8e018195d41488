"""Logistic regression along strengths, on the training part of a fold, with the held-out scores."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer, make_scorer
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_method_params

from skopt_dl._sklearn.arrays import HOST, is_gpu_sparse, put_beside
from skopt_dl.dispatch import resolve
from skopt_dl.engine import Stopping, run
from skopt_dl.kernels.namespace import namespace_of, to_numpy
from skopt_dl.linear_model._logistic_tasks import elastic_penalty, logistic_task, total_weight
from skopt_dl.linear_model.logistic import LogisticRegression
from skopt_dl.linops import design


@dataclass(frozen=True)
class LabelledData:
    """Validated data: labels, their places among the classes, and weights with class weights.

    ``given`` are the sample weights without class weights, which scores are weighted by.
    """

    X: Any
    labels: np.ndarray
    codes: np.ndarray
    classes: np.ndarray
    weights: Any
    given: Any

    def rows(self, index: np.ndarray) -> LabelledData:
        """The samples ``index``."""
        at = put_beside(self.X.data if is_gpu_sparse(self.X) else self.X, index)

        def taken(weights: Any) -> Any:
            return None if weights is None else namespace_of(weights).take(weights, at)

        return LabelledData(
            design(self.X).take_rows(at).X,
            self.labels[index],
            self.codes[index],
            self.classes,
            taken(self.weights),
            taken(self.given),
        )


@dataclass(frozen=True)
class FoldPath:
    """What a fold gives: coefficients (C, K, p or p + 1), scores (C,), iterations (C,)."""

    coefs: np.ndarray
    scores: np.ndarray
    n_iter: np.ndarray


def fold_path(
    owner: Any,
    data: LabelledData,
    train: np.ndarray,
    test: np.ndarray,
    Cs: np.ndarray,
    l1_ratio: float,
    scoring: Any,
    score_params: dict[str, Any],
) -> FoldPath:
    """Solve for each of ``Cs`` on ``train``, from the last answer, and score it on ``test``."""
    part, held_out = data.rows(train), data.rows(test)
    score = _scores_on(data, held_out, scoring, score_params, test)
    task = logistic_task(
        owner, part.X, part.codes, part.classes, part.weights, C=float(Cs[0]), l1_ratio=l1_ratio
    )
    problem, total = task.problem, total_weight(part.X, part.weights)
    rng = check_random_state(owner.random_state)
    start, coefs, scores, n_iter = None, [], [], []
    for C in map(float, Cs):
        problem.penalty = elastic_penalty(C, l1_ratio, total)
        solver, reason = resolve(owner.solver, problem, owner._solver_defaults())
        stopping = Stopping(
            tol=owner.tol,
            max_iter=solver.default_max_iter if owner.max_iter is None else owner.max_iter,
            max_time=owner.max_time,
        )
        result = run(problem, solver, start=start, stopping=stopping, rng=rng, reason=reason)
        owner._warn_unless_converged(result, stopping)
        start = result.w
        fitted = task.unpack(result.w)
        coef, intercept = to_numpy(fitted["coef_"]), to_numpy(fitted["intercept_"])
        coefs.append(np.hstack([coef, intercept[:, None]]) if owner.fit_intercept else coef)
        scores.append(score(coef, intercept))
        n_iter.append(max(1, result.n_iter))
    return FoldPath(np.stack(coefs), np.asarray(scores), np.asarray(n_iter, dtype=np.int32))


def _scores_on(
    data: LabelledData,
    held_out: LabelledData,
    scoring: Any,
    score_params: dict[str, Any],
    test: np.ndarray,
) -> Any:
    """A function of coefficients and intercepts: the score on the host of that model."""
    X, y = HOST.put(held_out.X), held_out.labels
    model: Any = LogisticRegression()
    model.classes_, model.n_features_in_ = data.classes, X.shape[1]
    if scoring is None:
        weights = None if held_out.given is None else to_numpy(held_out.given)

        def score(model: Any) -> float:
            return model.score(X, y, sample_weight=weights)
    else:
        on_host = {key: HOST.put(value) for key, value in score_params.items()}
        params = _check_method_params(data.X, on_host, indices=test)
        scorer = _with_all_labels(get_scorer(scoring), data.classes)

        def score(model: Any) -> float:
            return scorer(model, X, y, **params)

    def at(coef: np.ndarray, intercept: np.ndarray) -> float:
        model.coef_, model.intercept_ = coef, intercept
        return score(model)

    return at


def _with_all_labels(scorer: Any, classes: np.ndarray) -> Any:
    """The scorer, told of all classes where its metric asks: a fold may lack some."""
    metric = getattr(scorer, "_score_func", None)
    known = {} if metric is None else inspect.signature(metric).parameters
    if "labels" not in known:
        return scorer
    labels: dict[str, Any] = {"labels": classes}
    if classes.shape[0] == 2 and "pos_label" in known:
        labels["pos_label"] = classes[-1]
    return make_scorer(
        metric,
        greater_is_better=scorer._sign == 1,
        response_method=scorer._response_method,
        **{**labels, **scorer._kwargs},
    )
