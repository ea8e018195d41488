"""Candidates: for each kind of problem, ours and those of the peers that are importable.

A candidate takes the objective of a problem and returns a function from a tolerance to an answer,
which is what its objective's ``error`` reads. One that is exact ignores the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import sklearn.linear_model as peer
from sklearn.model_selection import GridSearchCV

import skopt_dl.linear_model as own
from skopt_dl.model_selection import GridSearchCV as Together

Fit = Callable[[float], Any]
MANY = 10**5
OURS = "skopt_dl"


def optional(name: str) -> Any:
    """A module, or ``None`` where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


def tall(X: Any) -> bool:
    """Whether a Gram matrix of the columns is small beside dense data."""
    return not hasattr(X, "tocsc") and X.shape[0] >= 2 * X.shape[1]


# --- one strength -------------------------------------------------------------------------------


def lasso(q: Any, solvers: list[str]) -> Iterator[tuple[str, Fit]]:
    """Lasso and elastic net."""
    X, y, alpha, ratio = q.X, q.y, q.alpha, q.l1_ratio

    def made(module: Any, **more: Any) -> Fit:
        if ratio == 1:
            return lambda tol: module.Lasso(alpha, tol=tol, max_iter=MANY, **more).fit(X, y)
        return lambda tol: module.ElasticNet(
            alpha, l1_ratio=ratio, tol=tol, max_iter=MANY, **more
        ).fit(X, y)

    for name in solvers:
        yield _label(name), made(own, solver=name)
    yield "scikit-learn", made(peer)
    if tall(X):
        yield "scikit-learn Gram", made(peer, precompute=True)
    if ratio == 1 and not hasattr(X, "tocsc") and X.dtype == np.float64:
        yield "scikit-learn LARS", lambda _: peer.LassoLars(alpha, max_iter=5000).fit(X, y)
    if celer := optional("celer"):
        yield "celer", lambda tol: _cut(made(celer, max_epochs=10**5)(tol))
    if skglm := optional("skglm"):
        # Its tolerance is absolute, and its strengths count n.
        yield "skglm", lambda tol: _skglm(skglm, q, tol)


def _skglm(skglm: Any, q: Any, tol: float) -> Any:
    kind = skglm.Lasso if q.l1_ratio == 1 else skglm.ElasticNet
    more = {} if q.l1_ratio == 1 else {"l1_ratio": q.l1_ratio}
    return kind(q.alpha, tol=tol * np.std(q.y), max_iter=1000, max_epochs=10**5, **more).fit(
        q.X, q.y
    )


def _cut(model: Any) -> Any:
    return SimpleNamespace(coef_=model.coef_, intercept_=float(np.ravel(model.intercept_)[0]))


def _label(solver: str) -> str:
    return OURS if solver == "auto" else f"{OURS} {solver}"


# --- paths and their selection ------------------------------------------------------------------


