r"""Steps that use one Gram matrix of a factor for all rows of the other.

What a row's own normal equations know, ``sum_j w_ij f_j f_j'``, is on average over the rows the
Gram matrix of all features f times the share of the entries that is observed. Such a step costs
O(q k) for q entries where exact ones cost O(q k^2), and forms no full matrix.
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.namespace import to_float


def _features(problem: Any, w: Any) -> tuple[Any, Any]:
    """Features of the rows' and of the columns' linear problems."""
    L, R = problem.factors(w)
    return problem.of_rows(R), problem.of_cols(L)


def _unit(problem: Any) -> float:
    """The largest curvature of the loss."""
    return 1.0 if problem.robust is None else problem.robust.unit


def gram_scaled(problem: Any, w: Any, g: Any, damping: float) -> Any:
    r"""``(g_P (F'F / mn + l I)^{-1}, g_Q (H'H / mn + l I)^{-1})``.

    F and H are the features of rows and columns, and l is ``damping`` times the smallest eigenvalue
    of both Gram matrices, plus the mean penalty.
    """
    xp, (m, n) = problem.xp, problem.observed.shape
    unit = _unit(problem) / (m * n)
    spectra = [xp.linalg.eigh(unit * (F.T @ F)) for F in _features(problem, w)]
    shares = (problem.row_penalty, problem.col_penalty)
    tiny = float(xp.finfo(problem.dtype).eps)
    parts = []
    for (size, axes), share, part in zip(spectra, shares, problem.unpack(g), strict=True):
        top = to_float(size[-1])
        ridge = problem.alpha * to_float(xp.mean(share) / problem.observed.total)
        ridge += damping * max(to_float(size[0]), 0.0) + tiny * (top if top > 0 else 1.0)
        parts.append((part @ axes) / (xp.clip(size, 0.0, None) + ridge) @ axes.T)
    return problem.pack(*parts)


def majorised_solve(problem: Any, w: Any, block: str) -> None:
    r"""Minimise over one block, in place, with every cell of the matrix as an observation.

    Cells that are not observed have the model's present value, observed ones are moved from it by
    the slope of their loss over its largest curvature c: a bound of the objective that touches it
    at ``w``. For the columns it is

    .. math:: Q^+ = \operatorname{argmin}_Q \tfrac c2 |H Q' - H Q_0' + S / c|^2
        + \tfrac\alpha2 \sum_j \kappa_j |q_j|^2

    with H the features of the columns and S the slopes on the observed entries.
    """
    xp, obs = problem.xp, problem.observed
    f, h = _features(problem, w)
    c = to_float(xp.max(obs.weights)) * _unit(problem)
    S = problem.slopes(problem.residual(w))
    if block == "rows":
        F, moved, share = f, obs.matrix(S) @ f, problem.row_penalty
    else:
        F, moved, share = h, obs.matrix_t(S) @ h, problem.col_penalty
    place = problem.blocks[block]
    before = xp.reshape(w[place], problem.shapes[block])
    size, axes = xp.linalg.eigh(F.T @ F)
    size = xp.clip(size, 0.0, None)
    tiny = float(xp.finfo(problem.dtype).eps) * size[-1] + float(xp.finfo(w.dtype).smallest_normal)
    # The change d of a row solves d (F'F + r I) = -moved / c - r before, in the axes of F'F.
    ridge = (problem.alpha / c) * share[:, None]
    change = -((moved / c + ridge * before) @ axes) / (size[None, :] + ridge + tiny)
    w[place] = xp.reshape(before + change @ axes.T, (-1,))
