"""Each CUDA update of the stochastic rules, its body compiled for the host, is the generic one."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from cuda_host import HostKernels

from skopt_dl.kernels import cupy, generic_network, generic_updates
from skopt_dl.kernels.cupy import updates

WRAPPERS = updates
NAMES = sorted(name for name in cupy.UPDATES._modules)
SCALARS = {"beta_1": 0.9, "beta_2": 0.99, "beta_3": 0.999, "decay": 0.9, "momentum": 0.8}
SCALARS |= {"epsilon": 1e-6, "correction": 1.3, "weight_decay": 0.1}
# Arrays of squares, which are not negative.
SQUARES = ("r", "u", "s", "top", "n")


def generic(name: str) -> Any:
    home = generic_network if hasattr(generic_network, name) else generic_updates
    return getattr(home, name)


def arguments(name: str, dtype: str, *, centred: bool, epsilon: float | None) -> dict[str, Any]:
    """Random moments, coordinates that never saw a slope among them."""
    rng, given = np.random.default_rng(0), {}
    for key in inspect.signature(generic(name)).parameters:
        if key in getattr(updates, name).args[2]:
            a = rng.standard_normal(101)
            a = np.abs(a) if key in SQUARES or (key == "v" and "momentum" not in name) else a
            a[:5] = a[:5] if key == "w" else 0
            given[key] = a.astype(dtype)
        else:
            given[key] = True if key == "nesterov" else SCALARS.get(key, 0.03)
    if name == "rmsprop_update":
        given["m"] = (0.5 * np.sqrt(given["r"])).astype(dtype) if centred else None
    if epsilon is not None and "epsilon" in given and name != "adam_update":
        given["epsilon"] = epsilon
    return given


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_an_update_is_the_generic_one(name: str, dtype: str, host: HostKernels) -> None:
    tolerance = 2e-5 if dtype == "float32" else 1e-13
    for centred in (False, True):
        for epsilon in (None, 0.0):
            one, two = (arguments(name, dtype, centred=centred, epsilon=epsilon) for _ in "ab")
            for _ in range(2):
                getattr(updates, name)(**one)
                with np.errstate(all="ignore"):
                    generic(name)(*two.values())
            for key, a in one.items():
                if isinstance(a, np.ndarray):
                    assert a.dtype == dtype
                    np.testing.assert_allclose(a, two[key], tolerance, tolerance, err_msg=key)
    assert host.launched == {name: 8}


def test_other_arrays_and_rates_on_the_device_take_the_array_form(host: HostKernels) -> None:
    for change in ("strided", "dtype", "rate"):
        one, two = (
            arguments("adagrad_update", "float64", centred=False, epsilon=None) for _ in "ab"
        )
        for given in (one, two):
            if change == "strided":
                given["r"] = np.repeat(given["r"], 2)[::2]
            elif change == "dtype":
                given["g"] = given["g"].astype("float32")
            else:
                given["rate"] = np.asarray(0.03)
        updates.adagrad_update(**one)
        generic_updates.adagrad_update(**two)
        np.testing.assert_array_equal(one["w"], two["w"])
    assert host.launched == {}
    updates.adagrad_update(np.zeros(0), np.zeros(0), np.zeros(0), 0.1, 0.1)
    assert host.launched == {}


def test_every_compiled_update_of_the_host_has_its_twin() -> None:
    from skopt_dl.kernels.cython import UPDATES

    assert set(UPDATES._modules) <= set(NAMES)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gpu_updates(dtype: str, cupy: Any) -> None:
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    for name in NAMES:
        given = arguments(name, dtype, centred=True, epsilon=None)
        there = {k: cupy.asarray(a) if isinstance(a, np.ndarray) else a for k, a in given.items()}
        getattr(updates, name)(**there)
        generic(name)(**given)
        for key, a in there.items():
            if isinstance(a, cupy.ndarray):
                np.testing.assert_allclose(a.get(), given[key], tolerance, tolerance, err_msg=name)
