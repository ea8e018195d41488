"""Every registered penalty obeys the laws, and the laws catch one that does not."""

from __future__ import annotations

import itertools

import array_api_strict
import numpy as np
import pytest
from scipy.optimize import isotonic_regression, nnls

from skopt_dl.dispatch import PENALTIES
from skopt_dl.kernels.namespace import to_numpy
from skopt_dl.penalties import (
    L1,
    L2,
    MCP,
    SCAD,
    SLOPE,
    Box,
    ElasticNet,
    GroupLasso,
    L1Ball,
    Simplex,
)
from skopt_dl.penalties.isotonic import isotonic_decreasing
from skopt_dl.testing import check_penalty

rng = np.random.default_rng(0)
strengths = rng.random(9)


@pytest.mark.parametrize("name", PENALTIES.names())
def test_registered_penalty(name):
    check_penalty(PENALTIES.get(name)())


@pytest.mark.parametrize(
    "penalty",
    [
        ElasticNet(0.3, 0.7),
        ElasticNet(0.3, 0.7, positive=True),
        L1(0.3, positive=True),
        ElasticNet(0.0, 0.0),
        ElasticNet(strengths, np.where(strengths > 0.5, strengths, 0)),
        L2(0.0),
        L2(strengths),
        L1Ball(0.2),
        L1Ball(100.0),
        L1(0.3, weights=strengths),
        ElasticNet(0.3, 0.2, weights=[0.0, 1.0, 2.0] * 3),
        GroupLasso([[0, 3], [1, 2, 4, 8], [5], [6, 7]], 0.4),
        GroupLasso(["a", "b", "b", "a", "c", "c", "c", "a", "b"], 0.4, weights=[1.0, 0.0, 2.0]),
        GroupLasso(list("abacadaba"), 0.4),
        SLOPE(0.5),
        SLOPE(0.5, weights=np.linspace(3, 0, 9)),
        SLOPE(0.5, weights=[2.0, 2.0, 2.0, 1.0, 1.0, 0.5, 0.0, 0.0, 0.0]),
        MCP(0.5, gamma=1.5),
        MCP(0.5, gamma=0.2),
        MCP(strengths),
        SCAD(0.5, a=2.2),
        SCAD(0.3, a=1.1),
        SCAD(strengths),
        Box(-0.3, 0.2),
        Box(0.0, float("inf")),
        Box(-np.arange(9.0), np.arange(9.0)),
        Box(-float("inf"), [1.0, float("inf"), 0.0] * 3),
        Simplex(0.1),
        Simplex(5.0),
    ],
    ids=repr,
)
def test_settings_of_penalties(penalty):
    check_penalty(penalty)


@pytest.mark.parametrize(
    ("penalty", "message"),
    [
        (L1(-1.0), r"ElasticNet: l1=-1\.0, but it must be >= 0"),
        (L1(1.0, weights=[1.0, 2.0, 3.0]), "weights has 3 entries, but there are 9 features"),
        (L1(1.0, weights=[1.0, -2.0, 3.0] * 3), "entry -2"),
        (L2(float("nan")), "alpha=nan"),
        (GroupLasso([[0, 1], [1, 2]]), "each feature must be in one group"),
        (GroupLasso([[0, 1], [2, 3]]), "each feature must be in one group"),
        (GroupLasso([[0, 1, 2]]), "groups have 3 entries, but there are 9 features"),
        (GroupLasso([0, 1, 0]), "groups have 3 entries, but there are 9 features"),
        (GroupLasso([0] * 8 + [1], weights=[1.0]), "1 entries, but there are 2 groups"),
        (SLOPE(weights=np.arange(9.0)), "weights increase from 0 to 1 at place 1"),
        (SLOPE(weights=[1.0, 1.0]), "2 entries, but there are 9"),
        (SLOPE(q=1.0), r"q=1\.0"),
        (MCP(gamma=0.0), r"gamma=0\.0"),
        (SCAD(a=1.0), r"a=1\.0"),
        (Box(1.0, 0.0), "bounds 1 and 0"),
        (Box(0.0, [1.0, -1.0, 1.0] * 3), "coefficient 1 has the bounds 0 and -1"),
        (Simplex(0.0), r"radius=0\.0"),
        (L1Ball(-1.0), r"radius=-1\.0"),
    ],
    ids=repr,
)
def test_what_a_penalty_cannot_be(penalty, message):
    with pytest.raises(ValueError, match=message):
        penalty.check(9)