def paths(alphas: Any) -> Iterator[tuple[str, Callable[[Any, Any, float], Any]]]:
    """Peers' paths of centred data: (X, y, tol) to coefficients, a column a strength."""

    def by_sklearn(X: Any, y: Any, tol: float) -> Any:
        return peer.lasso_path(X, y, alphas=alphas, tol=tol, max_iter=MANY)[1]

    def by_lars(X: Any, y: Any, tol: float) -> Any:
        knots, _, coefs = peer.lars_path(X, y, method="lasso", alpha_min=alphas[-1], max_iter=5000)
        order = np.argsort(knots)
        at = np.clip(np.searchsorted(knots[order], alphas), 1, len(knots) - 1)
        low, high = knots[order][at - 1], knots[order][at]
        share = np.clip((alphas - low) / np.maximum(high - low, 1e-300), 0, 1)
        return coefs[:, order[at - 1]] * (1 - share) + coefs[:, order[at]] * share

    yield "scikit-learn", by_sklearn
    yield "scikit-learn LARS", by_lars
    if celer := optional("celer"):
        yield (
            "celer",
            lambda X, y, tol: celer.celer_path(
                X, y, pb="lasso", alphas=alphas, tol=tol, max_iter=1000
            )[1],
        )
    # By its module: another distribution also installs a package of the name glmnet.
    if glmnet := optional("glmnet.linear"):

        def by_glmnet(X: Any, y: Any, tol: float) -> Any:
            model = glmnet.ElasticNet(
                alpha=1.0,
                lambda_path=alphas,
                n_splits=0,
                standardize=False,
                fit_intercept=False,
                tol=tol * 1e-3,
                max_iter=MANY,
            )
            return np.asarray(model.fit(X, y).coef_path_)

        yield "python-glmnet", by_glmnet
    if adelie := optional("adelie"):

        def by_adelie(X: Any, y: Any, tol: float) -> Any:
            fit = adelie.grpnet(
                X,
                adelie.glm.gaussian(y),
                lmda_path=alphas,
                intercept=False,
                tol=tol,
                early_exit=False,
                progress_bar=False,
                adev_tol=1.0,
                ddev_tol=0.0,
            )
            return fit.betas.toarray().T

        yield "adelie", by_adelie


def lasso_path(q: Any, solvers: list[str]) -> Iterator[tuple[str, Fit]]:
    """Paths of a lasso."""
    for name in solvers:
        yield (
            _label(name),
            lambda tol, name=name: own.lasso_path(
                q.X, q.y, alphas=q.alphas, tol=tol, max_iter=MANY, solver=name
            )[1],
        )
    for name, path in paths(q.alphas):
        yield name, lambda tol, path=path: path(q.X, q.y, tol)


def lasso_cv(q: Any, solvers: list[str]) -> Iterator[tuple[str, Fit]]:
    """Selection by folds: scikit-learn's estimator, and the other peers' paths with its folds."""
    common = {"alphas": q.alphas, "cv": 5, "max_iter": MANY}
    for name in solvers:
        yield (
            _label(name),
            lambda tol, name=name: own.LassoCV(tol=tol, solver=name, **common).fit(q.X, q.y),
        )
    yield "scikit-learn", lambda tol: peer.LassoCV(tol=tol, **common).fit(q.X, q.y)
    for name, path in paths(q.alphas):
        if not name.startswith("scikit-learn"):
            yield name, lambda tol, path=path: _select(q, path, tol)


def _select(q: Any, path: Any, tol: float) -> Any:
    mse = q.mse_of(lambda X, y: path(X, y, tol))
    best = int(np.argmin(mse.mean(axis=1)))
    mean, centre = q.X.mean(axis=0), q.y.mean()
    W = path(np.asfortranarray(q.X - mean), q.y - centre, tol)[:, best]
    return SimpleNamespace(
        mse_path_=mse, alpha_=q.alphas[best], coef_=W, intercept_=centre - mean @ W
    )


# --- ridge --------------------------------------------------------------------------------------


def ridge(q: Any, solvers: list[str]) -> Iterator[tuple[str, Fit]]:
    """One strength of a ridge regression."""

    def made(module: Any, solver: str) -> Fit:
        return lambda tol: module.Ridge(q.alpha, tol=tol, solver=solver).fit(q.X, q.y)

    for name in solvers:
        yield _label(name), made(own, name)
    for name in ("sparse_cg",) if hasattr(q.X, "tocsc") else ("auto", "svd"):
        yield f"scikit-learn {name}", made(peer, name)


def ridge_cv(q: Any, solvers: list[str]) -> Iterator[tuple[str, Fit]]:
    """Selection of a ridge's strength. The errors of the choice are of no interest in between."""
    common = {"alphas": q.alphas, "cv": q.cv}
    yield OURS, lambda _: own.RidgeCV(**common).fit(q.X, q.y)
    yield "scikit-learn", lambda _: peer.RidgeCV(**common).fit(q.X, q.y)
    himalaya = optional("himalaya.ridge")
    if himalaya and q.y.ndim == 2 and q.cv:
        yield "himalaya", lambda _: _himalaya(himalaya, q)


