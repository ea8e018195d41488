r"""From a table of numbers and categories, with gaps, to the floating rows that a network reads.

A number x with median m and interquartile range q becomes

.. math:: z = \frac{u}{\sqrt{1 + (u / c)^2}}, \qquad u = \frac{x - m}{q}

which is about u where :math:`|u| \ll c` and never exceeds c: outliers stay in sight and do no harm.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skopt_dl._sklearn.parameters import check_choice, check_number
from skopt_dl._sklearn.tables import Table, check_table, read_layout, read_table
from skopt_dl.neural_network._levels import LevelCode
from skopt_dl.neural_network._numbers import Periodic, PiecewiseLinear, RobustScale

# Columns of the numerical embeddings of a table, beyond two for each number: the first layer of a
# network costs as much as it has inputs.
MOST_COLUMNS = 1024


class TableEncoder(TransformerMixin, BaseEstimator):
    """Encode a frame or an array with categories and missing values as floating rows.

    Numbers are centred at their median, divided by their interquartile range and clipped smoothly;
    a missing one becomes the median, and a column with gaps gets a second one that marks them. A
    category of two levels becomes a column of -1 and 1, one of few levels a column per level, and
    one of many levels a fixed code of signs per level, with the level's frequency beside it. A
    missing category is a level of its own if `fit` has seen one. A level that `fit` has not seen is
    unknown: all its columns are 0. Columns without any variation are left out; if nothing is left,
    one column of zeros stands for the table.

    Parameters
    ----------
    categorical_features : "from_dtype" or array-like of int, str or bool, default="from_dtype"
        Which columns are categories: positions, names or a mask. "from_dtype" takes those with
        strings, of a categorical type, or of objects that are not all numbers.
    max_levels : int, default=64
        Categories with more levels than this are coded by signs.
    n_codes : int, default=32
        Columns of such a code.
    clip : float, default=3.0
        Bound of the scaled numbers.
    numerical_embedding : {None, "piecewise_linear", "periodic"}, default=None
        What else a number becomes: its position within each of ``n_bins`` bins of equally many
        values (0 below the bin, 1 above it), or sines of ``n_bins`` random frequencies.
    n_bins : int, default=32
        Columns of the numerical embedding of a number, at most; fewer of many numbers, so that all
        of them together have about 1024.
    dtype : {"float32", "float64"}, default="float32"
        Of the rows.
    random_state : int, RandomState instance or None, default=None
        Draws the frequencies of the periodic embedding.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of the table.
    feature_names_in_ : array of shape (n_features,)
        Their names, where they have names that are strings.
    levels_ : list of list of str
        The known levels of each category, the most frequent first.

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", NeurIPS 2024 (scaling and smooth clipping); Y. Gorishniy, I.
    Rubachev, A. Babenko, "On embeddings for numerical features in tabular deep learning", NeurIPS
    2022; K. Weinberger and others, "Feature hashing for large scale multitask learning", ICML 2009.

    Examples
    --------
    >>> from skopt_dl.neural_network import TableEncoder
    >>> rows = [[1.0, "red"], [2.0, "blue"], [None, "red"], [4.0, "green"]]
    >>> encoder = TableEncoder().fit(rows)
    >>> [str(name) for name in encoder.get_feature_names_out()]
    ['x0', 'x0_missing', 'x1_red', 'x1_blue', 'x1_green']
    """

    def __init__(
        self,
        *,
        categorical_features: Any = "from_dtype",
        max_levels: int = 64,
        n_codes: int = 32,
        clip: float = 3.0,
        numerical_embedding: str | None = None,
        n_bins: int = 32,
        dtype: str = "float32",
        random_state: Any = None,
    ) -> None:
        self.categorical_features = categorical_features
        self.max_levels = max_levels
        self.n_codes = n_codes
        self.clip = clip
        self.numerical_embedding = numerical_embedding
        self.n_bins = n_bins
        self.dtype = dtype
        self.random_state = random_state

    # --- fitting --------------------------------------------------------------------------------

    def _check_parameters(self) -> None:
        check_number(self, "max_levels", Integral, low=2)
        check_number(self, "n_codes", Integral, low=1)
        check_number(self, "n_bins", Integral, low=2)
        check_number(self, "clip", low=0, open_low=True, infinite=True)
        check_choice(self, "numerical_embedding", (None, "piecewise_linear", "periodic"))
        check_choice(self, "dtype", ("float32", "float64"))

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn scales, levels and which columns have gaps.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            The table.
        y : None
            Not used.

        Returns
        -------
        self : object
            The fitted encoder.
        """
        self._learn(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """`fit`, then `transform`, reading the table once.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            The table.
        y : None
            Not used.

        Returns
        -------
        array of shape (n_samples, n_columns)
            Rows for a network.
        """
        return self._encode(self._learn(X))

    def _learn(self, X: Any) -> Table:
        self._check_parameters()
        X = check_table(self, X, reset=True)
        layout = read_layout(self, X, self.categorical_features)
        table = read_table(self, X, layout)
        scale = RobustScale(table.numbers, self.clip)
        gaps = np.isnan(table.numbers)
        self._layout, self._scale = layout, scale
        self._varies = np.flatnonzero(scale.scale)
        self._has_gaps = np.flatnonzero(gaps.any(axis=0) & ~gaps.all(axis=0))
        self._embedding: Any = None
        if self.numerical_embedding is not None:
            Z = scale(table.numbers)[:, self._varies]
            n_bins = max(2, min(self.n_bins, MOST_COLUMNS // max(1, Z.shape[1])))
            if self.numerical_embedding == "periodic":
                rng = check_random_state(self.random_state)
                self._embedding = Periodic(Z, n_bins, rng)
            else:
                self._embedding = PiecewiseLinear(Z, n_bins)
        self._codes = [LevelCode(v, self.max_levels, self.n_codes) for v in table.categories]
        self.levels_ = [[v for v in code.levels if v is not None] for code in self._codes]
        return table

    # --- encoding -------------------------------------------------------------------------------

    def transform(self, X: Any) -> np.ndarray:
        """Encode a table.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            A table with the columns of the one in `fit`.

        Returns
        -------
        array of shape (n_samples, n_columns)
            Rows for a network.

        Raises
        ------
        ValueError
            If a column of numbers has text in it, or an infinite value.
        """
        check_is_fitted(self)
        X = check_table(self, X, reset=False)
        return self._encode(read_table(self, X, self._layout))

    def _encode(self, table: Table) -> np.ndarray:
        Z = self._scale(table.numbers)[:, self._varies]
        parts = [Z]
        if self._embedding is not None:
            parts.append(self._embedding(Z))
        parts.append(np.isnan(table.numbers[:, self._has_gaps]).astype(float))
        parts += [code(v) for code, v in zip(self._codes, table.categories, strict=True)]
        rows = np.concatenate(parts, axis=1)
        if rows.shape[1] == 0:
            rows = np.zeros((table.n_rows, 1))
        return np.ascontiguousarray(rows, dtype=self.dtype)

    @property
    def embedded(self) -> np.ndarray:
        """Positions of the encoded columns that the numerical embedding makes."""
        check_is_fitted(self)
        count = 0 if self._embedding is None else sum(self._embedding.widths)
        return self._varies.shape[0] + np.arange(count)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the encoded columns.

        Parameters
        ----------
        input_features : None
            Not used: the names are those of the fitted table.

        Returns
        -------
        array of str
            A name per column.
        """
        check_is_fitted(self)
        known, layout = self._layout.names, self._layout
        numbers = [known[layout.numbers[j]] for j in self._varies]
        names = list(numbers)
        if self._embedding is not None:
            names += [
                f"{name}_{k}"
                for name, width in zip(numbers, self._embedding.widths, strict=True)
                for k in range(width)
            ]
        names += [f"{known[layout.numbers[j]]}_missing" for j in self._has_gaps]
        for j, code in zip(layout.categories, self._codes, strict=True):
            names += [f"{known[j]}_{column}" for column in code.columns]
        return np.asarray(names or ["constant"], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags
