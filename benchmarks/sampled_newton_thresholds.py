"""Where a factor of a sample's Hessian stops paying: the evidence for ``DIRECT_BELOW`` in
solvers/gauss_newton_cg.py.

Logistic regressions with columns alike (the best case of conjugate gradients) and with column
scales 1/j (an ordinary spread), processor seconds to a certificate, median of runs that alternate.
"""

from __future__ import annotations

from benchmarks.timing import parser, seconds_of  # first: pins BLAS  # isort: skip

import statistics
from functools import partial

import numpy as np

from skopt_dl.engine import Stopping, run
from skopt_dl.losses import Logistic
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import SubsampledNewton

WIDTHS = (50, 100, 200, 400)


def main(arguments: list[str] | None = None) -> None:
    """Conjugate gradients over the factor, as the columns grow in number."""
    options = parser(__doc__, repeat=3).parse_args(arguments)
    n = 1000 if options.smoke else 20_000
    for p in (20,) if options.smoke else WIDTHS:
        for decay in (0.0, 1.0):
            rng = np.random.default_rng(0)
            X = rng.standard_normal((n, p)) * np.arange(1, p + 1) ** -decay
            z = X @ rng.standard_normal(p) / np.sqrt(p)
            y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(float)
            problem = LinearProblem(X, y, Logistic(), L2(1e-3))
            ratios = []
            for tol in (1e-4, 1e-8):
                seconds: dict[str, list[float]] = {"cg": [], "cholesky": []}
                for seed in range(1 if options.smoke else options.repeat):
                    for name, taken in seconds.items():
                        rng = np.random.default_rng(seed)
                        solver = SubsampledNewton(linear_solver=name)
                        stopping = Stopping(tol=tol, max_iter=400)
                        solve = partial(run, problem, solver, stopping=stopping, rng=rng)
                        taken.append(seconds_of(solve)[0])
                ratios.append(
                    statistics.median(seconds["cg"]) / statistics.median(seconds["cholesky"])
                )
            shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"{n} x {p}, scales j^-{decay:g}: cg over cholesky to 1e-4 and 1e-8: {shown}")


if __name__ == "__main__":
    main()