def _himalaya(himalaya: Any, q: Any) -> Any:
    from himalaya.scoring import r2_score_split
    from sklearn.model_selection import KFold

    # One strength for all targets, as the others choose: the mean score over targets decides.
    alphas, coef, _, intercept = himalaya.solve_ridge_cv_svd(
        q.X,
        q.y,
        alphas=q.alphas,
        cv=KFold(q.cv),
        local_alpha=False,
        score_func=r2_score_split,
        fit_intercept=True,
    )
    return SimpleNamespace(alpha_=alphas, coef_=coef.T, intercept_=intercept)


# --- classification, grids ----------------------------------------------------------------------


def logistic(q: Any, solvers: list[str]) -> Iterator[tuple[str, Fit]]:
    """Binary logistic regression with an L2 penalty."""

    def made(module: Any, solver: str) -> Fit:
        return lambda tol: module.LogisticRegression(
            C=q.C, tol=tol, solver=solver, max_iter=10_000
        ).fit(q.X, q.y)

    for name in solvers:
        yield _label(name), made(own, name)
    dense = [] if hasattr(q.X, "tocsc") else ["newton-cholesky"]
    for name in ("lbfgs", "newton-cg", *dense):
        yield f"scikit-learn {name}", made(peer, name)


def logistic_cv(q: Any, solvers: list[str]) -> Iterator[tuple[str, Fit]]:
    """Logistic regression with an L2 penalty, ten strengths and five folds."""

    def made(module: Any, solver: str) -> Fit:
        return lambda tol: module.LogisticRegressionCV(
            cv=5,
            l1_ratios=(0,),
            scoring="accuracy",
            use_legacy_attributes=False,
            tol=tol,
            solver=solver,
            max_iter=10_000,
        ).fit(q.X, q.y)

    for name in solvers:
        yield _label(name), made(own, name)
    dense = [] if hasattr(q.X, "tocsc") else ["newton-cholesky"]
    for name in ("lbfgs", *dense):
        yield f"scikit-learn {name}", made(peer, name)


def grid_lasso(q: Any, solvers: list[str]) -> Iterator[tuple[str, Fit]]:
    """A grid search over 50 strengths (fewer on few rows) and five folds: 250 fits and a refit."""
    grid = {"alpha": q.alpha * np.geomspace(1, 1e-3, max(5, min(50, len(q.y) // 100)))}

    def made(module: Any, search: Any = GridSearchCV) -> Fit:
        return lambda tol: search(module.Lasso(tol=tol, max_iter=MANY), grid, cv=5).fit(q.X, q.y)

    yield OURS, made(own)
    yield f"{OURS} together", made(own, Together)
    yield "scikit-learn", made(peer)
    if celer := optional("celer"):
        yield "celer", made(celer)


def grid_ridge(q: Any, solvers: list[str]) -> Iterator[tuple[str, Fit]]:
    """The same of a ridge regression."""

    def made(module: Any, search: Any = GridSearchCV) -> Fit:
        return lambda _: search(module.Ridge(), {"alpha": q.alphas}, cv=q.cv).fit(q.X, q.y)

    yield OURS, made(own)
    yield f"{OURS} together", made(own, Together)
    yield "scikit-learn", made(peer)


KINDS: dict[str, Callable[[Any, list[str]], Iterator[tuple[str, Fit]]]] = {
    "lasso": lasso,
    "enet": lasso,
    "lasso_path": lasso_path,
    "lasso_cv": lasso_cv,
    "ridge": ridge,
    "ridge_cv": ridge_cv,
    "logistic": logistic,
    "logistic_cv": logistic_cv,
    "grid_lasso": grid_lasso,
    "grid_ridge": grid_ridge,
}
