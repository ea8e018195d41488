"""Activations whose shares are trained with the weights of a network."""

from __future__ import annotations

import pickle
from typing import Any

import array_api_strict
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris

from skopt_dl import MLPClassifier, TabularMLPClassifier, TabularMLPRegressor
from skopt_dl.activations import GELU, SELU, LeakyReLU, Parametric, ReLU, Tanh
from skopt_dl.activations.trained import Mixed
from skopt_dl.engine import Oracle
from skopt_dl.kernels import bind, generic_network
from skopt_dl.neural_network.network import Network
from skopt_dl.neural_network.pretraining import GreedySupervised
from skopt_dl.neural_network.problem import NetworkProblem
from skopt_dl.testing import check_activation

KINDS: list[Any] = [
    Parametric(),
    [Parametric(SELU(), 0.7), "relu"],
    [Parametric(Tanh(), 0.4), Parametric(LeakyReLU(0.1))],
    ["mish", Parametric(GELU(), -0.3)],
]


def problem_of(activation: Any, output: str, n: int = 40) -> tuple[NetworkProblem, Any]:
    rng = np.random.default_rng(0)
    net = Network((5, 7, 6, 3), activation, output)
    y = np.eye(3)[rng.integers(0, 3, n)]
    weights = rng.random(n) + 0.5
    X = rng.standard_normal((n, 5))
    return NetworkProblem(net, X, y, alpha=0.1, sample_weight=weights), rng.standard_normal(
        net.size
    )


@pytest.mark.parametrize(
    "activation", [Parametric(), Parametric(SELU(), 0.7), Parametric(Tanh(), -1)]
)
def test_the_laws_of_an_activation(activation: Parametric) -> None:
    check_activation(activation)


@pytest.mark.parametrize("output", ["softmax", "identity"])
@pytest.mark.parametrize("activation", KINDS, ids=str)
def test_the_gradient_is_the_difference_of_values(activation: Any, output: str) -> None:
    problem, w = problem_of(activation, output)
    step = 1e-6 * np.eye(w.shape[0])
    expected = [(problem.value(w + d) - problem.value(w - d)) / 2e-6 for d in step]
    np.testing.assert_allclose(problem.point(w).grad, expected, rtol=1e-6, atol=1e-6)
    assert problem.size == sum(s.stop - s.start for s in problem.blocks.values())


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", KINDS, ids=str)
def test_the_compiled_gradient_is_the_generic_one(
    activation: Any, dtype: Any, dropped: bool
) -> None:
    # More rows than a chunk has.
    problem, w = problem_of(activation, "softmax", 1500)
    net, rng, found = problem.net, np.random.default_rng(1), []
    masks = [((rng.random((1500, k)) > 0.3) / 0.7).astype(dtype) for k in net.sizes[1:-1]]
    X, y = problem.X.astype(dtype), problem.y.astype(dtype)
    kernels = bind(np, np.dtype(dtype))
    assert net.compiled and kernels.network_gradient is not generic_network.network_gradient
    for module in (kernels, generic_network):
        work, grad = module.network_workspace(net, dtype), np.empty(net.size, dtype)
        given = (masks if dropped else None, 0.1, 0.0, grad)
        out = module.network_gradient(net, work, w.astype(dtype), X, y, None, None, *given)
        found.append((*out, grad))
    tol = 1e-12 if dtype is np.float64 else 1e-4
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=tol, atol=tol)


def test_known_values() -> None:
    z = np.array([[-2.0, -2.0, 3.0]])
    f = Mixed(Parametric(), np.array([1.0, 0.75, 0.75]))
    np.testing.assert_allclose(f.value(z), [[0, -0.5, 3]])
    np.testing.assert_allclose(f.slope(z, f.value(z)), [[0, 0.25, 1]])
    np.testing.assert_array_equal(f.share_slope(z, np.ones_like(z)), [2, 2, 0])
    there = array_api_strict.asarray(z)
    shares = array_api_strict.asarray([1.0, 0.75, 0.75], dtype=array_api_strict.float64)
    elsewhere = Mixed(Parametric(), shares).value(there)
    np.testing.assert_allclose(np.from_dlpack(elsewhere), f.value(z))


