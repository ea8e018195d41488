"""Every kernel in plain array code: the specification, and what runs where nothing is compiled.

A kernel works in place on the arrays named in its docstring and returns plain numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def cd_epochs(model: Any, order: Any, n_epochs: int, target: float) -> tuple[int, float]:
    """Coordinate descent on a `CoordinateModel`, in place on its ``w``, ``u`` and ``c``.

    A sweep over all coordinates is followed by sweeps over the nonzero ones; each is an epoch.

    Parameters
    ----------
    model : CoordinateModel
        Columns, weights and penalty; see its docstring for the letters.
    order : array of int, shape (p,)
        Coordinates in the order of one epoch.
    n_epochs : int
        Epochs at most.
    target : float
        End early when the indicator of a full sweep is at or below it.

    Returns
    -------
    n_done : int
        Epochs done.
    indicator : float
        Largest ``sqrt(L_j) |change of w_j|`` of the last full sweep, the size of the step in the
        objective's metric.
    """
    m = model
    xp, w = m.xp, m.w
    order = [int(j) for j in order]
    done = 0
    while done < n_epochs:
        active = m.active_left > 0
        indicator = 0.0
        for j in order:
            old, lipschitz = w[j], m.curvature[j]
            if active and old == 0:
                continue
            if not lipschitz > 0:
                if old != 0 and m.l1[j] + m.l2[j] > 0:
                    w[j] = 0
                continue
            x = m.column(j)
            g = x @ m.u + m.c * m.hx[j]
            new = m.prox_coordinate(old + g / lipschitz, 1 / lipschitz, j)
            change = new - old
            if change != 0:
                w[j] = new
                m.u -= change * (m.h * x)
                m.c = m.c + change * m.mean[j]
                indicator = max(indicator, float(xp.abs(change) * xp.sqrt(lipschitz)))
        done += 1
        if active:
            m.active_left = m.active_left - 1 if indicator > m.AGAIN * m.full_indicator else 0
        else:
            m.full_indicator, m.active_left = indicator, m.MAX_ACTIVE
            if indicator <= target:
                break
    return done, m.full_indicator


def index_range(n: int) -> Any:
    """``0 .. n-1`` on the host: the order in which a kernel visits things."""
    return np.arange(n, dtype=np.intp)
