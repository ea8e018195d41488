"""When to stop: rules that look at one report and may end the solve.

Rules are asked in order and the first that answers wins. ``tol`` bounds the problem's certificate,
so it means the same for every solver.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

from skopt_dl.engine.problem import Certificate
from skopt_dl.engine.solver import Status


@dataclass
class Report:
    """What the engine knows between two calls of ``advance``; numbers are on the host."""

    n_iter: int
    n_epochs: float
    seconds: float
    indicator: float
    certificate: Certificate | None
    finite: bool
    state: Any = field(repr=False, default=None)
    # What the rules have decided; observers see it, rules do not yet.
    status: Status = Status.RUNNING


class StoppingRule(Protocol):
    """One reason to stop."""

    def check(self, report: Report) -> Status | None:
        """The status to end with, or ``None`` to go on."""


@dataclass
class Finite:
    """Ends with NONFINITE as soon as the iterate is not finite."""

    def check(self, report: Report) -> Status | None:
        return None if report.finite else Status.NONFINITE


@dataclass
class Tolerance:
    """Ends with CONVERGED when the certificate is at most ``tol``."""

    tol: float

    def check(self, report: Report) -> Status | None:
        c = report.certificate
        return Status.CONVERGED if c is not None and c.value <= self.tol else None


@dataclass
class Stall:
    """Ends with STALLED when nothing moves or the certificate has long stopped improving.

    ``patience`` counts certificate evaluations. They lie on a geometric schedule, so the default
    allows a long plateau; it is what rounding looks like, not slow progress.
    """

    patience: int = 30
    best: float = math.inf
    since: int = 0

    def check(self, report: Report) -> Status | None:
        if report.certificate is None:
            return None
        if report.certificate.value < self.best * (1 - 1e-3):
            self.best, self.since = report.certificate.value, 0
        else:
            self.since += 1
        still = report.indicator == 0.0
        return Status.STALLED if still or self.since >= self.patience else None


@dataclass
class Idle:
    """Ends with STALLED when a method returns twice in a row without an iteration.

    Once is how a method says that its start may do as it is; more often would never end.
    """

    n_iter: int = 0
    times: int = 0

    def check(self, report: Report) -> Status | None:
        self.times = self.times + 1 if report.n_iter == self.n_iter else 0
        self.n_iter = report.n_iter
        return Status.STALLED if self.times >= 2 else None


@dataclass
class MaxIter:
    """Ends with MAX_ITER after ``max_iter`` iterations."""

    max_iter: int

    def check(self, report: Report) -> Status | None:
        return Status.MAX_ITER if report.n_iter >= self.max_iter else None


@dataclass
class MaxTime:
    """Ends with MAX_TIME after ``seconds`` of solving; off unless the user asks."""

    seconds: float

    def check(self, report: Report) -> Status | None:
        return Status.MAX_TIME if report.seconds >= self.seconds else None


@dataclass
class Stopping:
    """The rules of one solve and the schedule of its certificates.

    Parameters
    ----------
    tol : float or None
        Bound on the certificate; ``None`` leaves convergence to ``extra`` rules, and then the
        certificate is evaluated once, at the end.
    max_iter : int
        Iteration budget, in the solver's unit.
    max_time : float, optional
        Seconds of solving; results then depend on the machine.
    extra : tuple of StoppingRule
        Further rules of the estimator, asked before the budgets (a loss plateau, say).
    """

    tol: float | None = 1e-4
    max_iter: int = 1000
    max_time: float | None = None
    extra: tuple[StoppingRule, ...] = ()

    def rules(self) -> list[StoppingRule]:
        """A fresh list of rules: some of them count."""
        rules: list[StoppingRule] = [Finite()]
        if self.tol is not None:
            rules.append(Tolerance(self.tol))
        rules += self.extra
        if self.tol is not None:
            rules.append(Stall())
        rules += [Idle(), MaxIter(self.max_iter)]
        if self.max_time is not None:
            rules.append(MaxTime(self.max_time))
        return rules
