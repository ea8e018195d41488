"""Moments of columns by CUDA kernels, their body compiled for the host, are the generic ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_host import HostKernels, require_bound_on_cupy_alone
from scipy import sparse

from skopt_dl.kernels import generic
from skopt_dl.kernels.cupy import moments
from skopt_dl.linops import design

WRAPPERS = moments
DTYPES = ["float32", "float64"]
# One strip and one tile, many strips, many tiles.
SHAPES = [(1, 1), (10, 7), (1500, 5), (70, 300)]


def matrix(shape: tuple[int, int], dtype: str, order: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(shape[0])
    X = np.asarray(rng.standard_normal(shape) + 1, dtype, order=order)
    return X, rng.standard_normal(shape[0]).astype(dtype)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_they_are_the_generic_ones(
    dtype: str, shape: tuple[int, int], order: str, host: HostKernels
) -> None:
    X, h = matrix(shape, dtype, order)
    ours = moments.column_moments(design(X), h)
    spec = generic.column_moments(design(X.astype(float)), h.astype(float))
    for a, b in zip(ours, spec, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, atol=(1e-3 if dtype == "float32" else 1e-10))
    by_rows = {"moments_of_strips": 1, "moments_of_parts": 1}
    assert host.launched == ({"moments_of_columns": 1} if not X.flags.c_contiguous else by_rows)


def test_other_matrices_take_the_array_form(host: HostKernels) -> None:
    X, h = matrix((30, 8), "float64", "C")
    for other in (X[:, ::2], sparse.csr_array(X), X.astype("float32")):
        ours = moments.column_moments(design(other), h)
        spec = generic.column_moments(design(other), h)
        for a, b in zip(ours, spec, strict=True):
            np.testing.assert_array_equal(a, b)
    assert host.launched == {}


def test_they_are_bound_on_cupy_alone() -> None:
    require_bound_on_cupy_alone(moments, "column_moments")


@pytest.mark.gpu
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_gpu_moments(dtype: str, order: str, cupy: Any) -> None:
    for shape in (*SHAPES, (100_000, 40)):
        X, h = matrix(shape, dtype, order)
        there = design(cupy.asarray(X, order=order)), cupy.asarray(h)
        ours, again = (moments.column_moments(*there) for _ in "ab")
        spec = generic.column_moments(design(X.astype(float)), h.astype(float))
        for a, b, c in zip(ours, spec, again, strict=True):
            np.testing.assert_allclose(a.get(), b, atol=(1e-1 if dtype == "float32" else 1e-8))
            np.testing.assert_array_equal(a.get(), c.get())
