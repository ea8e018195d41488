"""The fitted attributes of `MatrixCompletion` that an answer stands for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skopt_dl.dispatch import SOLVERS
from skopt_dl.engine import SolveResult
from skopt_dl.kernels.namespace import to_float
from skopt_dl.matrix_completion.ball import BallEntries, BallFactors
from skopt_dl.matrix_completion.building import rank_of
from skopt_dl.matrix_completion.columns import Columns
from skopt_dl.matrix_completion.posterior import PosteriorProblem
from skopt_dl.matrix_completion.prepared import Prepared
from skopt_dl.matrix_completion.robust import deviation


def fitted_attributes(
    estimator: Any, problem: Any, result: SolveResult | None, data: Prepared, w: Any = None
) -> dict[str, Any]:
    """What `fit` sets, from the result of a solve or from a point ``w`` on its way."""
    xp, k = problem.xp, rank_of(estimator, data)
    draws = getattr(result.state, "draws", None) if result is not None else None
    if result is not None:
        w = result.w
    if isinstance(problem, (BallFactors, BallEntries)):
        problem, w = problem.as_factors(w)
    learned = isinstance(problem, PosteriorProblem)
    known: dict[str, Any] = {"k": k, "bias": estimator.fit_bias, "mean": data.mean}
    known |= {"scale": data.scale, "weight": data.observed.col_weight}
    if learned:
        fitted, alpha = problem.fitted(w, draws or None)
        known |= fitted
    else:
        # End with the row solve of `transform`, whatever solver ran.
        best = problem.ordered(w) if result is not None else w
        known["Q"], alpha = xp.asarray(problem.unpack(best)[1], copy=True), problem.alpha
    if estimator.penalty != "ridge":
        known["constant"] = data.per_side()[0]
    robust = None if learned else problem.robust
    known |= {"positive": estimator.positive, "robust": robust}
    columns = Columns(alpha=alpha, **known)
    rows = columns.fold_in(data.observed, data.training.row_copies)
    centred = data.centred(estimator.fit_bias)
    E = centred.products(rows.left, rows.right) - centred.values
    noise = to_float(centred.dot(E, E) / centred.total)
    if robust is not None:
        noise = deviation(E, centred.weights) ** 2
    if learned:
        noise = 1 / to_float(columns.tau[0])
    attributes = {
        "components_": xp.asarray(columns.Q[:, :k].T, copy=True),
        "row_factors_": xp.asarray(rows.P[:, :k], copy=True),
        "row_bias_": xp.sum(rows.P[:, k:], axis=1),
        "col_bias_": xp.sum(columns.Q[:, k:], axis=1),
        "mean_": data.mean,
        "n_components_": k,
        "alpha_": float(alpha),
        "noise_variance_": noise,
        # What transform needs of the parameters, which may have been set anew since.
        "_columns": columns,
        "_draws": (
            problem.entry_draws(draws or None, rows.P, rows.spread, columns) if learned else None
        ),
        "_row_weight": data.observed.row_weight,
        "_range": data.limits(estimator.clip),
    }
    if robust is not None:
        attributes["loss_delta_"] = robust.delta
    if estimator.add_indicator:
        attributes["indicator_features_"] = np.flatnonzero(data.training.gaps())
    if data.training.row_ids is not None:
        attributes["row_ids_"] = data.training.row_ids
        attributes["col_ids_"] = data.training.col_ids
    return attributes | (_reported(result) if result is not None else {})


def _reported(result: SolveResult) -> dict[str, Any]:
    curve = [float(v) for v in result.history["objective"] if not math.isnan(v)]
    if not curve or curve[-1] != result.certificate.objective:
        curve.append(result.certificate.objective)
    return {
        "loss_curve_": curve,
        "n_iter_": max(1, result.n_iter),
        "solver_": SOLVERS.name_of(result.solver),
        "solve_report_": result.report(),
    }
