"""Interleaved timings at equal quality. Imported before NumPy: it pins BLAS to one thread."""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse  # noqa: E402
import math  # noqa: E402
import statistics  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from collections.abc import Callable, Mapping, Sequence  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from typing import Any  # noqa: E402

# Tolerances tried from loose to tight until the quality is reached.
TOLERANCES = [10.0**-k for k in range(2, 15)]
# No single trial may take longer than this many processor seconds; the candidate is then out.
PATIENCE = 60.0
# Calls shorter than so many seconds are repeated to fill them, so many times at most.
SHORT, MOST_CALLS = 0.02, 100


@dataclass
class Timing:
    """Processor seconds of one candidate, and the quality that they buy."""

    seconds: list[float]
    quality: float
    tol: float

    @property
    def median(self) -> float:
        """Median of the repetitions; infinite for a candidate that never got there."""
        return statistics.median(self.seconds) if self.seconds else math.inf


def parser(description: str | None, repeat: int = 5) -> argparse.ArgumentParser:
    """The options that every script has."""
    p = argparse.ArgumentParser(description=description)
    p.add_argument("--repeat", type=int, default=repeat, help="interleaved repetitions")
    p.add_argument("--smoke", action="store_true", help="tiny data, one repetition")
    return p


def seconds_of(call: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of one call and what it returned; warnings do not count as output."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.process_time()
        result = call()
        return time.process_time() - start, result


def seconds_a_call(call: Callable[[], Any]) -> float:
    """Processor seconds of one call, of a run of them where one is too short to be timed.

    A call of a millisecond, alone after seconds of other work, is a measurement of cold caches.
    """
    spent, calls = seconds_of(call)[0], 1
    if spent < SHORT:
        calls = min(MOST_CALLS, max(1, round(SHORT / max(spent, 1e-6))))
        spent = seconds_of(lambda: [call() for _ in range(calls)])[0]
    return spent / calls


def fitting(estimator: Any, X: Any, y: Any, **parameters: Any) -> Callable[[float], Any]:
    """From a tolerance to ``estimator(tol=tol, ...)`` fitted to these data."""
    return lambda tol: estimator(tol=tol, **parameters).fit(X, y)


def compare(
    candidates: Mapping[str, Callable[[float], Any]],
    quality: Callable[[Any], float],
    *,
    target: float,
    repeat: int,
) -> dict[str, Timing]:
    """Time each candidate at the loosest tolerance that reaches ``target``.

    Parameters
    ----------
    candidates : dict of str to callable
        From a tolerance to a fitted model.
    quality : callable
        From a model to its error, computed from the data alone.
    target : float
        Error to reach.
    repeat : int
        Rounds; in each round every candidate runs once, so that a slow minute hits all of them.
    """
    found = {name: _reach(fit, quality, target) for name, fit in candidates.items()}
    for _ in range(repeat):
        for name, timing in found.items():
            if timing.tol > 0:
                fit, tol = candidates[name], timing.tol
                timing.seconds.append(seconds_a_call(lambda fit=fit, tol=tol: fit(tol)))
    return found


def _reach(fit: Callable[[float], Any], quality: Callable[[Any], float], target: float) -> Timing:
    best = math.inf
    for tol in TOLERANCES:
        spent, model = seconds_of(lambda tol=tol: fit(tol))
        error = quality(model)
        best = min(best, error)
        if error <= target:
            return Timing([], error, tol)
        if spent > PATIENCE:
            break
    return Timing([], best, 0.0)


@dataclass
class Curve:
    """Trials of one candidate at ever tighter tolerances, and repeated timings of those that count.

    Attributes
    ----------
    tols, seconds, errors : list of float
        A trial each: tolerance, processor seconds, error.
    timed : dict of float to list of float
        Further processor seconds of the tolerances that reach a target.
    """

    tols: list[float]
    seconds: list[float]
    errors: list[float]
    timed: dict[float, list[float]]

    @property
    def best(self) -> float:
        """The smallest error of any trial."""
        return min(self.errors, default=math.inf)

    def tol_for(self, target: float) -> float | None:
        """The loosest tolerance whose trial reaches ``target``."""
        return next((t for t, e in zip(self.tols, self.errors, strict=True) if e <= target), None)

    def time_to(self, target: float) -> float:
        """Median seconds to ``target``, infinite where no trial got there."""
        tol = self.tol_for(target)
        return math.inf if tol is None else statistics.median(self.timed[tol])


def race(
    candidates: Mapping[str, Callable[[float], Any]],
    error: Callable[[Any], float],
    *,
    targets: Sequence[float],
    repeat: int,
    patience: float,
    tolerances: Sequence[float] = TOLERANCES,
) -> dict[str, Curve]:
    """Run every candidate at ever tighter tolerances, then time those that reach a target.

    Parameters
    ----------
    candidates : dict of str to callable
        From a tolerance to an answer.
    error : callable
        From an answer to its error, computed from the data alone.
    targets : sequence of float
        Errors to reach. The trials of a candidate end with the smallest, or with ``patience``.
    repeat : int
        Rounds; in each every candidate runs once for each target it reaches.
    patience : float
        Processor seconds that one trial may take; the one that takes longer is the last.
    tolerances : sequence of float
        Those to try, from loose to tight.
    """
    curves = {
        name: _trials(fit, error, min(targets), patience, tolerances)
        for name, fit in candidates.items()
    }
    for _ in range(repeat):
        for name, curve in curves.items():
            for tol in {curve.tol_for(t) for t in targets} - {None}:
                seconds = seconds_a_call(lambda fit=candidates[name], tol=tol: fit(tol))
                curve.timed.setdefault(tol, []).append(seconds)
    return curves


def _trials(
    fit: Callable[[float], Any],
    error: Callable[[Any], float],
    target: float,
    patience: float,
    tolerances: Sequence[float],
) -> Curve:
    """Trials until the error is at most ``target``, or until the candidate raises."""
    curve = Curve([], [], [], {})
    spent = 0.0
    for k, tol in enumerate([tolerances[0], *tolerances]):
        try:
            spent, answer = seconds_of(lambda tol=tol: fit(tol))
            reached = error(answer)
        except (ValueError, RuntimeError, ArithmeticError, TypeError) as failure:
            print(f"    a candidate failed at tol {tol:.0e}: {failure}")
            break
        if k == 0 and spent < patience:
            continue  # this one may have compiled
        curve.tols.append(tol)
        curve.seconds.append(spent)
        curve.errors.append(reached)
        if reached <= target or spent > patience:
            break
    return curve


def show(title: str, timings: Mapping[str, Timing], reference: str | None = None) -> None:
    """Print a table; ratios are to ``reference``, or to the fastest."""
    fastest = min(timings, key=lambda name: timings[name].median)
    base = timings[reference if reference is not None else fastest].median
    print(f"\n{title}")
    for name, t in sorted(timings.items(), key=lambda item: item[1].median):
        if t.seconds:
            print(
                f"  {name:<28} {1e3 * t.median:10.2f} ms  ratio {t.median / base:6.2f}"
                f"   error {t.quality:.1e} at tol {t.tol:.0e}"
            )
        else:
            print(f"  {name:<28} {'never':>10}     best error {t.quality:.1e}")


class LossWatch:
    """Notes when the loss on all samples is first under each target; its own time is left out.

    Attributes
    ----------
    reached : dict
        For each target met, processor seconds and iterations.
    """

    def __init__(self, problem: Any, targets: Sequence[float], budget: float) -> None:
        self.problem, self.targets, self.budget = problem, targets, budget
        self.start, self.aside = time.process_time(), 0.0
        self.reached: dict[float, tuple[float, int]] = {}

    def on_report(self, report: Any) -> bool:
        now = time.process_time()
        loss = float(self.problem.value(report.state.w))
        for target in self.targets:
            if loss <= target and target not in self.reached:
                self.reached[target] = (now - self.start - self.aside, report.n_iter)
        self.aside += time.process_time() - now
        out_of_time = now - self.start - self.aside > self.budget
        return self.targets[-1] in self.reached or out_of_time or not math.isfinite(loss)
