r"""Proximal operators of penalties on single coefficients and on groups: specification of their
compiled forms.

.. math:: \operatorname{prox}(v) = \operatorname{argmin}_w\ \tfrac{1}{2 s} |w - v|^2 + \Omega(w)

for each coefficient, whose steps s and strengths are numbers or arrays with an entry for each; or
for each group of coefficients, with one step for all of them.
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.namespace import namespace_of


def soft_threshold(v: Any, t: Any) -> Any:
    """``sign(v) max(|v| - t, 0)``."""
    xp = namespace_of(v)
    return xp.sign(v) * xp.clip(xp.abs(v) - t, 0, None)


def prox_elastic_net(v: Any, step: Any, l1: Any, l2: Any, positive: bool) -> Any:
    """Of ``l1 |w| + l2 w^2 / 2``, with ``w >= 0`` on request."""
    if positive:
        shrunk = namespace_of(v).clip(v - step * l1, 0, None)
    else:
        shrunk = soft_threshold(v, step * l1)
    return shrunk / (1 + step * l2)


def prox_rows(v: Any, k: int, step: Any, l1: Any, l2: Any) -> Any:
    """Of ``l1 |W_j|_2 + l2 |W_j|^2 / 2`` for every row j of ``k`` coefficients, side by side in
    ``v``."""
    xp = namespace_of(v)
    rows = xp.reshape(v, (-1, k))
    norms = xp.linalg.vector_norm(rows, axis=1, keepdims=True)
    shrunk = xp.reshape(_left(norms, step * l1) * rows, (-1,))
    return shrunk / (1 + step * l2)


def prox_groups(v: Any, step: Any, strengths: Any, members: Any, present: Any, group: Any) -> Any:
    """Of ``sum_g strengths_g |w_g|_2``.

    Parameters
    ----------
    v : array of shape (p,)
        The coefficients.
    step : float or 0-d array
        The one step.
    strengths : array of shape (n_groups,)
        A strength for each group.
    members : array of int of shape (n_groups, longest)
        The coefficients of each group, filled up with any.
    present : array of shape (n_groups, longest)
        1 for a member, 0 for what a row is filled up with.
    group : array of int of shape (p,)
        The group of each coefficient.
    """
    xp = namespace_of(v)
    entries = xp.reshape(xp.take(v, xp.reshape(members, (-1,))), members.shape)
    norms = xp.linalg.vector_norm(entries * present, axis=1)
    return v * xp.take(_left(norms, step * strengths), group)


def _left(norms: Any, threshold: Any) -> Any:
    """What a shrinkage of norms by ``threshold`` leaves, as a share."""
    xp = namespace_of(norms)
    longer = norms > threshold
    safe = xp.where(longer, norms, xp.ones_like(norms))
    return xp.where(longer, 1 - threshold / safe, xp.zeros_like(norms))


def prox_mcp(v: Any, step: Any, alpha: Any, gamma: float) -> Any:
    """Of the minimax concave penalty.

    It shrinks up to the flat part; a longer step makes the shrunk part concave, and then what is
    left is to keep ``v`` or to drop it.
    """
    xp = namespace_of(v)
    step, size = step + 0 * v, xp.abs(v)
    short = step < gamma
    room = xp.where(short, 1 - step / gamma, xp.ones_like(v))
    shrunk = soft_threshold(v, step * alpha) / room
    inner = xp.where(short & (size <= gamma * alpha), shrunk, v)
    dropped = ~short & (size <= xp.sqrt(gamma * step) * alpha)
    return xp.where(dropped, xp.zeros_like(v), inner)


def scad(size: Any, alpha: Any, a: float) -> Any:
    """Smoothly clipped absolute deviation at coefficients of absolute values ``size``."""
    xp = namespace_of(size)
    low = xp.minimum(size, alpha + xp.zeros_like(size))
    middle = xp.clip(xp.minimum(size, a * alpha + xp.zeros_like(size)) - alpha, 0, None)
    return alpha * (low + middle) - middle**2 / (2 * (a - 1))


def prox_scad(v: Any, step: Any, alpha: Any, a: float) -> Any:
    """Of smoothly clipped absolute deviation.

    Three pieces for a short step. A longer one makes the middle piece concave; the better one of
    the minimisers on the two others is then the answer.
    """
    xp = namespace_of(v)
    step, size = step + 0 * v, xp.abs(v)
    soft = xp.clip(size - step * alpha, 0, None)
    short = step < a - 1
    room = xp.where(short, a - 1 - step, xp.ones_like(v))
    middle = ((a - 1) * size - a * step * alpha) / room
    three = xp.where(size <= a * alpha, middle, size)
    three = xp.where(size <= (1 + step) * alpha, soft, three)
    low = xp.minimum(soft, alpha + xp.zeros_like(v))
    high = xp.maximum(size, a * alpha + xp.zeros_like(v))

    def cost(t: Any) -> Any:
        return step * scad(t, alpha, a) + 0.5 * (t - size) ** 2

    two = xp.where(cost(low) <= cost(high), low, high)
    return xp.sign(v) * xp.where(short, three, two)
