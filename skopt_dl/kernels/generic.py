"""Every kernel in plain array code: the specification, and what runs where nothing is compiled.

A kernel works in place on the arrays named in its docstring and returns plain numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels.namespace import namespace_of, to_numpy


def cd_epochs(model: Any, order: Any, n_epochs: int, target: float) -> tuple[int, float]:
    """Coordinate descent on a `CoordinateModel`, in place on its ``w``, ``u`` and ``c``.

    A sweep over all coordinates is followed by sweeps over the nonzero ones; each is an epoch.

    Parameters
    ----------
    model : CoordinateModel
        Columns, weights and penalty; see its docstring for the letters.
    order : array of int
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
        if swept(m, active, indicator, target):
            break
    return done, m.full_indicator


def swept(m: Any, active: bool, indicator: float, target: float) -> bool:
    """Decide what follows a sweep whose largest step was ``indicator``; whether it was the last."""
    if active:
        m.active_left = m.active_left - 1 if indicator > m.AGAIN * m.full_indicator else 0
        return False
    m.full_indicator, m.active_left = indicator, m.MAX_ACTIVE
    return indicator <= target


def column_moments(map_: Any, h: Any) -> tuple[Any, Any]:
    """``sum_i h_i x_ij`` and ``sum_i h_i x_ij^2`` of the columns j of a `Dense` or `Sparse` map."""
    return map_.column_sums(h), map_.column_squares(h)


def sparse_products(columns: Any, weights: Any, rows: Any) -> Any:
    """``A' diag(weights) B`` as a dense array, of sparse matrices: ``columns`` A is in CSC form and
    ``rows`` B in CSR form."""
    return (columns.T @ rows.multiply(weights[:, None]).tocsr()).toarray()


def sparse_gram(rows: Any, weights: Any) -> Any:
    """``A' diag(weights) A`` as a dense array, of a sparse matrix in CSR form, indices sorted."""
    return sparse_products(rows.tocsc(), weights, rows)


def column_dots(columns: Any, r: Any, chosen: Any = None) -> Any:
    """``A' r`` of a sparse matrix in CSC form and a vector, or of an array and few vectors; of the
    columns of an array that are ``chosen`` by their index."""
    if chosen is not None:
        columns = namespace_of(columns).take(columns, chosen, axis=1)
    return columns.T @ r


def column_sum(columns: Any, w: Any) -> Any:
    """``A w`` of an array or a sparse matrix in CSC form, and a vector of finite numbers."""
    return columns @ w


def lower_factor(G: Any) -> Any:
    """The lower Cholesky factor of a symmetric matrix, which may be written over.

    Raises
    ------
    numpy.linalg.LinAlgError
        If it has none.
    """
    return namespace_of(G).linalg.cholesky(G)


def index_range(n: int) -> Any:
    """``0 .. n-1`` on the host: the order in which a kernel visits things."""
    return np.arange(n, dtype=np.intp)


def draw_indices(rng: Any, n: int, cumulative: Any = None) -> Any:
    """``n`` independent indices below ``n`` on the host, even or by their probabilities' sums."""
    uniform = rng.random(n)
    if cumulative is None:
        return np.minimum((uniform * n).astype(np.intp), n - 1)
    drawn = np.searchsorted(to_numpy(cumulative), uniform, side="right")
    return np.minimum(drawn, n - 1).astype(np.intp)


def saga_steps(model: Any, order: Any) -> None:
    """SAGA on a `SampleModel`, one step per index of ``order``; in place on ``W, b``, the table
    and the averages.

    With the slopes s of the sample now and t in the table, and d = s - t:

        V = W - step (boost_i (x_i - m) d' + reach average),   average += (x_i - m) d' / n,
        W = prox(V)

    on the columns of row i alone where the model is lazy (then ``reach`` > 1 makes up for the draws
    that miss a column), on all columns otherwise.
    """
    m = model
    for i in map(int, order):
        columns, x, d = _reduced_step(m, i)
        m.table[i, :] = m.table[i, :] + d
        m.average[columns, :] = m.average[columns, :] + x[:, None] * d / m.n
        if m.intercept:
            m.average_b = m.average_b + d / m.n


