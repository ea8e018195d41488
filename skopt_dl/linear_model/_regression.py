"""What the linear regressors share: squared loss, one or several targets, predictions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import MultiOutputMixin
from sklearn.utils.validation import check_is_fitted

from skopt_dl._sklearn.scores import DeviceRegressorMixin
from skopt_dl._sklearn.validation import check_weights, check_X_y
from skopt_dl.engine import SolveResult
from skopt_dl.kernels.namespace import namespace_of, to_numpy
from skopt_dl.linear_model._base import Task
from skopt_dl.linear_model._gram import CompressedRows, wants_compression
from skopt_dl.linops import design
from skopt_dl.losses import Squared
from skopt_dl.penalties import Penalty
from skopt_dl.problems import LinearProblem


class LinearRegressorMixin(MultiOutputMixin, DeviceRegressorMixin):
    """Predictions of a linear regressor."""

    def predict(self: Any, X: Any) -> Any:
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
        return self._raw_prediction(X, "predict")


class SparseCoefficientsMixin(LinearRegressorMixin):
    """A regressor of which many coefficients are zero."""

    @property
    def sparse_coef_(self: Any) -> Any:
        """``coef_`` as a CSR matrix of shape (n_targets, n_features), on the host."""
        check_is_fitted(self)
        return sparse.csr_matrix(np.atleast_2d(to_numpy(self.coef_)))


def lasso_solver(model: Any) -> Any:
    """What to resolve: an order of the coordinates asks for coordinate descent."""
    by_order = model.solver == "auto" and model.selection == "random"
    return "cd" if by_order else model.solver


def fitted_line(
    unpack: Callable[[Any], tuple[Any, Any]], fit_intercept: bool, y: Any
) -> Callable[[Any], dict[str, Any]]:
    """From a flat answer to ``coef_`` and ``intercept_`` in scikit-learn's shapes.

    ``unpack`` gives coefficients (p,) or (p, K) and their intercept. Without an intercept that is
    0.0; for a target that is a column it has shape (1,), though the coefficients are flat.
    """
    column = y.ndim == 2 and y.shape[1] == 1

    def attributes(w: Any) -> dict[str, Any]:
        coef, intercept = unpack(w)
        if not fit_intercept:
            intercept = 0.0
        elif column:
            intercept = namespace_of(coef).reshape(intercept, (1,))
        return {"coef_": coef if coef.ndim == 1 else coef.T, "intercept_": intercept}

    return attributes


def stacked(tasks: list[Task], results: list[SolveResult]) -> dict[str, Any]:
    """``coef_`` and ``intercept_`` of all the targets of a fit."""
    fitted = [task.unpack(result.w) for task, result in zip(tasks, results, strict=True)]
    if len(fitted) == 1:
        return fitted[0]
    xp = namespace_of(fitted[0]["coef_"])
    intercepts = [f["intercept_"] for f in fitted]
    constant = isinstance(intercepts[0], float) and not hasattr(intercepts[0], "dtype")
    return {
        "coef_": xp.stack([f["coef_"] for f in fitted]),
        "intercept_": 0.0 if constant else xp.stack([xp.asarray(b) for b in intercepts]),
    }


def target_tasks(
    owner: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    penalty: Penalty,
    *,
    precompute: Any = False,
) -> list[Task]:
    """Squared loss plus ``penalty``, one task per target; the data are raw."""
    X, y = check_X_y(owner, X, y, multi_output=True)
    weights = check_weights(sample_weight, X)
    starts = warm_coef(owner, (1 if y.ndim == 1 else y.shape[1], X.shape[1]), X.dtype)
    return tasks_of(owner, design(X), y, weights, penalty, precompute=precompute, starts=starts)


def tasks_of(
    owner: Any,
    base: Any,
    y: Any,
    weights: Any,
    penalty: Penalty,
    *,
    precompute: Any = False,
    starts: Any = None,
) -> list[Task]:
    """The same for a validated design, which all targets share; ``starts`` has a row for each."""
    X, xp, fit_intercept = base.X, namespace_of(y), owner.fit_intercept
    description = partial(owner._describe, X)
    Y = y[:, None] if y.ndim == 1 else y
    compressed = None
    # NumPy's booleans, as grids of parameters hold them, are no Gram matrices.
    precompute = bool(precompute) if isinstance(precompute, np.bool_) else precompute
    if wants_compression(precompute, X):
        compressed = CompressedRows(X, Y, weights, fit_intercept=fit_intercept, gram=precompute)
    tasks = []
    for k in range(Y.shape[1]):
        if compressed is None:
            problem = LinearProblem(
                base,
                xp.asarray(Y[:, k], copy=True),
                Squared(),
                penalty,
                sample_weight=weights,
                fit_intercept=fit_intercept,
                description=description,
            )
            unpack: Any = problem.unpack
        else:
            target = xp.asarray(compressed.targets[:, k], copy=True)
            problem = LinearProblem(
                compressed.rows, target, Squared(), penalty, description=description
            )
            unpack = partial(compressed.unpack, k)
        start = None if starts is None else starts[k, :]
        tasks.append(Task(problem, fitted_line(unpack, fit_intercept, y), start))
    return tasks


def store_targets(owner: Any, tasks: list[Task], results: list[SolveResult]) -> None:
    """Set the attributes of targets that were solved one by one, in scikit-learn's shapes."""
    for name, value in stacked(tasks, results).items():
        setattr(owner, name, value)
    reports = [result.report() for result in results]
    iterations = [max(1, result.n_iter) for result in results]
    gaps = np.asarray([report.dual_gap for report in reports])
    single = len(tasks) == 1
    owner.dual_gap_ = gaps[0] if single else gaps
    owner.n_iter_ = iterations[0] if single else iterations
    owner.solve_report_ = reports[0] if single else reports


def warm_coef(owner: Any, shape: tuple[int, int], dtype: Any) -> Any:
    """Coefficients to start from, in ``shape`` (targets, features); ``None`` for a cold start.

    Raises
    ------
    ValueError
        If an earlier fit had other features or targets.
    """
    coef = getattr(owner, "coef_", None) if owner.warm_start else None
    if coef is None:
        return None
    coef = coef[None, :] if coef.ndim == 1 else coef
    if coef.shape != shape:
        raise ValueError(
            f"{type(owner).__name__}: warm_start=True goes on from coefficients of shape "
            f"{coef.shape} (targets, features), but these data need {shape}; set "
            "warm_start=False or fit a clone"
        )
    return namespace_of(coef).astype(coef, dtype)
