"""Small smooth problems whose answers are known, for the tests of smooth solvers."""

from __future__ import annotations

import numpy as np
from scipy.optimize import rosen, rosen_der, rosen_hess, rosen_hess_prod

from skopt_dl.engine import Stopping, run
from skopt_dl.losses import Logistic
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem, SmoothProblem


def rosenbrock(p, start=-1.2):
    return SmoothProblem(
        rosen, rosen_der, start=np.full(p, start), hvp=rosen_hess_prod, hessian=rosen_hess
    )


def quadratic(A, b, start):
    return SmoothProblem(
        lambda w: 0.5 * w @ (A @ w) - b @ w, lambda w: A @ w - b, hessian=lambda w: A, start=start
    )


def with_eigenvalues(values, seed=0):
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((len(values), len(values))))
    return (Q * values) @ Q.T


def classes(n=150, p=6, k=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.logspace(-1, 1, p)
    scores = X @ rng.standard_normal((p, k)) / 3 + rng.gumbel(size=(n, k)) + np.arange(k)
    return X, np.argmax(scores, axis=1)


def binary(xp=np, dtype="float64", device=None, alpha=1e-2, **kwargs):
    X, y = classes()
    keep = {} if device is None else {"device": device}
    X, y = (xp.asarray(a, dtype=getattr(xp, dtype), **keep) for a in (X, y))
    return LinearProblem(
        X, y, Logistic(), L2(alpha), fit_intercept=True, criterion="stationarity", **kwargs
    )


def solve(problem, solver, tol=1e-10, max_iter=20_000, **kwargs):
    return run(problem, solver, stopping=Stopping(tol=tol, max_iter=max_iter), **kwargs)


def after(problem, solver, n, **kwargs):
    """The point after ``n`` iterations."""
    stopping = Stopping(tol=None, max_iter=n)
    return run(problem, solver, stopping=stopping, rng=np.random.default_rng(0), **kwargs).w
