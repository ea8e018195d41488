"""Networks that differ by the order of their hidden units alone, brought into one order."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from skopt_dl.kernels.namespace import to_numpy


def align_units(problem: Any, w: Any, like: Any, *, max_turns: int = 50) -> Any:
    r"""The network ``w`` with its hidden units in the order that is nearest to ``like``.

    A permutation of the units of a layer, of its incoming columns and outgoing rows, does not
    change what a network computes. Layer by layer, the permutation is taken that makes the inner
    product of the two parameter vectors largest (an assignment problem), until none changes.

    Parameters
    ----------
    problem : Problem
        Of a network: with its layout ``net``.
    w, like : array of shape (size,)
        Parameters of two networks.
    max_turns : int
        Turns through the layers at most.

    Returns
    -------
    aligned : array of shape (size,)
        A new array with the entries of ``w``.

    References
    ----------
    S. Ainsworth, J. Hayase, S. Srinivasa, "Git Re-Basin: merging models modulo permutation
    symmetries", ICLR 2023, section 3.2.
    """
    if not hasattr(problem, "net"):
        raise TypeError(f"align_units: {problem.description} is not the problem of a network")
    net = problem.net
    (coefs, intercepts), (theirs, their_intercepts) = (net.unpack(to_numpy(v)) for v in (w, like))
    for _ in range(max_turns):
        moved = False
        for k in range(len(coefs) - 1):
            overlap = theirs[k].T @ coefs[k] + theirs[k + 1] @ coefs[k + 1].T
            overlap += np.outer(their_intercepts[k], intercepts[k])
            order = linear_sum_assignment(overlap, maximize=True)[1]
            gain = overlap[np.arange(len(order)), order].sum() - np.trace(overlap)
            # Ties, up to rounding, are left: turns must end.
            if gain > 1e-12 * np.abs(overlap).sum():
                moved = True
                coefs[k], intercepts[k] = coefs[k][:, order], intercepts[k][order]
                coefs[k + 1] = coefs[k + 1][order, :]
        if not moved:
            break
    flat = np.concatenate([part.reshape(-1) for part in [*coefs, *intercepts]])
    return problem.xp.asarray(flat, dtype=problem.dtype, device=problem.device)
