"""An upper bound of the largest eigenvalue of ``A' diag(weights) A``, for step sizes."""

from __future__ import annotations

from typing import Any

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


def _finite(xp: Any, squares: Any) -> Any:
    if not bool(xp.all(xp.isfinite(squares))):
        raise FloatingPointError(
            f"products of the entries of X are too large for {squares.dtype}: scale the columns"
        )
    return squares
