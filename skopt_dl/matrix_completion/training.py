"""From what `MatrixCompletion.fit` is given to observed entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length, validate_data

from skopt_dl._sklearn.arrays import workplace
from skopt_dl._sklearn.validation import check_values, check_weights
from skopt_dl.kernels.namespace import namespace_of, to_numpy
from skopt_dl.matrix_completion.checks import check_rows
from skopt_dl.matrix_completion.entries import Entries, sorted_entries
from skopt_dl.matrix_completion.observe import observe
from skopt_dl.matrix_completion.observed import ObservedMatrix
from skopt_dl.matrix_completion.pairs import check_pairs, looks_like_pairs, numbered


@dataclass(frozen=True)
class Training:
    """What a fit starts from: the entries, the ids of rows and columns given by pairs, and how
    often each row is given."""

    observed: ObservedMatrix
    row_ids: Any = None
    col_ids: Any = None
    row_copies: Any = None

    def gaps(self) -> Any:
        """Which columns have a missing cell, an array of bool on the host."""
        obs, xp = self.observed, self.observed.xp
        count = obs.matrix_t(1 / xp.where(obs.weights > 0, obs.weights, 1.0)) @ xp.ones_like(
            obs.row_weight
        )
        rows = obs.shape[0]
        if self.row_copies is not None:
            rows = int(xp.sum(xp.astype(self.row_copies > 0, xp.int64)))
        return to_numpy(xp.round(count)) < rows


def training_data(
    estimator: Any, X: Any, y: Any, sample_weight: Any, *, more: bool = False
) -> Training:
    """Validate the data of a fit and number their entries; sets the estimator's feature names.

    If ``more``, they are rows for the fitted ``estimator``: of the same kind and features, and
    pairs keep the columns that are known beside those that they name.

    Raises
    ------
    ValueError
        If nothing is observed, or the data are not what ``estimator.input`` says.
    """
    pairs = estimator.input == "pairs"
    if estimator.input == "auto":
        pairs = y is not None and looks_like_pairs(X)
    if more:
        pairs = hasattr(estimator, "row_ids_")
    if pairs:
        training = _from_pairs(estimator, X, y, sample_weight, more)
    else:
        X = check_rows(estimator, X, reset=not more, method="partial_fit")
        weights = check_weights(sample_weight, X)
        observed = observe(X, estimator.missing_values, weights)
        training = Training(observed, row_copies=weights)
    if training.observed.n_entries == 0:
        raise ValueError(
            "MatrixCompletion: X has no observed entry (with a positive weight), so there is "
            f"nothing to fit; missing_values={estimator.missing_values!r} marks the missing ones"
        )
    return training


def _from_pairs(estimator: Any, X: Any, y: Any, sample_weight: Any, more: bool) -> Training:
    if y is None:
        raise ValueError(
            "MatrixCompletion: pairs need their values y, which is None; pass y, or input='matrix' "
            "if X is a matrix"
        )
    place = workplace(estimator, X)
    if place.namespace not in ("numpy", "cupy"):
        raise TypeError(f"MatrixCompletion: pairs must be NumPy or CuPy arrays, but X is {place}")
    pairs = place.put(check_pairs("MatrixCompletion.fit", X))
    validate_data(estimator, X, skip_check_array=True, reset=not more)
    try:
        values = check_values(estimator, y, place)
    except ValueError as error:
        raise ValueError(
            f"{error} MatrixCompletion: y holds the values of the pairs, numbers all of them; drop "
            "the pairs without a value"
        ) from error
    check_consistent_length(pairs, values)
    xp, weights = namespace_of(values), check_weights(sample_weight, values)
    weights = xp.ones_like(values) if weights is None else weights
    if not bool(xp.all(weights > 0)):
        (kept,) = xp.nonzero(weights > 0)
        pairs, values, weights = (xp.take(a, kept, axis=0) for a in (pairs, values, weights))
    known, rows = numbered(pairs[:, 0])
    row_ids = to_numpy(known)
    known, cols = numbered(pairs[:, 1])
    col_ids = to_numpy(known)
    if more:
        col_ids = np.union1d(col_ids, estimator.col_ids_)
        cols = xp.searchsorted(place.put(col_ids), pairs[:, 1])
    shape = (len(row_ids), len(col_ids))
    entries = sorted_entries(rows, cols, values, weights, shape, place.csr())
    return Training(Entries(*entries), row_ids, col_ids)
