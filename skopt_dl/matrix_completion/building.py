"""The problems that an estimator's parameters and its prepared entries stand for."""

from __future__ import annotations

import math
from typing import Any

from skopt_dl.dispatch import SOLVERS
from skopt_dl.engine import Needs, Oracle
from skopt_dl.matrix_completion.ball import BallEntries, BallFactors
from skopt_dl.matrix_completion.columns import biases
from skopt_dl.matrix_completion.posterior import PosteriorProblem
from skopt_dl.matrix_completion.prepared import Prepared
from skopt_dl.matrix_completion.problem import FactorProblem
from skopt_dl.matrix_completion.rank import rank_for
from skopt_dl.matrix_completion.robust import RobustLoss
from skopt_dl.matrix_completion.turns import Sizes


def rank_of(estimator: Any, data: Prepared) -> int:
    """The rank that the estimator asks for on these data."""
    return rank_for(type(estimator).__name__, estimator.n_components, data.observed.shape)


def factor_problem(
    estimator: Any, data: Prepared, alpha: float, robust: RobustLoss | None = None
) -> FactorProblem:
    """The penalised objective at the strength ``alpha``, with squares or another loss."""
    return FactorProblem(
        data.centred(estimator.fit_bias),
        rank_of(estimator, data),
        alpha,
        **biases(estimator.fit_bias),
        constants=data.per_side() if estimator.penalty == "nuclear" else None,
        positive=estimator.positive,
        robust=robust,
        description=_describe(estimator, data),
    )


def ball_problem(estimator: Any, data: Prepared) -> BallFactors | BallEntries:
    """The problem in the nuclear-norm ball, in the form that suits the estimator's solver.

    Methods that ask for vertices combine matrices, for which the form without factors is.
    """
    form: type[BallFactors | BallEntries] = BallFactors
    if _asks_for(estimator, Oracle.LMO):
        form = BallEntries
    rank, observed = rank_of(estimator, data), data.observed
    return form(observed, rank, float(estimator.radius), _describe(estimator, data))


def _asks_for(estimator: Any, oracle: Oracle) -> bool:
    """Whether the estimator's solver, where it is named or given, needs this."""
    solver = estimator.solver
    if isinstance(solver, str) and solver != "auto":
        solver = SOLVERS.get(solver)
    return not isinstance(solver, str) and oracle in getattr(solver, "needs", Needs()).oracles


def _differs_by_row(estimator: Any, data: Prepared) -> bool:
    """Whether each row has a noise of its own.

    By default not in a table, whose odd rows are often those that say most about it.
    """
    if estimator.noise != "auto":
        return bool(estimator.noise == "rows")
    return data.training.row_ids is not None and _asks_for(estimator, Oracle.CONDITIONAL_DRAW)


def posterior_problem(
    estimator: Any, data: Prepared, observed: Any = None, levels: bool = True
) -> PosteriorProblem:
    """The free energy, of other entries at the same places if ``observed`` has them.

    ``levels`` says whether the priors have means.
    """
    check_size(estimator, data)
    return PosteriorProblem(
        data.centred(estimator.fit_bias) if observed is None else observed,
        rank_of(estimator, data),
        **biases(estimator.fit_bias),
        row_copies=data.training.row_copies,
        levels=levels,
        row_noise=_differs_by_row(estimator, data),
        description=_describe(estimator, data),
    )


def learns(estimator: Any) -> bool:
    """Whether the strength of the penalty is to be found."""
    return isinstance(estimator.alpha, str)


def has_posterior(estimator: Any) -> bool:
    """Whether the model is that of the posterior: Gaussian factors without bounds."""
    ridge = bool(estimator.penalty == "ridge")
    return ridge and not estimator.positive and bool(estimator.loss == "squared")


def check_size(estimator: Any, data: Prepared) -> None:
    """Refuse entries so small or large that nothing could be learned from their squares."""
    sizes = Sizes.of(data.observed)
    low, high = sizes.range(bool(estimator.fit_bias))
    size = math.sqrt(sizes.square)
    if size == 0 or low <= size <= high:
        return
    raise ValueError(
        f"{type(estimator).__name__}: the entries have a root mean square of {size:.2g}, and with "
        f"fit_bias={estimator.fit_bias!r} alpha='auto' learns from {sizes.dtype} entries between "
        f"{low:.0e} and {high:.0e}. Bring them to a size of about one, or use scale=True"
    )


def _describe(estimator: Any, data: Prepared) -> str:
    (m, n), obs = data.observed.shape, data.observed
    return f"{estimator!r} on this {m} x {n} matrix of {obs.n_entries} {obs.dtype} entries"
