"""Coordinate descent over rows and over groups of coefficients: the specification."""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.generic import swept
from skopt_dl.kernels.namespace import namespace_of


def row_epochs(model: Any, order: Any, n_epochs: int, target: float) -> tuple[int, float]:
    """Coordinate descent on a `RowModel`, in place on its ``W``, ``U`` and ``c``.

    A sweep over all rows is followed by sweeps over the nonzero ones; each is an epoch.

    Parameters
    ----------
    model : RowModel
        Columns, weights and penalty; see its docstring for the letters.
    order : array of int, shape (p,)
        Rows in the order of one epoch.
    n_epochs : int
        Epochs at most.
    target : float
        End early when the indicator of a full sweep is at or below it.

    Returns
    -------
    n_done : int
        Epochs done.
    indicator : float
        Largest ``sqrt(L_j) |change of W_j|`` of the last full sweep.
    """
    m = model
    xp, done = m.xp, 0
    order = [int(j) for j in order]
    while done < n_epochs:
        active = m.active_left > 0
        indicator = 0.0
        for j in order:
            old, lipschitz = xp.asarray(m.W[j, :], copy=True), m.curvature[j]
            if active and not xp.any(old != 0):
                continue
            if not lipschitz > 0:
                if m.l1 + m.l2 > 0:
                    m.W[j, :] = 0
                continue
            x = m.column(j)
            g = x @ m.U + m.c * m.hx[j]
            new = m.penalty.prox_row(old + g / lipschitz, 1 / lipschitz, j)
            change = new - old
            size = float(xp.linalg.vector_norm(change))
            if size > 0:
                m.W[j, :] = new
                m.U -= (m.h * x)[:, None] * change
                m.c = m.c + change * m.mean[j]
                indicator = max(indicator, size * float(lipschitz) ** 0.5)
        done += 1
        if swept(m, active, indicator, target):
            break
    return done, m.full_indicator


def gram_row_epochs(
    G: Any, C: Any, W: Any, l1: float, l2: float, n_epochs: int, target: float
) -> tuple[int, float]:
    """Coordinate descent over rows of which all inner products are known, in place.

    The objective is ``1/2 |T - B W|^2 + l1 sum_j |W_j| + l2/2 |W|^2``.

    Parameters
    ----------
    G : array of shape (p, p)
        ``B'B``; its rows are contiguous.
    C : array of shape (K, p)
        ``(T - B W)'B`` at the given ``W``; kept so.
    W : array of shape (p, K)
        Coefficients.
    l1, l2 : float
        Strengths.
    n_epochs : int
        Sweeps at most.
    target : float
        End when the indicator of a sweep is at or below it.

    Returns
    -------
    n_done : int
        Sweeps done.
    indicator : float
        Largest ``sqrt(G_jj) |change of W_j|`` of the last sweep.
    """
    xp, done, moved = namespace_of(G), 0, 0.0
    while done < n_epochs:
        moved = 0.0
        for j in range(W.shape[0]):
            old, L = xp.asarray(W[j, :], copy=True), G[j, j]
            if not L > 0:
                if l1 + l2 > 0:
                    W[j, :] = 0
                continue
            g = C[:, j] + L * old
            norm = xp.linalg.vector_norm(g)
            new = (1 - l1 / norm) / (L + l2) * g if norm > l1 else 0 * g
            change = new - old
            size = float(xp.linalg.vector_norm(change))
            if size > 0:
                W[j, :] = new
                C -= change[:, None] * G[j, :]
                moved = max(moved, size * float(L) ** 0.5)
        done += 1
        if moved <= target:
            break
    return done, moved


def block_epochs(model: Any, order: Any, n_epochs: int, target: float) -> tuple[int, float]:
    """Block coordinate descent on a `BlockModel`, in place on its ``w``, ``u`` and ``c``.

    As `row_epochs`, with the blocks ``order`` and their Lipschitz constants.
    """
    m, done = model, 0
    xp = m.xp
    while done < n_epochs:
        active = m.active_left > 0
        indicator = 0.0
        for b in map(int, order):
            at, X, lipschitz = m.members[b], m.columns[b], m.lipschitz[b]
            old = xp.take(m.w, at)
            if active and not xp.any(old != 0):
                continue
            if not lipschitz > 0:
                m.put(b, m.prox_block(old, float("inf"), b))
                continue
            g = X.rmatvec(m.u) + m.c * xp.take(m.hx, at)
            new = m.prox_block(old + g / lipschitz, 1 / lipschitz, b)
            change = new - old
            size = float(xp.linalg.vector_norm(change))
            if size > 0:
                m.put(b, new)
                m.u -= m.h * X.matvec(change)
                m.c = m.c + xp.take(m.mean, at) @ change
                indicator = max(indicator, size * lipschitz**0.5)
        done += 1
        if swept(m, active, indicator, target):
            break
    return done, m.full_indicator
