"""How solves converged, as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from skopt_dl.engine import SolveReport, SolveResult


def convergence_plot(solves: Any, ax: Any = None) -> Any:
    """Draw certificates against seconds.

    Certificates are not computed at every report (see `SolveReport.history`); the lines join those
    that were.

    Parameters
    ----------
    solves : estimator, SolveReport, SolveResult, or an iterable or mapping of them
        What to draw. A mapping's keys are the labels; otherwise the solver is the label.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If something is given that holds no report.
    """
    curves = [
        (label, report.certificate_kind, *_curve(report)) for label, report in _labelled(solves)
    ]
    if ax is None:
        ax = _new_axes()
    for label, _, seconds, values in curves:
        ax.plot(seconds, values, marker=".", label=label)
    kinds = sorted({kind for _, kind, *_ in curves})
    ax.set_yscale("log")
    ax.set_xlabel("seconds of solving")
    ax.set_ylabel(" or ".join(kinds) or "certificate")
    if curves:
        ax.legend()
    return ax


def _new_axes() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "convergence_plot draws with matplotlib, which is not installed: "
            "pip install matplotlib, or read solve_report_.history"
        ) from error
    return pyplot.subplots()[1]


def _labelled(solves: Any) -> list[tuple[str, SolveReport]]:
    if isinstance(solves, Mapping):
        return [
            (_numbered(str(key), len(reports), k), report)
            for key, solve in solves.items()
            for reports in [_reports(solve)]
            for k, report in enumerate(reports)
        ]
    alone = _holds_report(solves) or not isinstance(solves, Iterable)
    reports = [r for solve in ([solves] if alone else solves) for r in _reports(solve)]
    return [(report.solver, report) for report in reports]


def _numbered(label: str, n: int, k: int) -> str:
    return label if n == 1 else f"{label}, output {k}"


def _holds_report(solve: Any) -> bool:
    return isinstance(solve, (SolveReport, SolveResult)) or hasattr(solve, "solve_report_")


def _reports(solve: Any) -> list[SolveReport]:
    if isinstance(solve, SolveReport):
        return [solve]
    if isinstance(solve, SolveResult):
        return [solve.report()]
    held = getattr(solve, "solve_report_", None)
    if isinstance(held, SolveReport):
        return [held]
    if isinstance(held, (list, tuple)) and all(isinstance(r, SolveReport) for r in held):
        return list(held)
    raise TypeError(
        f"convergence_plot: expected a fitted estimator, a SolveReport or a SolveResult, got "
        f"{solve!r}"
    )


def _curve(report: SolveReport) -> tuple[list[float], list[float]]:
    """The certificates that were computed, the final one at least.

    A logarithm has no place for those that are zero.
    """
    pairs = list(zip(report.history["seconds"], report.history["certificate"], strict=True))
    end = (report.seconds, report.certificate)
    kept = [(s, c) for s, c in [*pairs, end] if math.isfinite(c) and c > 0]
    return [s for s, _ in kept], [c for _, c in kept]
