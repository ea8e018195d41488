"""Block coordinate descent against accelerated proximal gradients on group lassos."""

from __future__ import annotations

import time

import numpy as np

from skopt_dl.engine import Stopping, run
from skopt_dl.losses import Squared
from skopt_dl.penalties import GroupLasso
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import FISTA, AndersonCD, CoordinateDescent

SHAPES = ((500, 2000, 5), (5000, 200, 5), (300, 3000, 30))


def problem(n: int, p: int, size: int) -> LinearProblem:
    """Neighbours correlated by 0.8, groups of ``size``, a fifth of the largest strength."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    for j in range(1, p):
        X[:, j] = 0.8 * X[:, j - 1] + 0.6 * X[:, j]
    y = X[:, :20] @ rng.standard_normal(20) + rng.standard_normal(n)
    groups = np.arange(p).reshape(-1, size)
    g = X.T @ (y - y.mean()) / n
    top = max(np.linalg.norm(g[members]) for members in groups) / size**0.5
    penalty = GroupLasso(groups.tolist(), top / 5)
    return LinearProblem(X, y, Squared(), penalty, fit_intercept=True)


def main() -> None:
    """Print processor seconds and iterations to two relative gaps."""
    for shape in SHAPES:
        for tol in (1e-4, 1e-8):
            times = {}
            for solver in (FISTA(), CoordinateDescent(), AndersonCD()):
                seconds = []
                for _ in range(3):
                    one = problem(*shape)
                    begin = time.process_time()
                    run(one, solver, stopping=Stopping(tol=tol, max_iter=10_000))
                    seconds.append(time.process_time() - begin)
                times[type(solver).__name__] = float(np.median(seconds))
            first = times["FISTA"]
            ratios = ", ".join(f"{name} {t:.3f} s ({t / first:.1f})" for name, t in times.items())
            print(f"{shape}, gap {tol:g}: {ratios}")


if __name__ == "__main__":
    main()
