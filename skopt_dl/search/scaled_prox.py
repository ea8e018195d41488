r"""The prox of a penalty in the metric of a low-rank matrix, by Newton's method in its rank.

Letters: :math:`\Omega` the penalty, x the point, z the answer, P the metric, B its low-rank root,
:math:`\rho` its shift, :math:`\eta` the step, :math:`\beta` the dual variables, :math:`\psi` the
dual objective with its gradient r and Hessian H.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from skopt_dl.kernels.namespace import device_of, namespace_of, to_float
from skopt_dl.search.backtracking import backtrack
from skopt_dl.search.trial import rounding

MAX_NEWTON = 30


def scaled_prox(
    prox: Callable[[Any, Any], Any],
    value: Callable[[Any], Any],
    x: Any,
    step: float,
    B: Any,
    shift: Any,
    near: Any,
) -> Any:
    r""":math:`\operatorname{argmin}_z \Omega(z) + \tfrac1{2\eta} |z - x|_P^2`, with
    :math:`P = \rho I + B B'`.

    .. math::

        z(\beta) = \operatorname{prox}_{\eta\Omega/\rho}(x - B\beta/\rho), \qquad
        \nabla\psi(\beta) = \beta - B'(z(\beta) - x)

    with :math:`\psi` strongly convex in as many variables as B has columns. Its Hessian
    :math:`I + B' J B/\rho` has the Jacobian J of the prox along the columns of B, by differences:
    exact for a prox that is linear in pieces, which then takes a few steps. Where the condition of
    P is beyond a million the pieces are too many, and the answer may be rough.

    Parameters
    ----------
    prox : callable
        ``(v, step) -> array``, the prox of a convex penalty.
    value : callable
        ``z -> number``, the penalty where the prox leads; zero for a projection.
    x : array of shape (p,)
        The point.
    step : float
        :math:`\eta`, positive.
    B : array of shape (p, r)
        The root of the low-rank part.
    shift : 0-d array
        :math:`\rho`, positive.
    near : array of shape (p,)
        Where the answer is looked for first.

    Returns
    -------
    z : array of shape (p,)
        Up to rounding, by which it may lie outside of a constraint set: where P has a large
        condition, the prox is asked far away.

    References
    ----------
    S. Becker, J. Fadili, P. Ochs, "On quasi-Newton forward-backward splitting: proximal calculus
    and convergence", SIAM J. Optim. 29 (2019).
    """
    xp, eps = namespace_of(x), float(namespace_of(x).finfo(x.dtype).eps)
    norm, size_of_B = xp.linalg.vector_norm, xp.linalg.matrix_norm(B)
    eye = xp.eye(B.shape[1], dtype=x.dtype, device=device_of(x))

    def at(beta: Any) -> tuple[Any, Any, float, float]:
        """z, the gradient, the dual objective and the size of its terms."""
        z = prox(x - (B @ beta) / shift, step / shift)
        back = B.T @ (z - x)
        terms = (
            0.5 * to_float(beta @ beta),
            -step * to_float(value(z)),
            -0.5 * to_float(shift * ((z - x) @ (z - x))),
            -to_float(beta @ back),
        )
        return z, beta - back, sum(terms), sum(map(abs, terms))

    beta = B.T @ (near - x)
    z, r, psi, size = at(beta)
    for _ in range(MAX_NEWTON):
        a = x - (B @ beta) / shift
        # What the prox loses of B'(z - x): it may take small differences of what it is given.
        blur = 4 * eps * to_float(size_of_B * (norm(x) + norm(a)))
        if to_float(norm(r)) <= max(eps**0.75 * to_float(norm(beta)), blur):
            break
        H = B.T @ _along(prox, a, x, step / shift, B, eps) / shift
        d = -xp.linalg.solve(eye + (H + H.T) / 2, r[:, None])[:, 0]
        found = backtrack(
            partial(_line, at, beta, d), psi, to_float(r @ d), noise=rounding(size, eps)
        )
        if not found.ok:
            break
        beta = beta + found.t * d
        z, r, psi, size = at(beta)
    return z


def _line(at: Callable[[Any], Any], beta: Any, d: Any, t: float) -> tuple[float, float]:
    _, r, psi, _ = at(beta + t * d)
    return psi, to_float(r @ d)


def _along(prox: Callable[[Any, Any], Any], a: Any, x: Any, step: Any, B: Any, eps: float) -> Any:
    """The derivatives of the prox at ``a`` along the columns of B."""
    xp = namespace_of(a)
    # Between the size of a, which sets the rounding, and that of x, which sets how near the next
    # kink is.
    here, length = prox(a, step), xp.sqrt(xp.max(xp.abs(a)) * xp.max(xp.abs(x)))
    length = xp.where(length > 0, length, xp.ones_like(length))
    columns = []
    for j in range(B.shape[1]):
        far = xp.max(xp.abs(B[:, j]))
        h = eps**0.5 * length / xp.where(far > 0, far, xp.ones_like(far))
        columns.append((prox(a + h * B[:, j], step) - here) / h)
    return xp.stack(columns, axis=1)
