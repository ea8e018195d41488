"""Hessian matrices that are formed column by column, from products with the unit vectors."""

from __future__ import annotations

from typing import Any

from skopt_dl.linops.lanczos import matrix_of

# A product costs two gradients: a thousand columns of a network on a thousand samples take half a
# second, their factor a twentieth of that.
MOST_PARAMETERS = 1000


def too_many_columns(problem: Any) -> str | None:
    """Why the matrix is not formed, if it is not."""
    if problem.size <= MOST_PARAMETERS:
        return None
    return (
        f"that of {problem.size} parameters is not formed ({MOST_PARAMETERS} at most), though "
        "products with it are made"
    )


def formed_hessian(problem: Any, point: Any) -> Any:
    """The matrix whose products ``problem.hvp`` makes at ``point``."""
    return matrix_of(problem.hvp(point), point.w)
