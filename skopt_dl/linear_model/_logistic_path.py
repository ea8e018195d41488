"""Logistic regression along strengths, on the training part of a fold, with the held-out scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skopt_dl._sklearn.arrays import is_gpu_sparse, put_beside
from skopt_dl.dispatch import resolve
from skopt_dl.engine import Status, Stopping, run
from skopt_dl.kernels.namespace import namespace_of, to_numpy
from skopt_dl.linear_model._logistic_scores import params_of, path_scores
from skopt_dl.linear_model._logistic_tasks import elastic_penalty, logistic_task, total_weight
from skopt_dl.linops import design
from skopt_dl.problems import LinearProblem


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
    task = logistic_task(
        owner, part.X, part.codes, part.classes, part.weights, C=float(Cs[0]), l1_ratio=l1_ratio
    )
    problem, total = task.problem, total_weight(part.X, part.weights)
    rng = check_random_state(owner.random_state)
    start, state, coefs, intercepts, n_iter = None, None, [], [], []
    for C in map(float, Cs):
        before, problem.penalty = problem.penalty, elastic_penalty(C, l1_ratio, total)
        solver, reason = resolve(owner.solver, problem, owner._solver_defaults())
        stopping = Stopping(
            tol=owner.tol,
            max_iter=solver.default_max_iter if owner.max_iter is None else owner.max_iter,
            max_time=owner.max_time,
        )
        if state is not None:
            state = _resumed(solver, problem, before, state)
        result = run(
            problem,
            solver,
            start=None if state is not None else start,
            state=state,
            stopping=stopping,
            rng=rng,
            reason=reason,
        )
        owner._warn_unless_converged(result, stopping)
        start = result.w
        keeps = hasattr(solver, "resume") and result.status is not Status.NONFINITE
        state = result.state if keeps else None
        fitted = task.unpack(result.w)
        coefs.append(to_numpy(fitted["coef_"]))
        intercepts.append(to_numpy(fitted["intercept_"]))
        n_iter.append(max(1, result.n_iter))
    models, levels = np.stack(coefs), np.stack(intercepts)
    # Metadata are the scorer's own: the accuracy of `None` takes the weights that it is given.
    params = {} if scoring is None else params_of(data.X, score_params, test)
    scores = path_scores(held_out, models, levels, scoring, params)
    if owner.fit_intercept:
        models = np.concatenate([models, levels[:, :, None]], axis=2)
    return FoldPath(models, scores, np.asarray(n_iter, dtype=np.int32))


def _resumed(solver: Any, problem: LinearProblem, before: Any, state: Any) -> Any:
    """The state of the same solver after the penalty has changed from ``before``."""
    now: Any = problem.penalty
    bends = [problem.on_coef(penalty.curvature, state.w) for penalty in (now, before)]
    return solver.resume(problem, state, bends[0] - bends[1])
