"""The prox in the metric of a low-rank matrix: the closed form of a parabola, and the condition
that every answer meets."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest

from skopt_dl.penalties import L1, L2, Box, ElasticNet, GroupLasso, L1Ball
from skopt_dl.search.scaled_prox import scaled_prox

P, R, SHIFT, STEP = 30, 6, 0.3, 0.7


def case(spread, seed=0):
    """A point, a place to begin at, and the root of a metric with eigenvalues far apart."""
    rng = np.random.default_rng(seed)
    B = np.linalg.qr(rng.standard_normal((P, R)))[0] * np.geomspace(spread, 0.01, R)
    return rng.standard_normal(P), rng.standard_normal(P), B


def found(penalty, x, near, B):
    value = (lambda z: 0.0) if penalty.constraint else penalty.value
    return scaled_prox(penalty.prox, value, x, STEP, B, np.asarray(SHIFT), near)


@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_of_a_parabola_it_is_a_linear_system(spread):
    x, near, B = case(spread)
    metric = SHIFT * np.eye(P) + B @ B.T
    expected = np.linalg.solve(metric + STEP * 0.8 * np.eye(P), metric @ x)
    np.testing.assert_allclose(found(L2(0.8), x, near, B), expected, atol=1e-10)


PENALTIES = [
    L1(0.3),
    ElasticNet(0.2, 0.1, positive=True),
    Box(-0.5, 0.2),
    L1Ball(2.0),
    GroupLasso([list(range(k, k + 5)) for k in range(0, P, 5)], 0.4),
]


@pytest.mark.parametrize("spread", [1.0, 30.0])
@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: type(p).__name__)
def test_the_answer_is_a_fixed_point_of_proximal_gradients(penalty, spread):
    for seed in range(5):
        x, near, B = case(spread, seed)
        z = found(penalty, x, near, B)
        L = spread**2 + SHIFT
        slope = SHIFT * (z - x) + B @ (B.T @ (z - x))
        np.testing.assert_allclose(penalty.prox(z - slope / L, STEP / L), z, atol=1e-11)


def test_it_takes_few_steps_where_the_prox_is_linear_in_pieces():
    x, near, B = case(30.0)
    penalty, asked = L1(0.3), []

    def prox(v, step):
        asked.append(step)
        return penalty.prox(v, step)

    scaled_prox(prox, penalty.value, x, STEP, B, np.asarray(SHIFT), near)
    # A Newton step asks once at its end, once for each column and once for their common point.
    assert len(asked) <= 1 + 8 * (R + 3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_another_namespace(dtype):
    xp = array_api_strict
    arrays = [a.astype(dtype) for a in case(5.0)]
    x, near, B = (xp.asarray(a) for a in arrays)
    penalty, shift = L1(0.3), xp.asarray(SHIFT, dtype=getattr(xp, dtype))
    z = scaled_prox(penalty.prox, penalty.value, x, STEP, B, shift, near)
    assert z.dtype == getattr(xp, dtype)
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(np.asarray(z), found(penalty, *arrays), atol=tolerance)