def test_at_a_share_of_one_it_is_the_inner_activation() -> None:
    problem, w = problem_of(Parametric(SELU()), "softmax")
    plain = Network((5, 7, 6, 3), "selu", "softmax")
    w[plain.size :] = 1
    assert problem.net.size == plain.size + 13
    expected = plain.predict(w[: plain.size], problem.X)
    np.testing.assert_allclose(problem.net.predict(w, problem.X), expected, rtol=1e-12)
    start = problem.net.initial(np.random.RandomState(0))
    same = plain.initial(np.random.RandomState(0))
    np.testing.assert_array_equal(np.concatenate(start)[: plain.size], np.concatenate(same))
    np.testing.assert_array_equal(np.concatenate(start)[plain.size :], 1)


def test_it_offers_gradients_and_no_curvature() -> None:
    problem, _ = problem_of(Parametric(), "softmax")
    assert problem.why_not(Oracle.GRAD) is problem.why_not(Oracle.SAMPLE_GRAD) is None
    for oracle in (Oracle.HVP, Oracle.GGN, Oracle.KRONECKER, Oracle.SAMPLE_CURVATURE):
        assert "trained" in str(problem.why_not(oracle))


QUICK: dict[str, Any] = {
    "max_iter": 15,
    "n_ensemble": 2,
    "learning_rate_init": 0.02,
    "random_state": 0,
}


def test_a_table_s_networks_learn_the_shares() -> None:
    X, y = load_iris(return_X_y=True)
    model = TabularMLPClassifier((16,), Parametric(), **QUICK).fit(X, y)
    w, blocks = model.members_[0], model._raws[0].blocks
    assert np.ptp(w[blocks["share0"]]) > 0.01
    assert model.score(X, y) > 0.95
    p = model.predict_proba(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), p)
    np.testing.assert_array_equal(clone(model).fit(X, y).predict_proba(X), p)
    assert model.get_params()["activation"] == Parametric()
    other = clone(model).set_params(activation=Parametric(SELU(), 0.5)).fit(X, y)
    assert np.abs(other.predict_proba(X) - p).max() > 1e-3
    pretrained = TabularMLPClassifier(
        (16,), Parametric(), initialisation=GreedySupervised(), **QUICK
    )
    assert pretrained.fit(X, y).score(X, y) > 0.9
    with pytest.raises(ValueError, match="trained"):
        clone(model).set_params(solver="kfac").fit(X, y)


def test_a_share_is_found() -> None:
    # A rectifier with a slope of 0.6 below zero needs one unit and one share.
    z = np.random.default_rng(0).standard_normal((600, 1))
    X, y = z, np.where(z > 0, z, 0.6 * z)[:, 0]
    model = TabularMLPRegressor((1,), Parametric(share=0.9), numerical_embedding=None, **QUICK)
    fits = model.set_params(max_iter=60).fit(X, y)
    plain = clone(model).set_params(activation="relu").fit(X, y)
    error, other = (np.mean((m.predict(X) - y) ** 2) for m in (fits, plain))
    assert error < 0.1 * other


def test_networks_with_coefs_refuse_it_and_so_are_bad_settings() -> None:
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="TabularMLPClassifier"):
        MLPClassifier(activation=Parametric()).fit(X, y)
    with pytest.raises(TypeError, match="plain Activation"):
        TabularMLPClassifier((4,), Parametric(Parametric()), **QUICK).fit(X, y)
    with pytest.raises(ValueError, match="share='much'"):
        TabularMLPClassifier((4,), Parametric(ReLU(), "much"), **QUICK).fit(X, y)  # type: ignore
