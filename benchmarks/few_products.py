"""``X'R`` of few vectors: as a product, transposed, one by one, and by parts that stay in cache;
``X'(X w - y)`` in two readings of X and in one; and a copy in Fortran's order.

::

    python -m benchmarks.few_products
"""

from __future__ import annotations

from benchmarks.timing import parser, seconds_of  # first: pins BLAS  # isort: skip

import itertools
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from skopt_dl.kernels import kernels_of
from skopt_dl.linops.base import LinearMap
from skopt_dl.linops.design import Dense
from skopt_dl.linops.products import (
    by_columns,
    product,
    product_back,
    products_by_parts,
    there_and_back,
)

SHAPES = ((500, 20_000), (3000, 3000), (20_000, 500), (100_000, 200))
SEVERAL = ((1437, 64, 10), (10_000, 40, 10), (5000, 300, 20), (500, 20_000, 12), (20_000, 500, 200))
NEAR = ((4000, 300), (10_000, 100))


def main(arguments: list[str] | None = None) -> None:
    """Interleaved medians of processor milliseconds."""
    options = parser(__doc__, repeat=15).parse_args(arguments)
    rng = np.random.default_rng(0)
    names = ("X.T R", "(R.T X).T", "each", "parts")
    print(f"{'shape':<14}{'order':<7}{'vectors':<9}" + "".join(f"{w:>10}" for w in names) + "  ms")
    for n, p in ((400, 300),) if options.smoke else SHAPES:
        for order in "FC":
            X = np.asarray(rng.standard_normal((n, p)), order=order)
            for k in (2, 3, 4, 8):
                R = rng.standard_normal((n, k))
                ways = (
                    lambda X=X, R=R: X.T @ R,
                    lambda X=X, R=R: (R.T @ X).T,
                    lambda X=X, R=R: np.stack([X.T @ r for r in R.T], axis=1),
                    lambda X=X, R=R: products_by_parts(X, R),
                )
                for way in ways:
                    assert np.allclose(way(), ways[0]())
                times = medians(ways, 1 if options.smoke else options.repeat)
                print(f"{n} x {p:<7}{order:<7}{k:<9}" + "".join(f"{t:10.2f}" for t in times))
    print(f"\n{'shape':<14}{'order':<7}{'twice':>10}{'once':>10}  ms")
    for n, p in ((400, 300),) if options.smoke else (*NEAR, *SHAPES):
        for order in "FC":
            X = np.asarray(rng.standard_normal((n, p)), order=order)
            w, y = rng.standard_normal(p), rng.standard_normal(n)
            plain = partial(LinearMap.there_and_back, Dense(X), w)
            ways = tuple(
                partial(way, lambda z, rows, y=y: z - y[rows])
                for way in (plain, partial(there_and_back, X, w))
            )
            assert np.allclose(ways[0]()[1], ways[1]()[1])
            times = medians(ways, 1 if options.smoke else options.repeat)
            print(f"{n} x {p:<7}{order:<7}" + "".join(f"{t:10.2f}" for t in times))
    print(
        f"\n{'shape':<14}{'order':<7}{'vectors':<9}{'(R.T X).T':>10}{'tiles':>10}"
        + "  (W.T X.T).T, tiles  ms"
    )
    shapes = ((400, 300, 5),) if options.smoke else SEVERAL
    for (n, p, k), order in itertools.product(shapes, "CF"):
        X, R, W = (rng.standard_normal(shape) for shape in ((n, p), (n, k), (p, k)))
        X = np.asarray(X, order=order)
        ways = (
            lambda X=X, R=R: (R.T @ X).T,
            partial(product_back, X, R),
            lambda X=X, W=W: (W.T @ X.T).T,
            partial(product, X, W),
        )
        for i in (0, 2):
            assert np.allclose(ways[i](), ways[i + 1]())
        times = medians(ways, 1 if options.smoke else options.repeat)
        print(f"{n} x {p:<7}{order:<7}{k:<9}" + "".join(f"{t:10.3f}" for t in times))
    print(f"\n{'by columns':<14}{'used':<9}{'X w':>10}{'gathered':>10}{'each':>10}  ms")
    for n, p in ((400, 300),) if options.smoke else (*NEAR, *SHAPES):
        X = np.asfortranarray(rng.standard_normal((n, p)))
        for share in (1, 4, 8, 64):
            used = np.sort(rng.permutation(p)[: p // share])
            w = np.zeros(p)
            w[used] = rng.standard_normal(len(used))
            ways = (
                partial(np.matmul, X, w),
                lambda X=X, w=w: X[:, np.flatnonzero(w)] @ w[np.flatnonzero(w)],
                partial(kernels_of(X).column_sum, X, w),
            )
            for way in ways:
                assert np.allclose(way(), ways[0]())
            times = medians(ways, 1 if options.smoke else options.repeat)
            print(f"{n} x {p:<7}1/{share:<7}" + "".join(f"{t:10.3f}" for t in times))
    print(f"\n{'to columns':<14}{'type':<9}{'at once':>10}{'blocks':>10}  ms")
    for n, p in ((400, 300),) if options.smoke else (*NEAR, *SHAPES):
        for dtype in (np.float64, np.float32):
            X = rng.standard_normal((n, p)).astype(dtype)
            ways = (partial(np.asarray, X, order="F"), partial(by_columns, X))
            assert np.array_equal(ways[0](), ways[1]())
            times = medians(ways, 1 if options.smoke else options.repeat)
            print(f"{n} x {p:<7}{dtype.__name__:<9}" + "".join(f"{t:10.2f}" for t in times))


def medians(ways: tuple[Callable[[], Any], ...], repeat: int) -> list[float]:
    """Milliseconds of each way, interleaved."""
    rounds = [[seconds_of(way)[0] for way in ways] for _ in range(repeat)]
    return [1e3 * statistics.median(column) for column in zip(*rounds, strict=True)]


if __name__ == "__main__":
    main()
