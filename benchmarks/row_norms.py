"""Passes of variance-reduced methods and dual ascent where the rows are alike, and where not."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_breast_cancer

from skopt_dl.engine import Stopping, run
from skopt_dl.losses import Logistic
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import SAG, SAGA, SDCA, SVRG, NewtonCholesky

TARGET, MOST_EPOCHS, CHUNK = 1e-12, 400, 5


def passes(problem: LinearProblem, solver: object, lowest: float, seed: int) -> float:
    """Passes over the data until the objective is within `TARGET` of the lowest."""
    state = solver.init(problem, problem.start(), np.random.default_rng(seed))
    while state.n_iter < MOST_EPOCHS:
        solver.advance(problem, state, CHUNK)
        if float(problem.value(state.w)) - lowest <= TARGET:
            return float(state.n_epochs)
    return float("inf")


def main() -> None:
    """Print the passes of three seeds: ridge logistic regression on breast cancer, l2 = 1/n."""
    X, y = load_breast_cancer(return_X_y=True)
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    for name, A in (("rows of unit length", X / lengths), ("standardised columns", standard)):
        problem = LinearProblem(A, y.astype(float), Logistic(), L2(1 / len(y)))
        best = run(problem, NewtonCholesky(), stopping=Stopping(tol=1e-14, max_iter=100))
        for solver in (SAG(), SAGA(), SVRG(), SDCA()):
            found = [passes(problem, solver, best.certificate.objective, s) for s in range(3)]
            print(f"{name}: {type(solver).__name__} {found}")


if __name__ == "__main__":
    main()
