"""Every registered loss obeys the laws, and the laws catch a loss that does not."""

from __future__ import annotations

import numpy as np
import pytest

from skopt_dl.dispatch import LOSSES
from skopt_dl.losses import Logistic, Squared
from skopt_dl.testing import check_loss


@pytest.mark.parametrize("name", LOSSES.names())
def test_registered_loss(name):
    check_loss(LOSSES.get(name)())


class WrongSlope(Squared):
    def slope(self, y, z):
        return 1.01 * (z - y)


class WrongCurvature(Logistic):
    def curvature(self, y, z):
        return np.full_like(z, 0.25)


class TooSmooth(Logistic):
    smoothness = 0.05


class WrongConjugate(Logistic):
    def conjugate(self, y, u):
        return super().conjugate(y, u) - 0.01


class WrongProx(Logistic):
    def prox(self, y, v, step):
        return v - step * self.slope(y, v)


class Overflowing(Logistic):
    def value(self, y, z):
        return np.log(1 + np.exp(z)) - y * z


@pytest.mark.parametrize(
    ("loss", "law"),
    [
        (WrongSlope(), "slope = difference of values"),
        (WrongCurvature(), "curvature = difference of slopes"),
        (TooSmooth(), "smoothness"),
        (WrongConjugate(), "Fenchel-Young"),
        (WrongProx(), "the prox"),
        (Overflowing(), "finite far out"),
    ],
    ids=lambda part: type(part).__name__ if not isinstance(part, str) else "",
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_broken_loss_is_caught(loss, law):
    with pytest.raises(AssertionError, match=law):
        check_loss(loss)


@pytest.mark.parametrize("step", [1e-3, 1.0, 1e2, 1e4, 1e8])
def test_logistic_prox_of_large_steps(step):
    # Newton from v jumps between the two flat ends of this equation for large steps.
    rng = np.random.default_rng(0)
    v, y = 10 * rng.standard_normal(500), rng.integers(0, 2, 500).astype(float)
    loss = Logistic()
    z = loss.prox(y, v, step)
    np.testing.assert_allclose(z + step * loss.slope(y, z), v, atol=1e-10 * max(step, 1))
