"""scikit-learn's way to end the training of a network: no progress for some epochs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

from skopt_dl.engine import Report, Status
from skopt_dl.kernels.namespace import namespace_of, to_float


@dataclass
class Progress:
    """What an estimator remembers of its training from fit to fit.

    Attributes
    ----------
    losses : list of float
        Mean loss of each epoch.
    scores : list of float
        Validation score after each epoch, with early stopping.
    best_loss, best_score : float
        The smallest loss, the largest score.
    best_w : array, optional
        Parameters with the best score.
    stale : int
        Epochs since the last progress.
    """

    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best_loss: float = inf
    best_score: float = -inf
    best_w: Any = None
    stale: int = 0


@dataclass
class Plateau:
    """Ends with CONVERGED after more than ``patience`` epochs in a row without progress.

    Progress is a loss at least ``tol`` under the best one or, where there is a ``score``, one at
    least ``tol`` over the best one. A schedule that can lower its rate does so first.

    Parameters
    ----------
    progress : Progress
        Read and continued.
    tol, patience : float
        See above; ``patience`` may be infinite.
    score : callable, optional
        Validation score of a flat parameter array.
    """

    progress: Progress
    tol: float
    patience: float
    score: Callable[[Any], float] | None = None

    def check(self, report: Report) -> Status | None:
        p, state = self.progress, report.state
        p.losses.append(to_float(state.loss))
        fresh = self._loss_fell() if self.score is None else self._score_rose(state.w)
        p.stale = 0 if fresh else p.stale + 1
        if p.stale <= self.patience:
            return None
        lower = state.schedule.after_plateau(state.rate)
        if lower is None:
            return Status.CONVERGED
        state.rate, p.stale = lower, 0
        return None

    def _loss_fell(self) -> bool:
        p, loss = self.progress, self.progress.losses[-1]
        fresh = not loss > p.best_loss - self.tol
        p.best_loss = min(p.best_loss, loss)
        return fresh

    def _score_rose(self, w: Any) -> bool:
        p, score = self.progress, self.score(w)  # type: ignore[misc]
        p.scores.append(score)
        fresh = not score < p.best_score + self.tol
        if score > p.best_score:
            p.best_score, p.best_w = score, namespace_of(w).asarray(w, copy=True)
        return fresh


class OneEpoch:
    """Ends every solve after its first report: what ``partial_fit`` asks for."""

    def check(self, report: Report) -> Status | None:
        return Status.STOPPED


@dataclass
class MaxEvaluations:
    """Ends with MAX_ITER when the problem has been evaluated ``limit`` times (``max_fun``)."""

    problem: Any
    limit: int

    def check(self, report: Report) -> Status | None:
        return Status.MAX_ITER if self.problem.n_evaluations >= self.limit else None
