"""Coordinate descent on single entries of a matrix of coefficients, in plain array code."""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.generic import swept


def entry_epochs(model: Any, n_epochs: int, target: float) -> tuple[int, float]:
    """Coordinate descent on an `EntryModel`, in place on its ``v``, ``D``, ``s`` and ``b``.

    A sweep over all entries of the model is followed by sweeps over the nonzero ones; each is an
    epoch and ends with an exact step of the intercepts.

    Parameters
    ----------
    model : EntryModel
        See its docstring for the letters.
    n_epochs : int
        Epochs at most.
    target : float
        End early when the indicator of a full sweep is at or below it.

    Returns
    -------
    n_done : int
        Epochs done.
    indicator : float
        Largest ``sqrt(L_e) |change of v_e|`` of the last full sweep.
    """
    m = model
    xp, done = m.xp, 0
    while done < n_epochs:
        active = m.active_left > 0
        indicator = 0.0
        for e in range(m.v.shape[0]):
            old, L = m.v[e], m.curvature[e]
            if active and old == 0:
                continue
            j, k = int(m.columns[e]), int(m.outputs[e])
            x = m.map.column(j)
            slope = m.slope[e] + x @ (m.Q[:, k] * (m.D[:, k] - m.s))
            size = L * old - slope
            least = size if m.positive else xp.abs(size)
            new = xp.maximum(least - m.l1[e], xp.zeros_like(least)) / (L + m.l2[e])
            new = -new if size < 0 else new
            change = new - old
            if change != 0:
                m.v[e] = new
                m.D[:, k] += change * x
                m.s += change * (m.P[:, k] * x)
                indicator = max(indicator, float(xp.abs(change) * xp.sqrt(L)))
        if m.b is not None:
            step = -(m.inverse @ (m.slope_b + xp.sum(m.Q * (m.D - m.s[:, None]), axis=0)))
            m.b += step
            m.D += step
            m.s += m.P @ step
        done += 1
        if swept(m, active, indicator, target):
            break
    return done, m.full_indicator
