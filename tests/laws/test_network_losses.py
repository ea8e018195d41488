"""Loss and gradient of a compiled batch are the generic ones, whatever outputs and targets are."""

from __future__ import annotations

import numpy as np
import pytest

from skopt_dl.kernels import bind, generic_network
from skopt_dl.neural_network.network import Network

# Parts of blocks, whole ones, and more classes than blocks are made of.
ROWS, CLASSES = [1, 15, 16, 17, 70], [1, 2, 10, 32, 33]


def targets(kind, n, k, rng):
    if kind == "counts":
        return rng.poisson(2.0, (n, k)).astype(float)
    if kind == "several":
        return (rng.random((n, k)) < 0.5).astype(float)
    one = np.eye(k)[rng.integers(0, k, n)]
    return 0.9 * one + 0.1 / k if kind == "smoothed" else one


def both(output, y, X, w, sizes, floor, weights=None):
    dtype, net = y.dtype, Network(sizes, "relu", output)
    found = []
    for kernels in (bind(np, dtype), generic_network):
        grad = np.empty(net.size, dtype)
        work = kernels.network_workspace(net, dtype)
        index = np.arange(len(X))[::-1].copy()
        value = kernels.network_gradient(net, work, w, X, y, weights, index, None, 0.1, floor, grad)
        found.append((float(value[0]), float(value[1]), grad))
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("output", ["softmax", "logistic"])
@pytest.mark.parametrize("kind", ["one", "smoothed", "several"])
@pytest.mark.parametrize("size", [1.0, 30.0])
def test_likelihoods(dtype, output, kind, size):
    rng, eps = np.random.default_rng(0), np.finfo(dtype).eps
    for n in ROWS:
        for k in CLASSES:
            sizes = (3, 9, k)
            X = rng.standard_normal((n, 3)).astype(dtype)
            w = (size * rng.standard_normal(Network(sizes, "relu", output).size)).astype(dtype)
            y = targets(kind, n, k, rng).astype(dtype)
            weights = rng.random(n).astype(dtype) if n % 2 else None
            for floor in (0.0, float(eps)):
                if size > 1 and floor and output == "logistic":
                    # 1 - p is what rounding leaves of it there.
                    continue
                ours, theirs = both(output, y, X, w, sizes, floor, weights)
                # Raw outputs of a size have roundings of that size.
                np.testing.assert_allclose(
                    ours[:2], theirs[:2], rtol=100 * eps, atol=size * 20 * eps
                )
                scale = 1 + np.abs(theirs[2]).max()
                np.testing.assert_allclose(ours[2], theirs[2], atol=size**2 * 50 * eps * scale)


def test_the_report_of_a_certain_answer_is_finite_and_of_a_broken_one_is_not():
    X = np.array([[1.0], [2.0], [3.0]])
    for output, k in (("softmax", 2), ("softmax", 40), ("logistic", 1)):
        net = Network((1, k), "relu", output)
        y = np.eye(k)[[0, 0, 0]] if k > 1 else np.ones((3, 1))
        wrong = np.zeros(net.size)
        wrong[0] = -1e5
        found = [float(v[0]) for v in both(output, y, X, wrong, (1, k), np.finfo(float).eps)]
        # log of the floor.
        assert found == pytest.approx([36.04365338911715] * 2, rel=1e-12)
        exact = [float(v[0]) for v in both(output, y, X, wrong, (1, k), 0.0)]
        assert exact == pytest.approx([2e5] * 2, rel=1e-4)
        wrong[0] = np.nan
        for floor in (0.0, np.finfo(float).eps):
            assert all(np.isnan(v[0]) for v in both(output, y, X, wrong, (1, k), floor))
