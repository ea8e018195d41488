"""FISTA's extrapolation by CUDA kernels, their body compiled for the host, is the generic one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda_host import HostKernels

from skopt_dl.kernels import bind, generic_updates
from skopt_dl.kernels.cupy import fista

WRAPPERS = fista
DTYPES = ["float32", "float64"]


def arguments(n: int, dtype: str, uphill: bool) -> list[Any]:
    """An iterate, the one before, the point between, and a counter."""
    rng = np.random.default_rng(n)
    w, last = rng.standard_normal(n), rng.standard_normal(n)
    gap = (w - last) * rng.uniform(0.5, 1, n)
    z = w + (gap if uphill else -gap)
    return [a.astype(dtype) for a in (w, last, z, np.asarray(2.7))]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("uphill", [False, True])
@pytest.mark.parametrize("n", [1, 7, 1500])
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_is_the_generic_one(
    dtype: str, n: int, uphill: bool, restart: bool, host: HostKernels
) -> None:
    tolerance = 1e-5 if dtype == "float32" else 1e-14
    given = arguments(n, dtype, uphill)
    before = [np.copy(a) for a in given]
    point, after = fista.fista_update(*given, restart)
    spec = generic_updates.fista_update(*given, restart)
    np.testing.assert_allclose(point, spec[0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(after, spec[1], rtol=tolerance)
    assert point.dtype == after.dtype == dtype and after.shape == ()
    # The counter is 1 after a restart, and the point is the iterate.
    assert (float(after) < 2) == (restart and uphill)
    for a, b in zip(given, before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert host.launched == ({"fista_slope": 1} if restart else {}) | {"fista_update": 1}


def test_other_arrays_take_the_array_form(host: HostKernels) -> None:
    w, last, z, t = arguments(6, "float64", False)
    strided = np.repeat(w, 2)[::2]
    spec = generic_updates.fista_update(w, last, z, t, True)
    np.testing.assert_array_equal(fista.fista_update(strided, last, z, t, True)[0], spec[0])
    mixed = fista.fista_update(w, last, z, t.astype("float32"), True)
    np.testing.assert_allclose(mixed[0], spec[0], rtol=1e-6)
    assert host.launched == {}


def test_it_is_bound_on_cupy_alone() -> None:
    space: Any = SimpleNamespace(__name__="cupy")
    assert bind(space, np.dtype("float32")).fista_update is fista.fista_update
    assert bind(np, np.dtype("float32")).fista_update is generic_updates.fista_update


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
def test_gpu_extrapolation(dtype: str, cupy: Any) -> None:
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for n in (1, 7, 1_000_000):
        for uphill in (False, True):
            given = arguments(n, dtype, uphill)
            there = [cupy.asarray(a) for a in given]
            ours, again = (fista.fista_update(*there, True) for _ in "ab")
            spec = generic_updates.fista_update(*given, True)
            for mine, same, known in zip(ours, again, spec, strict=True):
                np.testing.assert_allclose(mine.get(), known, rtol=tolerance, atol=tolerance)
                np.testing.assert_array_equal(mine.get(), same.get())
