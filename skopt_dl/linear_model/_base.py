"""The fit template of linear regressors: validate, build the problem, solve, store."""

from __future__ import annotations

from abc import abstractmethod
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, validate_data

from skopt_dl._sklearn.base import EngineEstimator
from skopt_dl._sklearn.validation import FLOATS, check_weights, check_X_y
from skopt_dl.losses import Squared
from skopt_dl.penalties import Penalty
from skopt_dl.problems import LinearProblem


def check_scalar(
    owner: Any, name: str, kind: type, low: float | None = None, closed: bool = True
) -> None:
    """Raise unless parameter ``name`` of ``owner`` is a ``kind`` of at least ``low``.

    Raises
    ------
    ValueError
        Naming the parameter, its range and its value.
    """
    value = getattr(owner, name)
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if fits and low is not None:
        fits = value >= low if closed else value > low
    if not fits:
        what = "an integer" if kind is Integral else "a number"
        bound = "" if low is None else f" {'>=' if closed else '>'} {low:g}"
        raise ValueError(
            f"{type(owner).__name__}: the parameter {name}={value!r} is not valid; it must be "
            f"{what}{bound}"
        )


class SparseRegressor(RegressorMixin, EngineEstimator):
    """Squared loss plus a penalty of one output at a time (outputs are solved apart)."""

    @abstractmethod
    def _penalty(self) -> Penalty:
        """The penalty of one output, from the validated parameters."""

    def _check_parameters(self) -> None:
        check_scalar(self, "max_iter", Integral, 1)
        check_scalar(self, "tol", Real, 0)

    def _solver_defaults(self) -> dict[str, Any]:
        return {"selection": getattr(self, "selection", "cyclic")}

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training data, float64 or float32 (others are converted). Never written.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets; several are solved apart.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights: weight w is the row repeated w times.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._check_parameters()
        X, y = check_X_y(self, X, y, multi_output=True)
        weights = check_weights(sample_weight, X)
        start = getattr(self, "coef_", None) if getattr(self, "warm_start", False) else None
        targets = y[:, None] if y.ndim == 1 else y
        solved = []
        for k in range(targets.shape[1]):
            problem = LinearProblem(
                X,
                np.ascontiguousarray(targets[:, k]),
                Squared(),
                self._penalty(),
                sample_weight=weights,
                fit_intercept=self.fit_intercept,
                description=self._describe(X),
            )
            w0 = None if start is None else np.atleast_2d(start)[k].astype(X.dtype)

            def unpack(w: Any, problem: LinearProblem = problem) -> dict[str, Any]:
                coef, intercept = problem.unpack(w)
                return {"coef_": coef, "intercept_": intercept}

            result = self._solve(
                problem, start=w0, tol=self.tol, max_iter=self.max_iter, unpack=unpack
            )
            solved.append((result, unpack(result.w)))
        self._store(solved, single=y.ndim == 1)
        return self

    def _describe(self, X: Any) -> str:
        kind = f"{X.format.upper()} matrix" if hasattr(X, "format") else "array"
        return f"{self!r} on this {X.dtype} {kind}"

    def _store(self, solved: list[Any], *, single: bool) -> None:
        results = [result for result, _ in solved]
        coef = np.stack([fitted["coef_"] for _, fitted in solved])
        intercept = np.stack([fitted["intercept_"] for _, fitted in solved])
        gaps = np.asarray([r.certificate.gap for r in results])
        if single:
            self.coef_, self.intercept_ = coef[0], intercept[0]
            self.dual_gap_, self.n_iter_ = gaps[0], max(1, results[0].n_iter)
            self.solve_report_ = results[0].report()
        else:
            self.coef_, self.intercept_, self.dual_gap_ = coef, intercept, gaps
            self.n_iter_ = [max(1, r.n_iter) for r in results]
            self.solve_report_ = [r.report() for r in results]
        self.solver_ = results[0].solver

    def predict(self, X: Any) -> Any:
        """Predict by the linear model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_targets)
            Predictions.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=("csr", "csc"), dtype=FLOATS, reset=False)
        return safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        return tags
