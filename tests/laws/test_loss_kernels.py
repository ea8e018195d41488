"""The compiled losses of linear models do what their generic form, the specification, says."""

from __future__ import annotations

import numpy as np
import pytest

from skopt_dl.kernels import generic_losses, kernels_of

DTYPES = (np.float32, np.float64)
LOGISTIC = "logistic_terms"
SOFTMAX = "softmax_terms"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e-6, 1.0, 10.0, 80.0])
def test_logistic(dtype, size):
    rng = np.random.default_rng(0)
    z = (size * rng.standard_normal(1003)).astype(dtype)
    y = rng.integers(0, 2, 1003).astype(dtype)
    z.flags.writeable = y.flags.writeable = False
    value, slope = kernels_of(z).logistic_terms(y, z)
    expected = generic_losses.logistic_terms(y, z)
    assert value.dtype == slope.dtype == dtype
    # A value is a difference of numbers of the size of z, a slope one of numbers up to 1.
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(value, expected[0], rtol=20 * eps, atol=eps * max(1.0, size))
    np.testing.assert_allclose(slope, expected[1], rtol=20 * eps, atol=eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e-6, 1.0, 10.0, 80.0])
@pytest.mark.parametrize("shape", [(1, 1), (37, 3), (5000, 10), (2, 6000)])
def test_softmax(dtype, size, shape):
    rng = np.random.default_rng(0)
    z = (size * rng.standard_normal(shape)).astype(dtype)
    y = np.eye(shape[1], dtype=dtype)[rng.integers(0, shape[1], shape[0])]
    z.flags.writeable = y.flags.writeable = False
    terms = kernels_of(z).softmax_terms(y, z)
    expected = generic_losses.softmax_terms(y, z)
    # A value is a difference of numbers of the size of z.
    slack = np.finfo(dtype).eps * max(1.0, float(np.abs(z).max()))
    np.testing.assert_allclose(terms[0], expected[0], rtol=20 * np.finfo(dtype).eps, atol=slack)
    # So is the exponent of a probability; a sum of thousands adds its own roundings.
    np.testing.assert_allclose(terms[1], expected[1], atol=20 * slack)
    p = kernels_of(z).softmax(z)
    np.testing.assert_allclose(p, generic_losses.softmax(z), atol=20 * slack)
    np.testing.assert_array_equal(kernels_of(z).softmax(np.asfortranarray(z)), p)


@pytest.mark.parametrize("dtype", DTYPES)
def test_far_out_nothing_overflows(dtype):
    large = np.finfo(dtype).max / 4
    z = np.array([large, 1e3, -1e3, -large], dtype=dtype)
    y = np.array([1, 1, 0, 0], dtype=dtype)
    value, slope = kernels_of(z).logistic_terms(y, z)
    assert np.all(np.abs(value) < 1e-30) and np.all(np.abs(slope) < 1e-30)
    rows = np.array([[large, 0, -large], [0, 0, large]], dtype=dtype)
    value, slope = kernels_of(rows).softmax_terms(np.eye(3, dtype=dtype)[[0, 2]], rows)
    assert np.all(np.abs(value) < 1e-30) and np.all(np.abs(slope) < 1e-30)


@pytest.mark.parametrize("kernel", [LOGISTIC, SOFTMAX])
def test_what_is_not_a_number_is_not_hidden(kernel):
    z = np.array([np.nan, 0.0])
    z = z if kernel == LOGISTIC else np.stack([z, z + 1], axis=1)
    value, slope = getattr(kernels_of(z), kernel)(np.zeros_like(z), z)
    assert np.isnan(value[0]) or np.isnan(slope[0]).all()
    assert np.isfinite(value[1]) and np.isfinite(slope[1]).all()


def test_no_samples_and_other_shapes():
    none = np.zeros((0, 3))
    assert kernels_of(none).softmax(none).shape == (0, 3)
    assert [a.shape for a in kernels_of(none).softmax_terms(none, none)] == [(0,), (0, 3)]
    table = np.zeros((2, 3))
    value, slope = kernels_of(table).logistic_terms(table, table)
    assert value.shape == slope.shape == (2, 3)
