r"""Preconditioned conjugate gradients for one symmetric positive definite system.

Letters: A the system, b its right-hand side, x the solution, r the residual, z the preconditioned
residual, d the direction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skopt_dl.kernels.namespace import to_float

# Products without a smaller residual than ever before, after which only rounding is left.
PATIENCE = 25


def pcg(
    xp: Any,
    product: Callable[[Any], Any],
    b: Any,
    *,
    precondition: Callable[[Any], Any] | None = None,
    start: Any = None,
    tol: float = 1e-6,
    max_iter: int = 500,
) -> tuple[Any, int]:
    """Solve ``A x = b`` until the residual, measured through the preconditioner, has fallen enough.

    Parameters
    ----------
    xp : module
        Namespace of the arrays.
    product : callable
        ``x -> A x`` on arrays of the shape of ``b``, which need not be flat.
    b : array
        Right-hand side.
    precondition : callable, optional
        ``r -> z``, an approximate inverse, symmetric and positive definite.
    start : array, optional
        First guess; zero by default.
    tol : float
        Ends at ``r'z <= tol^2 b'z_b``, where z_b is the preconditioned b.
    max_iter : int
        Products at most.

    Returns
    -------
    x : array
        The last iterate; the one before a direction of no positive curvature.
    n_iter : int
        Products done.
    """
    identity = precondition is None
    r = b if start is None else b - product(start)
    x = xp.zeros_like(b) if start is None else start
    z = r if identity else precondition(r)  # type: ignore[misc]
    rho = xp.sum(r * z)
    if start is None:
        size = to_float(rho)
    else:
        size = to_float(xp.sum(b * (b if identity else precondition(b))))  # type: ignore[misc]
    if not to_float(rho) > tol * tol * size:
        return x, 0
    d, done, least, idle = z, 0, to_float(rho), 0
    while done < max_iter and idle < PATIENCE:
        q = product(d)
        done += 1
        bend = xp.sum(d * q)
        if not to_float(bend) > 0:
            break
        a = rho / bend
        x, r = x + a * d, r - a * q
        z = r if identity else precondition(r)  # type: ignore[misc]
        before, rho = rho, xp.sum(r * z)
        now = to_float(rho)
        if now <= tol * tol * size:
            break
        least, idle = (now, 0) if now < least else (least, idle + 1)
        d = z + (rho / before) * d
    return x, done
