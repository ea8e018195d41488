"""What every fitted model of matrix completion can do: complete, predict, score."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import TransformerMixin
from sklearn.impute import MissingIndicator
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
    validate_data,
)

from skopt_dl._sklearn.arrays import is_foreign, on_host, put_beside
from skopt_dl._sklearn.base import EngineEstimator
from skopt_dl._sklearn.scores import r2
from skopt_dl._sklearn.validation import check_container
from skopt_dl.kernels.namespace import namespace_of, to_float, to_numpy
from skopt_dl.matrix_completion.beliefs import Draws
from skopt_dl.matrix_completion.checks import check_rows
from skopt_dl.matrix_completion.columns import Columns
from skopt_dl.matrix_completion.observe import observe
from skopt_dl.matrix_completion.observed import ObservedMatrix
from skopt_dl.matrix_completion.pairs import check_pairs, positions

# Share of each row's entries that `score` hides.
HIDDEN_SHARE = 0.2


def _works_on_pairs(estimator: Any) -> bool:
    """Whether X means pairs, after a fit or by ``input``: only then does ``predict`` exist."""
    fitted = hasattr(estimator, "components_")
    if hasattr(estimator, "row_ids_") or (estimator.input == "pairs" and not fitted):
        return True
    raise AttributeError(
        "MatrixCompletion has predict after a fit on pairs (or with input='pairs') only; "
        "transform(X) fills the missing cells of a matrix, and predict_entries(pairs) gives the "
        "values at its (row, column) positions"
    )


class CompletionModel(TransformerMixin, EngineEstimator):
    """A model that completes rows from its columns. A subclass says how it is fitted."""

    _host_attributes: ClassVar[frozenset[str]] = EngineEstimator._host_attributes | {
        "row_ids_",
        "col_ids_",
    }
    # Parameters of the subclass.
    missing_values: float
    clip: Any
    n_jobs: int | None
    add_indicator: bool
    keep_empty_features: bool
    # What a fit leaves.
    _columns: Columns
    _draws: Draws | None
    _range: Any
    _row_weight: Any

    def _new_rows(self, X: Any, method: str) -> Any:
        """Validated rows of a matrix, for a model that was fitted on one."""
        check_is_fitted(self)
        if hasattr(self, "row_ids_"):
            raise ValueError(
                f"this MatrixCompletion was fitted on pairs, which have no cells to fill: {method} "
                "needs a fit on a matrix. predict(pairs) gives the values at pairs; if X was a "
                "matrix of two integer columns, use input='matrix'"
            )
        return check_rows(self, X, method=method)

    def _entries(self, X: Any) -> ObservedMatrix:
        """The observed entries of validated rows, in their own units."""
        observed = observe(X, self.missing_values)
        observed.n_threads = self._threads()
        return observed

    def _threads(self) -> int:
        return effective_n_jobs(self.n_jobs)

    def _clipped(self, values: Any) -> Any:
        if self._range is None:
            return values
        return namespace_of(values).clip(values, *self._range)

    # --- matrices -----------------------------------------------------------------------------

    def transform(self, X: Any) -> Any:
        """Fill the missing cells.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_rows, n_columns)
            Rows, new or known, with missing cells.

        Returns
        -------
        array of shape (n_rows, n_columns)
            Observed cells as they are, missing ones from the model. Dense for sparse X too, since
            every cell has a value then. Columns of an indicator follow if ``add_indicator``.
        """
        check_container(self, X)
        X = self._new_rows(X, "transform")
        observed = self._entries(X)
        answer = self._columns.answer(self._columns.in_units(observed), lambda L, R: L @ R.T)
        filled = observed.filled(self._clipped(answer))
        if not self.keep_empty_features and not bool(observed.xp.all(self._columns.seen)):
            filled = filled[:, self._columns.seen]
        if self.add_indicator:
            filled = observed.xp.concat([filled, self._indicator(X, filled)], axis=1)
        return filled

    def _indicator(self, X: Any, like: Any) -> Any:
        xp = namespace_of(like)
        if is_foreign(like):
            present = observe(X, self.missing_values).weights > 0
            return xp.astype(~present[:, self.indicator_features_], like.dtype)
        missing = MissingIndicator(missing_values=self.missing_values, features="all")
        mask = missing.fit_transform(X)
        mask = mask.toarray() if hasattr(mask, "toarray") else mask
        return mask[:, self.indicator_features_].astype(like.dtype)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Names of the columns of `transform`'s answer.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the columns of X; those of the fit by default.

        Returns
        -------
        array of str
            The names of X's columns, and ``missingindicator_<name>`` for those of the indicator.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        kept = names
        if not self.keep_empty_features:
            kept = names[to_numpy(self._columns.seen)]
        if not self.add_indicator:
            return kept
        added = [f"missingindicator_{name}" for name in names[self.indicator_features_]]
        return np.concatenate([kept, np.asarray(added, dtype=object)])

    def inverse_transform(self, X: Any) -> Any:
        """Return completed data as they are.

        Completing stays in the space of its input. The method is there so that a pipeline with a
        scaler in front can map completed data back to the original units.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Completed data.

        Returns
        -------
        array of shape (n_rows, n_columns)
            The same values.
        """
        return self._new_rows(X, "inverse_transform")

    def row_factors(self, X: Any, return_std: bool = False) -> Any:
        """Row factors ``U`` of rows, new or known.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_rows, n_columns)
            Rows with missing cells.
        return_std : bool
            Also return the standard deviations of the factors' posterior.

        Returns
        -------
        U : array of shape (n_rows, n_components)
            The factors.
        std : array of shape (n_rows, n_components)
            Their standard deviations, only if ``return_std``.

        Raises
        ------
        ValueError
            If ``return_std`` and the model has no posterior.
        """
        observed = self._columns.in_units(self._entries(self._new_rows(X, "row_factors")))
        rows, k = self._columns.fold_in(observed), self._columns.k
        if not return_std:
            return rows.P[:, :k]
        if rows.spread is None:
            raise self._no_uncertainty()
        return rows.P[:, :k], observed.xp.sqrt(rows.spread[:, :k])

    def _no_uncertainty(self) -> ValueError:
        return ValueError(
            "MatrixCompletion: return_std=True needs a posterior, and this model was fitted by "
            f"solver={self.solver_!r} without one; use alpha='auto' with solver='vb', or 'gibbs'"
        )

    # --- pairs --------------------------------------------------------------------------------

    @available_if(_works_on_pairs)
    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The model's values at pairs, after a fit on pairs.

        Parameters
        ----------
        X : array-like of shape (n_entries, 2)
            Pairs (row, column) of ids; those that were not seen are allowed.
        return_std : bool
            Also return standard deviations, see `predict_entries`.

        Returns
        -------
        array of shape (n_entries,)
            Values at the pairs, see `predict_entries`.
        """
        check_is_fitted(self)
        validate_data(self, X, reset=False, skip_check_array=True)
        return self.predict_entries(X, return_std)

    def predict_entries(self, pairs: Any, return_std: bool = False) -> Any:
        """The model's values at (row, column) pairs of the training matrix.

        Parameters
        ----------
        pairs : array-like of shape (n_entries, 2)
            Ids after a fit on pairs; positions of rows and columns after a fit on a matrix. Those
            that were not seen are allowed.
        return_std : bool
            Also return the standard deviations of the values under the posterior; the noise of an
            observation is not part of them (`noise_variance_` is its variance).

        Returns
        -------
        values : array of shape (n_entries,)
            Values; where row or column was not seen, ``mean_`` and the biases that are known, or
            with learned priors the value for the mean of those priors.
        std : array of shape (n_entries,)
            Only if ``return_std``.

        Raises
        ------
        ValueError
            If ``return_std`` and the model has no posterior.
        """
        check_is_fitted(self)
        pairs = check_pairs("MatrixCompletion.predict_entries", pairs)
        rows, seen_r = self._known(pairs[:, 0], "row_ids_", self._row_weight > 0)
        cols, seen_c = self._known(pairs[:, 1], "col_ids_", self._columns.seen)
        if return_std and self._draws is None:
            raise self._no_uncertainty()
        xp = namespace_of(self.components_)
        draws = self._draws
        if draws is None:
            draws = Draws.without_spread(self._rows_parameters(), self._columns.Q)
        total: Any = 0.0
        squares: Any = 0.0
        within: Any = 0.0
        count = draws.P.shape[0]
        for d in range(count):
            value, variance = draws.at(d, self._columns.k, rows, cols, seen_r, seen_c)
            total, squares, within = total + value, squares + value * value, within + variance
        mean = total / count
        unit = xp.where(seen_c, xp.take(self._columns.scale, cols), xp.ones_like(mean))
        values = mean + self.mean_ if self._columns.bias else mean
        if not self._columns.bias and self._columns.tau is None:
            values = xp.where(seen_r & seen_c, mean, xp.full_like(mean, self.mean_))
        values = self._clipped(values * unit)
        if not return_std:
            return values
        between = xp.clip(squares / count - mean * mean, 0.0, None)
        return values, unit * xp.sqrt(within / count + between)

    def _rows_parameters(self) -> Any:
        """``[U | a]`` of the training data."""
        U = self.row_factors_
        if self._columns.bias not in ("rows", "both"):
            return U
        return namespace_of(U).concat([U, self.row_bias_[:, None]], axis=1)

    def _known(self, ids: Any, name: str, seen: Any) -> tuple[Any, Any]:
        """Position of each id among the factors (0 if unknown), and whether it was observed."""
        known = getattr(self, name, None)
        known = np.arange(seen.shape[0]) if known is None else known
        place, found = (put_beside(seen, a) for a in positions(ids, put_beside(ids, known)))
        return place, found & namespace_of(seen).take(seen, place)

    # --- scores -------------------------------------------------------------------------------

    def score(self, X: Any, y: Any = None) -> float:
        """Coefficient of determination on entries that the prediction does not see.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_rows, n_columns), or (n_entries, 2)
            For a matrix, a fifth of each row's observed cells is hidden (the same ones at every
            call, so that models are compared on the same cells) and predicted from the others.
            Pairs are predicted as they are.
        y : array-like of shape (n_entries,), optional
            True values of the pairs; ignored for a matrix.

        Returns
        -------
        float
            1 is perfect, 0 is as good as the mean of the true values.
        """
        check_is_fitted(self)
        if hasattr(self, "row_ids_"):
            if y is None:
                raise ValueError("MatrixCompletion.score: pairs need their true values y")
            predicted = self.predict(X)
            if is_foreign(predicted):
                y = put_beside(predicted, y if is_foreign(y) else np.asarray(y))
                return r2(y, predicted)
            return float(r2_score(on_host(y), predicted))
        return self._score_hidden(self._entries(self._new_rows(X, "score")))

    def _score_hidden(self, observed: ObservedMatrix) -> float:
        xp, x = observed.xp, observed.values
        kept, hidden = observed.hide(HIDDEN_SHARE)
        total = to_float(xp.sum(hidden))
        if total < 2:
            raise ValueError(
                "MatrixCompletion.score hides a fifth of each row's observed cells and needs two "
                f"hidden cells at least, but these rows allow {int(total)}"
            )
        predicted = self._columns.answer(self._columns.in_units(kept), kept.products)
        predicted = self._clipped(predicted)
        centre = xp.sum(hidden * x) / total
        spread = to_float(xp.sum(hidden * (x - centre) ** 2))
        error = to_float(xp.sum(hidden * (x - predicted) ** 2))
        if spread == 0:
            return 1.0 if error == 0 else 0.0
        return 1 - error / spread

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = math.isnan(self.missing_values)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
