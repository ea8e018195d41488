"""Sums over blocks of rows by the entries of a block: second moments, leave-one-out errors.

::

    python -m benchmarks.row_blocks
"""

from __future__ import annotations

from benchmarks.timing import parser, seconds_of  # first: pins BLAS  # isort: skip

import statistics

import numpy as np

from skopt_dl import RidgeCV
from skopt_dl.linear_model import _moments, _ridge_loo

SHAPES = ((3000, 30), (100_000, 20), (100_000, 100), (20_000, 1000))
ENTRIES = (21, 19, 18, 17)


def main(arguments: list[str] | None = None) -> None:
    """Interleaved medians of processor milliseconds."""
    options = parser(__doc__, repeat=7).parse_args(arguments)
    rng = np.random.default_rng(0)
    print(f"{'shape':<15}{'type':<9}{'sum':<11}" + "".join(f"    2^{k}" for k in ENTRIES) + "  ms")
    for n, p in ((300, 8),) if options.smoke else SHAPES:
        for dtype in ("float64", "float32"):
            X = rng.standard_normal((n, p)).astype(dtype)
            y, ones, origin = X[:, 0].copy(), np.ones(n, dtype), (np.full(p, 0.1), 0.0)
            sums = {
                "moments": lambda X=X, y=y, ones=ones, origin=origin: _moments.Moments.of_rows(
                    X, y, ones, np.arange(len(y)), origin
                ),
                "one out": lambda X=X, y=y: RidgeCV().fit(X, y),
            }
            for name, call in sums.items():
                rounds: list[list[float]] = []
                for _ in range(1 if options.smoke else options.repeat):
                    rounds.append([])
                    for k in ENTRIES:
                        _moments.BLOCK = _ridge_loo.BLOCK = 2**k
                        rounds[-1].append(seconds_of(call)[0])
                times = [1e3 * statistics.median(column) for column in zip(*rounds, strict=True)]
                cells = "".join(f"{t:8.1f}" for t in times)
                print(f"{n} x {p:<8}{dtype:<9}{name:<9}{cells}")


if __name__ == "__main__":
    main()
