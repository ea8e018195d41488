"""Largest eigenvalues for step sizes: of ``A' diag(weights) A``, and of a Hessian that is known by
gradients alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skopt_dl.kernels.namespace import namespace_of, to_float
from skopt_dl.linops.base import LinearMap
from skopt_dl.linops.design import along_rows

# Below this many rows or columns the smaller Gram is formed and the answer is exact.
EXACT_BELOW = 300
POWER_STEPS = 60


def largest_eigenvalue(A: LinearMap, weights: Any) -> Any:
    """Bound of the spectral norm of ``A' diag(weights) A``, a 0-d array.

    Exact for a small side. Otherwise the Rayleigh quotient of a power iteration plus the norm of
    its residual: some eigenvalue lies within the residual of the quotient (Bauer-Fike for a
    symmetric matrix), and after 60 steps from a generic start it is the largest one.

    Raises
    ------
    FloatingPointError
        If the squares of the data overflow.
    """
    xp = A.xp
    n, p = A.shape
    if min(n, p) == 0:
        return xp.ones((), dtype=weights.dtype)
    if p <= EXACT_BELOW:
        return xp.linalg.eigvalsh(_finite(xp, A.gram(weights)))[-1]
    if n <= EXACT_BELOW:
        rows = along_rows(xp.sqrt(weights), A.to_dense())
        return xp.linalg.eigvalsh(_finite(xp, rows @ rows.T))[-1]
    # Cosines of an irrational frequency: a start without the symmetry of ones, and no random state.
    v = xp.cos(1.6180339887 * xp.arange(p, dtype=weights.dtype, device=weights.device))
    v = v / xp.linalg.vector_norm(v)
    tiny = xp.finfo(weights.dtype).smallest_normal
    for _ in range(POWER_STEPS):
        u = A.rmatvec(weights * A.matvec(v))
        norm = xp.linalg.vector_norm(u)
        quotient, residual = v @ u, u - (v @ u) * v
        v = u / (norm + tiny)
    return _finite(xp, quotient + xp.linalg.vector_norm(residual))


def steepest_curvature(gradient: Callable[[Any], Any], w: Any, turns: int) -> tuple[float, Any]:
    """The largest curvature that so many turns of the power method meet, and the gradient at ``w``.

    Products with the Hessian are differences of the ``gradient``, which may overwrite what it has
    returned: nothing more is asked of it.
    """
    xp = namespace_of(w)
    root = float(xp.finfo(w.dtype).eps) ** 0.5
    # Far enough for the difference to have half its digits, near enough to see one curvature.
    distance = root * (1 + to_float(xp.linalg.vector_norm(w)))
    tiny = float(xp.finfo(w.dtype).smallest_normal) ** 0.5
    g = d = xp.asarray(gradient(w), copy=True)
    largest = 0.0
    for _ in range(turns):
        norm = to_float(xp.linalg.vector_norm(d))
        if not norm > tiny:
            break
        d = (gradient(w + (distance / norm) * d) - g) / distance
        largest = max(largest, to_float(xp.linalg.vector_norm(d)))
    return largest, g


def _finite(xp: Any, squares: Any) -> Any:
    if not bool(xp.all(xp.isfinite(squares))):
        raise FloatingPointError(
            f"products of the entries of X are too large for {squares.dtype}: scale the columns"
        )
    return squares
