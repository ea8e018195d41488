"""What the Dask estimators share: parameters, the plain estimator inside, lazy predictions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from skopt_dl._sklearn.arrays import is_cupy, model_beside
from skopt_dl._sklearn.base import unchanged_on_failure
from skopt_dl.dask._collections import Cluster, Rows, is_dask, is_frame
from skopt_dl.dask._scores import accuracy, r2, several_labels
from skopt_dl.dispatch import SOLVERS

# Parameters that say how Dask computes, whether or not the plain estimator has one of that name.
OWN = ("client", "verbose")


def whole_or_not(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate ``fit``: one that raises, by Ctrl-C too, leaves the estimator as it was before."""

    @wraps(fit)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        with unchanged_on_failure(self):
            return fit(self, *args, **kwargs)

    return guarded


class DaskEstimator(BaseEstimator):
    """An estimator that is fitted on blocks of rows and holds a plain one afterwards.

    Attributes
    ----------
    n_blocks_ : int
        Blocks of rows of the training data.
    n_passes_ : int
        Times that each block was read for the fit.
    """

    _doc_link_module = "skopt_dl"
    _doc_link_template = ""

    solver: Any
    client: Any
    verbose: Any

    @property
    @abstractmethod
    def _plain(self) -> type[Any]:
        """The estimator for data in memory."""

    _copied: ClassVar[tuple[str, ...]] = (
        "coef_",
        "intercept_",
        "n_iter_",
        "solver_",
        "solve_report_",
        "dual_gap_",
        "classes_",
    )

    def _cluster(self) -> Cluster:
        return Cluster(self.client, bool(self.verbose))

    def _new_plain(self, **changes: Any) -> Any:
        """The plain estimator with this one's parameters, and ``changes``."""
        theirs = set(self._plain._get_param_names()) - set(OWN)
        given = {k: v for k, v in self.get_params(deep=False).items() if k in theirs}
        return self._plain(**{**given, **changes})

    def _say(self, rows: Rows, held: int | None) -> None:
        """With ``verbose``, what is about to be read and what a task holds."""
        if self.verbose:
            size = "unknown" if held is None else f"{held / 2**20:.1f} MiB"
            print(
                f"{type(self).__name__}: {len(rows.blocks)} blocks of {rows.n_features} columns; "
                f"memory of a task: {size}"
            )

    def _check_solver(self) -> None:
        """Raise for a solver that is not known, before any pass."""
        if isinstance(self.solver, str) and self.solver != "auto":
            SOLVERS.get(self.solver)

    def _adopt(self, local: Any, rows: Rows, *, passes: int, held: int | None) -> Self:
        """Keep the fitted plain estimator, whose tasks held ``held`` bytes; show its attributes."""
        local.n_features_in_ = rows.n_features
        if rows.names is not None:
            local.feature_names_in_ = rows.names
        names = ("n_features_in_", "feature_names_in_", *self._copied)
        for name in names:
            if hasattr(local, name):
                setattr(self, name, getattr(local, name))
            elif name in vars(self):
                delattr(self, name)
        self.n_blocks_, self.n_passes_, self.task_bytes_ = len(rows.blocks), passes, held
        self._local = local
        return self

    def to_local(self) -> Any:
        """The plain estimator with the same parameters and fitted attributes.

        Returns
        -------
        estimator : object
            A copy for data in memory; it needs no Dask.
        """
        check_is_fitted(self)
        local = clone(self._local)
        vars(local).update(vars(self._local))
        return local

    def _lazily(self, method: str, X: Any, width: int = 0, dtype: Any = None) -> Any:
        """``method`` of the plain estimator on each block; at once for data in memory."""
        check_is_fitted(self)
        if not is_dask(X):
            return getattr(self._local, method)(X)
        if X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )
        call = partial(_on_block, self._local, method)
        dtype = _float_of(self._local) if dtype is None else np.dtype(dtype)
        empty = (0, width) if width else (0,)
        meta = np.zeros(empty, dtype=dtype)
        if is_cupy(getattr(X, "_meta", None)):
            meta = np.zeros_like(X._meta, shape=empty, dtype=dtype)
        if is_frame(X):
            return X.map_partitions(call, meta=meta)
        X = X.rechunk({1: -1}) if len(X.chunks[1]) > 1 else X
        if width:
            return X.map_blocks(call, dtype=dtype, chunks=(X.chunks[0], (width,)), meta=meta)
        return X.map_blocks(call, dtype=dtype, drop_axis=1, meta=meta)

    def __sklearn_clone__(self) -> Self:
        # A client is a connection, which cannot be copied.
        params = {
            k: v if k == "client" else clone(v, safe=False)
            for k, v in self.get_params(deep=False).items()
        }
        return type(self)(**params)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "client": None}


def _float_of(local: Any) -> Any:
    """The dtype of a model's parameters."""
    return local.coef_.dtype if hasattr(local, "coef_") else local.coefs_[0].dtype


def _on_block(local: Any, method: str, X: Any) -> Any:
    if not X.shape[0]:
        # An empty partition has an empty answer, which scikit-learn's checks refuse.
        filler = np.zeros((1, local.n_features_in_))
        return getattr(local, method)(_named(filler, X))[:0]
    return getattr(model_beside(X, local), method)(X)


def _named(filler: Any, X: Any) -> Any:
    """``filler`` with the columns' names of a frame."""
    return type(X)(filler, columns=X.columns) if hasattr(X, "columns") else filler


class RegressionMixin:
    """Lazy predictions and the score of a regressor."""

    _estimator_type = "regressor"

    def predict(self: Any, X: Any) -> Any:
        """Predict targets, lazily.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_samples, n_features)
            Samples; data in memory are answered at once.

        Returns
        -------
        dask array of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, computed when they are asked for; a NumPy array for data in memory.
        """
        outputs = getattr(self, "n_outputs_", 1)
        return self._lazily("predict", X, width=outputs if outputs > 1 else 0)

    def score(self: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The coefficient of determination, in one pass.

        Parameters
        ----------
        X, y, sample_weight : Dask collections
            As for `fit`.

        Returns
        -------
        float
            ``1 - sum w (y - prediction)^2 / sum w (y - mean)^2``; of several targets the mean.
        """
        check_is_fitted(self)
        return r2(self, X, y, sample_weight)


class ClassificationMixin:
    """Lazy labels and probabilities, and the score of a classifier."""

    _estimator_type = "classifier"

    def predict(self: Any, X: Any) -> Any:
        """Predict class labels, lazily.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_samples, n_features)
            Samples; data in memory are answered at once.

        Returns
        -------
        dask array of shape (n_samples,) or (n_samples, n_labels)
            The most probable labels; 0 and 1 for each of several labels.
        """
        check_is_fitted(self)
        width = len(self.classes_) if several_labels(self._local) else 0
        return self._lazily("predict", X, width=width, dtype=self.classes_.dtype)

    def predict_proba(self: Any, X: Any) -> Any:
        """Probabilities of the classes, lazily.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_samples, n_features)
            Samples; data in memory are answered at once.

        Returns
        -------
        dask array of shape (n_samples, n_classes)
            Columns are in the order of ``classes_``; the probability of each of several labels.
        """
        check_is_fitted(self)
        return self._lazily("predict_proba", X, width=len(self.classes_))

    def score(self: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The weighted share of right labels, in one pass.

        Parameters
        ----------
        X, y, sample_weight : Dask collections
            As for `fit`.

        Returns
        -------
        float
            The accuracy; with several labels, the share of rows with all of them right.
        """
        check_is_fitted(self)
        return accuracy(self, X, y, sample_weight)
