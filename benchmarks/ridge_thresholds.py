"""Where a direct factorisation stops paying: the evidence for ``DIRECT_BELOW`` in dispatch/auto.py.

Dense designs twice as tall as wide, with columns alike (the best case of conjugate gradients: a few
dozen iterations) and with column scales 1/j (an ordinary spread, many iterations). The direct
method takes one time for both, whatever alpha and tolerance are.
"""

from __future__ import annotations

from benchmarks.timing import compare, fitting, parser, show  # first: pins BLAS  # isort: skip

import numpy as np

from benchmarks.objectives import Ridge as Objective
from skopt_dl.linear_model import Ridge

SIDES = (250, 500, 1000, 2000, 4000)


def main(arguments: list[str] | None = None) -> None:
    """Direct against conjugate gradients as the smaller side grows."""
    p = parser(__doc__, repeat=3)
    p.add_argument("--sides", type=int, nargs="*", default=SIDES)
    p.add_argument("--target", type=float, default=1e-6, help="relative gradient")
    options = p.parse_args(arguments)
    for side in (60,) if options.smoke else options.sides:
        rng = np.random.default_rng(0)
        n = 2 * side
        for decay in (0.0, 1.0):
            X = rng.standard_normal((n, side)) * np.arange(1, side + 1) ** -decay
            y = X @ rng.standard_normal(side) + rng.standard_normal(n)
            alpha = 1e-6 * n
            timings = compare(
                {s: fitting(Ridge, X, y, alpha=alpha, solver=s) for s in ("cholesky", "cg")},
                Objective(X, y, alpha).error,
                target=options.target,
                repeat=1 if options.smoke else options.repeat,
            )
            show(f"{n} x {side}, scales j^-{decay:g}", timings, reference="cholesky")


if __name__ == "__main__":
    main()
