"""Passes over the samples, counted.

A value with its gradient is one pass, and so is a line with the gradient at its end (trials along
it cost O(n)), a curvature product two passes over the samples it uses. A curvature matrix of p
columns counts by its operations, p/4 passes over its samples: half of it is computed, the rest is
symmetric.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.engine import Stopping, run
from skopt_dl.problems import LinearProblem


class Counted(LinearProblem):
    """A linear problem that counts the passes over its samples."""

    passes = 0.0

    def point_of(self, w: Any, z: Any) -> Any:
        self.passes += 1
        return super().point_of(w, z)

    def along(self, point: Any, d: Any) -> Any:
        # The products X d and X' r of a line: trials along it cost O(n).
        self.passes += 1
        return super().along(point, d)

    def hvp(self, point: Any) -> Any:
        return self._counting(super().hvp(point), 1.0)

    ggn = hvp

    def hessian_diagonal(self, point: Any) -> Any:
        self.passes += 1
        return super().hessian_diagonal(point)

    def sample_hvp(self, w: Any, index: Any, weights: Any = None) -> Any:
        share = index.shape[0] / self.n_samples
        return self._counting(super().sample_hvp(w, index, weights), share)

    sample_ggn = sample_hvp

    def sample_hessian(self, w: Any, index: Any, weights: Any = None) -> Any:
        self.passes += self.size / 4 * index.shape[0] / self.n_samples
        return super().sample_hessian(w, index, weights)

    def sample_grad(self, w: Any, index: Any) -> Any:
        self.passes += index.shape[0] / self.n_samples
        return super().sample_grad(w, index)

    def _counting(self, product: Any, share: float) -> Any:
        def counted(d: Any) -> Any:
            self.passes += 2 * share
            return product(d)

        return counted


class Watch:
    """Stops a solve when the objective is within ``rel`` of the optimum; notes the passes."""

    def __init__(self, problem: Any, optimum: float, rel: float) -> None:
        self.problem, self.goal, self.passes = problem, optimum + rel * abs(optimum), np.inf

    def on_report(self, report: Any) -> bool:
        if self.problem.plain_value(report.state.w) <= self.goal:
            self.passes = self.problem.passes
            return True
        return False


def passes_to(
    problem: Any, solver: Any, start: Any, optimum: float, rel: float, budget: int, seed: int = 0
) -> float:
    """Passes until the objective is within ``rel`` of the optimum; infinite if it never is."""
    problem.passes = 0.0
    problem.plain_value = lambda w: float(problem.value(w))
    watch = Watch(problem, optimum, rel)
    stopping = Stopping(tol=None, max_iter=budget)
    solver_rng = np.random.default_rng(seed)
    run(problem, solver, start=start, stopping=stopping, observers=[watch], rng=solver_rng)
    return watch.passes
