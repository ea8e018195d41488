"""What the columns that a fit on blocks has found make of the plain estimator."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.dask._column_data import ColumnData
from skopt_dl.dask._column_posterior import ColumnPosterior
from skopt_dl.matrix_completion.beliefs import settled
from skopt_dl.matrix_completion.columns import Columns
from skopt_dl.matrix_completion.posterior import KEPT
from skopt_dl.matrix_completion.priors import of_the_unseen
from skopt_dl.matrix_completion.row_noise import FIRST


def attributes(data: ColumnData, Q: Any, alpha: float, **learned: Any) -> dict[str, Any]:
    """What these columns make of the plain estimator."""
    columns = Columns(
        Q=Q,
        k=data.k,
        bias=data.bias,
        mean=data.average,
        weight=data.col_weight,
        scale=np.ones(len(Q)),
        alpha=alpha,
        **learned,
    )
    return {
        "components_": Q[:, : data.k].T.copy(),
        "col_bias_": np.sum(Q[:, data.k :], axis=1),
        "mean_": data.average,
        "n_components_": data.k,
        "alpha_": alpha,
        "_columns": columns,
        "_draws": None,
        "_range": None,
    }


def believed(problem: ColumnPosterior, w: Any) -> dict[str, Any]:
    """What the posterior at ``w`` makes of it."""
    b, data = problem.unpack(w), problem.data
    b.mu, b.nu = map(of_the_unseen, (b.mu, b.nu), (data.n_seen, np.sum(problem.seen)))
    b.Q, b.T = settled(b, problem.seen > 0)
    learned = {name: getattr(b, part).copy() for name, part in KEPT.items()}
    if problem.row_noise:
        learned["eta"] = np.asarray([FIRST])
    found = attributes(data, learned.pop("Q"), problem.penalty_per_entry(w), **learned)
    return {**found, "noise_variance_": 1 / float(b.tau[0])}
