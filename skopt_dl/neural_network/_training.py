"""The epochs of a network: what it is validated on, when it stops, and how it goes on later."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split

from skopt_dl._sklearn.base import outside
from skopt_dl.kernels.namespace import to_numpy
from skopt_dl.neural_network.network import Network
from skopt_dl.neural_network.plateau import OneEpoch, Plateau, Progress
from skopt_dl.neural_network.problem import NetworkProblem
from skopt_dl.neural_network.validation import Validation


@dataclass
class Data:
    """Rows in every form that training asks for.

    Attributes
    ----------
    raw : array or sparse matrix of shape (n, p)
        The features as the user gave them, validated.
    X : array or sparse matrix of shape (n, p)
        The features as the network sees them.
    y : array
        The targets as the user gave them, validated.
    targets : array of shape (n, K)
        The targets in the form of the output.
    weights : array of shape (n,), optional
        Sample weights, those of the classes included.
    plain_weights : array of shape (n,), optional
        The user's own sample weights, for scores.
    """

    raw: Any
    X: Any
    y: Any
    targets: Any
    weights: Any
    plain_weights: Any

    def rows(self, index: np.ndarray, xp: Any, device: Any) -> Data:
        """The rows ``index``, an array on the host."""
        there = xp.asarray(index, device=device)

        def some(a: Any) -> Any:
            if a is None:
                return None
            if hasattr(a, "tocsc"):
                return a[index]
            return a[index] if isinstance(a, np.ndarray) else xp.take(a, there, axis=0)

        raw = some(self.raw)
        return Data(
            raw,
            raw if self.X is self.raw else some(self.X),
            some(self.y),
            some(self.targets),
            some(self.weights),
            some(self.plain_weights),
        )


def held_out(model: Any, net: Network, data: Data, rng: Any, kept: Any) -> Any:
    """Indices of the training and of the validation rows; ``kept`` those of the call before.

    Raises
    ------
    ValueError
        If fewer than two rows would be held out.
    """
    n = data.targets.shape[0]
    if kept is not None and kept[0].shape[0] + kept[1].shape[0] == n:
        return kept
    # scikit-learn stratifies binary problems only.
    binary = net.output == "logistic" and net.sizes[-1] == 1
    train, held = train_test_split(
        np.arange(n),
        random_state=rng,
        test_size=model.validation_fraction,
        stratify=to_numpy(data.targets) if binary else None,
    )
    if held.shape[0] < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of "
            f"your dataset: {held.shape[0]} of {n} samples were held out."
        )
    return train, held


def validation_of(model: Any, net: Network, data: Data, unpack: Callable[[Any], Any]) -> Validation:
    """How ``model`` is judged on ``data``.

    Parameters
    ----------
    model : MultilayerPerceptron
        Its ``validation_metric`` decides.
    unpack : callable
        From flat parameters to fitted attributes, for metrics that want a fitted model.
    """
    given = model.validation_metric
    if isinstance(given, str) and given == "loss":
        return Validation(net, data.X, data.targets, data.plain_weights, None)
    if given is None:
        y = to_numpy(data.y)
        weights = None if data.plain_weights is None else to_numpy(data.plain_weights)

        def metric(w: Any, response: Any) -> float:
            return model._validation_score(y, model._decode(model._restored(response)), weights)
    else:
        scorer = get_scorer(given)

        def metric(w: Any, response: Any) -> float:
            fitted = copy.copy(model)
            for name, value in unpack(w).items():
                setattr(fitted, name, value)
            more = {} if data.plain_weights is None else {"sample_weight": data.plain_weights}
            return float(scorer(fitted, data.raw, data.y, **more))

    return Validation(net, data.X, data.targets, data.plain_weights, metric)


@dataclass
class Solve:
    """What a fit asks for: a problem and the settings of its solve."""

    problem: NetworkProblem
    settings: dict[str, Any]


def finished(steps: Generator[Solve, Any, Any], result: Any) -> Any:
    """What a fit returns once it knows the result of its only solve."""
    try:
        steps.send(result)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a fit asked for a second solve")


def train(
    model: Any,
    problem: NetworkProblem,
    chosen: Any,
    solver: Any,
    rng: Any,
    validation: Validation | None,
    unpack: Any,
    *,
    first: bool,
    incremental: bool,
) -> Generator[Solve, Any, tuple[Any, Any]]:
    """Epochs of a stochastic rule with scikit-learn's stopping; the result and the answer.

    It asks for the solve and is told its result: who trains several networks may do it for all.
    """
    if model.batch_size != "auto" and model.batch_size > problem.n_samples:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be "
            f"clipped: batch_size={model.batch_size}, n_samples={problem.n_samples}",
            UserWarning,
            stacklevel=outside(),
        )
    best = model.early_stopping if model.restore_best is None else bool(model.restore_best)
    progress = earlier_progress(model, first)
    if best and progress.best_w is None:
        progress.best_w = problem.start()
    seen = 0 if first else model.t_
    state = chosen.init(problem, problem.start(), rng)
    state.n_samples = seen
    earlier: Any = None if first else getattr(model, "_state", None)
    if (incremental or model.resume) and type(earlier) is type(state):
        earlier = copy.deepcopy(earlier)
        if not model.resume:
            # The permutation and the generator start anew with each call, as in scikit-learn.
            earlier.rng, earlier.order = rng, None
        if earlier.w is None:
            earlier.w = state.w
        state = earlier
    if problem.dropout is not None:
        problem.dropout.rng = state.rng
    plateau = Plateau(
        progress,
        model.tol,
        model.n_iter_no_change,
        validation,
        stops_by_score=model.early_stopping,
        keeps_best=best,
    )
    result = yield Solve(
        problem,
        {
            "tol": None,
            "max_iter": model.max_iter,
            "unpack": unpack,
            "extra": (plateau, OneEpoch()) if incremental else (plateau,),
            "rng": rng,
            "state": state,
            "solver": solver,
        },
    )
    keep_progress(model, progress, best)
    model.t_ = seen + result.n_iter * problem.n_samples
    kept: Any = copy.copy(result.state)
    if not model.resume:
        kept.order = kept.rng = None
        # The training goes on from its last point where the answer is an earlier one.
        kept.w = kept.w if incremental and best else None
    kept.batch = None
    model._state = kept
    return result, progress.best_w if best else result.w


def earlier_progress(model: Any, first: bool) -> Progress:
    """What the fits before this one have come to."""
    if first or not hasattr(model, "loss_curve_"):
        return Progress()
    known = Progress(losses=list(model.loss_curve_), stale=model._stale)
    if model.best_loss_ is not None:
        known.best_loss = model.best_loss_
    if model.validation_scores_ is not None and model.best_validation_score_ is not None:
        known.scores = list(model.validation_scores_)
        known.validation_losses = list(model.validation_loss_curve_)
        known.best_score = model.best_validation_score_
    known.best_w = model._best_w
    return known


def keep_progress(model: Any, progress: Progress, best: bool) -> None:
    """The fitted attributes that tell the training."""
    model.loss_curve_ = progress.losses
    # Without one finite epoch (data that overflow at once) there is no loss to tell.
    model.loss_ = progress.losses[-1] if progress.losses else math.nan
    model._stale = progress.stale
    model._best_w = progress.best_w if best else None
    validated = bool(progress.scores)
    model.best_loss_ = None if model.early_stopping else progress.best_loss
    model.validation_scores_ = progress.scores if validated else None
    model.validation_loss_curve_ = progress.validation_losses if validated else None
    model.best_validation_score_ = progress.best_score if validated else None
