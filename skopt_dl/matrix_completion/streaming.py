r"""New rows for a fitted model: folded in, then the columns solve the equations of all rows.

Each column j is a ridge regression on the factors of the rows that have an entry in it,

.. math::

    G_j = \sum_i \omega_{ij} \big(f_i f_i' + \operatorname{diag} s_i\big), \qquad
    b_j = \sum_i \omega_{ij} f_i (x_{ij} - \dots), \qquad
    q_j = (G_j + \operatorname{diag} \rho_j)^{-1} (b_j + \operatorname{diag}(\rho_j)\, \nu)

with :math:`\nu` the mean of the columns' prior (zero where none is learned), f the features of a
row and s their variances, where the model has them. G and b are sums over rows: those of a batch
are added, at the factors that its rows have when they come, and the rows themselves are forgotten
(the past is summarised as in J. Mairal, F. Bach, J. Ponce, G. Sapiro, "Online learning for matrix
factorization and sparse coding", JMLR 11, 2010).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skopt_dl._sklearn.arrays import put_beside
from skopt_dl.kernels.generic_nonnegative import bounded_solutions
from skopt_dl.kernels.namespace import namespace_of, to_float, to_numpy
from skopt_dl.matrix_completion.columns import Columns, Rows, biases
from skopt_dl.matrix_completion.observed import ObservedMatrix
from skopt_dl.matrix_completion.pairs import positions
from skopt_dl.matrix_completion.prepared import Prepared
from skopt_dl.matrix_completion.problem import FactorProblem
from skopt_dl.matrix_completion.training import Training


@dataclass(frozen=True)
class Equations:
    """The normal equations of all columns.

    Attributes
    ----------
    G : array of shape (n, kq, kq)
    b : array of shape (n, kq)
    """

    G: Any
    b: Any


def check_streams(model: Any) -> None:
    """Raise unless the equations of columns summarise what the rows say.

    Raises
    ------
    ValueError
        For a robust loss, whose weights change with the columns, for draws of the posterior, and
        for models without row factors.
    """
    columns, found = model._columns, None
    if columns.robust is not None:
        found = "a robust loss, whose weights change with the columns; use loss='squared'"
    elif columns.draws is not None:
        found = f"solver={model.solver_!r}, which keeps draws of the columns; use solver='vb'"
    elif columns.eta is not None:
        found = "noise='rows', where the new rows' noise would count; use noise='common'"
    elif not hasattr(model, "row_factors_"):
        found = "a model that keeps no row factors; fit it on data in memory"
    if found is not None:
        raise ValueError(
            "MatrixCompletion.partial_fit adds up normal equations of columns and cannot go on "
            f"from {found}, or call fit on all rows"
        )


def adds_up(estimator: Any) -> bool:
    """Whether ``partial_fit`` exists: the loss has normal equations."""
    if estimator.loss == "squared":
        return True
    raise AttributeError(
        "MatrixCompletion.partial_fit adds up normal equations of columns, and "
        f"loss={estimator.loss!r} has weights that change with them; use loss='squared', or fit"
    )


def equations_of(columns: Columns, observed: ObservedMatrix, copies: Any = None) -> Equations:
    """The sums over these rows (in units of the columns), folded in."""
    return _summed(columns, observed, columns.fold_in(observed, copies))


def _summed(columns: Columns, observed: ObservedMatrix, rows: Rows) -> Equations:
    xp, obs = observed.xp, columns.centred(observed)
    f = FactorProblem(obs, columns.k, columns.alpha, **biases(columns.bias))
    H = f.of_cols(rows.left)
    fixed = slice(f.k, f.kp)
    target = obs.values - obs.products(rows.left[:, fixed], rows.right[:, fixed])
    G = obs.gram_cols(H)
    if rows.left_spread is not None:
        G = G + _diagonal(xp, obs.pattern_t @ f.of_cols(rows.left_spread))
    return Equations(G, obs.matrix_t(target) @ H)


def expected_equations(model: Any) -> Equations:
    """For a model whose rows were forgotten: each column has the mean over all rows.

    Its right side is the one for which the column is the solution.
    """
    columns, weight = model._columns, model._row_weight
    xp, P, Q = namespace_of(columns.Q), model._rows_parameters(), columns.Q
    k, ones = columns.k, namespace_of(columns.Q).ones_like(P[:, :1])
    H = xp.concat([P[:, :k], ones], axis=1) if columns.bias in ("cols", "both") else P[:, :k]
    share = weight / xp.sum(weight)
    mean = H.T @ (share[:, None] * H)
    draws = model._draws
    if draws is not None:
        S = draws.S[0, :, :k]
        spread = xp.concat([S, 0 * ones], axis=1) if H.shape[1] > k else S
        mean = mean + _diagonal(xp, (share @ spread)[None, :])[0, :, :]
    G = columns.weight[:, None, None] * mean[None, :, :]
    ridge = _ridge(columns, xp.sum(columns.weight))
    return Equations(G, (G @ Q[:, :, None])[:, :, 0] + ridge * (Q - _centre(columns)))


def grown(model: Any, equations: Equations, training: Training) -> dict[str, Any]:
    """The attributes of the model after these rows, its new equations among them."""
    columns, col_ids = model._columns, training.col_ids
    draws = model._draws
    if col_ids is not None and len(col_ids) > len(model.col_ids_):
        columns, equations = _widened(columns, equations, model.col_ids_, col_ids)
    observed = training.observed.converted(columns.Q.dtype)
    observed.n_threads = model._threads()
    observed = columns.in_units(observed)
    xp, copies = observed.xp, training.row_copies
    new = equations_of(columns, observed, copies)
    equations = Equations(equations.G + new.G, equations.b + new.b)
    columns = replace(columns, weight=columns.weight + observed.col_weight)
    row_weight = xp.concat([model._row_weight, observed.row_weight])
    if columns.constant is not None:
        constant = to_float(xp.sum(row_weight)) / row_weight.shape[0]
        columns = replace(columns, constant=constant)
    columns = _solved(columns, equations, xp.sum(row_weight))
    rows, k = columns.fold_in(observed, copies), columns.k
    data = Prepared(training, observed, columns.scale, columns.mean)
    order = None
    known: dict[str, Any] = {}
    if col_ids is not None:
        ids = np.concatenate([model.row_ids_, training.row_ids])
        order = np.argsort(ids)
        known = {"row_ids_": ids[order], "col_ids_": col_ids}
        order = put_beside(columns.Q, order)

    def joined(old: Any, more: Any) -> Any:
        whole = xp.concat([old, more])
        return whole if order is None else xp.take(whole, order, axis=0)

    if draws is not None:
        P, S = joined(draws.P[0, :, :], rows.P), joined(draws.S[0, :, :], rows.spread)
        draws = replace(
            draws,
            P=P[None, :, :],
            S=S[None, :, :],
            Q=columns.Q[None, :, :],
            T=columns.spread[None, :, :],
        )
    if model.add_indicator:
        gaps = np.flatnonzero(training.gaps())
        known["indicator_features_"] = np.union1d(model.indicator_features_, gaps)
    return known | {
        "components_": xp.asarray(columns.Q[:, :k].T, copy=True),
        "col_bias_": xp.sum(columns.Q[:, k:], axis=1),
        "row_factors_": joined(model.row_factors_, rows.P[:, :k]),
        "row_bias_": joined(model.row_bias_, xp.sum(rows.P[:, k:], axis=1)),
        "_columns": columns,
        "_draws": draws,
        "_row_weight": joined(model._row_weight, observed.row_weight),
        "_range": _widest(model._range, data.limits(model.clip)),
        "_equations": equations,
    }


def _solved(columns: Columns, equations: Equations, total: Any) -> Columns:
    """The columns that solve the equations, those without entries as they are."""
    xp, G, b = namespace_of(columns.Q), equations.G, equations.b
    ridge, known = _ridge(columns, total), columns.seen[:, None]
    b = b + ridge * _centre(columns)
    diagonal = xp.linalg.diagonal(G)
    if columns.positive:
        Q = bounded_solutions(G, b, ridge[:, 0], columns.Q)
        return replace(columns, Q=xp.where(known, Q, columns.Q))
    # As the kernels have it: regular also where few rows have been seen.
    least = 4 * G.shape[1] * xp.finfo(G.dtype).eps * xp.sum(diagonal, axis=1)
    shift = xp.maximum(ridge, least[:, None])
    shift = xp.where(shift > 0, shift, xp.ones_like(shift))
    Q = xp.linalg.solve(G + _diagonal(xp, shift), b[:, :, None])[:, :, 0]
    Q = xp.where(known, Q, columns.Q)
    if columns.tau is None:
        return replace(columns, Q=Q)
    precision = xp.where(known, columns.tau * (diagonal + ridge), xp.ones_like(Q))
    return replace(columns, Q=Q, spread=xp.where(known, 1 / precision, columns.spread))


def _ridge(columns: Columns, total: Any) -> Any:
    """The ridge of each coordinate of each column, an array of shape (n, kq)."""
    xp, Q = namespace_of(columns.Q), columns.Q
    if columns.tau is not None:
        return xp.zeros_like(Q) + (columns.delta / columns.tau)[None, :]
    weight = columns.weight
    if columns.constant is not None:
        weight = xp.where(columns.seen, xp.zeros_like(weight) + total / Q.shape[0], 0 * weight)
    return xp.zeros_like(Q) + (columns.alpha * weight)[:, None]


def _centre(columns: Columns) -> Any:
    """Where columns are that nothing is known of, an array that broadcasts to ``columns.Q``."""
    return 0 * columns.Q[:1, :] if columns.nu is None else columns.nu[None, :]


def _widened(columns: Columns, equations: Equations, old: Any, new: Any) -> Any:
    """With columns for the ids ``new``, ``old`` among them, that nothing is known of."""
    place, found = (put_beside(columns.Q, a) for a in positions(new, old))
    xp = namespace_of(columns.Q)

    def spread(a: Any, fill: Any) -> Any:
        taken = xp.take(a, place, axis=0)
        there = xp.reshape(found, (-1,) + (1,) * (a.ndim - 1))
        return xp.where(there, taken, xp.zeros_like(taken) + fill)

    variances = columns.spread
    if variances is not None:
        variances = spread(variances, (1 / columns.delta)[None, :])
    columns = replace(
        columns,
        Q=spread(columns.Q, _centre(columns)),
        spread=variances,
        weight=spread(columns.weight, 0.0),
        scale=spread(columns.scale, 1.0),
    )
    return columns, Equations(spread(equations.G, 0.0), spread(equations.b, 0.0))


def _diagonal(xp: Any, rows: Any) -> Any:
    """A diagonal matrix for each row."""
    eye = xp.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)
    return rows[:, :, None] * eye


def _widest(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return other
    return min(one[0], other[0]), max(one[1], other[1])


def check_new_rows(row_ids: Any, known: Any) -> None:
    """Raise if one of the ids of a batch of pairs is known already.

    Raises
    ------
    ValueError
        With the first of them.
    """
    _, found = positions(row_ids, known)
    if bool(np.any(found)):
        raise ValueError(
            f"MatrixCompletion.partial_fit takes new rows, but row {to_numpy(row_ids)[found][0]} "
            "is known already, and its earlier entries are not kept; give all entries of a row in "
            "one call, or fit on all pairs"
        )
