"""Each CUDA proximal operator, its body compiled for the host, is the generic one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda_host import HostKernels

from skopt_dl.kernels import bind, generic_prox
from skopt_dl.kernels.cupy import prox

WRAPPERS = prox
N = 101
DTYPES = ["float32", "float64"]
# Of the penalty's own number, steps for which it is concave among them.
LAST = {"prox_elastic_net": (False, True), "prox_mcp": (3.0, 0.5), "prox_scad": (3.7, 1.2)}


def arguments(name: str, dtype: str, form: str) -> tuple[Any, ...]:
    """Coefficients on both sides of every threshold, and settings of one form each."""
    rng = np.random.default_rng(0)
    v = 3 * rng.standard_normal(N)
    v[:3] = 0, 1, -1
    many = 1 if name != "prox_elastic_net" else 2
    if form == "numbers":
        settings: list[Any] = [0.7] + many * [0.5]
    else:
        shape = () if form == "one on the device" else N
        settings = [np.asarray(rng.uniform(0.1, 2, shape), dtype) for _ in range(1 + many)]
    return v.astype(dtype), *settings


@pytest.mark.parametrize("form", ["numbers", "one on the device", "one for each"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LAST)
def test_a_prox_is_the_generic_one(name: str, dtype: str, form: str, host: HostKernels) -> None:
    tolerance = 2e-5 if dtype == "float32" else 1e-13
    for last in LAST[name]:
        given = arguments(name, dtype, form)
        before = [np.copy(a) for a in given]
        ours = getattr(prox, name)(*given, last)
        spec = getattr(generic_prox, name)(*given, last)
        assert ours.dtype == dtype and len(np.unique(ours)) > N / 3
        np.testing.assert_allclose(ours, spec, tolerance, tolerance)
        for a, b in zip(given, before, strict=True):
            np.testing.assert_array_equal(a, b)
    assert host.launched == {name: 2}


@pytest.mark.parametrize("name", LAST)
def test_what_is_not_a_number_stays_so(name: str, host: HostKernels) -> None:
    for last in LAST[name]:
        _, *settings = arguments(name, "float64", "numbers")
        out = getattr(prox, name)(np.asarray([np.nan, 1.0]), *settings, last)
        assert np.isnan(out).tolist() == [True, False]


def test_other_arrays_take_the_array_form(host: HostKernels) -> None:
    v, step, l1, l2 = arguments("prox_elastic_net", "float64", "one for each")
    spec = generic_prox.prox_elastic_net(v, step, l1, l2, False)
    strided = np.repeat(v, 2)[::2]
    np.testing.assert_array_equal(prox.prox_elastic_net(strided, step, l1, l2, False), spec)
    single = step.astype("float32")
    np.testing.assert_allclose(prox.prox_elastic_net(v, single, l1, l2, False), spec, atol=1e-6)
    assert host.launched == {}
    assert prox.prox_elastic_net(v[:0], 0.1, 1.0, 0.0, False).shape == (0,)


def test_they_are_bound_on_cupy_alone() -> None:
    space: Any = SimpleNamespace(__name__="cupy")
    assert bind(space, np.dtype("float32")).prox_scad is prox.prox_scad
    assert bind(np, np.dtype("float32")).prox_scad is generic_prox.prox_scad


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LAST)
def test_gpu_prox(name: str, dtype: str, cupy: Any) -> None:
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    for form in ("numbers", "one on the device", "one for each"):
        given = arguments(name, dtype, form)
        there = [cupy.asarray(a) if isinstance(a, np.ndarray) else a for a in given]
        for last in LAST[name]:
            spec = getattr(generic_prox, name)(*given, last)
            ours = getattr(prox, name)(*there, last)
            np.testing.assert_allclose(ours.get(), spec, tolerance, tolerance)
