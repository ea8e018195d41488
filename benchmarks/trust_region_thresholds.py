"""Where a trust region should be measured in the diagonal of the Hessian: the evidence for
``UNEVEN`` in solvers/units.py.

Logistic regressions whose columns have units from ``10^-spread`` to ``10^spread``; processor
seconds to a certificate with Euclidean lengths and with those of the diagonal, medians of runs that
alternate. A run that does not get there is shown by a dash.
"""

from __future__ import annotations

from benchmarks.timing import parser, seconds_of  # first: pins BLAS  # isort: skip

import statistics
from functools import partial
from typing import Any

import numpy as np

from skopt_dl.engine import Stopping, run
from skopt_dl.losses import Logistic
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import ARC, STORM, SubsampledARC, SubsampledTrustRegion, TrustRegion

SPREADS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
SOLVERS = {
    "trust_region": TrustRegion,
    "krylov": partial(TrustRegion, subproblem="krylov"),
    "subsampled": SubsampledTrustRegion,
    "storm": STORM,
    "arc": ARC,
    "subsampled_arc": SubsampledARC,
}


def main(arguments: list[str] | None = None) -> None:
    """Both measures of length, as the units spread."""
    options = parser(__doc__, repeat=3).parse_args(arguments)
    n, p = (300, 10) if options.smoke else (3000, 300)
    for spread in (0.0, 1.0) if options.smoke else SPREADS:
        rng = np.random.default_rng(0)
        X = rng.standard_normal((n, p))
        z = X @ rng.standard_normal(p) / np.sqrt(p)
        y = (z + rng.standard_normal(n) > 0).astype(float)
        X *= 10.0 ** (spread * rng.uniform(-1, 1, p))
        problem = LinearProblem(X, y, Logistic(), L2(1 / n), fit_intercept=True)
        D = problem.hessian_diagonal(problem.point(problem.start()))
        shown = []
        for name, make in SOLVERS.items():
            seconds: dict[str, list[float]] = {"none": [], "diagonal": []}
            for seed in range(1 if options.smoke else options.repeat):
                for kind, taken in seconds.items():
                    taken.append(seconds_to(problem, make(preconditioner=kind), seed))
            plain, scaled = (statistics.median(taken) for taken in seconds.values())
            shown.append(f"{name} {text(plain)} / {text(scaled)}")
        ratio = float(D.max() / D.min())
        print(f"{n} x {p}, units 10^+-{spread:g}, D from 1 to {ratio:.0e}: {', '.join(shown)}")


def seconds_to(problem: Any, solver: Any, seed: int) -> float:
    """Processor seconds to a certificate of 1e-6; infinite if it is not reached."""
    stopping = Stopping(tol=1e-6, max_iter=300)
    solve = partial(run, problem, solver, stopping=stopping, rng=np.random.default_rng(seed))
    seconds, result = seconds_of(solve)
    return seconds if result.success else float("inf")


def text(seconds: float) -> str:
    return "-" if seconds == float("inf") else f"{seconds:.3f}"


if __name__ == "__main__":
    main()
