"""Why a problem of factors lacks an oracle; ``None`` where it has it."""

from __future__ import annotations

from typing import Any


def why_no_bounds(problem: Any) -> str | None:
    return None if problem.positive else "the factors have none (positive=True has)"


def why_no_coordinates(problem: Any) -> str | None:
    return None if problem.robust is None else "the loss is not squared (loss='squared' is)"


def why_not_smooth(problem: Any) -> str | None:
    return "the factors have bounds (positive=False has none)" if problem.positive else None


def why_not_curved(problem: Any) -> str | None:
    """Second-order models of a loss that is all but straight say nothing of a step's length."""
    if problem.robust is not None and problem.robust.straight:
        return "the absolute loss has none (loss='huber' has)"
    return why_not_smooth(problem)


def why_not_squared(problem: Any) -> str | None:
    return why_no_coordinates(problem) or why_not_smooth(problem)


def why_no_spectral_prox(problem: Any) -> str | None:
    return None if problem.nuclear else "the penalty is not the nuclear norm (penalty='nuclear' is)"


def why_no_tangent(problem: Any) -> str | None:
    """Methods on the set of matrices of rank k know the matrix alone, not its factors."""
    if problem.positive or problem.robust is not None:
        return why_not_squared(problem)
    if problem.alpha > 0:
        return "the penalty on the factors has none (alpha=0 has)"
    if problem.row_bias or problem.col_bias:
        return "biases have none (fit_bias=False has)"
    if not problem.observed.uniform:
        return "entries of different weights have none"
    return None
