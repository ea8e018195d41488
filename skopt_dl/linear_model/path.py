"""Regularisation paths as functions: every strength of a lasso or an elastic net at once."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from skopt_dl._sklearn.arrays import is_foreign, on_host
from skopt_dl._sklearn.base import outside
from skopt_dl._sklearn.validation import FLOATS, check_foreign_X_y, check_weights
from skopt_dl.kernels.namespace import device_of, namespace_of, to_float, to_numpy
from skopt_dl.linear_model._exact_path import HOST, Path, gram_path
from skopt_dl.linear_model._paths import PathSettings, solve_path
from skopt_dl.linear_model._strengths import (
    alpha_grid,
    check_ratio,
    omega_of,
    sorted_alphas,
    strongest,
)
from skopt_dl.linops import design
from skopt_dl.losses import Squared
from skopt_dl.penalties import ElasticNet, Penalty, RowElasticNet
from skopt_dl.problems import LinearProblem


def alpha_max(
    X: Any,
    y: Any,
    *,
    l1_ratio: float = 1.0,
    fit_intercept: bool = True,
    sample_weight: Any = None,
    positive: bool = False,
) -> float:
    """The smallest ``alpha`` for which all coefficients are zero.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Data.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Targets; several are taken together, as `MultiTaskLasso` does.
    l1_ratio : float, default=1.0
        Share of the L1 penalty, in (0, 1]: 1 for a lasso.
    fit_intercept : bool, default=True
        Whether the model has an intercept.
    sample_weight : array-like of shape (n_samples,), optional
        Weights of the samples.
    positive : bool, default=False
        Whether coefficients are restricted to be non-negative.

    Returns
    -------
    float
        ``max_j |x_j' (y - mean(y))| / (n l1_ratio)`` of the centred columns, rounded up by a few
        units in the last place.

    Examples
    --------
    >>> from skopt_dl.linear_model import Lasso, alpha_max
    >>> X, y = [[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0]
    >>> round(alpha_max(X, y), 3)
    1.333
    >>> Lasso(alpha=alpha_max(X, y)).fit(X, y).coef_
    array([0.])
    """
    check_ratio(l1_ratio)
    X, y = _checked(X, y, "alpha_max")
    weights = check_weights(sample_weight, X)
    omega = omega_of(weights, y)
    top = strongest(design(X), y, omega, fit_intercept=fit_intercept, positive=positive)
    return top / l1_ratio * (1 + 8 * float(namespace_of(y).finfo(y.dtype).eps))


def enet_path(
    X: Any,
    y: Any,
    *,
    l1_ratio: float = 0.5,
    eps: float = 1e-3,
    alphas: Any = 100,
    precompute: Any = "auto",
    Xy: Any = None,
    copy_X: bool = True,
    coef_init: Any = None,
    verbose: bool = False,
    return_n_iter: bool = False,
    positive: bool = False,
    check_input: bool = True,
    sample_weight: Any = None,
    tol: float = 1e-4,
    max_iter: int | None = 1000,
    random_state: Any = None,
    selection: str = "cyclic",
    solver: Any = "auto",
) -> tuple[Any, ...]:
    r"""The elastic net for many strengths, each with a duality gap.

    .. math::

        \min_w\ \frac{1}{2 n} \|y - X w\|_2^2 + \alpha \rho \|w\|_1
        + \frac{\alpha (1 - \rho)}{2} \|w\|_2^2

    and, for several targets, that of `MultiTaskElasticNet`. There is no intercept: centre the data
    for one, or use `ElasticNetCV`.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Data; never written, a sparse matrix is never made dense.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Target.
    l1_ratio : float, default=0.5
        Share :math:`\rho` of the L1 penalty, in [0, 1]. 0 needs ``alphas`` to be given.
    eps : float, default=1e-3
        Smallest strength over the largest, where ``alphas`` is a number.
    alphas : int or array-like, default=100
        How many strengths, or the strengths themselves.
    precompute : "auto", bool or array-like of shape (n_features, n_features), default="auto"
        Whether to form the Gram matrix ``X'X`` of all columns; "auto" does where that pays. An
        array is taken as that matrix (for one target without sample weights, by the exact path).
    Xy : array-like of shape (n_features,), optional
        ``X'y``, if it is known; used with a ``precompute`` that is an array.
    copy_X : bool, default=True
        Accepted for scikit-learn's sake. X is never written, whatever this says.
    coef_init : array-like of shape (n_features,) or (n_targets, n_features), optional
        Where a solver starts at the first strength. The exact path starts at zero.
    verbose : bool, default=False
        Print a line about the path when it is done.
    return_n_iter : bool, default=False
        Return the number of iterations, too.
    positive : bool, default=False
        Restrict to ``w >= 0``, with one target.
    check_input : bool, default=True
        Check X and y. Without, they must be finite floating arrays of one dtype.
    sample_weight : array-like of shape (n_samples,), optional
        Non-negative weights of the samples: the mean of the squares is the weighted one.
    tol : float, default=1e-4
        Bound on the duality gap, relative to the objective at ``w = 0``.
    max_iter : int or None, default=1000
        Iterations at most for each strength, in the solver's unit; ``None`` is its own budget.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some.
    selection : {"cyclic", "random"}, default="cyclic"
        Order of the coordinates. With "random", "auto" is coordinate descent.
    solver : str or Solver, default="auto"
        "auto" and "active_set" follow the path exactly, in blocks of strengths that share their
        products with X. Any other solver goes from strength to strength.

    Returns
    -------
    alphas : array of shape (n_alphas,)
        The strengths, decreasing.
    coefs : array of shape (n_features, n_alphas) or (n_targets, n_features, n_alphas)
        The coefficients.
    dual_gaps : array of shape (n_alphas,)
        Duality gaps, in the units of the objective.
    n_iters : list of int
        Iterations for each strength (products with X, for the exact path); only with
        ``return_n_iter``.

    See Also
    --------
    lasso_path : With the L1 penalty only.
    ElasticNetCV : Chooses a strength by cross-validation.

    References
    ----------
    J. Friedman, T. Hastie, R. Tibshirani, "Regularization paths for generalized linear models via
    coordinate descent", J. Stat. Softw. 33 (2010).

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from skopt_dl.linear_model import enet_path
    >>> X, y = make_regression(n_features=5, n_informative=2, random_state=0)
    >>> alphas, coefs, gaps = enet_path(X, y, alphas=3)
    >>> coefs.shape, int((coefs[:, 0] != 0).sum()), bool((gaps < 1e-6).all())
    ((5, 3), 0, True)
    """
    if selection not in ("cyclic", "random"):
        raise ValueError(f"enet_path: selection={selection!r}, but it must be 'cyclic' or 'random'")
    check_ratio(l1_ratio, zero=not isinstance(alphas, (int, np.integer)))
    if check_input:
        X, y = _checked(X, y, "enet_path")
    xp = namespace_of(y)
    if y.ndim == 2 and positive:
        raise ValueError(
            f"enet_path: y has shape {y.shape}, but positive=True is for one target; call "
            "enet_path for each"
        )
    weights = check_weights(sample_weight, X)
    base, omega = design(X), omega_of(weights, y)
    if isinstance(alphas, (int, np.integer)):
        if alphas < 1:
            raise ValueError(f"enet_path: alphas={alphas!r}, but a number of strengths is >= 1")
        top = strongest(base, y, omega, fit_intercept=False, positive=positive) / l1_ratio
        strengths = alpha_grid(top, eps, int(alphas))
    else:
        strengths = sorted_alphas(alphas, "enet_path")
    penalty: Penalty = ElasticNet(l1_ratio, 1.0 - l1_ratio, positive)
    if y.ndim == 2:
        penalty = RowElasticNet(y.shape[1], l1_ratio, 1.0 - l1_ratio)
    given = None if isinstance(precompute, (bool, np.bool_, str)) else precompute
    if isinstance(precompute, str) and precompute != "auto":
        raise ValueError(
            f"enet_path: precompute={precompute!r}, but it must be 'auto', True, False or X'X"
        )
    settings = PathSettings(
        solver=solver,
        tol=tol,
        max_iter=max_iter,
        selection=selection,
        random_state=random_state,
        precompute="auto" if given is not None else precompute,
    )
    problem = LinearProblem(
        base,
        y,
        Squared(),
        penalty,
        sample_weight=weights,
        description=lambda: f"a path with l1_ratio={l1_ratio} on {X.shape[0]} samples",
    )
    if given is not None:
        path = _path_of_gram(problem, strengths, settings, given, Xy, weighted=weights is not None)
    else:
        # Side by side in the problem are the targets of a feature.
        start = coef_init
        if coef_init is not None:
            coef_init = xp.asarray(coef_init, dtype=y.dtype, device=device_of(y))
            start = xp.reshape(coef_init.T, (-1,))
        path = solve_path(problem, strengths, settings, start)
    worst = warn_of_gaps(path, to_float(xp.sum(omega @ y**2)) / 2, tol, "enet_path")
    if verbose:
        print(f"enet_path: {len(strengths)} strengths, largest relative duality gap {worst:.1e}")
    coefs = xp.astype(path.coefs, y.dtype, copy=False)
    if y.ndim == 2:
        coefs = xp.moveaxis(xp.reshape(coefs, (X.shape[1], y.shape[1], -1)), 1, 0)
    answer = (strengths, coefs, path.gaps)
    return (*answer, [int(k) for k in path.n_iters]) if return_n_iter else answer


def lasso_path(
    X: Any,
    y: Any,
    *,
    eps: float = 1e-3,
    alphas: Any = 100,
    precompute: Any = "auto",
    Xy: Any = None,
    copy_X: bool = True,
    coef_init: Any = None,
    verbose: bool = False,
    return_n_iter: bool = False,
    positive: bool = False,
    **params: Any,
) -> tuple[Any, ...]:
    """The lasso for many strengths: `enet_path` with ``l1_ratio=1``.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Data; never written, a sparse matrix is never made dense.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Target.
    eps, alphas, precompute, Xy, copy_X, coef_init, verbose, return_n_iter, positive
        As in `enet_path`.
    **params
        Further parameters of `enet_path`: ``solver``, ``sample_weight``, ``tol`` ...

    Returns
    -------
    alphas, coefs, dual_gaps, n_iters
        As from `enet_path`.

    See Also
    --------
    enet_path : With an L2 penalty added.
    LassoCV : Chooses a strength by cross-validation.

    Examples
    --------
    >>> from skopt_dl.linear_model import lasso_path
    >>> alphas, coefs, gaps = lasso_path([[1.0], [2.0], [3.1]], [1.0, 2.0, 3.1], alphas=[0.5, 5.0])
    >>> coefs.round(2)
    array([[0. , 0.9]])
    """
    return enet_path(
        X,
        y,
        l1_ratio=1.0,
        eps=eps,
        alphas=alphas,
        precompute=precompute,
        Xy=Xy,
        copy_X=copy_X,
        coef_init=coef_init,
        verbose=verbose,
        return_n_iter=return_n_iter,
        positive=positive,
        **params,
    )


def warn_of_gaps(path: Path, unit: float, tol: float, name: str) -> float:
    """The largest gap relative to ``unit``; warns if it exceeds ``tol``."""
    worst = float(np.nanmax(path.gaps, initial=0.0)) / (unit if unit > 0 else 1.0)
    if worst > tol:
        warnings.warn(
            f"{name} did not converge at every strength: the largest duality gap is {worst:.3g} "
            f"against tol={tol:.2g}. Increase max_iter, choose another solver, or scale the "
            "columns of X.",
            ConvergenceWarning,
            stacklevel=outside(),
        )
    return worst


def _path_of_gram(
    problem: LinearProblem,
    strengths: Any,
    settings: PathSettings,
    gram: Any,
    Xy: Any,
    *,
    weighted: bool,
) -> Path:
    """The exact path by a Gram matrix that the user has."""
    n, p = problem.base.shape
    if weighted or problem.y.ndim != 1 or not settings.exact:
        raise ValueError(
            "enet_path: precompute is an array, which only the exact path (solver='auto' or "
            "'active_set') of one target without sample_weight reads; pass precompute='auto'"
        )
    xp = problem.xp
    G = np.array(on_host(gram), dtype=np.float64) / n
    q = problem.base.rmatvec(problem.y) if Xy is None else Xy
    q = np.array(on_host(q), dtype=np.float64) / n
    for name, array, shape in (("precompute", G, (p, p)), ("Xy", q, (p,))):
        if array.shape != shape:
            raise ValueError(f"enet_path: {name} has shape {array.shape}, but it must be {shape}")
    probe = np.cos(1.6180339887 * np.arange(p))
    there = xp.asarray(probe, dtype=problem.dtype, device=problem.device)
    here = to_numpy(problem.base.rmatvec(problem.base.matvec(there))) / n
    size, eps = float(np.trace(G)), float(xp.finfo(problem.dtype).eps)
    if not np.max(np.abs(G @ probe - here), initial=0) <= 1e3 * eps * size:
        raise ValueError(
            "enet_path: precompute is not X'X of these data; pass precompute=True to have it "
            "computed"
        )
    l1, l2, positive = problem.penalty.elastic_net(  # type: ignore[attr-defined]
        p, np, np.float64, None
    )
    y = xp.astype(problem.y, xp.float64)
    path = gram_path(
        HOST.GramLasso(p, positive),
        G,
        q,
        to_float(y @ y) / n,
        l1,
        l2,
        np.asarray(strengths),
        positive=positive,
    )
    return replace(path, coefs=xp.asarray(path.coefs, device=problem.device))


def _checked(X: Any, y: Any, name: str) -> tuple[Any, Any]:
    if is_foreign(X):
        return check_foreign_X_y(name, X, y)
    X = check_array(X, accept_sparse=("csc", "csr"), dtype=FLOATS)
    y = check_array(on_host(y), dtype=X.dtype, ensure_2d=False)
    y = column_or_1d(y) if y.ndim == 2 and y.shape[1] == 1 else y
    check_consistent_length(X, y)
    return X, y
