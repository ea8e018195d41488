"""Every registered penalty obeys the laws, and the laws catch one that does not."""

from __future__ import annotations

import numpy as np
import pytest

from skopt_dl.dispatch import PENALTIES
from skopt_dl.penalties import L1, L2, ElasticNet, L1Ball
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
    ],
    ids=repr,
)
def test_settings_of_penalties(penalty):
    check_penalty(penalty)


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
