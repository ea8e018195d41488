"""One problem, our solvers and scikit-learn's, time to a relative error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.timing import compare, parser, show  # first: pins BLAS  # isort: skip

import numpy as np
import sklearn.linear_model as peer

import skopt_dl.linear_model as own
from benchmarks import objectives
from benchmarks.datasets import PROBLEMS, Problem

MANY = 10**6


def lasso(problem: Problem, small: bool, solvers: list[str]) -> tuple[dict[str, Any], Any]:
    """Candidates and objective of a lasso."""
    X, y = problem.make(small)
    if hasattr(X, "tocsc"):
        X = X.tocsc()
    yc = y - y.mean()
    alpha = float(np.abs(X.T @ yc).max() / len(y)) / problem.strength
    candidates: dict[str, Callable[[float], Any]] = {
        "scikit-learn": lambda tol: peer.Lasso(alpha=alpha, tol=tol, max_iter=MANY).fit(X, y)
    }
    for s in solvers or ["auto", "cd", "fista"]:
        candidates[s] = lambda tol, s=s: own.Lasso(
            alpha=alpha, tol=tol, max_iter=MANY, solver=s
        ).fit(X, y)
    return candidates, objectives.Lasso(X, y, alpha)


def ridge(problem: Problem, small: bool, solvers: list[str]) -> tuple[dict[str, Any], Any]:
    """Candidates and objective of a ridge regression."""
    X, y = problem.make(small)
    alpha = problem.strength
    theirs = ["sparse_cg", "lsqr"] if hasattr(X, "tocsr") else ["cholesky", "svd"]
    candidates: dict[str, Callable[[float], Any]] = {}
    for s in theirs:
        candidates[f"scikit-learn {s}"] = lambda tol, s=s: peer.Ridge(
            alpha=alpha, tol=tol, solver=s
        ).fit(X, y)
    for s in solvers or ["auto", "cg", "lbfgs"]:
        candidates[s] = lambda tol, s=s: own.Ridge(alpha=alpha, tol=tol, solver=s).fit(X, y)
    return candidates, objectives.Ridge(X, y, alpha)


def logistic(problem: Problem, small: bool, solvers: list[str]) -> tuple[dict[str, Any], Any]:
    """Candidates and objective of a binary logistic regression with an L2 penalty."""
    X, y = problem.make(small)
    y = (y > np.median(y)).astype(float)
    C = problem.strength
    candidates: dict[str, Callable[[float], Any]] = {}
    for s in ["lbfgs", "newton-cholesky", "saga"]:
        candidates[f"scikit-learn {s}"] = lambda tol, s=s: peer.LogisticRegression(
            C=C, tol=tol, solver=s, max_iter=2000
        ).fit(X, y)
    for s in solvers or ["auto", "lbfgs", "newton_cg", "saga"]:
        candidates[s] = lambda tol, s=s: own.LogisticRegression(
            C=C, tol=tol, solver=s, max_iter=2000
        ).fit(X, y)
    return candidates, objectives.Logistic(X, y, C)


KINDS = {"lasso": lasso, "ridge": ridge, "logistic": logistic}


def main(arguments: list[str] | None = None) -> None:
    """Run the problems that were named."""
    p = parser(__doc__)
    p.add_argument("problems", nargs="*", choices=[*PROBLEMS, []], help="default: all")
    p.add_argument("--list", action="store_true", help="print the names of the problems")
    p.add_argument("--solvers", default="", help="our solvers, comma-separated")
    p.add_argument("--target", type=float, default=1e-6, help="relative error to reach")
    options = p.parse_args(arguments)
    if options.list:
        print("\n".join(PROBLEMS))
        return
    names = [s for s in options.solvers.split(",") if s]
    for name in options.problems or PROBLEMS:
        problem = PROBLEMS[name]
        candidates, objective = KINDS[problem.kind](problem, options.smoke, names)
        timings = compare(
            candidates,
            objective.error,
            target=options.target,
            repeat=1 if options.smoke else options.repeat,
        )
        show(f"{name}, relative error {options.target:.0e}", timings)


if __name__ == "__main__":
    main()