def test_features_of_several_outputs_share_their_settings():
    w = rng.standard_normal(12)  # 4 features with 3 outputs each
    for penalty in (L1(weights=[1.0] * 4), GroupLasso([[0, 1], [2, 3]]), Box(0.0, [1.0] * 4)):
        penalty.check(12, 3)
        with pytest.raises(ValueError, match="12 features"):
            penalty.check(12)
    each = np.asarray([1.0, 0.0, 2.0, 0.5])
    np.testing.assert_allclose(
        L1(0.3, weights=each).prox(w, 1.0), L1(0.3, weights=np.repeat(each, 3)).prox(w, 1.0)
    )
    rows = GroupLasso([[0], [1], [2], [3]], 0.7)
    expected = 0.7 * 3**0.5 * np.sum(np.linalg.norm(w.reshape(4, 3), axis=1))
    np.testing.assert_allclose(rows.value(w), expected)


@pytest.mark.parametrize("n", [1, 2, 9, 500])
@pytest.mark.parametrize("kind", ["noise", "worst", "constant", "sorted"])
def test_isotonic_regression_is_scipys(kind, n):
    a = {
        "noise": np.random.default_rng(n).standard_normal(n) - np.linspace(0, 3, n),
        # Each merge makes one more violator: more rounds than the array code takes.
        "worst": np.concatenate([np.arange(n, 1, -1.0), [1e4]]),
        "constant": np.ones(n),
        "sorted": -np.arange(float(n)),
    }[kind]
    expected = isotonic_regression(a, increasing=False).x
    np.testing.assert_allclose(isotonic_decreasing(a), expected, rtol=1e-12, atol=1e-11)


def test_slope_with_equal_weights_is_the_lasso():
    v = 3 * rng.standard_normal(9)
    slope, lasso = SLOPE(0.4, weights=np.full(9, 2.0)), L1(0.8)
    np.testing.assert_allclose(slope.prox(v, 0.5), lasso.prox(v, 0.5), atol=1e-15)
    np.testing.assert_allclose(slope.value(v), lasso.value(v))


@pytest.mark.parametrize("seed", range(5))
def test_slope_prox_is_the_best_over_all_orders_and_signs(seed):
    # On the cone of one order and one pattern of signs the norm is linear: a small quadratic
    # program each, solved by scipy; the prox is the best of them.
    draw = np.random.default_rng(seed)
    v, weights = 2 * draw.standard_normal(4), np.sort(draw.random(4))[::-1]
    penalty = SLOPE(1.0, weights=weights)

    def cost(w):
        return float(penalty.value(w)) + 0.5 * float(np.sum((w - v) ** 2))

    best = np.inf
    for order in itertools.permutations(range(4)):
        at = np.asarray(order)
        target = np.abs(v)[at] - weights
        # Differences x_i - x_(i+1) >= 0: x is a non-negative combination of steps.
        steps = np.tril(np.ones((4, 4))).T
        heights, _ = nnls(steps, target)
        w = np.empty(4)
        w[at] = steps @ heights
        best = min(best, cost(np.sign(v) * w))
    assert cost(penalty.prox(v, 1.0)) == pytest.approx(best, rel=1e-10)


def test_simplex_projection_meets_its_definition():
    v = 2 * rng.standard_normal(30)
    p = Simplex(1.5).prox(v, 1.0)
    assert np.all(p >= 0)
    assert np.sum(p) == pytest.approx(1.5)
    # The residual is the same number on the support, and no larger elsewhere.
    residual = v - p
    assert np.ptp(residual[p > 0]) < 1e-14
    assert np.all(residual[p == 0] <= np.max(residual[p > 0]) + 1e-14)


def test_box_projection_is_a_clip():
    v = 2 * rng.standard_normal(9)
    lower, upper = -rng.random(9), rng.random(9)
    np.testing.assert_array_equal(Box(lower, upper).prox(v, 7.0), np.clip(v, lower, upper))


