"""One problem, our solvers and scikit-learn's, time to a relative error."""

from __future__ import annotations

from typing import Any

from benchmarks.timing import compare, fitting, parser, show  # first: pins BLAS  # isort: skip

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
    common = {"alpha": alpha, "max_iter": MANY}
    candidates = {"scikit-learn": fitting(peer.Lasso, X, y, **common)}
    for s in solvers or ["auto", "cd", "fista"]:
        candidates[s] = fitting(own.Lasso, X, y, solver=s, **common)
    return candidates, objectives.Lasso(X, y, alpha)


def ridge(problem: Problem, small: bool, solvers: list[str]) -> tuple[dict[str, Any], Any]:
    """Candidates and objective of a ridge regression."""
    X, y = problem.make(small)
    alpha = problem.strength
    theirs = ["sparse_cg", "lsqr"] if hasattr(X, "tocsr") else ["cholesky", "svd"]
    candidates = {}
    for s in theirs:
        candidates[f"scikit-learn {s}"] = fitting(peer.Ridge, X, y, alpha=alpha, solver=s)
    for s in solvers or ["auto", "cg", "lbfgs"]:
        candidates[s] = fitting(own.Ridge, X, y, alpha=alpha, solver=s)
    return candidates, objectives.Ridge(X, y, alpha)


def logistic(problem: Problem, small: bool, solvers: list[str]) -> tuple[dict[str, Any], Any]:
    """Candidates and objective of a binary logistic regression with an L2 penalty."""
    X, y = problem.make(small)
    y = (y > np.median(y)).astype(float)
    common = {"C": problem.strength, "max_iter": 2000}
    theirs = ["lbfgs", "saga"] if hasattr(X, "tocsr") else ["lbfgs", "newton-cholesky", "saga"]
    candidates = {}
    for s in theirs:
        candidates[f"scikit-learn {s}"] = fitting(peer.LogisticRegression, X, y, solver=s, **common)
    for s in solvers or ["auto", "lbfgs", "newton_cg", "saga"]:
        candidates[s] = fitting(own.LogisticRegression, X, y, solver=s, **common)
    return candidates, objectives.Logistic(X, y, problem.strength)


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
