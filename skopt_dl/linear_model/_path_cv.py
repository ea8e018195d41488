"""What the lasso and elastic nets whose strength is chosen by cross-validation share."""

from __future__ import annotations

import math
import time
import warnings
from abc import abstractmethod
from functools import partial
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn import get_config
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from skopt_dl._sklearn.arrays import is_foreign
from skopt_dl._sklearn.base import fit_method, outside
from skopt_dl._sklearn.parameters import check_choice, check_flag, check_number
from skopt_dl._sklearn.validation import check_weights
from skopt_dl.linear_model._base import LinearModel, Task
from skopt_dl.linear_model._cross_validation import (
    Fold,
    Training,
    Validation,
    cross_validate,
    training_problems,
)
from skopt_dl.linear_model._paths import PathSettings
from skopt_dl.linear_model._regression import LinearRegressorMixin, lasso_solver, store_targets
from skopt_dl.linear_model._strengths import (
    alpha_grid,
    check_ratios,
    sorted_alphas,
)
from skopt_dl.linops import design
from skopt_dl.penalties import Penalty


class PathCV(LinearRegressorMixin, LinearModel):
    """A penalised least squares whose strength (and ``l1_ratio``) is chosen over folds."""

    # Numbers of the cross-validation; they are NumPy's wherever the model lives.
    _host_attributes: ClassVar[frozenset[str]] = frozenset(
        {"alpha_", "alphas_", "dual_gap_", "l1_ratio_", "mse_path_", "n_iter_"}
    )

    @abstractmethod
    def _checked(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Validated data; a target with the wrong number of dimensions raises."""

    @abstractmethod
    def _penalty(self, y: Any, l1: float, l2: float) -> Penalty:
        """The penalty with the strengths ``l1`` and ``l2``."""

    @abstractmethod
    def _task(self, base: Any, y: Any, weights: Any, penalty: Penalty) -> Task:
        """The fit of all the data."""

    def _ratios(self) -> list[float]:
        """The shares of the L1 penalty to try."""
        return check_ratios(self) if hasattr(self, "l1_ratio") else [1.0]

    @fit_method
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Choose the strength by cross-validation, then fit all the data with it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training data. float64 and float32 keep their precision, other types become float64.
            Never written or copied; a sparse matrix is never made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Target; several are what the models named MultiTask take.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights, for fitting and for the error on each fold. The mean over the
            folds does not weigh them.
        **params : dict
            For the splitter, such as ``groups``; only with
            ``sklearn.set_config(enable_metadata_routing=True)``.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For invalid data or parameters.
        """
        self._check_parameters()
        X, y = self._checked(X, y if y is None or is_foreign(y) else np.asarray(y))
        weights = check_weights(sample_weight, X)
        folds = self._folds(X, y, sample_weight, params)
        ratios = self._ratios()
        given = self._given(ratios)
        limit = math.inf if self.max_time is None else time.perf_counter() + self.max_time
        # What it caches serves the grid, the folds and the last fit.
        base = design(X)
        training = training_problems(
            base,
            y,
            weights,
            folds,
            self._settings(limit),
            partial(self._penalty_of_share, y),
            fit_intercept=self.fit_intercept,
            exact=min(ratios) > 0 and (given is None or given[-1] > 0),
        )
        grids = self._grids(ratios, given, training)
        found = cross_validate(training, grids, n_jobs=self.n_jobs, verbose=self.verbose)
        self._warn(found)
        ratio, alpha = self._choose(grids, found.mse)
        self._refit(base, y, weights, ratio, alpha, found)
        return self

    def _check_parameters(self) -> None:
        self._check_common()
        check_number(self, "eps", low=0, open_low=True)
        check_flag(self, "copy_X")
        check_choice(self, "selection", ("cyclic", "random"))
        if isinstance(self.alphas, Integral):
            check_number(self, "alphas", Integral, low=1)

    def _penalty_of_share(self, y: Any, ratio: float) -> Penalty:
        """The penalty of strength 1."""
        return self._penalty(y, ratio, 1.0 - ratio)

    def _folds(self, X: Any, y: Any, sample_weight: Any, params: dict[str, Any]) -> list[Fold]:
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", sample_weight=sample_weight, **params)
            split = routed.splitter.split
        elif params:
            raise ValueError(
                f"{type(self).__name__}.fit was passed {sorted(params)}, which only reach the "
                "splitter with sklearn.set_config(enable_metadata_routing=True)"
            )
        else:
            split = {}
        # A splitter counts the rows; X itself may be elsewhere, and y too: one that reads them
        # raises for those.
        rows = np.empty((X.shape[0], 0)) if is_foreign(y) else X
        folds = [Fold(*map(_indices, pair)) for pair in check_cv(self.cv).split(rows, y, **split)]
        for k, fold in enumerate(folds):
            if not (len(fold.train) and len(fold.test)):
                raise ValueError(
                    f"{type(self).__name__}: cv={self.cv!r} leaves fold {k} without "
                    f"{'training' if not len(fold.train) else 'validation'} samples"
                )
        return folds

    def _given(self, ratios: list[float]) -> Any:
        """The user's strengths, decreasing; None for a number of them."""
        name = type(self).__name__
        if not isinstance(self.alphas, Integral):
            return sorted_alphas(self.alphas, name)
        if min(ratios) == 0:
            raise ValueError(
                f"{name}: with l1_ratio=0 no strength makes all coefficients zero, where a grid "
                f"would begin; give alphas={self.alphas!r} as a list of numbers"
            )
        return None

    def _grids(
        self, ratios: list[float], given: Any, training: Training
    ) -> list[tuple[float, Any]]:
        """Each share of the L1 penalty with its decreasing strengths."""
        if given is not None:
            return [(ratio, given) for ratio in ratios]
        top, K = training.strongest(), int(self.alphas)
        return [(ratio, alpha_grid(top / ratio, self.eps, K)) for ratio in ratios]

    def _settings(self, deadline: float) -> PathSettings:
        precompute = getattr(self, "precompute", False)
        return PathSettings(
            solver=self.solver,
            tol=self.tol,
            max_iter=self.max_iter,
            selection=self.selection,
            random_state=self.random_state,
            # A Gram matrix of all the data says nothing about a fold; the last fit uses it.
            precompute=precompute if isinstance(precompute, (bool, np.bool_)) else "auto",
            deadline=deadline,
        )

    def _warn(self, found: Validation) -> None:
        name = type(self).__name__
        missing = int(np.count_nonzero(np.isnan(found.mse)))
        if missing:
            warnings.warn(
                f"{name}: max_time={self.max_time} ended the cross-validation with {missing} of "
                f"{found.mse.size} errors missing (NaN in mse_path_); alpha_ is the best of those "
                "strengths that all folds reached",
                ConvergenceWarning,
                stacklevel=outside(),
            )
        if found.gap > self.tol:
            warnings.warn(
                f"{name} did not converge on every fold: the largest relative duality gap is "
                f"{found.gap:.3g} against tol={self.tol:.2g}. Increase max_iter, choose another "
                "solver, or scale the columns of X.",
                ConvergenceWarning,
                stacklevel=outside(),
            )

    def _choose(self, grids: list[tuple[float, Any]], mse: Any) -> tuple[float, float]:
        """Sets what is known of the cross-validation; the best ``(l1_ratio, alpha)``."""
        means = np.mean(mse, axis=1)
        best = math.inf
        ratio, alpha = grids[0][0], float(grids[0][1][0])
        for (this, alphas), errors in zip(grids, means, strict=True):
            k = int(np.argmin(np.where(np.isnan(errors), math.inf, errors)))
            if errors[k] < best:
                best, ratio, alpha = float(errors[k]), this, float(alphas[k])
        self.mse_path_ = np.squeeze(np.moveaxis(mse, 2, 1))
        self.alpha_ = alpha
        if hasattr(self, "l1_ratio"):
            self.l1_ratio_ = ratio
        alphas = np.asarray([alphas for _, alphas in grids])
        single = len(grids) == 1 or not isinstance(self.alphas, Integral)
        self.alphas_ = alphas[0] if single else alphas
        return ratio, alpha

    def _refit(
        self, base: Any, y: Any, weights: Any, ratio: float, alpha: float, found: Validation
    ) -> None:
        l1 = alpha * ratio
        task = self._task(base, y, weights, self._penalty(y, l1, alpha - l1))
        result = self._solve(
            task.problem,
            start=None if found.answer is None else found.answer(ratio, alpha),
            tol=self.tol,
            max_iter=self.max_iter,
            unpack=task.unpack,
            solver=self._solver(),
        )
        store_targets(self, [task], [result])
        self.solver_ = self._name_of_solver(result)

    def _solver_defaults(self) -> dict[str, Any]:
        return {"selection": self.selection}

    def _solver(self) -> Any:
        return lasso_solver(self)

    def get_metadata_routing(self) -> MetadataRouter:
        """How metadata are routed: ``sample_weight`` stays here, the rest goes to the splitter.

        Returns
        -------
        routing : MetadataRouter
            The routing information.
        """
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                splitter=check_cv(self.cv),
                method_mapping=MethodMapping().add(caller="fit", callee="split"),
            )
        )


def _indices(rows: Any) -> Any:
    """Sample indices, of what a splitter gave: indices, or a mask."""
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.intp)
