"""The only loop.

The solver advances, the problem certifies, the rules decide, the observers look. The certificate
costs about one pass over the data, so it is asked for when the solver's free indicator falls under
a target (calibrated by the last certificate), on a geometric schedule, and once at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skopt_dl.engine.observers import Observer
from skopt_dl.engine.problem import Certificate, Problem
from skopt_dl.engine.result import SolveResult
from skopt_dl.engine.solver import Solver, State, Status
from skopt_dl.engine.stopping import Report, Stopping
from skopt_dl.engine.trace import Clock, Trace
from skopt_dl.kernels.namespace import to_float

# Certificates at iterations 1, 2, 3 ... 8, 10, 13 ...: a few dozen passes in a thousand iterations,
# and at most a quarter of the work is done after the tolerance is met. Between them the indicator
# decides: in proportion to the last certificate, and tighter once that has promised too much.
GROWTH = 1.25
TIGHTEN = 0.5


def run(
    problem: Problem,
    solver: Solver,
    *,
    start: Any = None,
    stopping: Stopping | None = None,
    observers: Sequence[Observer] = (),
    rng: Any = None,
    reason: str = "given",
    state: State | None = None,
) -> SolveResult:
    """Improve a point of ``problem`` by ``solver`` until a stopping rule says so.

    Parameters
    ----------
    problem : Problem
        What to minimise.
    solver : Solver
        A method that fits the problem (`skopt_dl.dispatch.resolve` checks that).
    start : array of shape (size,), optional
        Starting point; it is copied, in the problem's dtype. If it meets the tolerance it is the
        answer, after no iteration. Default: ``problem.start()``.
    stopping : Stopping, optional
        Tolerance and budgets. Default: tolerance 1e-4 and the solver's own iteration budget.
    observers : sequence of Observer
        Called after each report.
    rng : numpy.random.Generator or RandomState, optional
        Randomness of stochastic methods. Default: a fresh unseeded generator.
    reason : str
        Why this solver was chosen, for the report.
    state : State, optional
        Go on from this state of an earlier solve instead of starting anew. It is changed;
        iterations, epochs and history count from here.

    Returns
    -------
    SolveResult
        With the best finite answer also when the solve failed; look at ``status``.

    Raises
    ------
    ValueError
        If ``start`` has another shape, or is given together with ``state``.
    """
    if start is not None and state is not None:
        raise ValueError("run: start and state were both given; a state has its own point")
    if stopping is None:
        stopping = Stopping(max_iter=solver.default_max_iter)
    rng = np.random.default_rng() if rng is None else rng
    before, fallbacks = problem.counts.copy(), problem.kernels.n_fallbacks
    clock, trace, rules = Clock(), Trace(), stopping.rules()
    first, first_epochs = (0, 0.0) if state is None else (state.n_iter, state.n_epochs)
    with clock:
        if state is None:
            w0 = problem.start() if start is None else _start(problem, start)
            state = solver.init(problem, w0, rng)
    state.target = stopping.tol if stopping.tol is not None else 0.0
    status = Status.RUNNING
    last_finite = _copy(problem, state.w)
    next_check, certificate = 1.0, None
    if start is not None and stopping.tol is not None:
        # A start that is good enough is the answer: no method is let to move away from it.
        certificate = problem.certificate(state.w)
        if _meets(certificate, stopping.tol):
            status = Status.CONVERGED
            trace.add(Report(0, 0.0, clock.seconds, to_float(state.indicator), certificate, True))
    if status is Status.RUNNING and stopping.max_iter == 0:
        status = Status.MAX_ITER
        trace.add(Report(0, 0.0, clock.seconds, to_float(state.indicator), None, True))
    while status is Status.RUNNING:
        budget = stopping.max_iter - (state.n_iter - first)
        with clock:
            status = solver.advance(problem, state, max(1, min(solver.chunk, budget)))
            # Waits for the device, so it belongs to the time of solving.
            indicator = to_float(state.indicator)
        n_iter, n_epochs = state.n_iter - first, state.n_epochs - first_epochs
        finite = _is_finite(problem, state.w) and not math.isnan(indicator)
        certificate = None
        if finite:
            last_finite = _copy(problem, state.w)
            # An infinite indicator says that there is nothing to certify yet (a method on its way
            # along a path, say).
            overdue = n_iter >= next_check and math.isfinite(indicator)
            due = indicator <= state.target or overdue
            if stopping.tol is not None and (due or status is not Status.RUNNING):
                certificate = problem.certificate(state.w)
                next_check = max(n_iter + 1, GROWTH * n_iter)
                if math.isfinite(indicator) and certificate.value > stopping.tol:
                    ratio = max(stopping.tol / certificate.value, 1e-3)
                    broken = indicator <= state.target
                    state.target = indicator * ratio * (TIGHTEN if broken else 1.0)
        report = Report(n_iter, n_epochs, clock.seconds, indicator, certificate, finite, state)
        status = report.status = _decide(status, rules, report)
        trace.add(report)
        # Every observer is asked: one that stops must not silence the next.
        asked = [observer.on_report(report) for observer in observers]
        if any(asked) and status is Status.RUNNING:
            status = Status.STOPPED
    if certificate is None:
        certificate = problem.certificate(last_finite)
        if status is not Status.NONFINITE:
            trace.certify(certificate)
        if status in (Status.MAX_ITER, Status.MAX_TIME) and _meets(certificate, stopping.tol):
            status = Status.CONVERGED
    calls = {str(k): v - before[k] for k, v in problem.counts.items() if v > before[k]}
    return SolveResult(
        w=last_finite,
        status=status,
        certificate=certificate,
        solver=solver,
        reason=reason,
        n_iter=state.n_iter - first,
        n_epochs=state.n_epochs - first_epochs,
        seconds=clock.seconds,
        kernel=problem.kernels.name if problem.kernels.n_fallbacks == fallbacks else "generic",
        oracle_calls=calls,
        history=trace.as_dict(),
        state=state,
    )


def _decide(status: Status, rules: list[Any], report: Report) -> Status:
    """The first rule that answers wins over the solver; a solver's own end wins over silence."""
    for rule in rules:
        verdict = rule.check(report)
        if verdict is not None:
            # A method that has ended by itself is not short of a budget: keep its own word.
            if verdict in (Status.MAX_ITER, Status.MAX_TIME) and status is not Status.RUNNING:
                break
            return verdict
    if status is Status.CONVERGED and report.certificate is not None:
        return Status.STALLED
    return status


def _meets(certificate: Certificate, tol: float | None) -> bool:
    return tol is not None and certificate.value <= tol


def _start(problem: Problem, start: Any) -> Any:
    w = problem.xp.asarray(start, dtype=problem.dtype, copy=True)
    if w.shape != (problem.size,):
        raise ValueError(
            f"start has shape {w.shape}, but {problem.description} has parameters of shape "
            f"{(problem.size,)}"
        )
    return w


def _copy(problem: Problem, w: Any) -> Any:
    return problem.xp.asarray(w, copy=True)


def _is_finite(problem: Problem, w: Any) -> bool:
    # One product; the entries are looked at only where it overflows.
    return math.isfinite(to_float(w @ w)) or bool(problem.xp.all(problem.xp.isfinite(w)))
