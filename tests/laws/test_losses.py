"""Every registered loss obeys the laws, and the laws catch a loss that does not."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest

from skopt_dl.dispatch import LOSSES
from skopt_dl.kernels.namespace import to_numpy
from skopt_dl.losses import Huber, Logistic, Multinomial, Poisson, Quantile, Squared, SquaredHinge
from skopt_dl.testing import check_loss


@pytest.mark.parametrize("name", LOSSES.names())
def test_registered_loss(name):
    check_loss(LOSSES.get(name)())


rng = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (Huber(0.3), rng.standard_normal(50)),
        (Huber(5.0), 3 * rng.standard_normal(50)),
        (Quantile(0.9, 0.5), rng.standard_normal(50)),
        (Quantile(0.2, 0.05), rng.standard_normal(50)),
        (Poisson(), rng.poisson(3.0, 50).astype(float)),
        (Poisson(), rng.gamma(1.0, 2.0, 50)),
        (Squared(), rng.standard_normal((50, 2))),
    ],
    ids=repr,
)
def test_settings_of_losses(loss, y):
    check_loss(loss, y)


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        (Huber(0.0), [1.0], r"Huber: delta=0\.0, but it must be a number > 0"),
        (Quantile(1.0), [1.0], r"Quantile: quantile=1\.0.*> 0 and < 1"),
        (Quantile(0.5, -1.0), [1.0], r"smoothing=-1\.0"),
        (Poisson(), [2.0, -3.0], "Poisson: a target is -3, but targets must be >= 0"),
        (SquaredHinge(), [0.0, 2.0], "SquaredHinge: a target is 2, but targets must be 0 or 1"),
        (Logistic(), [0.5, 1.5], "from 0 to 1"),
        (Multinomial(), [0.0, 1.0], "one-hot rows"),
    ],
    ids=lambda part: "" if isinstance(part, list) else str(part)[:20],
)
def test_what_a_loss_cannot_take(loss, y, message):
    with pytest.raises(ValueError, match=message):
        loss.check(np.asarray(y))


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.8])
def test_the_quantile_loss_is_the_pinball_loss_up_to_its_smoothing(quantile):
    y, z = 3 * rng.standard_normal(200), 3 * rng.standard_normal(200)
    pinball = np.maximum(quantile * (y - z), (quantile - 1) * (y - z))
    below = pinball - Quantile(quantile, 0.01).value(y, z)
    assert np.all(below >= -1e-15)
    assert np.max(below) <= 0.01 * max(quantile, 1 - quantile) ** 2 / 2 + 1e-15


@pytest.mark.parametrize("step", [1e-6, 1e-2, 1.0, 1e3, 1e8])
def test_poisson_prox_of_any_step(step):
    y, v = rng.poisson(5.0, 500).astype(float), 10 * rng.standard_normal(500)
    z = Poisson().prox(y, v, step)
    scale = 1 + np.abs(v) + step * y
    assert np.all(np.abs(z + step * Poisson().slope(y, z) - v) <= 1e-9 * scale)


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


@pytest.mark.parametrize(
    "loss", [Huber(0.7), Quantile(0.3, 0.2), Poisson(), SquaredHinge(), Logistic()], ids=repr
)
def test_losses_compute_where_the_predictions_are(loss):
    device = array_api_strict.Device("device1")
    y, z = rng.integers(0, 2, 20).astype(float), 2 * rng.standard_normal(20)
    there = [array_api_strict.asarray(a, device=device) for a in (y, z)]
    loss.check(there[0])
    for method in ("value", "slope", "curvature"):
        away = getattr(loss, method)(*there)
        assert away.device == device
        np.testing.assert_allclose(to_numpy(away), getattr(loss, method)(y, z), rtol=1e-12)
    u = loss.slope(y, z)
    away = loss.conjugate(there[0], loss.slope(*there))
    np.testing.assert_allclose(to_numpy(away), loss.conjugate(y, u), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(to_numpy(loss.prox(*there, 0.6)), loss.prox(y, z, 0.6), rtol=1e-12)
