"""Ridge regression with its strength chosen over folds, on Dask collections."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import solve

from skopt_dl.dask._folds import FoldMomentsCV, Folds
from skopt_dl.linear_model import Ridge as PlainRidge
from skopt_dl.linear_model._ridge_data import accurate
from skopt_dl.linops.aside import eigh


class RidgeCV(FoldMomentsCV):
    r"""Ridge regression with its strength chosen by cross-validation in one pass.

    .. math:: \min_{w, b}\ \|y - X w - b\|_2^2 + \alpha \|w\|_2^2

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,) or float, default=(0.1, 1.0, 10.0)
        Strengths to try.
    fit_intercept : bool, default=True
        Fit the intercept ``b``, which is not penalised.
    cv : int or None, default=None
        Number of consecutive folds of the rows; 5 for ``None``. (Leave-one-out, which
        `skopt_dl.RidgeCV` does by default, needs the rows again.)
    solver : str or Solver, default="auto"
        What solves the last small problem: any solver of `skopt_dl.Ridge`.
    tol : float, default=1e-6
        As for `skopt_dl.Ridge`; of iterative solvers.
    max_iter : int or None, default=None
        Iterations of the solver at most.
    client : distributed.Client, optional
        Whose workers compute. Default: the current client, else Dask's scheduler.
    verbose : bool, default=False
        Whether to show the progress of the pass.

    Attributes
    ----------
    alpha_ : float
        The strength chosen: the largest mean over the folds of the coefficient of determination.
    best_score_ : float
        That mean.
    coef_, intercept_ : array of shape (n_features,), float
        The model of all rows with that strength.
    n_features_in_, feature_names_in_, n_iter_, solver_, solve_report_
        As for `Ridge`.
    task_bytes_ : int
        What a task of the pass holds at most.
    n_blocks_, n_passes_ : int
        Blocks of the training data, and how often each was read: 1, 1 more to count rows of
        unknown number, and 1 more where an error on a fold is too small beside the target for its
        moments to give it.

    Examples
    --------
    >>> import dask.array as da
    >>> from skopt_dl.dask import RidgeCV
    >>> X = da.random.default_rng(0).normal(size=(1000, 3), chunks=(250, 3))
    >>> y = X.sum(axis=1) + da.random.default_rng(1).normal(size=1000, chunks=250)
    >>> RidgeCV(alphas=[1.0, 1000.0]).fit(X, y).alpha_
    1.0
    """

    def __init__(
        self,
        alphas: Any = (0.1, 1.0, 10.0),
        *,
        fit_intercept: bool = True,
        cv: int | None = None,
        solver: Any = "auto",
        tol: float = 1e-6,
        max_iter: int | None = None,
        client: Any = None,
        verbose: bool = False,
    ) -> None:
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.client = client
        self.verbose = verbose

    @property
    def _plain(self) -> type[PlainRidge]:
        return PlainRidge

    def _choose(self, folds: Folds) -> tuple[PlainRidge, bool]:
        # In the given order: of equal scores the first one stands.
        alphas = np.atleast_1d(self.alphas)
        numbers = alphas.dtype.kind in "fiu" and alphas.ndim == 1 and alphas.size > 0
        if not (numbers and np.all(np.isfinite(alphas) & (alphas > 0))):
            raise ValueError(
                f"skopt_dl.dask.{type(self).__name__}: the parameter alphas={self.alphas!r} is not "
                "valid; it must hold numbers above 0"
            )
        alphas = alphas.astype(np.float64)
        models = []
        for k in range(len(folds.blocks)):
            train = folds.training(k)
            G, q, _ = train.centred(self.fit_intercept)
            W = coefficients(G, q, alphas / train.weight)
            models.append((W, folds.intercepts(train, W)))
        mse = folds.errors(models)
        variances = np.asarray([b.tt / b.weight - (b.t / b.weight) ** 2 for b in folds.blocks])
        scores = np.mean(1.0 - mse / variances[:, None], axis=0)
        best = int(np.argmax(scores))
        self.alpha_, self.best_score_ = float(alphas[best]), float(scores[best])
        plain = PlainRidge(
            self.alpha_,
            fit_intercept=False,
            solver=self.solver,
            tol=self.tol,
            max_iter=self.max_iter,
        )
        return plain, False


def coefficients(G: Any, q: Any, strengths: Any) -> Any:
    """``(G + t)^-1 q`` of each strength t, in columns.

    One decomposition serves all where it leaves enough digits; a factorisation of each does not
    mind columns of different sizes.
    """
    values, V = eigh(G)
    values = np.clip(values, 0, None)
    if accurate(values[0] + np.min(strengths), values[-1]):
        return V @ ((V.T @ q)[:, None] / (values[:, None] + strengths))
    eye = np.eye(len(q))
    return np.stack([solve(G + t * eye, q, assume_a="pos") for t in strengths], axis=1)
