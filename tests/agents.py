"""A small problem split among five agents, computed a second time from its formulas alone."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from skopt_dl.linops.mixing import Mixing
from skopt_dl.losses import Logistic, Squared
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem

RIDGE, N, P = 0.1, 5, 4


class Data:
    """A regression or classification on 43 samples, and what each of five agents computes of it."""

    def __init__(self, logistic: bool = False, penalty: Any = None, split: str = "blocks") -> None:
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(43, P)) * np.linspace(0.5, 1.5, P)
        signal = self.X @ [1.0, -2.0, 0.5, 0.0] + 0.5 * rng.normal(size=43)
        order = np.argsort(signal)
        self.X, signal = self.X[order], signal[order]
        self.y = (signal > 0) * 1.0 if logistic else signal
        self.logistic = logistic
        loss = Logistic() if logistic else Squared()
        self.smooth = penalty is None
        self.problem = LinearProblem(
            self.X, self.y, loss, L2(RIDGE) if penalty is None else penalty
        )
        cuts = [i * 43 // N for i in range(N + 1)]
        parts = [np.arange(a, b) for a, b in itertools.pairwise(cuts)]
        self.parts = parts if split == "blocks" else [np.arange(i, 43, N) for i in range(N)]

    def _slope(self, x: Any, index: Any) -> Any:
        z = self.X[index] @ x
        return (1 / (1 + np.exp(-z)) if self.logistic else z) - self.y[index]

    def gradients(self, points: Any) -> np.ndarray:
        """Of the agents' objectives: N/43 of the sum of their losses, and the ridge."""
        ridge = RIDGE if self.smooth else 0.0
        rows = [
            N / 43 * self.X[s].T @ self._slope(x, s) + ridge * x
            for x, s in zip(points, self.parts, strict=True)
        ]
        return np.stack(rows)

    def shared(self, points: Any, batches: Any) -> np.ndarray:
        """The share of each agent times the mean over its batch, the ridge included."""
        rows = []
        for x, s, b in zip(points, self.parts, batches, strict=True):
            mean = self.X[b].T @ self._slope(x, b) / len(b)
            rows.append(N * len(s) / 43 * (mean + RIDGE * x))
        return np.stack(rows)

    def hessians(self, points: Any) -> np.ndarray:
        rows = []
        for x, s in zip(points, self.parts, strict=True):
            q = 1 / (1 + np.exp(-self.X[s] @ x))
            bend = q * (1 - q) if self.logistic else np.ones(len(s))
            rows.append(N / 43 * (self.X[s].T * bend) @ self.X[s] + RIDGE * np.eye(P))
        return np.stack(rows)

    def optimum(self) -> np.ndarray:
        x = np.zeros(P)
        for _ in range(30):
            same = np.stack([x] * N)
            H, g = self.hessians(same).mean(axis=0), self.gradients(same).mean(axis=0)
            x = x - np.linalg.solve(H, g)
        return x


def path(problem: Any, solver: Any, n: int) -> list[np.ndarray]:
    """The points of all agents after each of ``n`` iterations, from ones."""
    start = np.ones(problem.size)
    state = solver.init(problem, start, np.random.RandomState(0))
    points = []
    for _ in range(n):
        solver.advance(problem, state, 1)
        points.append(state.X.copy())
        np.testing.assert_allclose(state.w, state.X.mean(axis=0), atol=1e-14)
    return points


def follow(problem: Any, solver: Any, reference: list[np.ndarray]) -> None:
    ours = path(problem, solver, len(reference))
    for mine, other in zip(ours, reference, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-12)
    assert np.abs(ours[-1] - ours[0]).max() > 1e-3


def weights(graph: Any = "ring") -> np.ndarray:
    return Mixing(graph, N).matrix


ONES = np.ones((N, P))
LOGISTIC = pytest.mark.parametrize("logistic", [False, True], ids=["squared", "logistic"])
