"""Time to a quality that the benchmark computes itself, peers interleaved in one process.

::

    python -m benchmarks.run --list
    python -m benchmarks.run
    python -m benchmarks.run lasso_wide lasso_small --repeat 5 --curves curves.png
    python -m benchmarks.first_fit
    python -m benchmarks.callback_overhead
    python -m benchmarks.ridge_thresholds
    python -m benchmarks.logistic_thresholds
    python -m benchmarks.sampled_newton_thresholds
    python -m benchmarks.lasso_thresholds
    python -m benchmarks.mlp
    python -m benchmarks.mlp_solvers
    python -m benchmarks.dask

`run` prints the table of ratios, best peer over ours. It has benchopt's parts: `objectives` (what
the error is), `datasets`, `solvers` (ours, and the peers that are importable); `problems` joins
them. The others answer one question each: what a call costs, where a threshold lies. Every script
takes ``--smoke``: tiny data and one repetition, to see that it runs.
"""
