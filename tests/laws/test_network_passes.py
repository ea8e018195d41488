"""The compiled passes that a network's curvature is made from are the generic ones."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from skopt_dl.activations import ELU, LeakyReLU
from skopt_dl.dispatch import ACTIVATIONS
from skopt_dl.kernels import bind, generic_passes
from skopt_dl.kernels.generic_network import respond
from skopt_dl.neural_network import MLPClassifier, MLPRegressor
from skopt_dl.neural_network.network import Network

KINDS = [*ACTIVATIONS.names(), [LeakyReLU(0.2), "tanh", ELU(0.5)]]


def close(one, two, dtype):
    tol = 1e-12 if dtype is np.float64 else 2e-4
    assert one.dtype == dtype
    np.testing.assert_allclose(one, two, rtol=tol, atol=tol * (1 + np.max(np.abs(two), initial=0)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", KINDS, ids=str)
def test_each_pass_is_the_generic_one(activation, dtype):
    net = Network((7, 13, 9, 5, 3), activation, "softmax")
    kernels, rng = bind(np, np.dtype(dtype)), np.random.default_rng(0)
    w, *ways = rng.standard_normal((4, net.size)).astype(dtype)
    directions = np.stack(ways)
    memory = []
    # Batches that the memory of the one before is too large, too small and exactly right for.
    for n in (40, 12, 60, 60, 0):
        X = rng.standard_normal((n, 7)).astype(dtype)
        forward = kernels.network_forward(net, w, X, memory)
        expected = generic_passes.network_forward(net, w, X)
        assert forward.given[0] is X
        for m in (n, n // 3):
            part, whole = forward.first(m), expected.first(m)
            for one, two in zip([*part.given, part.raw], [*whole.given, whole.raw], strict=True):
                close(one, two, dtype)
            tangents = kernels.network_tangents(part, directions)
            close(tangents, generic_passes.network_tangents(whole, directions), dtype)
            d, start = rng.standard_normal((m, 3)).astype(dtype), rng.standard_normal(net.size)
            one, two = start.astype(dtype), start.astype(dtype)
            before = d.copy()
            assert kernels.network_pullback(part, d, one) is one
            close(one, generic_passes.network_pullback(whole, d, two), dtype)
            deltas = kernels.network_cotangents(part, d)
            alike = generic_passes.network_cotangents(whole, d)
            for one, two in zip(deltas, alike, strict=True):
                close(one, two, dtype)
            np.testing.assert_array_equal(d, before)


def test_memory_of_another_network_or_precision_is_not_used():
    rng, memory = np.random.default_rng(0), []
    X = rng.standard_normal((30, 4))
    for net in (Network((4, 9, 2), "tanh", "identity"), Network((4, 3, 5), "relu", "identity")):
        w = rng.standard_normal(net.size)
        for dtype in (np.float32, np.float64):
            given = w.astype(dtype), X.astype(dtype)
            made = bind(np, np.dtype(dtype)).network_forward(net, *given, memory)
            close(made.raw, generic_passes.network_forward(net, *given).raw, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("output", ["identity", "logistic", "softmax", "exp"])
@pytest.mark.parametrize(("n", "K"), [(700, 5), (3, 2500), (0, 4)])
def test_what_a_loss_is_at_the_outputs_is_the_generic_one(n, K, output, dtype):
    kernels, rng = bind(np, np.dtype(dtype)), np.random.default_rng(0)
    z = rng.standard_normal((n, K)).astype(dtype)
    omega, dots = rng.random(n).astype(dtype), rng.standard_normal((3, n, K)).astype(dtype)
    y = (rng.random((n, K)) < 0.5).astype(dtype)
    if output == "softmax":
        y = np.eye(K, dtype=dtype)[rng.integers(0, K, n)]
    for floor in (0.0, 1e-3):
        loss, d = kernels.output_terms(output, y, z, omega, floor)
        expected, slope = generic_passes.output_terms(output, y, z, omega, floor)
        assert float(loss) == pytest.approx(float(expected), rel=1e-12 if dtype is float else 1e-4)
        close(d, slope, dtype)
    mean = respond(output, z)
    close(
        kernels.output_products(output, mean, omega, dots),
        generic_passes.output_products(output, mean, omega, dots),
        dtype,
    )


def test_the_passes_of_dense_data_are_compiled():
    kernels = bind(np, np.dtype(float))
    for name in ("forward", "tangents", "cotangents", "pullback"):
        name = f"network_{name}"
        assert getattr(kernels, name) is not getattr(generic_passes, name)
    assert kernels.output_products is not generic_passes.output_products
    assert kernels.output_terms is not generic_passes.output_terms


def test_tangents_and_pullbacks_are_adjoint_and_the_derivative():
    net = Network((4, 6, 3), "tanh", "identity")
    kernels, rng = bind(np, np.dtype(float)), np.random.default_rng(0)
    w, v = rng.standard_normal((2, net.size))
    X, d = rng.standard_normal((20, 4)), rng.standard_normal((20, 3))
    passed = kernels.network_forward(net, w, X)
    forward = kernels.network_tangents(passed, v[None, :])[0]
    back = kernels.network_pullback(passed, d, np.zeros(net.size))
    assert np.sum(forward * d) == pytest.approx(back @ v, rel=1e-12)
    h = 1e-6
    difference = (net.predict(w + h * v, X) - net.predict(w - h * v, X)) / (2 * h)
    np.testing.assert_allclose(forward, difference, atol=1e-7)


def test_sparse_data_take_the_generic_passes():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 5)) * (rng.random((30, 5)) < 0.5)
    y = rng.integers(0, 3, 30)
    products = []
    for data in (X, sp.csr_array(X)):
        problem = MLPClassifier((4,), random_state=0)._build_problem(data, y)
        w = problem.start()
        products.append(problem.ggn(problem.point(w))(np.sin(np.arange(w.size))))
    np.testing.assert_allclose(products[1], products[0], rtol=1e-10, atol=1e-14)


def test_the_value_of_a_batch_is_that_of_its_passes():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((30, 4)), rng.standard_normal((30, 2))
    s = rng.random(30)
    model = MLPRegressor(hidden_layer_sizes=(5,), activation="tanh", alpha=0.3, random_state=0)
    for weights in (None, s):
        problem = model._build_problem(X, Y, sample_weight=weights)
        w, index = problem.start(), np.array([3, 1, 20, 8])
        expected = float(problem.sample_value(w, index))
        assert float(problem.kronecker(w, index).value()) == pytest.approx(expected, rel=1e-12)
