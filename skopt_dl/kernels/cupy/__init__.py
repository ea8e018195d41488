"""CuPy: its namespace under the standard's names, and kernels as CUDA sources.

A source is compiled by CuPy for the device at hand when one of its kernels first runs, and kept in
CuPy's cache on disk.
"""

from __future__ import annotations

from functools import partial

from skopt_dl.kernels.lazy import LazyKernels

MODULES = (
    partial(LazyKernels, __name__)(
        entry_products="observed",
        gram_rows="observed",
        masked_product="observed",
        ridge_rows="observed",
        segment_sum="observed",
    ),
)
