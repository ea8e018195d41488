"""Line searches on functions of one variable, against their own conditions."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from skopt_dl.search import Decrease, Trial, backtrack, more_thuente, strong_wolfe

EPS = np.finfo(float).eps


def family(a: float, b: float, c: float):
    """A smooth function bounded below with several minima, and its slope at 0 negative."""

    def phi(t: float) -> tuple[float, float]:
        value = a * (t - b) ** 2 + c * math.sin(3 * t)
        return value, 2 * a * (t - b) + 3 * c * math.cos(3 * t)

    return phi


functions = st.tuples(st.floats(1e-3, 1e3), st.floats(1e-2, 1e2), st.floats(-0.3, 0.3)).map(
    lambda p: family(p[0], p[1], 0.5 * p[0] * p[1] * p[2])
)


@pytest.mark.parametrize(
    "search", [strong_wolfe, partial(more_thuente, decrease=1e-4, width=1e-12)], ids=["nw", "mt"]
)
@settings(max_examples=200, deadline=None)
@given(phi=functions, t=st.floats(1e-4, 1e4), curvature=st.sampled_from([1e-3, 0.1, 0.9]))
def test_a_step_found_meets_the_strong_wolfe_conditions(search, phi, t, curvature):
    value, slope = phi(0.0)
    assert slope < 0
    found = search(phi, value, slope, t, curvature=curvature)
    assert found.ok
    assert (found.value, found.slope) == phi(found.t)
    assert found.value <= value + 1e-4 * found.t * slope
    assert abs(found.slope) <= curvature * abs(slope)


@settings(max_examples=200, deadline=None)
@given(phi=functions, t=st.floats(1e-4, 1e4))
def test_a_step_of_backtracking_decreases_enough_and_is_no_longer_than_asked(phi, t):
    value, slope = phi(0.0)
    found = backtrack(phi, value, slope, t)
    assert found.ok
    assert 0 < found.t <= t
    assert found.value <= value + 1e-4 * found.t * slope


@pytest.mark.parametrize("t", [1e-6, 0.5, 1e6])
def test_a_parabola_is_minimised_exactly_by_interpolation(t):
    def phi(s):
        return 3 * (s - 0.7) ** 2, 6 * (s - 0.7)

    found = strong_wolfe(phi, *phi(0.0), t, curvature=1e-3)
    assert found.t == pytest.approx(0.7, abs=1e-3 * 0.7)
    # Growing by ten at most, or interpolating from a bracket a million times too wide.
    assert found.n_trials <= 12


def rational(beta):
    def phi(t):
        return -t / (t * t + beta), (t * t - beta) / (t * t + beta) ** 2

    return phi


def power(beta):
    def phi(t):
        s = t + beta
        return s**5 - 2 * s**4, 5 * s**4 - 8 * s**3

    return phi


# J. Moré, D. Thuente (1994), tables I and II: c1, c2, then for first steps of 1e-3, 1e-1, 1e1, 1e3
# the trials made and the step found.
PUBLISHED = [
    (rational(2.0), 1e-3, 0.1, [(6, 1.4), (3, 1.4), (1, 10.0), (4, 37.0)]),
    (power(0.004), 0.1, 0.1, [(12, 1.6), (8, 1.6), (8, 1.6), (11, 1.6)]),
]


@pytest.mark.parametrize(("phi", "c1", "c2", "table"), PUBLISHED, ids=["rational", "power"])
def test_the_steps_of_more_and_thuente_are_those_they_published(phi, c1, c2, table):
    for t, (trials, step) in zip([1e-3, 1e-1, 1e1, 1e3], table, strict=True):
        found = more_thuente(phi, *phi(0.0), t, decrease=c1, curvature=c2, width=1e-10)
        assert found.ok
        assert (found.n_trials, float(f"{found.t:.2g}")) == (trials, step)


def test_the_first_trial_is_taken_where_it_is_good():
    def phi(s):
        return (s - 1) ** 2, 2 * (s - 1)

    for search in (strong_wolfe, more_thuente, backtrack):
        found = search(phi, 1.0, -2.0, 1.0)
        assert (found.t, found.n_trials, found.ok) == (1.0, 1, True)


def test_a_barrier_is_stepped_back_from():
    def phi(s):
        if s >= 1:
            return math.inf, math.nan
        return -math.log(1 - s) - 5 * s, 1 / (1 - s) - 5

    for search in (strong_wolfe, more_thuente, backtrack):
        found = search(phi, *phi(0.0), 50.0)
        assert found.ok
        assert 0 < found.t < 1


def test_a_line_without_a_minimum_and_a_wrong_slope_are_failures():
    down = strong_wolfe(lambda s: (-s, -1.0), 0.0, -1.0, 1.0)
    assert not down.ok
    for search in (strong_wolfe, more_thuente, backtrack):
        assert not search(lambda s: (s, 1.0), 0.0, -1.0, 1.0).ok


def test_slopes_decide_where_rounding_hides_the_decrease():
    # Minimum at 1e-9 of a parabola on a pedestal: all values there are the same float or its
    # neighbours, in an order that says nothing.
    def phi(s):
        wobble = EPS * math.copysign(1.0, math.sin(1e12 * s))
        return 1.0 + 0.5 * (s - 1e-9) ** 2 + wobble, s - 1e-9

    value, slope = 1.0 - EPS, -1e-9
    assert not strong_wolfe(phi, value, slope, 1e-12, curvature=0.1).ok
    found = strong_wolfe(phi, value, slope, 1e-12, curvature=0.1, noise=100 * EPS)
    assert found.ok
    assert abs(found.slope) <= 1e-10


def test_the_approximate_condition_is_only_for_equal_values():
    enough = Decrease(Trial(0.0, 1.0, -1.0), 1e-4, 1e-12)
    assert enough(Trial(0.1, 1.0 + 5e-13, 0.0))
    assert not enough(Trial(0.1, 1.0 + 5e-12, 0.0))
    assert not enough(Trial(0.1, 1.0 - 5e-12, 0.0))
    assert not enough(Trial(0.1, 1.0 + 5e-13, 1.0))
    assert not enough(Trial(0.1, math.nan, 0.0))
