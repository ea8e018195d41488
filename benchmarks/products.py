"""Products of matrices as a step of a network makes them, and inner products of columns: in tiles
of wide vectors, and by BLAS.

Microseconds of processor time on one thread, medians of interleaved rounds; the evidence for what
``kernels/cython/_gemm.pyx`` leaves to a BLAS of several threads. A processor without 512-bit
vectors shows BLAS twice.
"""

from __future__ import annotations

from benchmarks.timing import parser, seconds_a_call  # first: pins BLAS  # isort: skip

import statistics
from functools import partial
from typing import Any

import numpy as np

from skopt_dl.kernels import bind

# Rows, inputs and outputs of a layer; the last of the first three is at the threshold.
LAYERS = [
    (32, 20, 100),
    (200, 20, 100),
    (200, 100, 100),
    (200, 100, 10),
    (256, 256, 256),
    (1024, 512, 512),
]


# Rows and columns of a design; the first is at the threshold.
DESIGNS = [(442, 21), (1000, 100), (20_000, 300), (20_000, 500), (100_000, 200), (3000, 3000)]


def products(m: int, p: int, q: int, dtype: Any) -> dict[str, Any]:
    """Forward, the gradient, and back: the arguments of `matrix_product`."""
    rng = np.random.default_rng(0)
    a, w, d = (rng.standard_normal(size).astype(dtype) for size in ((m, p), (p, q), (m, q)))
    return {
        "forward": (a, w, np.empty((m, q), dtype), False, False),
        "gradient": (a, d, np.empty((p, q), dtype), True, False),
        "back": (d, w, np.empty((m, p), dtype), False, True),
    }


def main(arguments: list[str] | None = None) -> None:
    """All layers in both precisions."""
    options = parser(__doc__, repeat=7).parse_args(arguments)
    repeat, layers = (1, LAYERS[:1]) if options.smoke else (options.repeat, LAYERS)
    for dtype in (np.float32, np.float64):
        ours = bind(np, np.dtype(dtype)).matrix_product
        for m, p, q in layers:
            for name, given in products(m, p, q, dtype).items():
                A, B, out, turn_a, turn_b = given
                candidates = {
                    "tiles": partial(ours, *given),
                    "BLAS": partial(np.matmul, A.T if turn_a else A, B.T if turn_b else B, out=out),
                }
                text = compared(candidates, 2 * m * p * q, repeat)
                print(f"{m:>5}x{p:<4}x{q:<4} {name:<9}{dtype.__name__:<8} {text}", flush=True)
    for dtype in (np.float32, np.float64):
        square = bind(np, np.dtype(dtype)).inner_products
        for n, p in DESIGNS[:1] if options.smoke else DESIGNS:
            for order in "CF":
                X = np.asarray(np.random.default_rng(0).standard_normal((n, p)), dtype, order=order)
                candidates = {"tiles": partial(square, X), "BLAS": partial(np.matmul, X.T, X)}
                text = compared(candidates, n * p * (p + 1), repeat)
                print(f"{n:>6}x{p:<4} {order}  {dtype.__name__:<8} {text}", flush=True)


def compared(candidates: dict[str, Any], operations: int, repeat: int) -> str:
    """Microseconds and speed of each candidate."""
    times: dict[str, list[float]] = {kind: [] for kind in candidates}
    for _ in range(repeat):
        for kind, call in candidates.items():
            times[kind].append(seconds_a_call(call))
    median = {kind: 1e6 * statistics.median(t) for kind, t in times.items()}
    speed = {kind: 1e-3 * operations / t for kind, t in median.items()}
    return "  ".join(f"{k} {median[k]:8.1f} ({speed[k]:3.0f} GFLOP/s)" for k in median)


if __name__ == "__main__":
    main()
