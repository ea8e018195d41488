"""Time to a quality that the benchmark computes itself, peers interleaved in one process.

::

    python -m benchmarks.run --list
    python -m benchmarks.run lasso_wide --repeat 5
    python -m benchmarks.cd_dense
    python -m benchmarks.first_fit
    python -m benchmarks.small_fits
    python -m benchmarks.callback_overhead
    python -m benchmarks.ridge_cv
    python -m benchmarks.ridge_thresholds
    python -m benchmarks.logistic_thresholds
    python -m benchmarks.lasso_thresholds
    python -m benchmarks.mlp
    python -m benchmarks.mlp_solvers

Every script takes ``--smoke``: tiny data and one repetition, to see that it runs.
"""
