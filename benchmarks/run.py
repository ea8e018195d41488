"""Best peer over ours: the time to an error that the benchmark computes itself, all in one process.

::

    python -m benchmarks.run                      # every problem, the table of ratios
    python -m benchmarks.run lasso_wide path_wide --repeat 5 --curves curves.png
    python -m benchmarks.run lasso_square --solvers auto,cd,active_set --details
    python -m benchmarks.run --list

A candidate runs at ever tighter tolerances; the first that reaches a target is then timed in
rounds, in which every candidate runs once. Times are processor seconds on one BLAS thread. What a
peer compiles in its first call is not counted.
"""

from __future__ import annotations

from benchmarks.timing import TOLERANCES, Curve, parser, race  # first: pins BLAS  # isort: skip

from typing import Any

import numpy as np

from benchmarks.problems import PROBLEMS, Problem
from benchmarks.solvers import KINDS, OURS


def candidates_of(problem: Problem, small: bool, solvers: list[str]) -> tuple[dict[str, Any], Any]:
    """The objective of a problem and the fits that compete on it."""
    objective = problem.objective(*problem.make(small))
    return dict(KINDS[problem.kind](objective, solvers)), objective


def run_problem(name: str, options: Any, solvers: list[str]) -> dict[str, Curve] | None:
    """The curves of every candidate on one problem; ``None`` where its data are not here."""
    problem = PROBLEMS[name]
    try:
        fits, objective = candidates_of(problem, options.smoke, solvers)
    except (ImportError, LookupError) as missing:
        print(f"{name:<18} skipped: {missing}")
        return None
    if options.only:
        fits = {k: f for k, f in fits.items() if any(part in k for part in options.only.split(","))}
    curves = race(
        fits,
        objective.error,
        targets=problem.targets,
        repeat=1 if options.smoke else options.repeat,
        patience=0.1 if options.smoke else options.patience,
        tolerances=TOLERANCES[3::5] if options.smoke else TOLERANCES,
    )
    for target in problem.targets:
        print(row(name, target, curves), flush=True)
    if options.details:
        for candidate, curve in curves.items():
            times = "  ".join(f"{t:.0e}: {text(curve.time_to(t))}" for t in problem.targets)
            print(f"    {candidate:<24} {times}  best error {curve.best:.1e}", flush=True)
    return curves


def text(seconds: float) -> str:
    """Seconds for a table."""
    return f"{seconds:8.4f}" if np.isfinite(seconds) else "   never"


def row(name: str, target: float, curves: dict[str, Curve]) -> str:
    """Our best time, the best peer's, and their ratio."""
    ours = {k: c.time_to(target) for k, c in curves.items() if k.startswith(OURS)}
    peers = {k: c.time_to(target) for k, c in curves.items() if not k.startswith(OURS)}
    mine = min(ours.values(), default=np.inf)
    best = min(peers, key=peers.__getitem__, default="-")
    theirs = peers.get(best, np.inf)
    if np.isfinite(theirs):
        ratio = f"{theirs / mine:6.2f}"
    else:
        ratio, best = "  only" if np.isfinite(mine) else "  none", "no peer"
    return f"{name:<18} {target:6.0e}  {text(mine)}  {text(theirs)}  {ratio}  {best}"


def draw(results: dict[str, dict[str, Curve]], path: str) -> None:
    """Time-to-error curves, a panel a problem."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = min(3, len(results))
    rows = -(-len(results) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(5 * columns, 3.6 * rows), squeeze=False, layout="constrained"
    )
    for ax in axes.flat[len(results) :]:
        ax.set_visible(False)
    for ax, (name, curves) in zip(axes.flat, results.items(), strict=False):
        for candidate, curve in curves.items():
            errors = np.maximum(curve.errors, 1e-16)
            style = {"lw": 2.5, "zorder": 3} if candidate.startswith(OURS) else {"lw": 1.2}
            ax.loglog(curve.seconds, errors, marker="o", ms=3, label=candidate, **style)
        ax.set(title=name, xlabel="processor seconds", ylabel="error")
        ax.legend(fontsize=7)
    figure.savefig(path, dpi=120)
    print(f"curves: {path}")


def main(arguments: list[str] | None = None) -> None:
    """Run the problems that were named."""
    p = parser(__doc__, repeat=3)
    p.add_argument("problems", nargs="*", choices=[*PROBLEMS, []], help="default: all")
    p.add_argument("--list", action="store_true", help="print the names of the problems")
    p.add_argument("--solvers", default="auto", help="ours, comma-separated")
    p.add_argument("--only", default="", help="candidates whose names contain one of these")
    p.add_argument("--patience", type=float, default=10.0, help="seconds that a trial may take")
    p.add_argument("--details", action="store_true", help="print every candidate's time")
    p.add_argument("--curves", help="save time-to-error curves as this picture (matplotlib)")
    options = p.parse_args(arguments)
    if options.list:
        print("\n".join(PROBLEMS))
        return
    print(f"{'problem':<18} {'error':>6}  {'ours, s':>8}  {'peer, s':>8}  {'ratio':>6}  best peer")
    results = {}
    for name in options.problems or PROBLEMS:
        curves = run_problem(name, options, options.solvers.split(","))
        if curves is not None:
            results[name] = curves
    if options.curves:
        draw(results, options.curves)


if __name__ == "__main__":
    main()
