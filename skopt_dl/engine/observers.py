"""Observers look at a solve between two calls of ``advance`` and may ask it to stop."""

from __future__ import annotations

from typing import Protocol

from skopt_dl.engine.stopping import Report


class Observer(Protocol):
    """Anything with ``on_report``. Its time is not counted as solving."""

    def on_report(self, report: Report) -> bool:
        """Called once per report with the live state; return true to stop the solve."""


class Printer:
    """Print a line per report (the estimators' ``verbose``)."""

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self._calls = 0

    def on_report(self, report: Report) -> bool:
        self._calls += 1
        if (self._calls - 1) % self.every == 0:
            c = report.certificate
            tail = "" if c is None else f"  objective {c.objective:.6g}  {c.kind} {c.value:.2e}"
            print(f"iteration {report.n_iter:>6}  {report.seconds:8.3f} s{tail}")
        return False
