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
    scores, validation_losses : list of float
        Validation score and loss after each epoch, where there are validation data.
    best_loss, best_score : float
        The smallest loss, the largest score.
    best_w : array, optional
        Parameters with the best score or, without validation data, the smallest loss.
    stale : int
        Epochs since the last progress.
    """

    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    best_loss: float = inf
    best_score: float = -inf
    best_w: Any = None
    stale: int = 0


@dataclass
class Plateau:
    """Ends with CONVERGED after more than ``patience`` epochs in a row without progress.

    Progress is a loss at least ``tol`` under the best one or, with ``stops_by_score``, a validation
    score at least ``tol`` over the best one. A schedule that can lower its rate does so first.

    Parameters
    ----------
    progress : Progress
        Read and continued.
    tol, patience : float
        See above; ``patience`` may be infinite.
    validation : callable, optional
        Score and loss of a flat parameter array on validation data.
    stops_by_score : bool
        Whether the score decides; it is recorded anyway.
    keeps_best : bool
        Keep a copy of the best parameters.
    """

    progress: Progress
    tol: float
    patience: float
    validation: Callable[[Any], tuple[float, float]] | None = None
    stops_by_score: bool = False
    keeps_best: bool = False

    def check(self, report: Report) -> Status | None:
        p, state = self.progress, report.state
        p.losses.append(to_float(state.loss))
        rose = self._score_rose(state.w)
        fell = self._loss_fell(state.w)
        p.stale = 0 if (rose if self.stops_by_score else fell) else p.stale + 1
        if p.stale <= self.patience:
            return None
        lower = state.schedule.after_plateau(state.rate)
        if lower is None:
            return Status.CONVERGED
        state.rate, p.stale = lower, 0
        return None

    def _loss_fell(self, w: Any) -> bool:
        p, loss = self.progress, self.progress.losses[-1]
        fresh = not loss > p.best_loss - self.tol
        if loss < p.best_loss:
            p.best_loss = loss
            if self.validation is None:
                self._keep(w)
        return fresh

    def _score_rose(self, w: Any) -> bool:
        if self.validation is None:
            return False
        p, (score, loss) = self.progress, self.validation(w)
        p.scores.append(score)
        p.validation_losses.append(loss)
        fresh = not score < p.best_score + self.tol
        if score > p.best_score:
            p.best_score = score
            self._keep(w)
        return fresh

    def _keep(self, w: Any) -> None:
        if self.keeps_best:
            self.progress.best_w = namespace_of(w).asarray(w, copy=True)


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
