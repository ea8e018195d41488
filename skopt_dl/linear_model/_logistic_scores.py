"""Scores of the models along a path on the held-out part of a fold, from one product with it."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import get_scorer, make_scorer
from sklearn.utils.validation import _check_method_params

from skopt_dl._sklearn.arrays import HOST
from skopt_dl.kernels.namespace import to_numpy
from skopt_dl.linear_model._classification import LinearClassifierMixin, ProbabilitiesMixin

# What scikit-learn takes by default before and from 1.11: its functions take longer than a solve.
ACCURACY, LOG_LOSS = "accuracy", "neg_log_loss"
# Raw predictions that are kept at a time.
MOST_PREDICTIONS = 2**24


class ModelOnRows(LinearClassifierMixin, ProbabilitiesMixin, BaseEstimator):
    """A fitted logistic regression that knows its raw predictions ``z`` of the rows X."""

    def __init__(self, X: Any, classes: np.ndarray) -> None:
        self.X, self.classes = X, classes
        self.classes_, self.n_features_in_ = classes, X.shape[1]

    def at(self, coef: np.ndarray, intercept: np.ndarray, z: np.ndarray) -> ModelOnRows:
        """This model with other coefficients."""
        self.coef_, self.intercept_, self.z = coef, intercept, z
        return self

    def _raw_prediction(self, X: Any, method: str) -> Any:
        return self.z if X is self.X else X @ self.coef_.T + self.intercept_


def path_scores(
    held_out: Any,
    coefs: np.ndarray,
    intercepts: np.ndarray,
    scoring: Any,
    params: dict[str, Any],
) -> np.ndarray:
    """The score of each model on the host.

    Parameters
    ----------
    held_out : LabelledData
        Held-out samples.
    coefs, intercepts : arrays of shape (n_cs, K, p) and (n_cs, K)
        Models, with K = 1 for two classes.
    scoring : str, callable or None
        What to measure; ``None`` is the accuracy, weighted by the samples' weights.
    params : dict
        Metadata for the scorer, of these samples.
    """
    X, (n_cs, K, p) = HOST.put(held_out.X), coefs.shape
    score = _score_of(held_out, X, scoring, params)
    step = max(1, MOST_PREDICTIONS // (K * max(1, X.shape[0])))
    found: list[float] = []
    for start in range(0, n_cs, step):
        some = coefs[start : start + step]
        # Transposed as in `skopt_dl.linops.Dense`: the short side first.
        flat = some.reshape(-1, p)
        Z = (X @ flat.T).T if hasattr(X, "tocsr") else flat @ X.T
        Z = Z.reshape(len(some), K, -1) + intercepts[start : start + step, :, None]
        found += [
            score(coef, intercept, z)
            for coef, intercept, z in zip(some, intercepts[start:], Z, strict=False)
        ]
    return np.asarray(found)


def _score_of(held_out: Any, X: Any, scoring: Any, params: dict[str, Any]) -> Any:
    """A function of coefficients, intercepts and raw predictions (K, n) of a model."""
    codes, at = held_out.codes, np.arange(len(held_out.codes))
    plain = set(params) <= {"sample_weight"}
    if scoring is None or (scoring == ACCURACY and plain):
        given = held_out.given if scoring is None else params.get("sample_weight")
        weights = None if given is None else to_numpy(given)

        def accuracy(coef: np.ndarray, intercept: np.ndarray, z: np.ndarray) -> float:
            found = z[0] > 0 if z.shape[0] == 1 else np.argmax(z, axis=0)
            return float(np.average(found == codes, weights=weights))

        return accuracy
    model, y = ModelOnRows(X, held_out.classes), held_out.labels
    if scoring == LOG_LOSS and plain:
        shares = params.get("sample_weight")

        def likelihood(coef: np.ndarray, intercept: np.ndarray, z: np.ndarray) -> float:
            # As in scikit-learn probabilities that round to 0 or 1 are moved off.
            p = model.at(coef, intercept, as_scores(z)).predict_proba(X)
            eps = float(np.finfo(p.dtype).eps)
            chosen = np.clip(p[at, codes], eps, 1 - eps)
            return float(np.average(np.log(chosen), weights=shares))

        return likelihood
    scorer = _with_all_labels(get_scorer(scoring), held_out.classes)

    def asked(coef: np.ndarray, intercept: np.ndarray, z: np.ndarray) -> float:
        return scorer(model.at(coef, intercept, as_scores(z)), X, y, **params)

    return asked


def as_scores(z: np.ndarray) -> np.ndarray:
    """Raw predictions (K, n) as the decision function has them."""
    return z[0] if z.shape[0] == 1 else z.T


def params_of(X: Any, score_params: dict[str, Any], index: np.ndarray) -> dict[str, Any]:
    """The metadata of the samples ``index``, on the host."""
    on_host = {key: HOST.put(value) for key, value in score_params.items()}
    return _check_method_params(X, on_host, indices=index)


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
