"""Every registered activation obeys the laws, on any array namespace; known values."""

import math

import array_api_strict
import numpy as np
import pytest

from skopt_dl.activations import GELU, SELU, Activation, LeakyReLU, SiLU, Softplus
from skopt_dl.dispatch import ACTIVATIONS
from skopt_dl.testing import check_activation


@pytest.mark.parametrize("name", ACTIVATIONS.names())
def test_every_activation_obeys_the_laws(name):
    check_activation(ACTIVATIONS.get(name)())


@pytest.mark.parametrize("name", ACTIVATIONS.names())
def test_every_activation_on_another_device(name):
    xp = array_api_strict
    device = xp.Device("device1")
    z = np.linspace(-5, 5, 21).reshape(7, 3)
    there, f = xp.asarray(z, device=device), ACTIVATIONS.get(name)()
    a = f.value(there)
    for theirs, ours in [
        (a, f.value(z)),
        (f.slope(there, a), f.slope(z, f.value(z))),
        (f.curvature(there, a), f.curvature(z, f.value(z))),
    ]:
        assert theirs.device == device
        host = np.from_dlpack(theirs.to_device(xp.Device("CPU_DEVICE")))
        np.testing.assert_allclose(host, ours, rtol=1e-13, atol=1e-15)


def test_the_laws_find_what_is_wrong():
    class Wrong(Activation):
        def value(self, z):
            return z * z

        def slope(self, z, a):
            return z

    with pytest.raises(AssertionError, match="slope = difference of values"):
        check_activation(Wrong())

    class Bent(Wrong):
        def slope(self, z, a):
            return 2 * z

        def curvature(self, z, a):
            return 3 + 0 * z

    with pytest.raises(AssertionError, match="curvature = difference of slopes"):
        check_activation(Bent())


def test_known_values():
    one = np.array([1.0])
    assert SiLU().value(one)[0] == pytest.approx(1 / (1 + math.exp(-1)), rel=1e-15)
    assert Softplus().value(one)[0] == pytest.approx(math.log(1 + math.e), rel=1e-15)
    assert LeakyReLU(0.2).value(-one)[0] == -0.2
    # The normal distribution function in the place of tanh: less than 5e-4 apart.
    z = np.linspace(-6, 6, 200)
    exact = [t * 0.5 * (1 + math.erf(t / math.sqrt(2))) for t in z]
    np.testing.assert_allclose(GELU().value(z), exact, atol=5e-4)


def test_selu_keeps_mean_and_variance():
    # Gauss-Hermite quadrature of the standard normal; the kink costs it some digits.
    z, weights = np.polynomial.hermite_e.hermegauss(180)
    weights = weights / weights.sum()
    a = SELU().value(z)
    assert weights @ a == pytest.approx(0, abs=2e-3)
    assert weights @ a**2 == pytest.approx(1, abs=2e-3)
