"""Compiled kernels, typed for float32 and float64, without the GIL.

A module is imported when one of its kernels is first asked for: a fit pays for its own loop only.
"""

from __future__ import annotations

from functools import partial

from skopt_dl.kernels.lazy import LazyKernels

Compiled = partial(LazyKernels, __name__)

# Works on Gram blocks in float64, whatever the design is.
GRAM = Compiled(GramLasso="_gram_lasso")
# Coordinate descent over rows; it looks at the layout itself.
ROWS = Compiled(gram_row_epochs="_gram_rows", row_epochs="_cd_rows")
# Updates of the stochastic rules.
UPDATES = Compiled(
    adam_update="_network",
    momentum_update="_network",
    adabelief_update="_updates",
    adadelta_update="_updates",
    adagrad_update="_updates",
    adamax_update="_updates",
    adan_update="_steps",
    ademamix_update="_updates",
    amsgrad_update="_updates",
    lion_update="_updates",
    mean_update="_steps",
    nadam_update="_updates",
    rmsprop_nesterov_update="_updates",
    rmsprop_update="_updates",
    yogi_update="_updates",
)
# Steps that sum over the gradient or need memory in array code. On a device the array form runs:
# its memory is pooled and its sums stay there.
STEPS = Compiled(
    adagrad_norm_update="_steps",
    clipped_newton_update="_steps",
    d_adaptation_update="_steps",
    damped_inverse="_matrices",
    distance="_steps",
    factored_scale="_matrices",
    gradient_update="_steps",
    lower_factor="_matrices",
    matrix_product="_matrices",
    matrix_workspace="_matrices",
    orthogonalised="_matrices",
    prodigy_update="_steps",
    row_products="_matrices",
    schedule_free_update="_steps",
    shifted="_steps",
    sign_update="_steps",
    two_sided="_matrices",
)
# The gradient of a network and the passes of its curvature, on dense data.
NETWORK = Compiled(
    network_cotangents="_passes",
    network_forward="_passes",
    network_gradient="_network",
    network_gradients="_network",
    network_pullback="_passes",
    network_response="_network",
    network_tangents="_passes",
    network_workspace="_network",
    output_products="_passes",
    output_terms="_passes",
)
# Products of a matrix with itself.
SQUARES = Compiled(inner_products="_gemm")
# Products of quasi-Newton methods, whatever the design is.
PAIRS = Compiled(two_loop="_two_loop")
# Losses of a linear model, sample by sample.
LOSSES = Compiled(logistic_terms="_losses", softmax="_losses", softmax_terms="_losses")
# Entries of a partly observed matrix, kept alone or in a full array.
OBSERVED = Compiled(
    entry_products="_observed",
    gram_rows="_observed",
    masked_product="_observed",
    nonnegative_rows="_observed",
    ridge_groups="_observed",
    ridge_rows="_observed",
    segment_sum="_observed",
    stored_products="_observed",
    taken="_observed",
)

MODULES = {
    "dense": (
        Compiled(
            cd_epochs="_cd_dense",
            column_dots="_dense_products",
            column_moments="_dense_products",
            column_sum="_dense_products",
            dual_epoch="_dual",
            saga_steps="_saga_dense",
            sag_steps="_saga_dense",
            svrg_steps="_saga_dense",
        ),
        GRAM,
        LOSSES,
        ROWS,
        OBSERVED,
        UPDATES,
        STEPS,
        PAIRS,
        SQUARES,
        NETWORK,
    ),
    "sparse": (
        Compiled(
            cd_epochs="_cd_sparse",
            column_moments="_cd_sparse",
            dual_epoch="_dual",
            entry_epochs="_cd_entries",
            hogwild_steps="_hogwild",
            saga_steps="_saga_sparse",
            sag_steps="_saga_sparse",
            sparse_gram="_sparse_products",
            sparse_products="_sparse_products",
            column_dots="_sparse_products",
            column_sum="_sparse_products",
            svrg_steps="_saga_sparse",
        ),
        GRAM,
        LOSSES,
        ROWS,
        OBSERVED,
        UPDATES,
        STEPS,
        PAIRS,
        SQUARES,
    ),
}
