"""Each compiled update of the stochastic rules is the generic one, for both precisions."""

import inspect

import numpy as np
import pytest

from skopt_dl.kernels import bind, generic_updates
from skopt_dl.kernels.cython import UPDATES

ARRAYS = {"w", "g", "r", "m", "v", "u", "s", "top", "slow"}
SCALARS = {
    "beta_1": 0.9,
    "beta_2": 0.99,
    "beta_3": 0.999,
    "decay": 0.9,
    "momentum": 0.8,
    "epsilon": 1e-6,
    "correction": 1.3,
    "weight_decay": 0.1,
}
COMPILED = [n for n in UPDATES._modules if hasattr(generic_updates, n)]


def arguments(name, dtype, centred, epsilon, seed=0):
    """Random moments (those of squares not negative), coordinates that never saw a slope among
    them."""
    rng, given = np.random.default_rng(seed), {}
    for key in inspect.signature(getattr(generic_updates, name)).parameters:
        if key in ARRAYS:
            a = rng.standard_normal(1003)
            a = np.abs(a) if key in ("r", "v", "u", "s", "top") and key != "g" else a
            if key != "w":
                a[:5] = 0
            given[key] = a.astype(dtype)
        else:
            given[key] = SCALARS.get(key, 0.03)
    if name == "rmsprop_nesterov_update":
        given["v"] = rng.standard_normal(1003).astype(dtype)
    if name == "rmsprop_update":
        # A variance that is not all rounding: the mean is half the root of the mean square.
        given["m"] = (0.5 * np.sqrt(given["r"])).astype(dtype) if centred else None
    if epsilon is not None and "epsilon" in given:
        given["epsilon"] = epsilon
    return given


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_update_is_the_generic_one(name, dtype):
    compiled = getattr(bind(np, np.dtype(dtype)), name)
    generic = getattr(generic_updates, name)
    assert compiled is not generic
    for centred in (False, True):
        for epsilon in (None, 0.0):
            one, two = (arguments(name, dtype, centred, epsilon) for _ in range(2))
            for _ in range(3):
                compiled(**one)
                with np.errstate(all="ignore"):
                    generic(**two)
            tol = 1e-13 if dtype is np.float64 else 2e-5
            for key, a in one.items():
                if isinstance(a, np.ndarray):
                    assert a.dtype == dtype
                    np.testing.assert_allclose(a, two[key], rtol=tol, atol=tol, err_msg=key)


def test_most_updates_are_compiled():
    assert len(COMPILED) >= 11
