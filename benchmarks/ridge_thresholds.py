"""Where a direct factorisation stops paying: the evidence for ``DIRECT_BELOW`` in dispatch/auto.py.

Square-ish dense designs whose columns have a common factor (what makes conjugate gradients work),
at two strengths: alpha times n/1000 and a thousandth of that.
"""

from __future__ import annotations

from benchmarks.timing import compare, parser, show  # first: pins BLAS  # isort: skip

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
        X = rng.standard_normal((n, side)) + rng.standard_normal((n, 1))
        y = X @ rng.standard_normal(side) + rng.standard_normal(n)
        for alpha in (n / 1e3, n / 1e6):
            timings = compare(
                {
                    s: lambda tol, s=s: Ridge(alpha=alpha, tol=tol, solver=s).fit(X, y)
                    for s in ("cholesky", "cg")
                },
                Objective(X, y, alpha).error,
                target=options.target,
                repeat=1 if options.smoke else options.repeat,
            )
            show(f"{n} x {side}, alpha {alpha:.2g}", timings, reference="cholesky")


if __name__ == "__main__":
    main()
