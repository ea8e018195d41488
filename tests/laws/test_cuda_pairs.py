"""Products with a limited-memory Hessian by CUDA kernels, their body compiled for the host, are the
generic ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_host import HostKernels, require_bound_on_cupy_alone

from skopt_dl.kernels import generic
from skopt_dl.kernels.cupy import pairs as twin

WRAPPERS = twin
DTYPES = ["float32", "float64"]


def arguments(n: int, m: int, dtype: str, xp: Any = np) -> tuple[list[Any], Any, Any]:
    """``m`` pairs of a positive definite Hessian, a scale and a vector."""
    rng = np.random.default_rng(n + m)
    curvature = rng.uniform(0.5, 2, n)
    pairs = []
    for _ in range(m):
        s = rng.standard_normal(n)
        pairs.append((s, curvature * s, np.asarray(1 / (s @ (curvature * s)))))
    pairs = [tuple(xp.asarray(a.astype(dtype)) for a in pair) for pair in pairs]
    scale, g = np.asarray(0.7, dtype), rng.standard_normal(n).astype(dtype)
    return pairs, xp.asarray(scale), xp.asarray(g)


@pytest.mark.parametrize("m", [1, 2, 7])
@pytest.mark.parametrize("n", [1, 30, 3000])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [False, True])
def test_it_is_the_generic_one(dtype: str, n: int, m: int, number: bool, host: HostKernels) -> None:
    pairs, scale, g = arguments(n, m, dtype)
    scale = 0.7 if number else scale
    before = [np.copy(a) for a in (g, *(a for pair in pairs for a in pair))]
    ours, spec = twin.two_loop(iter(pairs), scale, g), generic.two_loop(pairs, scale, g)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(ours, spec, rtol=tolerance, atol=tolerance * np.max(np.abs(spec)))
    assert ours.dtype == dtype and ours is not g
    for a, b in zip((g, *(a for pair in pairs for a in pair)), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert host.launched == {"pair_step": 2 * m + 1}


def test_others_take_the_array_form(host: HostKernels) -> None:
    pairs, scale, g = arguments(6, 2, "float64")
    np.testing.assert_array_equal(twin.two_loop([], scale, g), scale * g)
    spec = generic.two_loop(pairs, scale, g)
    strided = np.repeat(g, 2)[::2]
    np.testing.assert_array_equal(twin.two_loop(pairs, scale, strided), spec)
    mixed = [(s.astype("float32"), y, rho) for s, y, rho in pairs]
    np.testing.assert_allclose(twin.two_loop(mixed, scale, g), spec, rtol=1e-6)
    assert host.launched == {}


def test_it_is_bound_on_cupy_alone() -> None:
    require_bound_on_cupy_alone(twin, "two_loop")


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
def test_gpu_two_loop(dtype: str, cupy: Any) -> None:
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    for n in (1, 1000, 1_000_000):
        there, here = arguments(n, 7, dtype, cupy), arguments(n, 7, dtype)
        ours, again = twin.two_loop(*there), twin.two_loop(*there)
        spec = generic.two_loop(*here)
        scale = tolerance * np.max(np.abs(spec))
        np.testing.assert_allclose(ours.get(), spec, rtol=tolerance, atol=scale)
        np.testing.assert_array_equal(ours.get(), again.get())