@pytest.mark.parametrize("step", [0.3, 1.0, 2.5, 6.0])
@pytest.mark.parametrize("penalty", [MCP(0.7, 2.0), SCAD(0.7, 3.0)], ids=repr)
def test_a_concave_prox_is_the_lowest_point_of_a_grid(penalty, step):
    grid = np.linspace(-8, 8, 16001)
    values = np.asarray([float(penalty.value(grid[i : i + 1])) for i in range(grid.shape[0])])
    for v in np.linspace(-6, 6, 25):
        cost = values + (grid - v) ** 2 / (2 * step)
        p = penalty.prox(np.asarray([v]), step)
        mine = float(penalty.value(p)) + float((p[0] - v) ** 2) / (2 * step)
        assert mine <= np.min(cost) + 1e-12


def test_mcp_and_scad_shrink_small_and_keep_large():
    for penalty in (MCP(1.0, 3.0), SCAD(1.0, 3.7)):
        np.testing.assert_array_equal(
            penalty.prox(np.asarray([0.5, -0.9, 9.0, -12.0]), 1.0), [0, 0, 9, -12]
        )


class DividedByItsNorm(L1Ball):
    """Scales onto the sphere: often in print, not a projection."""

    def prox(self, v, step):
        norm = np.sum(np.abs(v))
        return v * np.where(norm > self.radius, self.radius / np.maximum(norm, 1e-300), 1)


class Overshrunk(ElasticNet):
    def prox(self, v, step):
        return super().prox(v, 1.05 * step)


class WrongConjugate(L2):
    def conjugate(self, v):
        return 0.9 * super().conjugate(v)


class WrongDistance(ElasticNet):
    def distance(self, w, g):
        return np.abs(g + self.l1 * np.sign(w))


class Greedy(ElasticNet):
    def feasible_scale(self, v):
        return np.ones_like(np.sum(v))


@pytest.mark.parametrize(
    ("penalty", "law"),
    [
        (DividedByItsNorm(1.0), r"a prox|Moreau"),
        (Overshrunk(), r"at a prox|a prox minimises"),
        (WrongConjugate(), r"Moreau|Fenchel"),
        (WrongDistance(), "distance"),
        (Greedy(), "finite"),
    ],
    ids=lambda part: type(part).__name__ if not isinstance(part, str) else "",
)
def test_a_broken_penalty_is_caught(penalty, law):
    with pytest.raises(AssertionError, match=law):
        check_penalty(penalty)


PORTABLE = [
    L1(0.3, weights=[0.5, 1.0, 2.0] * 3),
    L2(np.linspace(0.0, 1.0, 9)),
    GroupLasso([[0, 3], [1, 2, 4, 8], [5], [6, 7]], 0.4),
    SLOPE(0.3),
    SLOPE(0.3, weights=np.linspace(2.0, 1.0, 9)),
    MCP(0.5),
    SCAD(0.5),
    Box(-0.5, [1.0] * 9),
    Simplex(2.0),
    L1Ball(1.0),
]


@pytest.mark.parametrize("penalty", PORTABLE, ids=repr)
def test_penalties_compute_where_the_coefficients_are(penalty):
    device = array_api_strict.Device("device1")
    w, g = 2 * rng.standard_normal(9), rng.standard_normal(9)
    there = [array_api_strict.asarray(a, device=device) for a in (w, g)]
    inside = penalty.prox(w, 0.7)
    mine = penalty.prox(there[0], 0.7)
    assert mine.device == device
    np.testing.assert_allclose(to_numpy(mine), inside, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(to_numpy(penalty.value(mine)), penalty.value(inside), rtol=1e-12)
    for method in ("conjugate", "feasible_scale", "linear_minimiser"):
        if hasattr(penalty, method):
            here = getattr(penalty, method)(g)
            np.testing.assert_allclose(to_numpy(getattr(penalty, method)(there[1])), here)
    if hasattr(penalty, "distance"):
        here, away = penalty.distance(inside, g), penalty.distance(mine, there[1])
        np.testing.assert_allclose(to_numpy(away), here, rtol=1e-12, atol=1e-14)
