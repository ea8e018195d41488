"""Where Newton with a factorised Hessian stops paying: the evidence for ``NEWTON_BELOW``.

Tall designs with decaying column scales (what slows quasi-Newton methods), L2 penalty.
"""

from __future__ import annotations

from benchmarks.timing import compare, fitting, parser, show  # first: pins BLAS  # isort: skip

import numpy as np

from benchmarks.objectives import Logistic as Objective
from skopt_dl.linear_model import LogisticRegression

COLUMNS = (50, 100, 200, 400, 600, 800)


def main(arguments: list[str] | None = None) -> None:
    """Newton against L-BFGS as the number of columns grows."""
    p = parser(__doc__, repeat=3)
    p.add_argument("--columns", type=int, nargs="*", default=COLUMNS)
    p.add_argument("--target", type=float, default=1e-4, help="relative gradient")
    options = p.parse_args(arguments)
    for columns in (20,) if options.smoke else options.columns:
        rng = np.random.default_rng(0)
        n = 400 if options.smoke else 10_000
        for decay in (0.0, 1.0):
            X = rng.standard_normal((n, columns)) * np.arange(1, columns + 1) ** -decay
            z = X @ rng.standard_normal(columns)
            y = (z + z.std() * rng.standard_normal(n) > 0).astype(float)
            timings = compare(
                {
                    s: fitting(LogisticRegression, X, y, C=1.0, solver=s, max_iter=5000)
                    for s in ("newton_cholesky", "lbfgs")
                },
                Objective(X, y, 1.0).error,
                target=options.target,
                repeat=1 if options.smoke else options.repeat,
            )
            show(f"{n} x {columns}, scales j^-{decay:g}", timings, reference="newton_cholesky")


if __name__ == "__main__":
    main()
