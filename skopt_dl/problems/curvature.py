"""Second derivatives of a linear problem whose loss and penalty have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from skopt_dl.engine import Point
from skopt_dl.linops import along_rows

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem


def hessian_product(problem: LinearProblem, point: Point) -> Callable[[Any], Any]:
    """A function ``d -> H d`` with the Hessian at ``point``; the curvature is cached."""
    z = point.cache
    diagonal = problem.on_coef(problem.penalty.curvature, point.w)  # type: ignore[attr-defined]
    if problem.y.ndim == 1:
        h = problem.omega * problem.loss.curvature(problem.y, z)  # type: ignore[attr-defined]

        def product(d: Any) -> Any:
            return problem.map.rmatvec(h * problem.map.matvec(d)) + diagonal * d

    else:

        def product(d: Any) -> Any:
            ad = problem.curvature_product(z, problem.map.matvec(problem.matrix(d)))
            return problem.flat(problem.map.rmatvec(along_rows(problem.omega, ad))) + diagonal * d

    return product


def hessian_matrix(problem: LinearProblem, point: Point) -> Any:
    """The Hessian at ``point`` as an array of shape ``(size, size)``."""
    xp, z = problem.xp, point.cache
    diagonal = problem.on_coef(problem.penalty.curvature, point.w)  # type: ignore[attr-defined]
    if problem.y.ndim == 1:
        h = problem.omega * problem.loss.curvature(problem.y, z)  # type: ignore[attr-defined]
        H = problem.map.gram(h)
    else:
        K, width = problem.n_outputs, problem.map.shape[1]
        blocks = []
        for k in range(K):
            unit = xp.zeros_like(z)
            unit[:, k] = 1
            column = problem.curvature_product(z, unit)
            blocks.append([problem.map.gram(problem.omega * column[:, i]) for i in range(K)])
        # (K, K, width, width) -> rows (feature, output), columns (feature, output).
        H = xp.stack([xp.stack(row) for row in blocks])
        H = xp.reshape(xp.permute_dims(H, (2, 1, 3, 0)), (width * K, width * K))
    return H + diagonal[:, None] * xp.eye(problem.size, dtype=problem.dtype, device=problem.device)