def svrg_steps(model: Any, order: Any) -> None:
    """SVRG on a `SampleModel`: the steps of `saga_steps`, with a table that stays as it is."""
    for i in map(int, order):
        _reduced_step(model, i)


def _reduced_step(m: Any, i: int) -> tuple[Any, Any, Any]:
    """A variance-reduced step on sample i: ``(columns, row, d)``."""
    columns, x = m.row(i)
    W = m.W[columns, :]
    d = m.slope(i, x @ W + m.b) - m.table[i, :]
    grad = m.boost[i] * (x[:, None] * d)
    V = W - m.step * (grad + m.reach[columns][:, None] * m.average[columns, :])
    m.W[columns, :] = m.prox(V, columns)
    if m.intercept:
        m.b = m.b - m.step * (m.boost[i] * d + m.average_b)
    return columns, x, d


def sag_steps(model: Any, order: Any) -> None:
    """SAG on a `SampleModel` with a smooth penalty; in place as `saga_steps`.

    With the same d: average += (x_i - m) d' / n, then W -= step (average + penalty gradient), for
    all columns. The compiled sparse twin catches up on the missed steps of a column when a row
    touches it.
    """
    m = model
    for i in map(int, order):
        columns, x = m.row(i)
        slope = m.slope(i, x @ m.W[columns, :] + m.b)
        d = slope - m.table[i, :]
        m.table[i, :] = slope
        m.average[columns, :] = m.average[columns, :] + x[:, None] * d / m.n
        m.W[...] = m.W - m.step * (m.average + m.penalty_grad())
        if m.intercept:
            m.average_b = m.average_b + d / m.n
            m.b = m.b - m.step * m.average_b


def dual_epoch(model: Any, order: Any) -> float:
    """Dual coordinate ascent on a `DualModel`, a step per index of ``order``; in place on ``u, v``.

    With the raw prediction z of the sample: zhat = prox of sigma times the loss at z + sigma u,
    then u = (z + sigma u - zhat) / sigma. Returns the largest change of a dual variable.
    """
    m, largest = model, 0.0
    for i in map(int, order):
        if not m.omega[i] > 0:
            continue
        columns, x = m.row(i)
        old = m.u[i, :]
        d = m.best(i, x @ m.coefficients(columns) + m.sigma[i] * old) - old
        m.u[i, :] = old + d
        m.v[columns, :] = m.v[columns, :] - m.omega[i] * (x[:, None] * d)
        largest = max(largest, float(m.xp.max(m.xp.abs(d))))
    return largest


def hogwild_steps(model: Any, order: Any, rate: float, halt: Any) -> None:
    """Plain stochastic gradient steps on a `SampleModel` with a ridge; in place on ``W, b``.

    With the slope s of sample i: W -= rate (boost x_i s' + reach l2 W) on the columns of the row,
    and b -= rate boost s. Threads may share the model; they end early where ``halt[0]`` is set.
    """
    m = model
    for i in map(int, order):
        if halt[0]:
            break
        columns, x = m.row(i)
        W = m.W[columns, :]
        s = rate * m.boost[i] * m.slope(i, x @ W + m.b)
        shrink = rate * m.reach[columns][:, None] * m.l2[columns, :]
        m.W[columns, :] = W - (x[:, None] * s + shrink * W)
        if m.intercept:
            m.b[...] = m.b - s


def two_loop(pairs: Any, scale: Any, g: Any) -> Any:
    """``H g`` of the inverse Hessian that BFGS updates make of ``scale I``; a new array.

    Parameters
    ----------
    pairs : sequence of (array, array, 0-d array)
        ``(s, y, 1 / s'y)``, the oldest first.
    scale : float or 0-d array
        What the identity is multiplied by.
    g : array of shape (p,)
        The vector.
    """
    q, weights = g, []
    for s, y, rho in reversed(pairs):
        weight = rho * (s @ q)
        weights.append(weight)
        q = q - weight * y
    q = scale * q
    for (s, y, rho), weight in zip(pairs, reversed(weights), strict=True):
        q = q + (weight - rho * (y @ q)) * s
    return q


def inner_products(X: Any) -> Any:
    """``X'X``.

    Parameters
    ----------
    X : array of shape (n, p)
        In any order.

    Returns
    -------
    array of shape (p, p)
        New, and symmetric at least to rounding.
    """
    return X.T @ X
