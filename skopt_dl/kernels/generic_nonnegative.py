r"""Non-negative least squares for many rows at once, by coordinate descent on their Grams.

.. math::

    u_{il} \leftarrow \max\Big(0,\ u_{il} - \frac{(G_i u_i - b_i)_l + \rho_i u_{il}}
    {G_{i,ll} + \rho_i}\Big)

in turn over l and for all rows i together (A. Cichocki, A.-H. Phan, "Fast local algorithms for
large scale nonnegative matrix and tensor factorizations", IEICE Trans. E92-A, 2009: hierarchical
alternating least squares, to convergence of each side).
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.generic_observed import gram_rows
from skopt_dl.kernels.namespace import namespace_of

# Passes over the coordinates at most. A row stops alone, so that it does not depend on the others,
# when none of its parameters changes by this share of its largest.
PASSES = 100
ENOUGH = 1e-4


def nonnegative_rows(W: Any, T: Any, F: Any, ridge: Any, start: Any, n_threads: int = 1) -> Any:
    r"""The regressions of `ridge_rows` over :math:`u_i \ge 0`, lowered from ``start``.

    Parameters
    ----------
    W, T : matrices of shape (m, n), dense or CSR
        Non-negative weights, and weights times targets; CSR ones share one sparsity structure.
    F : array of shape (n, k)
        Features of the columns.
    ridge : array of shape (m,)
        Ridge of each row.
    start : array of shape (m, k)
        First guesses.
    n_threads : int
        Threads of a compiled kernel on a CSR matrix; the result does not depend on it.

    Returns
    -------
    array of shape (m, k)
        See `bounded_solutions`; zeros for a row without weights.
    """
    return bounded_solutions(gram_rows(W, F), T @ F, ridge, start)


def bounded_solutions(G: Any, b: Any, ridge: Any, start: Any) -> Any:
    """Lower ``u'G u / 2 - b'u + ridge |u|^2 / 2`` over ``u >= 0`` for each row, from ``start``.

    Parameters
    ----------
    G : array of shape (m, k, k)
        Gram matrix of each row.
    b, start : arrays of shape (m, k)
        Linear terms and first guesses.
    ridge : array of shape (m,)
        Ridge of each row.

    Returns
    -------
    array of shape (m, k)
        Never a higher value than ``max(start, 0)`` has.
    """
    xp, k = namespace_of(G), G.shape[1]
    columns = [xp.clip(start[:, c], 0.0, None) for c in range(k)]
    bends = [G[:, c, c] + ridge for c in range(k)]
    tiny = xp.finfo(G.dtype).smallest_normal
    going = xp.ones_like(ridge) > 0
    for _ in range(PASSES):
        change, size = xp.zeros_like(ridge), xp.zeros_like(ridge)
        for c in range(k):
            slope = ridge * columns[c] - b[:, c]
            for d in range(k):
                slope = slope + G[:, c, d] * columns[d]
            safe = xp.where(bends[c] > tiny, bends[c], xp.ones_like(ridge))
            moved = xp.clip(columns[c] - slope / safe, 0.0, None)
            moved = xp.where(bends[c] > tiny, moved, xp.zeros_like(moved))
            moved = xp.where(going, moved, columns[c])
            change = xp.maximum(change, xp.abs(moved - columns[c]))
            size = xp.maximum(size, moved)
            columns[c] = moved
        going = change > ENOUGH * size
        if not bool(xp.any(going)):
            break
    return xp.stack(columns, axis=1)
