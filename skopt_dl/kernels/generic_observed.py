"""Kernels on the observed entries of a matrix, in plain array code: the specification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skopt_dl.kernels.namespace import namespace_of

# Numbers in the largest temporary: bounds the memory of the array forms.
BLOCK = 2**22


def entry_products(rows: Any, cols: Any, L: Any, R: Any) -> Any:
    """The entries ``(L R')[rows, cols]`` without the other ones (a sampled dense-dense product).

    Parameters
    ----------
    rows, cols : arrays of int, shape (q,)
        Positions of the entries.
    L, R : arrays of shape (m, k) and (n, k)
        Factors.

    Returns
    -------
    array of shape (q,)
        One inner product per entry.
    """
    xp = namespace_of(L)
    return xp.sum(xp.take(L, rows, axis=0) * xp.take(R, cols, axis=0), axis=1)


def stored_products(entries: Any, L: Any, R: Any, n_threads: int = 1) -> Any:
    """`entry_products` at the positions of ``entries``, in CSR order.

    Parameters
    ----------
    entries : object
        With positions ``rows`` and ``cols``, and the bounds ``ptr`` of each row's entries.
    L, R : arrays of shape (m, k) and (n, k)
        Factors.
    n_threads : int
        Threads of a compiled kernel; the result does not depend on it.

    Returns
    -------
    array of shape (q,)
        One inner product per entry.
    """
    return entry_products(entries.rows, entries.cols, L, R)


def taken(E: Any, order: Any) -> Any:
    """``E[order]``; a compiled form makes no wider copy of the order.

    Parameters
    ----------
    E : array of shape (q,)
        Numbers.
    order : array of int, shape (q,)
        Which to take.

    Returns
    -------
    array of shape (q,)
        The numbers in this order.
    """
    return namespace_of(E).take(E, order)


def segment_sum(A: Any, index: Any, m: int) -> Any:
    """Sums of the rows of ``A`` that share an index: ``out[i] = sum of A[l] over index[l] == i``.

    Parameters
    ----------
    A : array of shape (q, k)
        Rows to add up.
    index : array of int, shape (q,)
        Where each row goes.
    m : int
        Rows of the result.

    Returns
    -------
    array of shape (m, k)
        The sums, zero where nothing goes.
    """
    # The array standard has no scatter-add: a product with the indicator matrix, block by block.
    xp = namespace_of(A)
    targets = xp.arange(m, dtype=index.dtype, device=A.device)[:, None]
    total = xp.zeros((m, A.shape[1]), dtype=A.dtype, device=A.device)
    each = max(1, BLOCK // max(1, m))
    for start in range(0, A.shape[0], each):
        stop = min(start + each, A.shape[0])
        indicator = xp.astype(targets == index[start:stop][None, :], A.dtype)
        total = total + indicator @ A[start:stop, :]
    return total


def ridge_rows(W: Any, T: Any, F: Any, ridge: Any, extra: Any = None, n_threads: int = 1) -> Any:
    r"""One ridge regression per row, all on the features ``F`` of the columns.

    .. math::

        u_i = \Big(\sum_j W_{ij} f_j f_j' + \operatorname{diag} \rho_i\Big)^{-1}
        \Big(\sum_j T_{ij} f_j + e_i\Big)

    Parameters
    ----------
    W, T : matrices of shape (m, n), dense or CSR
        Non-negative weights, and weights times targets; CSR ones share one sparsity structure.
    F : array of shape (n, k)
        Features of the columns.
    ridge : array of shape (m,) or (m, k)
        Ridge of each row, or of each of its coordinates. Raised to ``4 k eps trace`` where it is
        below, so that every system is numerically positive definite; a row without weights gives
        zeros.
    extra : array of shape (m, k), optional
        Additions e to the right-hand sides.
    n_threads : int
        Threads of a compiled kernel on a CSR matrix; the result does not depend on it.

    Returns
    -------
    array of shape (m, k)
        The solutions.
    """
    xp = namespace_of(F)
    n, k = F.shape
    outer = xp.reshape(F[:, :, None] * F[:, None, :], (n, k * k))
    ridge = ridge[:, None] if ridge.ndim == 1 else ridge
    parts = []
    for start, stop in row_blocks(W.shape[0], k * k):
        weights = W[start:stop, :]
        b = T[start:stop, :] @ F
        if extra is not None:
            seen = weights @ xp.ones((n, 1), dtype=F.dtype, device=F.device) > 0
            b = xp.where(seen, b + extra[start:stop, :], b)
        A = xp.reshape(weights @ outer, (stop - start, k, k))
        parts.append(_solved(A, b, ridge[start:stop, :]))
    return xp.concat(parts)


def _solved(A: Any, b: Any, ridge: Any) -> Any:
    """The rows' solutions of normal equations of shape (m, k, k), their ridge not below rounding's
    share of the trace."""
    xp, k = namespace_of(A), A.shape[1]
    floor = 4 * k * xp.finfo(A.dtype).eps * xp.linalg.trace(A)
    shift = xp.maximum(xp.broadcast_to(ridge, b.shape), floor[:, None])
    shift = xp.where(shift > 0, shift, xp.ones((), dtype=A.dtype, device=A.device))
    A = A + shift[:, :, None] * xp.eye(k, dtype=A.dtype, device=A.device)
    return xp.linalg.solve(A, b[:, :, None])[:, :, 0]


def ridge_groups(groups: Any, F: Any, ridge: Any, n_threads: int = 1) -> Any:
    r"""One ridge regression per group of entries, each of which has features of its own.

    .. math::

        u_i = \Big(\sum_{t \in i} \omega_t f_t f_t' + \rho_i\Big)^{-1}
        \sum_{t \in i} \omega_t x_t f_t

    It is `ridge_rows` where a row is a group and every column belongs to one.

    Parameters
    ----------
    groups : object
        The group of each entry, ``index``, with ``weights`` and ``targets``, the weights times x;
        and, for compiled kernels, both as CSR matrices, ``stored_weights`` and ``stored_targets``.
    F : array of shape (q, k)
        Features of the entries.
    ridge : array of shape (m,)
        Ridge of each group, as in `ridge_rows`.
    n_threads : int
        Threads of a compiled kernel; the result does not depend on it.

    Returns
    -------
    array of shape (m, k)
        The solutions, zero for a group without weights.
    """
    return grouped_solutions(groups, F, ridge, segment_sum)


def grouped_solutions(groups: Any, F: Any, ridge: Any, add: Callable[..., Any]) -> Any:
    """`ridge_groups` with the form of `segment_sum` to ``add`` by."""
    xp, m = namespace_of(F), ridge.shape[0]
    weighed = groups.weights[:, None] * F
    # A column of the matrices at a time: all of them of every entry are q k^2 numbers.
    columns = [add(weighed * F[:, c, None], groups.index, m) for c in range(F.shape[1])]
    b = add(groups.targets[:, None] * F, groups.index, m)
    return _solved(xp.stack(columns, axis=2), b, ridge[:, None])


def gram_rows(W: Any, F: Any) -> Any:
    r"""The matrices of `ridge_rows`: :math:`G_i = \sum_j W_{ij} f_j f_j'`.

    Parameters
    ----------
    W : matrix of shape (m, n), dense or CSR
        Non-negative weights.
    F : array of shape (n, k)
        Features of the columns.

    Returns
    -------
    array of shape (m, k, k)
        One symmetric matrix per row.
    """
    xp = namespace_of(F)
    n, k = F.shape
    outer = xp.reshape(F[:, :, None] * F[:, None, :], (n, k * k))
    parts = [W[start:stop, :] @ outer for start, stop in row_blocks(W.shape[0], k * k)]
    return xp.reshape(xp.concat(parts), (W.shape[0], k, k))


def masked_product(W: Any, A: Any, B: Any, F: Any, n_threads: int = 1) -> Any:
    r"""``(W * (A B')) F`` without the products at other places than those of W.

    .. math:: y_i = \sum_j W_{ij}\, (a_i'b_j)\, f_j

    Parameters
    ----------
    W : matrix of shape (m, n), dense or CSR
        Weights.
    A, B : arrays of shape (m, r) and (n, r)
        Factors of the product.
    F : array of shape (n, k)
        Features of the columns.
    n_threads : int
        Threads of a compiled kernel on a CSR matrix; the result does not depend on it.

    Returns
    -------
    array of shape (m, k)
        The sums.
    """
    if not hasattr(W, "indptr"):
        return (W * (A @ B.T)) @ F
    xp = namespace_of(A)
    rows = xp.repeat(xp.arange(W.shape[0], dtype=W.indices.dtype), xp.diff(W.indptr))
    data = W.data * entry_products(rows, W.indices, A, B)
    return type(W)((data, W.indices, W.indptr), W.shape) @ F


def row_blocks(m: int, width: int) -> list[tuple[int, int]]:
    """``(start, stop)`` of blocks of rows with at most `BLOCK` numbers, ``width`` a row."""
    each = max(1, BLOCK // max(1, width))
    return [(start, min(start + each, m)) for start in range(0, m, each)]
