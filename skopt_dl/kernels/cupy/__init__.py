"""CuPy: its namespace under the standard's names, and kernels as CUDA sources.

A source is compiled by CuPy for the device at hand when one of its kernels first runs, and kept in
CuPy's cache on disk.
"""

from __future__ import annotations

from functools import partial

from skopt_dl.kernels.lazy import LazyKernels

Compiled = partial(LazyKernels, __name__)

# Updates of the stochastic rules.
UPDATES = Compiled(
    adabelief_update="updates",
    adadelta_update="updates",
    adagrad_update="updates",
    adam_update="updates",
    adamax_update="updates",
    adan_update="updates",
    ademamix_update="updates",
    amsgrad_update="updates",
    lion_update="updates",
    mean_update="updates",
    moments_update="updates",
    momentum_update="updates",
    nadam_update="updates",
    rmsprop_update="updates",
    rmsprop_nesterov_update="updates",
    yogi_update="updates",
)

MODULES = (
    Compiled(
        GramLasso="gram_lasso",
        block_epochs="gram",
        cd_epochs="gram",
        column_moments="moments",
        entry_products="observed",
        gram_row_epochs="gram",
        gram_rows="observed",
        masked_product="observed",
        nonnegative_rows="observed",
        ridge_groups="observed",
        ridge_rows="observed",
        row_epochs="gram",
        segment_sum="observed",
        stored_products="observed",
    ),
    Compiled(
        network_gradient="network",
        network_response="network",
        network_workspace="network",
    ),
    Compiled(fista_update="fista"),
    Compiled(
        logistic_terms="losses",
        softmax="losses",
        softmax_terms="losses",
    ),
    Compiled(
        prox_elastic_net="prox",
        prox_groups="prox",
        prox_mcp="prox",
        prox_rows="prox",
        prox_scad="prox",
    ),
    Compiled(two_loop="pairs"),
    Compiled(
        dual_epoch="samples",
        saga_steps="samples",
        sag_steps="samples",
        svrg_steps="samples",
    ),
    Compiled(
        drawn_with_replacement="random",
        keep_mask="random",
        permuted="random",
    ),
    UPDATES,
)
