"""Losses by CUDA kernels, their body compiled for the host, are the generic ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_host import HostKernels, require_bound_on_cupy_alone

from skopt_dl.kernels import generic_losses
from skopt_dl.kernels.cupy import losses

WRAPPERS = losses
DTYPES = ["float32", "float64"]
SHAPES = [(1, 1), (37, 3), (5, 64)]


def logistic_data(dtype: str, size: float, n: int = 301) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 2, n).astype(dtype), (size * rng.standard_normal(n)).astype(dtype)


def softmax_data(dtype: str, size: float, shape: tuple[int, int]) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, shape[1], shape[0])
    z = size * rng.standard_normal(shape)
    return np.eye(shape[1], dtype=dtype)[labels], z.astype(dtype)


def close(ours: Any, spec: Any, z: Any) -> None:
    """A value is a difference of numbers of the size of z."""
    eps = np.finfo(z.dtype).eps
    slack = 4 * eps * max(1.0, float(np.abs(z).max()))
    assert ours.dtype == z.dtype
    np.testing.assert_allclose(ours, spec, rtol=50 * eps, atol=slack)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e-6, 1.0, 80.0])
def test_logistic(dtype: str, size: float, host: HostKernels) -> None:
    y, z = logistic_data(dtype, size)
    before = z.copy()
    pairs = zip(losses.logistic_terms(y, z), generic_losses.logistic_terms(y, z), strict=True)
    for ours, spec in pairs:
        close(ours, spec, z)
    np.testing.assert_array_equal(z, before)
    assert host.launched == {"logistic_terms": 1}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e-6, 1.0, 80.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_softmax(dtype: str, size: float, shape: Any, host: HostKernels) -> None:
    y, z = softmax_data(dtype, size, shape)
    pairs = zip(losses.softmax_terms(y, z), generic_losses.softmax_terms(y, z), strict=True)
    for ours, spec in pairs:
        close(ours, spec, z)
    p = losses.softmax(z)
    close(p, generic_losses.softmax(z), z)
    np.testing.assert_allclose(np.sum(p, axis=1), 1, rtol=1e-5)
    assert host.launched == {"softmax_terms": 2}


def test_other_arrays_take_the_array_form(host: HostKernels) -> None:
    y, z = softmax_data("float64", 1.0, (9, 4))
    turned = np.asfortranarray(z)
    np.testing.assert_array_equal(losses.softmax(turned), generic_losses.softmax(z))
    long = softmax_data("float64", 1.0, (3, 65))
    spec = generic_losses.softmax_terms(*long)
    np.testing.assert_array_equal(losses.softmax_terms(*long)[1], spec[1])
    single = losses.logistic_terms(y[:, 0].astype("float32"), np.ascontiguousarray(z[:, 0]))
    known = generic_losses.logistic_terms(y[:, 0], z[:, 0])
    np.testing.assert_array_equal(single[1], known[1])
    assert host.launched == {}
    assert losses.softmax(z[:0]).shape == (0, 4) and host.launched == {}


def test_what_is_not_a_number_stays_so(host: HostKernels) -> None:
    z = np.asarray([[0.0, np.nan], [1.0, 2.0]])
    assert np.isnan(losses.softmax(z)).any(axis=1).tolist() == [True, False]
    value, slope = losses.logistic_terms(np.zeros(2), z[0])
    assert np.isnan(value).tolist() == np.isnan(slope).tolist() == [False, True]


def test_they_are_bound_on_cupy_alone() -> None:
    require_bound_on_cupy_alone(losses, "softmax_terms")


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
def test_gpu_losses(dtype: str, cupy: Any) -> None:
    y, z = logistic_data(dtype, 10.0, 100_000)
    spec = generic_losses.logistic_terms(y, z)
    for ours, known in zip(losses.logistic_terms(*map(cupy.asarray, (y, z))), spec, strict=True):
        close(ours.get(), known, z)
    for shape in [*SHAPES, (50_000, 10)]:
        y, z = softmax_data(dtype, 10.0, shape)
        spec = generic_losses.softmax_terms(y, z)
        ours = losses.softmax_terms(*map(cupy.asarray, (y, z)))
        for mine, known in zip(ours, spec, strict=True):
            close(mine.get(), known, z)
