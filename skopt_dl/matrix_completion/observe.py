"""From a validated matrix to its observed entries, in the layout that pays."""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.namespace import is_numpy, namespace_of
from skopt_dl.matrix_completion.entries import Entries, narrowed, sorted_entries
from skopt_dl.matrix_completion.masked import Masked
from skopt_dl.matrix_completion.observed import ObservedMatrix

# From this observed share on dense products and one number per cell beat the gathers of `Entries`
# (5000 x 400, k = 15: level at about one half, which is where the memory is level, too).
DENSE_FROM = 0.5


def observe(X: Any, missing: float, row_weight: Any = None) -> ObservedMatrix:
    """The observed entries of a validated matrix.

    Parameters
    ----------
    X : array or CSR matrix of shape (m, n)
        Stored entries of a sparse matrix are the candidates, stored zeros included.
    missing : float
        Candidates equal to it are not observed (NaN equals NaN here).
    row_weight : array of shape (m,), optional
        Weight of every entry of a row; rows with weight zero are not observed.
    """
    if hasattr(X, "tocsr"):
        return _observe_sparse(X, missing, row_weight)
    xp = namespace_of(X)
    present = _present(X, missing)
    weights = xp.astype(present, X.dtype)
    if row_weight is not None:
        weights = weights * row_weight[:, None]
    values = xp.where(weights > 0, X, xp.zeros_like(X))
    if is_numpy(xp) and (weights > 0).mean() < DENSE_FROM:
        rows, cols = xp.nonzero(weights)
        sorted_ = sorted_entries(rows, cols, values[rows, cols], weights[rows, cols], X.shape)
        return Entries(*sorted_)
    return Masked(values, weights)


def _observe_sparse(X: Any, missing: float, row_weight: Any) -> ObservedMatrix:
    X = X.tocsr()
    xp = namespace_of(X.data)
    present = _present(X.data, missing)
    if row_weight is None and bool(xp.all(present)):
        # All as it stands: rows are in order already, and no array is copied.
        return Entries(narrowed(X), xp.astype(present, X.dtype))
    rows = xp.repeat(xp.arange(X.shape[0], dtype=X.indices.dtype), X.indptr[1:] - X.indptr[:-1])
    weights = xp.astype(present, X.dtype)
    if row_weight is not None:
        weights = weights * row_weight[rows]
    kept = weights > 0
    coordinates = (rows[kept], X.indices[kept], X.data[kept], weights[kept])
    return Entries(*sorted_entries(*coordinates, X.shape, type(X)))


def _present(a: Any, missing: float) -> Any:
    xp = namespace_of(a)
    return ~xp.isnan(a) if missing != missing else a != missing
