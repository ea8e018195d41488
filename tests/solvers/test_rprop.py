"""Resilient propagation: its iterates, coordinate by coordinate, and where they end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skopt_dl.engine import Stopping, run
from skopt_dl.problems import SmoothProblem
from skopt_dl.solvers import Rprop

SCALES = np.array([1.0, 10.0, 1000.0])
START = np.array([3.0, -2.0, 1.0])


def bowl() -> SmoothProblem:
    return SmoothProblem(
        lambda w: 0.5 * float(SCALES @ w**2), lambda w: SCALES * w, start=START, convex=True
    )


def iterate(turns: int, **settings: Any) -> Any:
    return run(bowl(), Rprop(**settings), stopping=Stopping(tol=None, max_iter=turns)).w


def by_the_formula(turns: int) -> list[float]:
    """One coordinate after the other, in plain Python."""
    ends = []
    for scale, w in zip(SCALES.tolist(), START.tolist(), strict=True):
        step, last = 0.01, 0.0
        for _ in range(turns):
            g = scale * w
            if g * last > 0:
                step = min(1.2 * step, 50.0)
            elif g * last < 0:
                step, g = max(0.5 * step, 1e-6), 0.0
            w -= step * ((g > 0) - (g < 0))
            last = g
        ends.append(w)
    return ends


@pytest.mark.parametrize("turns", [1, 2, 7, 40, 200])
def test_iterates_follow_the_formula(turns: int) -> None:
    w = iterate(turns, min_step=1e-6)
    np.testing.assert_allclose(w, by_the_formula(turns), rtol=0, atol=1e-14)


@pytest.mark.peers
def test_iterates_follow_pytorch() -> None:
    torch = pytest.importorskip("torch")
    for turns in (1, 7, 60):
        w = torch.tensor(START, requires_grad=True)
        rule = torch.optim.Rprop([w], lr=0.01)
        for _ in range(turns):
            rule.zero_grad()
            (0.5 * torch.tensor(SCALES) @ w**2).backward()
            rule.step()
        ours = iterate(turns, min_step=1e-6)
        np.testing.assert_allclose(ours, w.detach().numpy(), rtol=0, atol=1e-14)


def test_the_scale_of_a_coordinate_does_not_matter() -> None:
    result = run(bowl(), Rprop(), stopping=Stopping(tol=1e-8, max_iter=2000))
    assert result.success
    assert result.n_iter < 300  # gradient descent: about 1000 ln(1e11) steps


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"shrink": 1.0}, "shrink=1.0"),
        ({"grow": 1.0}, "grow=1.0"),
        ({"min_step": -1.0}, "min_step=-1.0"),
        ({"max_step": 0.0}, "max_step=0.0"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        iterate(1, **settings)
