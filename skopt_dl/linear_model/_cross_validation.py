"""Validation errors of paths over folds, without copying X.

Two ways, by the shape of the data. Tall dense data whose folds partition the rows: the moments of
each fold give its training problem and its errors (`skopt_dl.linear_model._moments`). Otherwise:
the samples that a fold leaves out get weight zero in a problem on the same X.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from skopt_dl.kernels.namespace import (
    device_of,
    is_numpy,
    namespace_of,
    rows_of,
    to_float,
    to_numpy,
)
from skopt_dl.linear_model._exact_path import HOST, Path, gram_path
from skopt_dl.linear_model._moments import Moments, sum_of_others
from skopt_dl.linear_model._paths import PathSettings, solve_path
from skopt_dl.linear_model._strengths import strongest
from skopt_dl.linops import in_double
from skopt_dl.linops.design import few_rows, limit_of, nearly_centred
from skopt_dl.losses import Squared
from skopt_dl.penalties import Penalty
from skopt_dl.problems import LinearProblem
from skopt_dl.problems.working_set import GRAM_BELOW

# More folds than this are solved apart: the Gram blocks of all of them are held at once.
MOST_BLOCKS = 30


@dataclass(frozen=True)
class Fold:
    """A split: sample indices to train on (repetitions count) and to validate on."""

    train: Any
    test: Any


@dataclass(frozen=True)
class Validation:
    """What a cross-validation found.

    Attributes
    ----------
    mse : array of shape (n_ratios, n_folds, n_alphas)
        Mean squared errors; NaN where time ran out.
    gap : float
        Largest duality gap of a training problem, relative to its null model.
    answer : callable or None
        From ``(l1_ratio, alpha)`` to coefficients that fit all the data, where that costs no pass
        over X.
    """

    mse: Any
    gap: float
    answer: Callable[[float, float], Any] | None = None


def training_problems(
    base: Any,
    y: Any,
    weights: Any,
    folds: list[Fold],
    settings: PathSettings,
    penalty: Callable[[float], Penalty],
    *,
    fit_intercept: bool,
    exact: bool = True,
) -> Training:
    """What the training samples of each fold ask for, and how they are read.

    Parameters
    ----------
    base, y, weights : a design and arrays
        Validated data, all in one place; ``weights`` may be None.
    folds : list of Fold
        The splits.
    settings : PathSettings
        How paths are computed.
    penalty : callable
        From an l1_ratio to the penalty of strength 1.
    fit_intercept : bool
        The model.
    exact : bool
        Whether every strength of every grid penalises all coefficients by their absolute values.
    """
    xp = namespace_of(y)
    omega = (
        xp.ones(base.shape[0], dtype=y.dtype, device=device_of(y)) if weights is None else weights
    )
    for k, fold in enumerate(folds):
        for what, rows in (("training", fold.train), ("validation", fold.test)):
            if not to_float(xp.sum(rows_of(omega, rows))) > 0:
                raise ValueError(
                    f"the {what} samples of fold {k} have no weight: choose another cv, or "
                    "sample_weight with a positive weight there"
                )
    tall = exact and y.ndim == 1 and _fits_moments(base, folds, settings)
    return (_Tall if tall else _Weighted)(base, y, omega, folds, fit_intercept, penalty, settings)


def cross_validate(
    training: Training,
    grids: list[tuple[float, Any]],
    *,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Validation:
    """Errors on each fold of the models along each grid: an l1_ratio and decreasing strengths."""
    n_folds = len(training.folds)
    errors = delayed(training.errors)
    jobs = (errors(k, ratio, alphas) for ratio, alphas in grids for k in range(n_folds))
    found = Parallel(n_jobs=n_jobs, verbose=int(verbose), prefer="threads")(jobs)
    mse = np.reshape([e for e, _ in found], (len(grids), n_folds, -1))
    return Validation(mse, max(gap for _, gap in found), training.answer)


def _fits_moments(base: Any, folds: list[Fold], settings: PathSettings) -> bool:
    """Whether one Gram block for each fold is the way."""
    if base.layout == "sparse" or settings.precompute is False or not settings.exact:
        return False
    n, p = base.shape
    tall = settings.precompute is True or (n >= 2 * p and p <= GRAM_BELOW)
    if not tall or not 2 <= len(folds) <= MOST_BLOCKS:
        return False
    counts = np.zeros(n, dtype=np.intp)
    for fold in folds:
        np.add.at(counts, fold.test, 1)
    if not np.all(counts == 1):
        return False
    return all(_is_complement(fold, n) for fold in folds)


def _is_complement(fold: Fold, n: int) -> bool:
    used = np.zeros(n, dtype=np.intp)
    np.add.at(used, fold.train, 1)
    whole = int(np.sum(used)) == n - len(fold.test) == np.sum(used > 0)
    return not np.any(used[fold.test]) and whole


def _relative(gaps: Any, unit: float) -> float:
    return float(np.nanmax(gaps, initial=0.0)) / (unit if unit > 0 else 1.0)


class Training(Protocol):
    """The training problems of all folds, and of all the data."""

    folds: list[Fold]

    @property
    def answer(self) -> Callable[[float, float], Any] | None:
        """From ``(l1_ratio, alpha)`` to coefficients of all the data, where no pass is needed."""
        ...

    def strongest(self) -> float:
        """The strength from which on no coefficient of all the data differs from zero."""
        ...

    def errors(self, k: int, ratio: float, alphas: Any) -> tuple[Any, float]:
        """Errors on fold ``k`` along ``alphas``, and the largest relative gap."""
        ...


class _Tall:
    """Folds by their moments, in one reading of X."""

    def __init__(
        self,
        base: Any,
        y: Any,
        omega: Any,
        folds: list[Fold],
        fit_intercept: bool,
        penalty: Callable[[float], Any],
        settings: PathSettings,
    ) -> None:
        X = base.X
        self.X, self.y, self.omega, self.folds = X, y, omega, folds
        self.fit_intercept, self.settings = fit_intercept, settings
        self.positive = penalty(1.0).positive
        xp = namespace_of(X)
        nowhere = xp.zeros(X.shape[1], dtype=xp.float64, device=device_of(X))
        self.origin: tuple[Any, Any] = (nowhere, 0.0)
        if fit_intercept:
            share = omega / xp.sum(omega)
            # Any point near the rows that count is one to take moments about.
            rows = xp.nonzero(omega > 0)[0]
            few = rows_of(X, few_rows(rows))
            middle = xp.mean(few, axis=0)
            near = X.dtype == xp.float64 and nearly_centred(middle, xp.var(few, axis=0))
            self.origin = (nowhere if near else xp.astype(middle, xp.float64), to_float(share @ y))
        self.blocks = [Moments.of_rows(X, y, omega, fold.test, self.origin) for fold in folds]
        self.total = sum_of_others(self.blocks, -1)
        if fit_intercept:
            mean = xp.asarray(self.total.a / self.total.weight, device=device_of(X))
            base.keep_means(share, xp.astype(self.origin[0] + mean, X.dtype))

    def strongest(self) -> float:
        """The strength from which on no coefficient of all the data differs from zero."""
        c = self.total.correlations(self.fit_intercept)
        return max(0.0, float(np.max(c if self.positive else np.abs(c))))

    def _path(self, moments: Moments, ratio: float, alphas: Any) -> tuple[Path, float]:
        G, q, square = moments.centred(self.fit_intercept)
        p = len(q)
        path = gram_path(
            HOST.GramLasso(p, self.positive),
            G,
            q,
            square,
            np.full(p, ratio),
            np.full(p, 1.0 - ratio),
            alphas,
            positive=self.positive,
            deadline=self.settings.deadline,
        )
        return path, square / 2

    def errors(self, k: int, ratio: float, alphas: Any) -> tuple[Any, float]:
        """Errors on fold ``k`` along ``alphas``, and the largest relative gap."""
        train = sum_of_others(self.blocks, k)
        path, unit = self._path(train, ratio, alphas)
        W = path.coefs
        b = train.intercepts(W) if self.fit_intercept else np.zeros(W.shape[1])
        mse, lost = self.blocks[k].errors(W, b)
        if np.any(lost):
            mse[lost] = self._errors_of_rows(k, W[:, lost], b[lost])
        return mse, _relative(path.gaps, unit)

    def _errors_of_rows(self, k: int, W: Any, b: Any) -> Any:
        rows, (x0, y0) = self.folds[k].test, self.origin
        xp, device = namespace_of(self.X), device_of(self.X)
        W, b = (xp.asarray(a, device=device) for a in (W, b))
        t = xp.astype(rows_of(self.y, rows), xp.float64) - y0
        R = in_double(rows_of(self.X, rows), x0) @ W + b - t[:, None]
        return to_numpy(_weighted_mean(R**2, rows_of(self.omega, rows)))

    def answer(self, ratio: float, alpha: float) -> Any:
        """Coefficients for all the data."""
        coef = self._path(self.total, ratio, np.asarray([alpha]))[0].coefs[:, 0]
        xp, X = namespace_of(self.X), self.X
        return xp.asarray(coef, dtype=X.dtype, device=device_of(X))


class _Weighted:
    """Folds by weights of zero: every problem is on the same X."""

    answer = None

    def __init__(
        self,
        base: Any,
        y: Any,
        omega: Any,
        folds: list[Fold],
        fit_intercept: bool,
        penalty: Callable[[float], Penalty],
        settings: PathSettings,
    ) -> None:
        self.y, self.omega, self.folds = y, omega, folds
        self.fit_intercept, self.penalty, self.settings = fit_intercept, penalty, settings
        self.data, self.base = base, base
        self.share = omega / namespace_of(omega).sum(omega)
        if fit_intercept:
            # Once for all folds; their problems then find nothing left to move.
            limit = limit_of(y.dtype, namespace_of(y), centred=True)
            self.base, _ = self.base.near_zero(self.share, limit)

    def strongest(self) -> float:
        """The strength from which on no coefficient of all the data differs from zero."""
        return strongest(
            self.data,
            self.y,
            self.share,
            fit_intercept=self.fit_intercept,
            positive=getattr(self.penalty(1.0), "positive", False),
        )

    def errors(self, k: int, ratio: float, alphas: Any) -> tuple[Any, float]:
        """Errors on fold ``k`` along ``alphas``, and the largest relative gap."""
        fold, xp, omega = self.folds[k], namespace_of(self.y), self.omega
        counts = np.bincount(fold.train, minlength=omega.shape[0])
        counts = xp.asarray(counts, dtype=omega.dtype, device=device_of(omega))
        problem = LinearProblem(
            self.base,
            self.y,
            Squared(),
            self.penalty(ratio),
            sample_weight=counts * omega,
            fit_intercept=self.fit_intercept,
            description=f"the training samples of fold {k}",
        )
        path = solve_path(problem, alphas, self.settings)
        unit = to_float(xp.sum(problem.omega @ problem.y**2)) / 2
        return self._validate(problem, fold.test, path.coefs), _relative(path.gaps, unit)

    def _validate(self, problem: LinearProblem, rows: Any, coefs: Any) -> Any:
        """Errors on ``rows``, the mean over the targets where there are several."""
        xp, K, K_alphas = problem.xp, problem.n_outputs, coefs.shape[1]
        # A column for each target and strength.
        W = xp.reshape(xp.astype(coefs, problem.dtype), (problem.n_features, K * K_alphas))
        used = xp.nonzero(xp.any(W != 0, axis=1))[0]
        columns, inside = problem.base.take_columns(used), xp.take(W, used, axis=0)
        if columns.layout == "dense":
            here = rows if is_numpy(xp) else xp.asarray(rows, device=problem.device)
            Z = columns.take_rows(here).matvec(inside)
        else:
            # By columns: the product for all rows costs less than to find some of them.
            Z = rows_of(columns.matvec(inside), rows)
        if self.fit_intercept:
            means = xp.reshape(xp.asarray(problem.y_mean), (-1,))
            Z = Z + (xp.repeat(means, K_alphas) - problem.map.mean @ W)
        target = xp.reshape(rows_of(self.y, rows), (len(rows), K, 1))
        R = xp.astype(xp.reshape(Z, (len(rows), K, K_alphas)) - target, xp.float64)
        return to_numpy(xp.mean(_weighted_mean(R**2, rows_of(self.omega, rows)), axis=0))


def _weighted_mean(a: Any, weights: Any) -> Any:
    """The mean along the first axis."""
    xp = namespace_of(a)
    weights = xp.astype(weights, a.dtype)
    return xp.tensordot(weights, a, axes=1) / xp.sum(weights)
